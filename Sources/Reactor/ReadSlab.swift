// Where a loop's connections read into, unless they bring memory of their own: one slab that all of them share. libuv
// writes into its free tail; what arrived is handed over as a slice; when no slice is alive the slab starts over at 0.
// In the steady state nothing is allocated and the memory stays warm, and an idle connection has no buffer at all.
//
// Two rules keep a small slice that somebody holds from pinning the slab of everyone:
//   * a read is handed over as a slice only while nobody else holds one, or if it is large; else as an exact copy;
//   * at most `maximumRetired` slabs are pinned at a time; with that many, everything is copied.
//
// The order is: read into `room`, hand over `bytes(count)`, and when the receiver has returned, `settle(count)`.

/// A loop's read memory.
@safe
final class ReadSlab {
    static var capacity: Int { 131_072 }
    /// Reads of this size or more are handed over without a copy even while other slices are alive.
    static var largeRead: Int { 8_192 }
    /// The least room that a read is given.
    static var leastRoom: Int { 16_384 }
    /// How many slabs may be kept alive by slices besides the current one.
    static var maximumRetired: Int { 8 }

    private var current: ByteStorage {
        didSet { unsafe lent = Unmanaged.passUnretained(current) }
    }
    // SAFETY: `current`, not counted.
    private var lent: Unmanaged<ByteStorage>
    private var retired: [ByteStorage] = []
    /// How many slabs are pinned by slices besides the current one.
    // PERF: asked in place of the array, accesses to which are checked. (churn)
    private(set) var retiredCount = 0
    /// A slab that was retired and that nobody holds any more.
    private var spare: ByteStorage?

    /// The room for the next read: the free tail of the current slab.
    // SAFETY: within the memory of `current`, behind every slice that was handed over and may be alive.
    private(set) var room: UnsafeMutableRawBufferPointer

    /// Whether a slice of the current slab was alive when the last read was settled.
    private(set) var isShared = false

    init() {
        current = ByteStorage.make(capacity: Self.capacity)
        unsafe lent = Unmanaged.passUnretained(current)
        unsafe room = Self.firstRoom(of: current)
    }

    /// What was read into the room, as a slice or a copy.
    func bytes(_ count: Int) -> Bytes {
        if mustCopy(count) { return unsafe Bytes(copying: UnsafeRawBufferPointer(rebasing: room[..<count])) }
        return unsafe Bytes(
            storage: current,
            base: UnsafePointer(room.baseAddress!.assumingMemoryBound(to: UInt8.self)),
            startIndex: 0,
            endIndex: count
        )
    }

    /// The same without counting a reference, for a slab that is not shared.
    @inline(__always)
    func lend(_ count: Int) -> LentBytes {
        // SAFETY: the slab always has room, and so an address.
        unsafe LentBytes(
            storage: lent,
            base: UnsafePointer(room.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: UInt8.self)),
            startIndex: 0,
            endIndex: count
        )
    }

    /// The receiver of what was read has returned: finds out what it kept, and makes room for the next read.
    @inline(never)
    func settle(_ count: Int) {
        if isKnownUniquelyReferenced(&current) && !isShared { return }
        makeRoom(after: count)
    }

    /// Makes the whole slab room again if nobody holds a slice of it any more.
    @inline(never)
    func startOverIfFree() {
        if isKnownUniquelyReferenced(&current) { startOver() }
    }

    private func mustCopy(_ count: Int) -> Bool {
        isShared && (count < Self.largeRead || retiredCount == Self.maximumRetired)
    }

    @inline(never)
    private func makeRoom(after count: Int) {
        if isKnownUniquelyReferenced(&current) {
            startOver()
            return
        }
        let copied = mustCopy(count)
        if retiredCount > 0 { sortOutRetired() }
        if !copied {
            let used = unsafe current.memory.distance(to: room.baseAddress!) + count
            unsafe room = UnsafeMutableRawBufferPointer(start: current.memory + used, count: Self.capacity - used)
        }
        isShared = true
        if unsafe room.count < Self.leastRoom { retire() }
    }

    /// Notices which retired slabs nobody holds any more: one is kept for further use, the others go.
    private func sortOutRetired() {
        for index in retired.indices.reversed() where isKnownUniquelyReferenced(&retired[index]) {
            let free = retired.remove(at: index)
            retiredCount -= 1
            if spare == nil { spare = free }
        }
    }

    /// Replaces a slab that is full of slices that are alive, by one that has become free or by a new one.
    private func retire() {
        // With every slab pinned only a first slice is handed over, and that leaves the least room behind it.
        assert(retiredCount < Self.maximumRetired, "a slab is full although its reads are copied")
        retired.append(current)
        retiredCount += 1
        current = spare.take() ?? ByteStorage.make(capacity: Self.capacity)
        startOver()
    }

    private func startOver() {
        unsafe room = Self.firstRoom(of: current)
        isShared = false
    }

    /// All but the least room, so that behind the first slice there is always enough left to read into and copy from.
    private static func firstRoom(of storage: ByteStorage) -> UnsafeMutableRawBufferPointer {
        unsafe UnsafeMutableRawBufferPointer(start: storage.memory, count: capacity - leastRoom)
    }
}

/// Bytes that are lent for the length of a call: a `Bytes` in all but the reference.
///
/// A function that takes a `Bytes` borrows it: its caller keeps the memory alive, and the function counts a reference
/// only if it keeps the bytes. So it can be called with this in place of a `Bytes`, by a caller that keeps the slab.
@unsafe
struct LentBytes {
    let storage: Unmanaged<ByteStorage>
    let base: UnsafePointer<UInt8>
    let startIndex: Int
    let endIndex: Int
}
