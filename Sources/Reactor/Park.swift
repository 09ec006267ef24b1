// The one way in which a task waits on a loop. Everything in this package that suspends is made of it: it knows how to
// wait without losing a wake-up or a cancellation, and how to resume exactly once, on the loop.
//
// Ground rules:
//   * All state is touched on the loop's thread only. A cancellation that comes on another thread is submitted.
//   * A wait that begins takes a new number. A cancellation names the number of its wait, so that one that comes late
//     finds nothing to cancel.
//   * Whoever takes the continuation resumes it, and only on the loop's thread: so it is resumed exactly once.
//   * The loop lists the waits that are under way, so that it can end them when it ends.

internal import CReactor

/// A place where one task at a time waits until code on the same loop wakes it.
///
/// The building block for waiting: keep one per thing that is waited for, look at your own state in a loop, and wait
/// while it says so. It remembers no wake-ups, so state comes first and waking second.
///
///     while items.isEmpty { try await arrival.wait() }
///
/// Belongs to its loop: not `Sendable`. The corresponding asyncio name is a `Future` that is made for one `await`.
@safe
public class Park {
    let core: LoopCore
    /// Resumed with whether the wait was cancelled.
    // SAFETY: resumed by whoever takes it out, which is once.
    private var continuation: UnsafeContinuation<Bool, Never>?
    private var wait: UInt32 = 0
    /// Whether a wait has begun whose continuation is not stored yet.
    private var isBeginning = false
    /// Whether the loop lists the wait.
    ///
    /// It need not if a scope hears of its cancellation, as whoever entered that ends it.
    private var isListed = true
    /// Whether a scope hears of its cancellation.
    private var isScoped = false
    /// Whether the scope of the task that waits does: see TaskScope.swift.
    private var isInTaskScope = false
    /// Whether a timer cancels the task that waits when its inherited deadline passes.
    private var hasDeadline = false
    /// Whether that wait has ended before it was stored, and how.
    private var endedEarly = false
    private var wasCancelledEarly = false

    // The loop's list of waits: see `Parked`.
    // SAFETY: both live as long as they are listed, as the tasks that wait hold them.
    var next: Unmanaged<Park>?
    var previous: Unmanaged<Park>?

    /// The channel of whose handler's cancellation waits here may hear, which saves them listening for it.
    // SAFETY: not counted: a channel outlives the waits for it.
    var scope: Unmanaged<StreamChannel>?

    /// A place to wait on `loop`.
    public convenience init(on loop: isolated EventLoop) { unsafe self.init(loop.core) }

    init(_ core: LoopCore) { self.core = core }

    /// A place to wait on the loop that runs here, if `loop` is it.
    package convenience init(here loop: EventLoop) {
        require(loop.isCurrent, "A Park was made for an EventLoop that does not run here.")
        unsafe self.init(loop.core)
    }

    /// Whether a task waits.
    public var isOccupied: Bool { unsafe isBeginning || continuation != nil }

    /// Waits until ``wake()``, whatever else happens.
    ///
    /// Returns at once, without having waited, if the loop is ending. Must be called on the loop.
    @inlinable
    public final func waitUncancellable() async {
        // PERF: inlined into its caller, as `wait` is, which saves frames. (suspend and resume)
        guard Isolation.exists(#isolation), beginHere() else { return await waitUncancellableElsewhere() }
        _ = await suspend()
    }

    /// Waits until ``wake()``, or until the task is cancelled.
    ///
    /// Must be called on the loop.
    ///
    /// - Throws: `CancellationError` if the task was cancelled, or if the loop ends. A wake-up that came first counts.
    @inlinable
    public final func wait() async throws {
        guard Isolation.exists(#isolation), beginHere() else { return try await waitElsewhere() }
        let registration = unsafe registerForCancellation()
        let wasCancelled = await suspend()
        unsafe deregister(registration)
        if wasCancelled { throw CancellationError() }
    }

    // Code that is isolated to nothing would leave the loop's thread before it suspends.

    @usableFromInline
    final func waitUncancellableElsewhere() async {
        // SAFETY: both sides of the call are on the loop, and the caller waits for it.
        nonisolated(unsafe) let this = self
        unsafe await this.waitUncancellable(on: core.withLoop { $0 })
    }

    @usableFromInline
    final func waitElsewhere() async throws {
        // SAFETY: as above.
        nonisolated(unsafe) let this = self
        unsafe try await this.wait(on: core.withLoop { $0 })
    }

    /// Begins a wait, and says whether it did: elsewhere than on the loop, and on a loop that ends, it does not.
    @usableFromInline
    final func beginHere() -> Bool { isHere && begin() }

    @inline(__always)
    private var isHere: Bool { unsafe creactor_current_loop() == core.identity }

    // Isolated to the loop, all of them: the step from what the caller has seen to the stored continuation must not
    // leave the loop's thread, not even for a moment, or a wake-up in between would find nobody.

    /// Begins the wait that the next call of ``completeWait(on:)`` completes: whoever wakes it in between is not missed.
    ///
    /// - Throws: `CancellationError` if the loop takes no waits any more.
    @inline(__always)
    final func beginWait() throws {
        guard begin() else { throw CancellationError() }
    }

    /// Waits, and returns true; or returns false if the loop takes no waits any more.
    @discardableResult
    package final func waitUncancellable(on loop: isolated EventLoop) async -> Bool {
        guard begin() else { return false }
        _ = await suspend()
        return true
    }

    package final func wait(on loop: isolated EventLoop) async throws {
        try beginWait()
        try await completeWait(on: loop)
    }

    /// Completes a wait that has begun.
    final func completeWait(on loop: isolated EventLoop) async throws {
        if await finishWait(on: loop) { throw CancellationError() }
    }

    /// Completes a wait that has begun, and returns whether it was cancelled.
    final func finishWait() async -> Bool {
        guard Isolation.exists(#isolation), isHere else {
            // SAFETY: both sides of the call are on the loop, and the caller waits for it.
            nonisolated(unsafe) let this = self
            return unsafe await this.finishWait(on: core.withLoop { $0 })
        }
        let registration = unsafe registerForCancellation()
        let wasCancelled = await suspend()
        unsafe deregister(registration)
        return wasCancelled
    }

    private final func finishWait(on loop: isolated EventLoop) async -> Bool {
        let registration = unsafe registerForCancellation()
        let wasCancelled = await suspend()
        unsafe deregister(registration)
        return wasCancelled
    }

    /// The same for a wait that the cancellation of the task does not end.
    final func finishWaitUncancellable() async -> Bool {
        guard Isolation.exists(#isolation), isHere else {
            // SAFETY: as above.
            nonisolated(unsafe) let this = self
            return unsafe await this.finishWaitUncancellable(on: core.withLoop { $0 })
        }
        return await suspend()
    }

    private final func finishWaitUncancellable(on loop: isolated EventLoop) async -> Bool { await suspend() }

    /// Suspends the task in a wait that has begun.
    ///
    /// Returns whether the wait was cancelled.
    @inlinable
    final func suspend() async -> Bool {
        #if compiler(>=6.2) && compiler(<6.5)
        // Without steps to the caller's isolation before and after.
        unsafe await _unsafeInheritExecutor_withUnsafeContinuation { unsafe store($0) }
        #else
        unsafe await withUnsafeContinuation { unsafe store($0) }
        #endif
    }

    /// Sees to it that the wait hears of the cancellation of the calling task: by its scope, or else by a registration
    /// of its own, which is to be ended with ``deregister(_:)``.
    @usableFromInline
    final func registerForCancellation() -> UnsafeMutableRawPointer? {
        if enterScope() { return nil }
        if InheritedDeadline.isUsed { hasDeadline = core.watchDeadline(of: self) }
        if enterTaskScope() { return nil }
        // SAFETY: stopped by the function that asked for it, after the wait.
        return unsafe Cancellation.listen(self)
    }

    @usableFromInline
    final func deregister(_ registration: UnsafeMutableRawPointer?) {
        unsafe Cancellation.stop(registration)
        if hasDeadline {
            hasDeadline = false
            core.dropDeadline(of: self)
        }
    }

    /// Whether the scope hears of the cancellation of the task that waits.
    @inline(__always)
    final func enterScope() -> Bool {
        guard let scope = unsafe scope else { return false }
        return unsafe scope._withUnsafeGuaranteedRef { scope in
            guard scope.isOfThisTask else { return false }
            unsafe scope.waiting = Unmanaged.passUnretained(self)
            isScoped = true
            if scope.wasTaskCancelled { _ = end(cancelled: true) }
            return true
        }
    }

    /// Whether the scope of the calling task hears of its cancellation, wherever that waits.
    @inline(__always)
    private final func enterTaskScope() -> Bool {
        guard let scope = unsafe core.taskScopes.scope(of: creactor_current_task()) else { return false }
        unsafe scope._withUnsafeGuaranteedRef { scope in
            isInTaskScope = true
            unsafe scope.waiting = Unmanaged.passUnretained(self)
            if scope.wasCancelled { _ = end(cancelled: true) }
        }
        return true
    }

    /// Begins a wait of the task whose cancellation the scope hears of.
    ///
    /// False, and nothing has begun, for any other task, and if that one was cancelled or the loop takes no waits.
    @inline(__always)
    final func beginInScope() -> Bool {
        guard !isOccupied, core.acceptsWaits, let scope = unsafe scope else { return false }
        return unsafe scope._withUnsafeGuaranteedRef { scope in
            guard scope.isOfThisTask && !scope.wasTaskCancelled else { return false }
            unsafe scope.waiting = Unmanaged.passUnretained(self)
            isScoped = true
            isListed = false
            wait &+= 1
            endedEarly = false
            isBeginning = true
            return true
        }
    }

    /// Whether the calling task was cancelled.
    @inline(__always)
    var isTaskCancelled: Bool {
        guard let scope = unsafe scope else { return Task.isCancelled }
        return unsafe scope._withUnsafeGuaranteedRef { $0.isOfThisTask ? $0.wasTaskCancelled : Task.isCancelled }
    }

    /// Resumes the task that waits, in the loop's next batch or at the end of the callback that is running.
    ///
    /// - Returns: Whether one waited.
    @discardableResult
    public final func wake() -> Bool {
        core.requireHere("Park")
        return end(cancelled: false)
    }

    /// The same where it is known to be the loop.
    @inline(__always)
    @discardableResult
    final func wakeHere() -> Bool { end(cancelled: false) }

    /// Ends the wait as if its task had been cancelled.
    final func cancel() { _ = end(cancelled: true) }

    /// What is waited for here, for people.
    func explain() -> WaitReason {
        guard let channel = unsafe scope?.takeUnretainedValue() else { return WaitReason(text: "a Park") }
        return channel.explain(self)
    }

    // MARK: The steps of a wait

    /// Begins a wait; false if the loop takes none any more.
    @inline(__always)
    private final func begin() -> Bool {
        require(!isOccupied, "Two tasks wait at one Park. Give each a Park of its own.")
        guard core.acceptsWaits else { return false }
        wait &+= 1
        isListed = true
        endedEarly = false
        isBeginning = true
        return true
    }

    @usableFromInline
    final func store(_ continuation: UnsafeContinuation<Bool, Never>) {
        isBeginning = false
        if endedEarly {
            unsafe leaveScope(continuation)
            unsafe core.resume(continuation, wasCancelledEarly)
        } else {
            unsafe self.continuation = continuation
            if isListed { core.parked.insert(self) }
        }
    }

    @inline(__always)
    private final func end(cancelled: Bool) -> Bool {
        guard let continuation = unsafe continuation else { return endEarly(cancelled) }
        unsafe self.continuation = nil
        if isListed { core.parked.remove(self) }
        unsafe leaveScope(continuation)
        unsafe core.resume(continuation, cancelled)
        if cancelled { hearOfCancellation() }
        return true
    }

    /// Called when a wait has been cancelled, before its task goes on.
    func hearOfCancellation() {}

    @inline(__always)
    private final func leaveScope(_ continuation: UnsafeContinuation<Bool, Never>) {
        if isInTaskScope {
            isInTaskScope = false
            // SAFETY: a continuation is the address of its task, and nothing follows it.
            let task = unsafe unsafeBitCast(continuation, to: UnsafeRawPointer.self)
            unsafe core.taskScopes.scope(of: task)?._withUnsafeGuaranteedRef { unsafe $0.waiting = nil }
            return
        }
        // Another task may have waited here, while the handler waits elsewhere.
        guard isScoped else { return }
        isScoped = false
        unsafe scope?._withUnsafeGuaranteedRef { unsafe $0.waiting = nil }
    }

    /// Ends a wait that is not stored yet; the first end counts.
    private final func endEarly(_ cancelled: Bool) -> Bool {
        guard isBeginning && !endedEarly else { return false }
        endedEarly = true
        wasCancelledEarly = cancelled
        return true
    }

    /// Any thread, and as long as the registration lasts, in which the number of the wait stays.
    final nonisolated func cancelFromAnywhere() {
        let wait = wait
        if unsafe creactor_current_loop() == core.identity {
            cancel(wait)
        } else {
            // SAFETY: used on the loop's thread only.
            nonisolated(unsafe) let this = self
            // A loop that is closed has ended all its waits.
            _ = core.submit { _ in unsafe this.cancel(wait) }
        }
    }

    private final func cancel(_ wait: UInt32) {
        if self.wait == wait { _ = end(cancelled: true) }
    }
}

extension Park {
    /// The task that waits, as an address to compare.
    final var waitingTask: UInt? {
        // SAFETY: a continuation is the address of its task, and nothing follows it.
        unsafe continuation.map { unsafe unsafeBitCast($0, to: UInt.self) }
    }
}

/// Where code is isolated to.
@usableFromInline
enum Isolation {
    /// Whether there is an isolation.
    ///
    /// A function, as the compiler fails on `#isolation != nil` in an `async` function.
    @inlinable
    static func exists(_ isolation: (any Actor)?) -> Bool { isolation != nil }
}
