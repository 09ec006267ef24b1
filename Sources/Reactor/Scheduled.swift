// The handle to a callback that was scheduled on the loop's own thread: three words, no allocation.

/// A callback that was scheduled with ``EventLoop/schedule(_:fileID:line:)`` or one of its siblings.
///
/// It may be dropped; the callback runs all the same. Not `Sendable`: it belongs to the loop's thread. For a callback
/// that other threads can cancel use ``EventLoop/submit(_:)``.
///
/// The corresponding asyncio names are `asyncio.Handle` and `asyncio.TimerHandle`.
public struct Scheduled {
    let core: LoopCore
    let id: CallbackID

    /// When the callback is due; nil if it was scheduled to run soon.
    ///
    /// Stays what it was after it ran.
    ///
    /// The corresponding asyncio name is `TimerHandle.when()`.
    public let deadline: LoopInstant?

    /// Whether the callback has neither run nor been cancelled.
    public var isPending: Bool { core.callbacks.contains(id) }

    /// Prevents the callback from running and drops its closure at once.
    ///
    /// Does nothing if it has run or was cancelled. A callback may cancel itself, to no effect, and others of its own
    /// batch.
    ///
    /// - Returns: Whether this call prevented it.
    @discardableResult
    public func cancel() -> Bool {
        core.requireHere("Scheduled")
        return core.cancel(id)
    }
}
