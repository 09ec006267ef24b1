// Where a loop's connections read into, unless they bring memory of their own: one slab that all of them share. libuv
// writes into its free tail; what arrived is handed over as a slice; when no slice is alive the slab starts over at 0.
// In the steady state nothing is allocated and the memory stays warm, and an idle connection has no buffer at all.
//
// Two rules keep a small slice that somebody holds from pinning the slab of everyone:
//   * a read is handed over as a slice only while nobody else holds one, or if it is large; else as an exact copy;
//   * at most `maximumRetired` slabs are pinned at a time; with that many, everything is copied.

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

    private var current: ByteStorage
    // SAFETY: the memory of `current`.
    private var memory: UnsafeMutableRawPointer
    /// How much of `current` is taken by slices.
    private var used = 0
    /// Whether a slice of `current` was alive when the room was given.
    private var isShared = false
    private var retired: [ByteStorage] = []

    init() {
        current = ByteStorage.make(capacity: Self.capacity)
        unsafe memory = current.memory
    }

    /// How many slabs are pinned by slices besides the current one.
    var retiredCount: Int { retired.count }

    /// The room for the next read.
    @inline(__always)
    func room() -> UnsafeMutableRawBufferPointer {
        if isKnownUniquelyReferenced(&current) {
            used = 0
            isShared = false
        } else {
            isShared = true
            if Self.capacity - used < Self.leastRoom { retire() }
        }
        return unsafe UnsafeMutableRawBufferPointer(start: memory + used, count: Self.capacity - used)
    }

    /// What was read into the room that was given last.
    @inline(__always)
    func take(_ count: Int) -> Bytes {
        let start = unsafe memory + used
        let mustCopy = isShared && (count < Self.largeRead || retired.count == Self.maximumRetired)
        if mustCopy { return unsafe Bytes(copying: UnsafeRawBufferPointer(start: start, count: count)) }
        used += count
        return unsafe Bytes(
            storage: current,
            base: UnsafePointer(start.assumingMemoryBound(to: UInt8.self)),
            startIndex: 0,
            endIndex: count
        )
    }

    /// Replaces a slab that is full of slices that are alive, by one that has become free or by a new one.
    @inline(never)
    private func retire() {
        for index in retired.indices where isKnownUniquelyReferenced(&retired[index]) {
            swap(&current, &retired[index])
            adopt()
            return
        }
        guard retired.count < Self.maximumRetired else {
            // Every slab is pinned. What is left of this one is large enough to read into, and `take` copies from it.
            used = min(used, Self.capacity - Self.leastRoom)
            return
        }
        retired.append(current)
        current = ByteStorage.make(capacity: Self.capacity)
        adopt()
    }

    private func adopt() {
        unsafe memory = current.memory
        used = 0
        isShared = false
    }
}
