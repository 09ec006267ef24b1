// How other threads reach a loop: chunks of entries under a mutex, and one wake-up for each time that something arrives
// while the loop sleeps.
//
// Ground rules:
//   * `filling`, `full`, `spare`, `closed` and the wake handle are touched only under the mutex.
//   * The loop announces that it is about to sleep (`sleeping`), then looks at `hasEntries`; a poster sets
//     `hasEntries`, then looks at `sleeping`. Both sides are sequentially consistent, so at least one sees the other.
//   * `uv_async_send` runs outside the mutex, as the loop that it wakes wants the mutex at once; `senders` counts
//     the calls under way, and closing waits until there are none, so that the handle is never used after its close.

internal import CLibUV
internal import CReactor
internal import Synchronization

/// Entries from any thread on their way to a loop.
@safe
final class Inbox: Sendable {
    /// Whether anything may be waiting.
    ///
    /// Only a hint to everyone but the loop that is about to sleep.
    let hasEntries = Atomic<Bool>(false)
    /// Whether the loop is in, or about to enter, a poll that waits.
    let sleeping = Atomic<Bool>(false)
    private let senders = Atomic<Int>(0)

    // SAFETY: made in `init`, destroyed in `deinit`, and pthread's own in between.
    private nonisolated(unsafe) let mutex: OpaquePointer
    // SAFETY: under the mutex.
    private nonisolated(unsafe) var filling = InboxChunk()
    private nonisolated(unsafe) var full: [InboxChunk] = []
    private nonisolated(unsafe) var spare: [InboxChunk] = []
    private nonisolated(unsafe) var closed = false
    // SAFETY: under the mutex; open while `senders` is not zero.
    private nonisolated(unsafe) var wakeHandle: UnsafeMutablePointer<uv_async_t>?
    // SAFETY: the loop's thread only. Chunks of which the loop has taken entries, oldest first; the last may be the one
    // that is being filled.
    private nonisolated(unsafe) var taken: [InboxChunk] = []
    private nonisolated(unsafe) var lastPlace = 0
    // SAFETY: the chunk at `lastPlace`, not counted: `taken` holds it, and both change together.
    private nonisolated(unsafe) var lastChunk: Unmanaged<InboxChunk>?
    private nonisolated(unsafe) var reusable: [InboxChunk] = []

    /// How many empty chunks are kept at most; a burst of more is given back to the allocator.
    private static let mostSpare = 16

    init() {
        unsafe mutex = creactor_mutex_create()
    }

    deinit {
        unsafe creactor_mutex_destroy(mutex)
    }

    func setWakeHandle(_ handle: UnsafeMutablePointer<uv_async_t>) {
        unsafe creactor_mutex_lock(mutex)
        unsafe wakeHandle = handle
        unsafe creactor_mutex_unlock(mutex)
    }

    /// How many chunks have entries that the loop has taken and not finished with.
    var takenChunkCount: Int { unsafe taken.count }

    /// Whether the loop refuses everything.
    ///
    /// Any thread.
    var isClosed: Bool {
        unsafe creactor_mutex_lock(mutex)
        defer { unsafe creactor_mutex_unlock(mutex) }
        return unsafe closed
    }

    // MARK: Posting, from any thread

    /// Hands a callback to the loop.
    ///
    /// Nil if the loop is closed.
    @inline(__always)
    func post(_ body: consuming @escaping (EventLoop) throws -> Void) -> Submission? {
        guard lockForPosting() else { return nil }
        let submission = unsafe filling.append(body)
        unlockAndWake()
        return submission
    }

    /// Hands a job to the loop.
    ///
    /// False if the loop is closed: the job is then still the caller's.
    func post(_ job: ReadyEntry) -> Bool {
        guard lockForPosting() else { return false }
        unsafe filling.append(job: job.bits)
        unlockAndWake()
        return true
    }

    /// Locks and makes room for an entry.
    ///
    /// False, and unlocked, if the loop is closed.
    @inline(__always)
    private func lockForPosting() -> Bool {
        unsafe creactor_mutex_lock(mutex)
        if unsafe closed {
            unsafe creactor_mutex_unlock(mutex)
            return false
        }
        if unsafe filling.isFull { nextChunk() }
        return true
    }

    @inline(never)
    private func nextChunk() {
        unsafe full.append(filling)
        unsafe filling = spare.popLast() ?? InboxChunk()
    }

    @inline(__always)
    private func unlockAndWake() {
        if hasEntries.load(ordering: .relaxed) {
            unsafe creactor_mutex_unlock(mutex)
            return
        }
        hasEntries.store(true, ordering: .sequentiallyConsistent)
        guard sleeping.load(ordering: .sequentiallyConsistent), let handle = unsafe wakeHandle else {
            unsafe creactor_mutex_unlock(mutex)
            return
        }
        senders.wrappingAdd(1, ordering: .relaxed)
        unsafe creactor_mutex_unlock(mutex)
        // SAFETY: the handle is open while `senders` is not zero.
        // Not given up lightly: nobody else will wake the loop, as who posts next sees that there are entries already.
        var tries = 1_000
        while unsafe uv_async_send(handle) != 0, tries > 0 {
            tries -= 1
            creactor_yield()
        }
        senders.wrappingSubtract(1, ordering: .releasing)
    }

    // MARK: Taking, on the loop's thread

    /// Takes everything that was posted, in order.
    ///
    /// The chunk that is being filled stays where it is: the loop takes what is in it and remembers how far.
    func drain(_ receive: (ReadyEntry) -> Void) {
        sortOutFinished()
        let first = unsafe max(taken.count - 1, 0)
        unsafe creactor_mutex_lock(mutex)
        while unsafe !reusable.isEmpty && spare.count < Self.mostSpare { unsafe spare.append(reusable.removeLast()) }
        for chunk in unsafe full where !chunk.isTaken { take(chunk) }
        unsafe full.removeAll(keepingCapacity: true)
        if unsafe !filling.isTaken { unsafe take(filling) }
        let last = unsafe filling.count
        hasEntries.store(false, ordering: .relaxed)
        unsafe creactor_mutex_unlock(mutex)
        for place in first..<(unsafe taken.count) {
            let chunk = unsafe taken[place]
            let end = unsafe place == taken.count - 1 ? last : InboxChunk.capacity
            while chunk.drained < end { receive(chunk.takeNext()) }
        }
    }

    private func take(_ chunk: InboxChunk) {
        chunk.isTaken = true
        unsafe taken.append(chunk)
    }

    /// Runs the callback of an entry of the ready queue, which holds them in the order of the chunks.
    @inline(__always)
    func run(_ entry: UnsafeRawPointer, on loop: EventLoop, _ onError: (any Error) -> Void) {
        // PERF: not counted, as the posters count references to the same chunk at the same time. (submit flood)
        guard let last = unsafe lastChunk else { return unsafe runElsewhere(entry, on: loop, onError) }
        unsafe last._withUnsafeGuaranteedRef { chunk in
            guard let index = unsafe chunk.index(of: entry) else {
                return unsafe runElsewhere(entry, on: loop, onError)
            }
            chunk.run(index, on: loop, onError)
        }
    }

    @inline(never)
    private func runElsewhere(_ entry: UnsafeRawPointer, on loop: EventLoop, _ onError: (any Error) -> Void) {
        let (chunk, index) = unsafe place(of: entry)
        chunk.run(index, on: loop, onError)
    }

    /// Drops the callback of an entry, as the loop closes.
    ///
    /// False if it was cancelled already.
    func discard(_ entry: UnsafeRawPointer) -> Bool {
        let (chunk, index) = unsafe place(of: entry)
        return chunk.discard(index)
    }

    /// Which chunk an entry is in.
    ///
    /// Nearly always the one after that of the last.
    private func place(of entry: UnsafeRawPointer) -> (InboxChunk, Int) {
        let count = unsafe taken.count
        for step in 0..<count {
            let candidate = unsafe (lastPlace + step) % count
            guard let index = unsafe taken[candidate].index(of: entry) else { continue }
            unsafe lastPlace = candidate
            unsafe lastChunk = Unmanaged.passUnretained(taken[candidate])
            return unsafe (taken[candidate], index)
        }
        fault("A submission belongs to no chunk of its inbox, which is a fault in swift-asyncio.")
    }

    /// Lets the oldest chunks go that are full and that the loop is done with; those that can be used again into
    /// `reusable`.
    private func sortOutFinished() {
        var finished = 0
        while unsafe finished < taken.count && taken[finished].isFinished {
            if unsafe isKnownUniquelyReferenced(&taken[finished]) && reusable.count < Self.mostSpare {
                unsafe taken[finished].reset()
                unsafe reusable.append(taken[finished])
            }
            finished += 1
        }
        guard finished > 0 else { return }
        unsafe taken.removeSubrange(..<finished)
        unsafe lastPlace = 0
        unsafe lastChunk = taken.first.map { unsafe Unmanaged.passUnretained($0) }
    }

    // MARK: Closing

    /// Refuses everything from now on, and waits until no thread uses the wake handle any more.
    func close() {
        unsafe creactor_mutex_lock(mutex)
        unsafe closed = true
        unsafe wakeHandle = nil
        unsafe creactor_mutex_unlock(mutex)
        // A sender is inside one non-blocking system call: this ends within microseconds.
        while senders.load(ordering: .acquiring) > 0 { creactor_yield() }
    }
}
