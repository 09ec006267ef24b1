// Where scheduled closures wait. A callback is named by its place in this table and the generation of that place:
// cancelling bumps the generation and drops the closure at once, and whatever still names the old generation, in the
// ready ring or in the deadline heap, is skipped when it comes up. So cancel needs to find nothing.

/// Names one scheduled callback, for as long as anybody keeps the name: 64 bits of generation never come round.
struct CallbackID: Equatable {
    var index: UInt32
    var generation: UInt64
}

/// Where in the source a callback was scheduled, for messages.
struct CallSite: Sendable {
    var file: StaticString
    var line: UInt32

    var description: String { "\(file):\(line)" }

    /// Whether it is in this library: what such a callback is for, such as a sleep or a connection, is named otherwise.
    var isOurs: Bool { description.hasPrefix("Reactor/") || description.hasPrefix("AsyncIO/") }
}

/// The closures of everything that is scheduled.
@safe
final class CallbackTable {
    typealias Body = () throws -> Void

    private struct Slot {
        var body: Body?
        var site: CallSite
        var generation: UInt64
        var nextFree: UInt32
        /// Whether an entry of the deadline heap stands for this callback.
        var inHeap: Bool
    }

    private static var none: UInt32 { .max }
    /// Two bits of a ready entry are its tag, which leaves thirty for the index.
    private static var maximumCount: Int { 1 << 30 }

    // SAFETY: places `0..<used` of the `capacity` are initialised, and every index that leaves this type is below
    // `used`, which never shrinks.
    private var slots: UnsafeMutablePointer<Slot>
    private var capacity: Int
    private var used = 0
    private var firstFree = CallbackTable.none

    /// How many closures wait.
    private(set) var count = 0

    init() {
        capacity = 64
        unsafe slots = .allocate(capacity: capacity)
    }

    deinit {
        unsafe slots.deinitialize(count: used)
        unsafe slots.deallocate()
    }

    @inline(__always)
    func insert(_ body: @escaping Body, site: CallSite, inHeap: Bool) -> CallbackID {
        count += 1
        let index = firstFree
        if index == Self.none { return append(body, site: site, inHeap: inHeap) }
        let slot = unsafe slots + Int(index)
        unsafe firstFree = slot.pointee.nextFree
        unsafe slot.pointee.body = body
        unsafe slot.pointee.site = site
        unsafe slot.pointee.inHeap = inHeap
        return unsafe CallbackID(index: index, generation: slot.pointee.generation)
    }

    /// The full name of what an entry of the ready queue stands for, which holds half of the generation: plenty for the
    /// time that an entry waits.
    @inline(__always)
    func resolve(index: UInt32, low: UInt32) -> CallbackID? {
        let generation = unsafe slots[Int(index)].generation
        return UInt32(truncatingIfNeeded: generation) == low ? CallbackID(index: index, generation: generation) : nil
    }

    /// The closure, which leaves the table; nil if it was cancelled or has run.
    @inline(__always)
    func take(_ id: CallbackID) -> (body: Body, site: CallSite, inHeap: Bool)? {
        let slot = unsafe slots + Int(id.index)
        guard unsafe slot.pointee.generation == id.generation, let body = unsafe slot.pointee.body.take() else {
            return nil
        }
        unsafe slot.pointee.generation &+= 1
        unsafe slot.pointee.nextFree = firstFree
        firstFree = id.index
        count -= 1
        return unsafe (body, slot.pointee.site, slot.pointee.inHeap)
    }

    /// Notes that the heap has let the callback go, as it is due.
    ///
    /// False if it was cancelled before.
    @inline(__always)
    func leaveHeap(_ id: CallbackID) -> Bool {
        guard contains(id) else { return false }
        unsafe slots[Int(id.index)].inHeap = false
        return true
    }

    func contains(_ id: CallbackID) -> Bool {
        unsafe Int(id.index) < used && slots[Int(id.index)].generation == id.generation
    }

    /// Takes every closure out, for a loop that closes.
    ///
    /// The caller drops them when nothing is being mutated any more.
    func removeAll() -> [Body] {
        var bodies: [Body] = []
        for index in 0..<used where unsafe slots[index].body != nil {
            if let taken = unsafe take(CallbackID(index: UInt32(index), generation: slots[index].generation)) {
                bodies.append(taken.body)
            }
        }
        return bodies
    }

    /// Where users' closures were scheduled, each place once.
    var sites: [String] {
        var sites: Set<String> = []
        for index in 0..<used where unsafe slots[index].body != nil {
            let site = unsafe slots[index].site
            if !site.isOurs { sites.insert(site.description) }
        }
        return sites.sorted()
    }

    @inline(never)
    private func append(_ body: @escaping Body, site: CallSite, inHeap: Bool) -> CallbackID {
        require(used < Self.maximumCount, "More than \(Self.maximumCount) callbacks are scheduled at once.")
        if used == capacity {
            let larger = UnsafeMutablePointer<Slot>.allocate(capacity: capacity * 2)
            unsafe larger.moveInitialize(from: slots, count: used)
            unsafe slots.deallocate()
            unsafe slots = larger
            capacity *= 2
        }
        let slot = Slot(body: body, site: site, generation: 0, nextFree: Self.none, inHeap: inHeap)
        unsafe (slots + used).initialize(to: slot)
        used += 1
        return CallbackID(index: UInt32(used - 1), generation: 0)
    }
}
