// The handle to a callback that was submitted from any thread. One word of state decides between running and
// cancelling:
//
//   pending → running → done            the loop took it
//   pending → cancelled                 someone cancelled first
//   running → awaited → done            someone waits for the end of the run
//
// Only the transition out of `pending` may touch the closure, so that it has exactly one taker.

internal import Synchronization

/// A callback that was submitted to a loop from any thread.
///
/// It may be dropped; the callback runs all the same.
///
/// The corresponding asyncio name is the handle that `loop.call_soon_threadsafe` returns.
@safe
public final class Submission: Sendable {
    typealias Body = (EventLoop) throws -> Void

    private enum State: UInt8, AtomicRepresentable {
        case pending
        case running
        case awaited
        case done
        case cancelled
    }

    private let state = Atomic<State>(.pending)
    private let inbox: Inbox
    // SAFETY: touched only by whoever moves `state` out of `.pending`, which happens once.
    private nonisolated(unsafe) var body: Body?
    // SAFETY: under the inbox's mutex.
    private nonisolated(unsafe) var waiters: [UnsafeContinuation<Void, Never>] = unsafe []

    init(_ body: @escaping Body, inbox: Inbox) {
        unsafe self.body = body
        self.inbox = inbox
    }

    /// Whether the callback has neither run, nor begun to, nor been cancelled. Any thread; it may change at once.
    public var isPending: Bool { state.load(ordering: .acquiring) == .pending }

    /// Prevents the callback from running, if it has not begun, and drops its closure at once. Any thread.
    ///
    /// Never blocks: when it returns false the callback may be running at this moment. Use ``cancelAndWait()`` where
    /// that matters.
    ///
    /// - Returns: Whether this call prevented it.
    @discardableResult
    public func cancel() -> Bool {
        guard transition(from: .pending, to: .cancelled) else { return false }
        unsafe body = nil
        return true
    }

    /// Prevents the callback from running, or waits until it has ended.
    ///
    /// When this returns, the callback is not running and will not run. It must not be awaited inside the callback's
    /// own run. Waiting ends only with the callback; cancelling the waiting task does not shorten it, as the promise
    /// would be broken.
    ///
    /// - Returns: Whether this call prevented the run.
    public func cancelAndWait() async -> Bool {
        if cancel() { return true }
        unsafe await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            let wait = inbox.locked {
                guard transition(from: .running, to: .awaited) || state.load(ordering: .acquiring) == .awaited else {
                    return false
                }
                unsafe waiters.append(continuation)
                return true
            }
            if !wait { unsafe continuation.resume() }
        }
        return false
    }

    /// Runs the callback unless it was cancelled. The loop's thread only.
    func run(on loop: EventLoop) throws {
        guard transition(from: .pending, to: .running), let body = unsafe body.take() else { return }
        defer { finish() }
        try body(loop)
    }

    private func finish() {
        if transition(from: .running, to: .done) { return }
        let waiting = unsafe inbox.locked {
            _ = transition(from: .awaited, to: .done)
            return unsafe waiters.take()
        }
        for unsafe continuation in unsafe waiting { unsafe continuation.resume() }
    }

    private func transition(from old: State, to new: State) -> Bool {
        state.compareExchange(expected: old, desired: new, ordering: .acquiringAndReleasing).exchanged
    }
}

extension Array {
    /// The elements, leaving nothing.
    fileprivate mutating func take() -> [Element] {
        let all = self
        self = []
        return all
    }
}
