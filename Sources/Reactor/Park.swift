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
public final class Park {
    let core: LoopCore
    /// Resumed with whether the wait was cancelled.
    // SAFETY: resumed by whoever takes it out, which is once.
    private var continuation: UnsafeContinuation<Bool, Never>?
    private var wait: UInt64 = 0
    /// The wait whose cancellation is registered for.
    private var registeredWait: UInt64 = 0
    /// Whether a wait has begun whose continuation is not stored yet.
    private var isBeginning = false
    /// Whether the loop lists the wait.
    ///
    /// It need not if a scope hears of its cancellation, as whoever entered that ends it.
    private var isListed = true
    /// Whether that wait has ended before it was stored, and how.
    private var endedEarly = false
    private var wasCancelledEarly = false

    // The loop's list of waits: see `Parked`.
    // SAFETY: both live as long as they are listed, as the tasks that wait hold them.
    fileprivate var next: Unmanaged<Park>?
    fileprivate var previous: Unmanaged<Park>?

    /// The cancellation that waits here may hear of, which saves them registering for it.
    var scope: CancelScope? {
        didSet { unsafe hotScope = scope.map { unsafe Unmanaged.passUnretained($0) } }
    }
    // SAFETY: the same object, not counted: `scope` holds it.
    private var hotScope: Unmanaged<CancelScope>?

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
    public func waitUncancellable() async {
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
    public func wait() async throws {
        guard Isolation.exists(#isolation), beginHere() else { return try await waitElsewhere() }
        let registration = unsafe registerForCancellation()
        let wasCancelled = await suspend()
        unsafe deregister(registration)
        if wasCancelled { throw CancellationError() }
    }

    // Code that is isolated to nothing would leave the loop's thread before it suspends.

    @usableFromInline
    func waitUncancellableElsewhere() async {
        // SAFETY: both sides of the call are on the loop, and the caller waits for it.
        nonisolated(unsafe) let this = self
        unsafe await this.waitUncancellable(on: core.withLoop { $0 })
    }

    @usableFromInline
    func waitElsewhere() async throws {
        // SAFETY: as above.
        nonisolated(unsafe) let this = self
        unsafe try await this.wait(on: core.withLoop { $0 })
    }

    /// Begins a wait, and says whether it did: elsewhere than on the loop, and on a loop that ends, it does not.
    @usableFromInline
    func beginHere() -> Bool { unsafe creactor_current_loop() == core.identity && begin() }

    // Isolated to the loop, all of them: the step from what the caller has seen to the stored continuation must not
    // leave the loop's thread, not even for a moment, or a wake-up in between would find nobody.

    /// Begins the wait that the next call of ``completeWait(on:)`` completes: whoever wakes it in between is not missed.
    ///
    /// - Throws: `CancellationError` if the loop takes no waits any more.
    @inline(__always)
    func beginWait() throws {
        guard begin() else { throw CancellationError() }
    }

    /// Waits, and returns true; or returns false if the loop takes no waits any more.
    @discardableResult
    package func waitUncancellable(on loop: isolated EventLoop) async -> Bool {
        guard begin() else { return false }
        _ = await suspend()
        return true
    }

    package func wait(on loop: isolated EventLoop) async throws {
        try beginWait()
        try await completeWait(on: loop)
    }

    /// Completes a wait that has begun.
    func completeWait(on loop: isolated EventLoop) async throws {
        let registration = unsafe registerForCancellation()
        let wasCancelled = await suspend()
        unsafe deregister(registration)
        if wasCancelled { throw CancellationError() }
    }

    /// Suspends the task in a wait that has begun.
    ///
    /// Returns whether the wait was cancelled.
    @inlinable
    func suspend() async -> Bool {
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
    func registerForCancellation() -> UnsafeMutableRawPointer? {
        if enterScope() { return nil }
        registeredWait = wait
        // SAFETY: the task that waits holds this object until it has ended the registration. What the task allocates
        // in between is what waiting takes, which is freed before: its memory is a stack.
        return unsafe creactor_add_cancellation_handler(Unmanaged.passUnretained(self).toOpaque())
    }

    @usableFromInline
    func deregister(_ registration: UnsafeMutableRawPointer?) {
        if let registration = unsafe registration { unsafe creactor_remove_cancellation_handler(registration) }
    }

    /// Whether the scope hears of the cancellation of the task that waits.
    @inline(__always)
    func enterScope() -> Bool {
        guard let scope = unsafe hotScope else { return false }
        return unsafe scope._withUnsafeGuaranteedRef { scope in
            guard scope.isOfThisTask else { return false }
            unsafe scope.waiting = self
            if scope.isCancelled { _ = end(cancelled: true) }
            return true
        }
    }

    /// Whether the scope hears of the cancellation of the calling task.
    var isScopeOfThisTask: Bool { scope?.isOfThisTask ?? false }

    /// Begins a wait of the task whose cancellation the scope hears of.
    ///
    /// False, and nothing has begun, for any other task, and if that one was cancelled or the loop takes no waits.
    @inline(__always)
    func beginInScope() -> Bool {
        guard !isOccupied, core.acceptsWaits, let scope = unsafe hotScope else { return false }
        return unsafe scope._withUnsafeGuaranteedRef { scope in
            guard scope.isOfThisTask && !scope.isCancelled else { return false }
            unsafe scope.waiting = self
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
        guard let scope = unsafe hotScope else { return Task.isCancelled }
        return unsafe scope._withUnsafeGuaranteedRef { $0.isOfThisTask ? $0.isCancelled : Task.isCancelled }
    }

    /// Resumes the task that waits, in the loop's next batch or at the end of the callback that is running.
    ///
    /// - Returns: Whether one waited.
    @discardableResult
    public func wake() -> Bool { end(cancelled: false) }

    /// Ends the wait as if its task had been cancelled.
    func cancel() { _ = end(cancelled: true) }

    // MARK: The steps of a wait

    /// Begins a wait; false if the loop takes none any more.
    @inline(__always)
    private func begin() -> Bool {
        require(!isOccupied, "Two tasks wait at one Park. Give each a Park of its own.")
        guard core.acceptsWaits else { return false }
        wait &+= 1
        isListed = true
        endedEarly = false
        isBeginning = true
        return true
    }

    @usableFromInline
    func store(_ continuation: UnsafeContinuation<Bool, Never>) {
        isBeginning = false
        if endedEarly {
            leaveScope()
            unsafe core.resume(continuation, wasCancelledEarly)
        } else {
            unsafe self.continuation = continuation
            if isListed { core.parked.insert(self) }
        }
    }

    @inline(__always)
    private func end(cancelled: Bool) -> Bool {
        guard let continuation = unsafe continuation else { return endEarly(cancelled) }
        unsafe self.continuation = nil
        if isListed { core.parked.remove(self) }
        leaveScope()
        unsafe core.resume(continuation, cancelled)
        return true
    }

    @inline(__always)
    private func leaveScope() {
        unsafe hotScope?._withUnsafeGuaranteedRef { unsafe $0.waiting = nil }
    }

    /// Ends a wait that is not stored yet; the first end counts.
    private func endEarly(_ cancelled: Bool) -> Bool {
        guard isBeginning && !endedEarly else { return false }
        endedEarly = true
        wasCancelledEarly = cancelled
        return true
    }

    /// Makes the runtime's cancellation heard; the first call does it.
    static func install() { _ = installed }

    private static let installed: Void = {
        unsafe creactor_hear_of_cancellation { context in
            // SAFETY: a registration lasts no longer than the wait of a task that holds the place.
            unsafe Unmanaged<Park>.fromOpaque(context!)._withUnsafeGuaranteedRef { $0.cancelFromAnywhere() }
        }
    }()

    /// Any thread, and as long as the registration lasts: what it reads was written before that and stays.
    private nonisolated func cancelFromAnywhere() {
        let wait = registeredWait
        if unsafe creactor_current_loop() == core.identity {
            cancel(wait)
        } else {
            // SAFETY: used on the loop's thread only.
            nonisolated(unsafe) let this = self
            // A loop that is closed has ended all its waits.
            _ = core.submit { _ in unsafe this.cancel(wait) }
        }
    }

    private func cancel(_ wait: UInt64) {
        if self.wait == wait { _ = end(cancelled: true) }
    }
}

/// The waits of a loop that are under way: a list through the places themselves.
@safe
final class Parked {
    // SAFETY: not counted: the tasks that wait hold their places, and a place leaves the list when its wait ends.
    private var first: Unmanaged<Park>?

    @inline(__always)
    func insert(_ park: Park) {
        unsafe park.previous = nil
        unsafe park.next = first
        let place = unsafe Unmanaged.passUnretained(park)
        unsafe first?._withUnsafeGuaranteedRef { unsafe $0.previous = place }
        unsafe first = place
    }

    @inline(__always)
    func remove(_ park: Park) {
        if let previous = unsafe park.previous {
            unsafe previous._withUnsafeGuaranteedRef { unsafe $0.next = park.next }
        } else {
            unsafe first = park.next
        }
        unsafe park.next?._withUnsafeGuaranteedRef { unsafe $0.previous = park.previous }
    }

    var isEmpty: Bool { unsafe first == nil }

    /// Ends all waits as if their tasks had been cancelled.
    func cancelAll() {
        while let park = unsafe first { unsafe park.takeUnretainedValue().cancel() }
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
