// The handle to a callback that was submitted from any thread. It names a place in a chunk (see InboxChunk.swift), and
// the state of that place decides between running and cancelling:
//
//   pending → running → done              the loop ran it
//   pending → running → awaited → done    the same, and somebody waited for the end of the run
//   pending → cancelled                   someone cancelled first
//
// Only the step out of `pending` may touch the closure, so that it has exactly one taker.

internal import Synchronization

/// A callback that was submitted to a loop from any thread.
///
/// It may be dropped; the callback runs all the same.
///
/// The corresponding asyncio name is the handle that `loop.call_soon_threadsafe` returns.
public struct Submission: Sendable {
    let chunk: InboxChunk
    let index: Int

    /// Whether the callback has neither run, nor begun to, nor been cancelled.
    ///
    /// Any thread; it may change at once.
    public var isPending: Bool { chunk.state(index) == .pending }

    /// Prevents the callback from running, if it has not begun, and drops its closure at once.
    ///
    /// Any thread.
    ///
    /// Never blocks: when it returns false the callback may be running at this moment. Use ``cancelAndWait()`` where
    /// that matters.
    ///
    /// - Returns: Whether this call prevented it.
    @discardableResult
    public func cancel() -> Bool { chunk.cancel(index) }

    /// Prevents the callback from running, or waits until it has ended.
    ///
    /// When this returns, the callback is not running and will not run. It must not be awaited inside the callback's
    /// own run. Waiting ends only with the callback; cancelling the waiting task does not shorten it, as the promise
    /// would be broken.
    ///
    /// - Returns: Whether this call prevented the run.
    public func cancelAndWait() async -> Bool {
        if cancel() { return true }
        unsafe await withUnsafeContinuation { continuation in unsafe chunk.resumeAtEnd(of: index, continuation) }
        return false
    }
}
