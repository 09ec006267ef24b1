// What other threads post to a loop lies in chunks of 126 entries: contiguous, so that it crosses from core to core in
// few cache lines, and used again, so that posting allocates nothing in the long run. (An object for each submission
// took 200 to 300 ns, most of it in the allocator and on its lines' way between the cores; this takes 80 to 100.)
//
// Ground rules:
//   * A poster fills the next entry under the inbox's mutex; the loop reads those that it saw posted there.
//   * An entry's closure is touched by its poster before it is posted, and then by whoever steps out of `pending`.
//   * A `Submission` refers to its chunk. A chunk is used again only when the loop is done with all its entries and
//     nobody else refers to it, so that an entry means one submission for as long as anybody can name it.

internal import Synchronization

/// A block of entries of an inbox.
@safe
final class InboxChunk: Sendable {
    static let capacity = 126

    enum State: UInt8, AtomicRepresentable {
        case pending
        case running
        case awaited
        case done
        case cancelled
    }

    /// Somebody who waits for the end of an entry's run.
    @safe
    private struct Waiter {
        let entry: UInt
        let continuation: UnsafeContinuation<Void, Never>
    }

    private struct Entry: ~Copyable {
        var body: ((EventLoop) throws -> Void)?
        /// A job of Swift's runtime, if there is no closure.
        var job: UInt64 = 0
        let state = Atomic<State>(.pending)
    }

    // SAFETY: `capacity` initialised entries, valid as long as `self`; who may touch which is said above.
    private nonisolated(unsafe) let entries: UnsafeMutablePointer<Entry>
    // SAFETY: under the inbox's mutex: how many entries were posted.
    nonisolated(unsafe) private(set) var count = 0
    /// What only the loop touches: whether it knows the chunk, how many entries it has taken, and with how many it is
    /// done.
    ///
    /// On a cache line of its own: posters write next to nothing that the loop writes for every entry.
    struct LoopSide {
        var isTaken = false
        var drained = 0
        var finished = 0
    }

    // SAFETY: one initialised value, valid as long as `self`; the loop's thread only.
    private nonisolated(unsafe) let loopSide: UnsafeMutablePointer<LoopSide>

    // SAFETY: under the lock. Hardly any submission is ever waited for, so one list serves all chunks.
    private nonisolated(unsafe) static var waiters: [Waiter] =
        []
    private static let waitersLock = Lock()

    init() {
        unsafe entries = .allocate(capacity: Self.capacity)
        unsafe loopSide = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 64)
            .initializeMemory(as: LoopSide.self, repeating: LoopSide(), count: 1)
        for index in 0..<Self.capacity { unsafe (entries + index).initialize(to: Entry(body: nil)) }
    }

    deinit {
        unsafe entries.deinitialize(count: Self.capacity)
        unsafe entries.deallocate()
        unsafe loopSide.deallocate()
    }

    var isTaken: Bool {
        get { unsafe loopSide.pointee.isTaken }
        set { unsafe loopSide.pointee.isTaken = newValue }
    }

    var drained: Int { unsafe loopSide.pointee.drained }

    var isFull: Bool { unsafe count == Self.capacity }

    // MARK: Posting, under the inbox's mutex

    @inline(__always)
    func append(_ body: consuming @escaping (EventLoop) throws -> Void) -> Submission {
        let index = unsafe count
        unsafe entries[index].body = body
        unsafe count = index + 1
        return Submission(chunk: self, index: index)
    }

    func append(job: UInt64) {
        unsafe entries[count].job = job
        unsafe count += 1
    }

    // MARK: Taking, on the loop's thread

    /// The next entry that was not taken yet, for the ready queue.
    ///
    /// A job is finished with by this.
    @inline(__always)
    func takeNext() -> ReadyEntry {
        let index = unsafe loopSide.pointee.drained
        unsafe loopSide.pointee.drained = index + 1
        let job = unsafe entries[index].job
        if job == 0 { return unsafe ReadyEntry(submission: UnsafeRawPointer(entries + index)) }
        unsafe entries[index].job = 0
        unsafe loopSide.pointee.finished += 1
        return ReadyEntry(bits: job)
    }

    /// Runs the callback at `index` unless it was cancelled.
    @inline(__always)
    func run(_ index: Int, on loop: EventLoop, _ onError: (any Error) -> Void) {
        // Not before the end: what runs may drain the inbox, and that must not find this chunk finished.
        defer { unsafe loopSide.pointee.finished += 1 }
        guard step(index, .pending, .running), let body = unsafe entries[index].body.take() else { return }
        do { try body(loop) } catch { onError(error) }
        if !step(index, .running, .done) { wakeWaiters(index) }
    }

    /// Drops the callback at `index`, as its loop closes.
    ///
    /// False if it was cancelled already.
    func discard(_ index: Int) -> Bool {
        unsafe loopSide.pointee.finished += 1
        return cancel(index)
    }

    /// Whether every entry was posted and the loop is done with it.
    var isFinished: Bool { unsafe loopSide.pointee.finished == Self.capacity }

    /// Makes a chunk ready for further use, to which nobody else refers.
    func reset() {
        for index in 0..<Self.capacity {
            // The count of references orders what others did with the entry before this. It is Swift's, where the thread
            // sanitizer does not look: this and the last step of `cancel` say the same in its words.
            _ = unsafe entries[index].state.load(ordering: .acquiring)
            unsafe entries[index].state.store(.pending, ordering: .relaxed)
        }
        unsafe count = 0
        unsafe loopSide.pointee = LoopSide()
    }

    /// Which entry of this chunk an address is; nil if it is another's.
    @inline(__always)
    func index(of entry: UnsafeRawPointer) -> Int? {
        let offset = unsafe UnsafeRawPointer(entries).distance(to: entry)
        guard offset >= 0, offset < Self.capacity * MemoryLayout<Entry>.stride else { return nil }
        return offset / MemoryLayout<Entry>.stride
    }

    // MARK: Any thread

    func state(_ index: Int) -> State { unsafe entries[index].state.load(ordering: .acquiring) }

    func cancel(_ index: Int) -> Bool {
        guard step(index, .pending, .cancelled) else { return false }
        unsafe entries[index].body = nil
        // Once more: see `reset`.
        unsafe entries[index].state.store(.cancelled, ordering: .releasing)
        return true
    }

    func resumeAtEnd(of index: Int, _ continuation: UnsafeContinuation<Void, Never>) {
        let waits = Self.waitersLock.locked {
            guard step(index, .running, .awaited) || state(index) == .awaited else { return false }
            unsafe Self.waiters.append(Waiter(entry: UInt(bitPattern: entries + index), continuation: continuation))
            return true
        }
        if !waits { unsafe continuation.resume() }
    }

    @inline(never)
    private func wakeWaiters(_ index: Int) {
        let entry = unsafe UInt(bitPattern: entries + index)
        let waiting = Self.waitersLock.locked {
            unsafe entries[index].state.store(.done, ordering: .releasing)
            let waiting = unsafe Self.waiters.filter { $0.entry == entry }
            unsafe Self.waiters.removeAll { $0.entry == entry }
            return waiting
        }
        for waiter in waiting { unsafe waiter.continuation.resume() }
    }

    @inline(__always)
    private func step(_ index: Int, _ old: State, _ new: State) -> Bool {
        unsafe entries[index].state.compareExchange(
            expected: old,
            desired: new,
            ordering: .acquiringAndReleasing
        ).exchanged
    }
}
