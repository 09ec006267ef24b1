// What becomes known once and stays, and who waits for it: what futures and tasks are made of.
//
// Ground rules:
//   * The result is set once, on any thread, by whoever comes first; that alone decides what is read.
//   * Who waits, waits on the loop. Being told happens there as well, after the result was set: tasks are woken, and then
//     callbacks called, each in the order of registration.
//   * This class knows no type, and is no generic one: code that is generic asks the runtime for its types at every step,
//     which for one task was 30,000 instructions. See `EventualValue` for the value.

internal import CReactor
internal import Synchronization

/// A result that is set once, and those who wait for it: all of it but the value.
// SAFETY: what changes is guarded as said at each.
@safe
@usableFromInline
package class Eventual: @unchecked Sendable {
    private enum State {
        static let pending: UInt8 = 0
        /// Somebody is setting it.
        static let beingSet: UInt8 = 1
        static let succeeded: UInt8 = 2
        static let failed: UInt8 = 3
    }

    /// The loop on which is waited.
    @usableFromInline package final let loop: EventLoop
    /// Where it was made.
    package final let file: StaticString
    package final let line: UInt
    /// The value, if it is small and nothing but bytes; else the box that it is in.
    // SAFETY: written once, by whoever took the state from `pending`, and read only when the state says so.
    @usableFromInline @exclusivity(unchecked) final var words: (UInt, UInt) = (0, 0)
    // SAFETY: as above.
    @usableFromInline @exclusivity(unchecked) final var box: AnyObject?
    private final let state = Atomic<UInt8>(State.pending)
    private final let observed = Atomic<Bool>(false)
    // SAFETY: written once, by whoever took the state from `pending`, and read only when the state says so.
    @exclusivity(unchecked) private final var error: (any Error)?
    // SAFETY: used on the loop's thread only.
    @exclusivity(unchecked) private final var waiters: WaitQueue?
    /// Where waits who is the only one, or the first.
    // SAFETY: as above.
    @exclusivity(unchecked) private final var first: EventualPark?
    // SAFETY: as above.
    @exclusivity(unchecked) private final var entries: [EventualEntry] = []

    /// Something to be completed, on the loop that runs here.
    package convenience init(here loop: consuming EventLoop, _ file: StaticString, _ line: UInt) {
        require(loop.isCurrent, "A future or a task was bound to an EventLoop that does not run here.")
        self.init(on: loop, file, line)
    }

    /// The same for who knows that the loop runs here.
    init(on loop: consuming EventLoop, _ file: StaticString, _ line: UInt) {
        self.loop = loop
        (self.file, self.line) = (file, line)
    }

    deinit { if hasFailed { reportUnlessObserved("the future") } }

    final var hasFailed: Bool { state.load(ordering: .acquiring) == State.failed }

    /// Reports an error that nobody has seen, once the last reference has gone.
    final func reportUnlessObserved(_ title: String) {
        guard let failure, !observed.load(ordering: .relaxed), !(failure is CancellationError) else { return }
        observe()
        loop.reportAnywhere(.unobservedError(failure), "\(title) of \(file):\(line)")
    }

    /// The task whose end it is, if it is one.
    package var task: TaskRecord? { nil }

    // MARK: The result

    /// Takes the right to set the result; whoever is told that it came too late finds the result set.
    @usableFromInline
    final func begin() -> Bool {
        if state.compareExchange(expected: State.pending, desired: State.beingSet, ordering: .relaxed).exchanged {
            return true
        }
        while state.load(ordering: .acquiring) == State.beingSet { creactor_yield() }
        return false
    }

    /// The value was set, by whoever had the right to.
    @usableFromInline
    final func endsWithValue() { end(State.succeeded) }

    /// Sets the error, if there is no result; says whether it did.
    @discardableResult
    @usableFromInline
    package final func fail(_ error: any Error) -> Bool {
        guard begin() else { return false }
        unsafe self.error = error
        end(State.failed)
        return true
    }

    private final func end(_ newState: UInt8) {
        state.store(newState, ordering: .releasing)
        if isHere {
            hasEnded()
        } else {
            // A loop that is closed has nobody who waits.
            _ = unsafe loop.core.submit { [self] _ in hasEnded() }
        }
    }

    final var isHere: Bool { unsafe creactor_current_loop() == loop.core.identity }

    /// Tells those who wait; on the loop.
    func hasEnded() { tell() }

    /// Whether there is a result.
    @usableFromInline
    package final var isDone: Bool { state.load(ordering: .acquiring) >= State.succeeded }

    /// Whether the result is a value.
    @usableFromInline
    final var hasSucceeded: Bool { state.load(ordering: .acquiring) == State.succeeded }

    /// The error, if the result is one.
    @usableFromInline
    package final var failure: (any Error)? { hasFailed ? unsafe error : nil }

    /// Notes that somebody has seen the result, or will.
    @usableFromInline
    package final func observe() { observed.store(true, ordering: .relaxed) }

    // MARK: Waiting

    /// What came of running the awaited task at once, within the wait for it.
    @usableFromInline
    enum Lent {
        /// It has not ended, or was not run.
        case pending
        /// It has ended, and the one who waits goes on.
        case ended
        /// It has ended, but others are to run before the one who waits goes on.
        case endedBeforeOthers
    }

    /// Runs the awaited task at once, if it is one for which that changes nothing but the cost.
    @usableFromInline
    func lendStep() -> Lent { .pending }

    /// Lets those run that are ready.
    @usableFromInline
    final func letOthersRun() async { await LoopWait.turn() }

    /// Whether nobody waits or is to be called.
    final var isUnwatched: Bool { unsafe first == nil && waiters == nil && entries.isEmpty }

    /// Begins the wait of the only task that waits, on the loop; nil if it is not the only one, or this is not the loop.
    // PERF: most are awaited once, and need no line for that. (spawn and await)
    @usableFromInline
    final func beginWait() -> Park? {
        guard isHere, unsafe first == nil, unsafe waiters?.hasPlaces != true else { return nil }
        let park = unsafe loop.core.spareEventualPark.take() ?? EventualPark(loop.core)
        guard park.beginHere() else { return nil }
        park.await(self)
        unsafe first = park
        return park
    }

    /// Ends what ``beginWait()`` began.
    @usableFromInline
    final func endWait() {
        // Within an ordinary actor the task may go on elsewhere: then its place is left as it is, which nobody wakes again.
        guard isHere else { return }
        guard let park = unsafe first.take(), unsafe loop.core.acceptsWaits else { return }
        park.await(nil)
        unsafe loop.core.spareEventualPark = park
    }

    /// Waits until there is a result, in line.
    ///
    /// - Throws: `CancellationError` if the waiting task was cancelled, or if the loop ends.
    @usableFromInline
    final func waitInLine() async throws {
        // Asked each time, as an ordinary actor need not go on where it waited.
        guard Isolation.exists(#isolation), isHere else { return try await waitInLine(on: loop) }
        try await unsafe queue.wait()
    }

    private final func waitInLine(on loop: isolated EventLoop) async throws {
        if !isDone { try await unsafe queue.wait() }
    }

    // SAFETY: on the loop.
    @unsafe
    private final var queue: WaitQueue {
        if let waiters = unsafe waiters { return waiters }
        let queue = WaitQueue("Future")
        unsafe queue.record = task
        unsafe queue.site = (file, line)
        unsafe waiters = queue
        return queue
    }

    /// Has `body` called on the loop when there is a result, in the order of registration: in a turn of its own, or, if it
    /// is `atOnce`, before tasks that wait go on.
    package final func onCompletion(
        _ callback: EventualCallback,
        atOnce: Bool,
        _ body: @escaping @Sendable (isolated EventLoop) -> Void
    ) {
        let entry = EventualEntry(callback: callback, isAtOnce: atOnce, body: Crossing.submitted(body))
        if isHere {
            unsafe add(entry)
        } else {
            _ = unsafe loop.core.submit { [self] _ in unsafe add(entry) }
        }
    }

    @unsafe
    private final func add(_ entry: EventualEntry) {
        // What was taken back is not kept for as long as nothing happens. It goes when nothing is being changed any more, as
        // its end may run code of the program's that comes here.
        var dropped: [EventualEntry] = []
        if unsafe entries.count >= 16, unsafe entries.contains(where: { !$0.callback.isWanted }) {
            dropped = unsafe entries
            unsafe entries = dropped.filter { $0.callback.isWanted }
        }
        unsafe entries.append(entry)
        withExtendedLifetime(dropped) {}
        if isDone { tell() }
    }

    private final func tell() {
        guard unsafe !entries.isEmpty else { return wakeAll() }
        let entries = unsafe entries
        unsafe self.entries = []
        for entry in entries where entry.isAtOnce && entry.callback.isWanted { call(entry) }
        wakeAll()
        for entry in entries where !entry.isAtOnce {
            _ = unsafe loop.core.scheduleSoon(
                { [self] in if entry.callback.isWanted { call(entry) } },
                site: CallSite(file: #fileID, line: #line)
            )
        }
    }

    private final func wakeAll() {
        if let park = unsafe first { park.wakeHere() }
        if let waiters = unsafe waiters { waiters.wakeAll() }
    }

    private final func call(_ entry: EventualEntry) {
        // The closures cannot throw; the type that they have to cross is one that may.
        do { try entry.body(loop) } catch { unsafe loop.core.report(.uncaughtError(error), "a done callback") }
    }
}

/// A token for a callback.
package final class EventualCallback: Sendable {
    private let wasCancelled = Atomic<Bool>(false)

    package init() {}

    /// Takes the callback back, on any thread.
    package func cancel() { wasCancelled.store(true, ordering: .relaxed) }
    var isWanted: Bool { !wasCancelled.load(ordering: .relaxed) }
}

/// A callback that waits.
// SAFETY: the closure was made to be sent; it is called on the loop.
private struct EventualEntry: @unchecked Sendable {
    let callback: EventualCallback
    let isAtOnce: Bool
    let body: (EventLoop) throws -> Void
}

/// Where the only task waits that awaits something.
@safe
final class EventualPark: Park {
    // SAFETY: the task that waits holds it.
    private unowned(unsafe) var awaited: Eventual?

    func await(_ eventual: Eventual?) { unsafe awaited = eventual }

    override func explain() -> WaitReason {
        guard let awaited = unsafe awaited else { return super.explain() }
        guard let record = awaited.task else { return WaitReason(text: "Future of \(awaited.file):\(awaited.line)") }
        return WaitReason(text: "task \(record.shortTitle)", tasks: [record])
    }
}
