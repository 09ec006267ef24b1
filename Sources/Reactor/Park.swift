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
    /// How a wait ended.
    private enum Outcome {
        case woken
        case cancelled
    }

    let core: LoopCore
    // SAFETY: resumed by whoever takes it out, which is once.
    private var continuation: UnsafeContinuation<Void, Never>?
    private var outcome = Outcome.woken
    private var wait: UInt64 = 0
    /// Whether the wait that begins was cancelled before it could be stored.
    private var cancelledEarly = false

    // The loop's list of waits: see `Parked`.
    // SAFETY: both live as long as they are listed, as the tasks that wait hold them.
    unowned(unsafe) var next: Park?
    unowned(unsafe) var previous: Park?

    /// A place to wait on `loop`.
    public convenience init(on loop: isolated EventLoop) { unsafe self.init(loop.core) }

    init(_ core: LoopCore) { self.core = core }

    /// A place to wait on the loop that runs here, if `loop` is it.
    package convenience init(here loop: EventLoop) {
        require(loop.isCurrent, "A Park was made for an EventLoop that does not run here.")
        unsafe self.init(loop.core)
    }

    /// Whether a task waits.
    public var isOccupied: Bool { unsafe continuation != nil }

    /// Waits until ``wake()``, whatever else happens.
    ///
    /// Returns at once, without having waited, if the loop is ending. Must be called on the loop.
    public func waitUncancellable() async {
        // SAFETY: both sides of the call are on the loop, and the caller waits for it.
        nonisolated(unsafe) let this = self
        unsafe await this.waitUncancellable(on: core.withLoop { $0 })
    }

    /// Waits until ``wake()``, or until the task is cancelled.
    ///
    /// Must be called on the loop.
    ///
    /// - Throws: `CancellationError` if the task was cancelled, or if the loop ends. A wake-up that came first counts.
    public func wait() async throws {
        // SAFETY: as above.
        nonisolated(unsafe) let this = self
        unsafe try await this.wait(on: core.withLoop { $0 })
    }

    // Isolated to the loop, all of them: the step from what the caller has seen to the stored continuation must not
    // leave the loop's thread, not even for a moment, or a wake-up in between would find nobody.

    package func waitUncancellable(on loop: isolated EventLoop) async {
        guard begin() else { return }
        unsafe await withUnsafeContinuation { unsafe store($0) }
    }

    package func wait(on loop: isolated EventLoop) async throws {
        guard begin() else { throw CancellationError() }
        let wait = wait
        // SAFETY: the handler only hands the reference to the loop's thread, or uses it there.
        nonisolated(unsafe) let this = self
        await withTaskCancellationHandler {
            // The standard library takes this closure as one that may run anywhere: what it names keeps it here.
            _ = loop
            unsafe await withUnsafeContinuation { unsafe store($0) }
        } onCancel: {
            unsafe this.cancelFromAnywhere(wait)
        }
        if outcome == .cancelled { throw CancellationError() }
    }

    /// Waits like ``wait()``, for a task whose cancellation `scope` hears of: that saves registering for it.
    package func wait(in scope: CancelScope?, on loop: isolated EventLoop) async throws {
        guard let scope, scope.isOfThisTask else { return try await wait(on: loop) }
        guard !scope.isCancelled, begin() else { throw CancellationError() }
        unsafe scope.waiting = self
        unsafe await withUnsafeContinuation { unsafe store($0) }
        unsafe scope.waiting = nil
        if outcome == .cancelled { throw CancellationError() }
    }

    /// Resumes the task that waits, in the loop's next batch or at the end of the callback that is running.
    ///
    /// - Returns: Whether one waited.
    @discardableResult
    public func wake() -> Bool { end(.woken) }

    /// Ends the wait as if its task had been cancelled.
    func cancel() { _ = end(.cancelled) }

    // MARK: The steps of a wait

    /// Begins a wait; false if the loop takes none any more.
    private func begin() -> Bool {
        require(unsafe continuation == nil, "Two tasks wait at one Park. Give each a Park of its own.")
        guard core.acceptsWaits else { return false }
        wait &+= 1
        outcome = .woken
        cancelledEarly = false
        return true
    }

    @inline(__always)
    private func store(_ continuation: UnsafeContinuation<Void, Never>) {
        if cancelledEarly {
            outcome = .cancelled
            unsafe core.resume(continuation)
        } else {
            unsafe self.continuation = continuation
            core.parked.insert(self)
        }
    }

    @inline(__always)
    private func end(_ outcome: Outcome) -> Bool {
        guard let continuation = unsafe continuation.take() else { return false }
        core.parked.remove(self)
        self.outcome = outcome
        unsafe core.resume(continuation)
        return true
    }

    /// Any thread.
    private nonisolated func cancelFromAnywhere(_ wait: UInt64) {
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
        guard self.wait == wait else { return }
        if !end(.cancelled) { cancelledEarly = true }
    }
}

/// The waits of a loop that are under way: a list through the places themselves.
final class Parked {
    private(set) var first: Park?

    @inline(__always)
    func insert(_ park: Park) {
        unsafe park.next = first
        unsafe park.previous = nil
        unsafe first?.previous = park
        first = park
    }

    @inline(__always)
    func remove(_ park: Park) {
        if let previous = unsafe park.previous { unsafe previous.next = park.next } else { unsafe first = park.next }
        unsafe park.next?.previous = unsafe park.previous
        unsafe park.next = nil
        unsafe park.previous = nil
    }

    /// Ends all waits as if their tasks had been cancelled.
    ///
    /// Returns whether there were any.
    func cancelAll() -> Bool {
        guard first != nil else { return false }
        while let park = first { park.cancel() }
        return true
    }
}
