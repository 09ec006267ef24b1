// Running a loop from synchronous code, and ending it. An async function cannot call these: it would block a thread
// that is not its own.

extension EventLoop {
    /// Runs the loop on this thread until ``stop()``.
    ///
    /// Returns when the batch in which it was stopped has ended. The loop can then run again, or be closed.
    ///
    /// - Parameter setUp: Runs on the loop first, before its first turn. If it throws, the loop does not run.
    /// - Throws: What `setUp` throws.
    ///
    /// The corresponding asyncio name is `loop.run_forever`; the corresponding libuv call is `uv_run`.
    @available(*, noasync, message: "it would block a thread of Swift's pool; run a loop on a thread of its own")
    public nonisolated func runForever(_ setUp: (isolated EventLoop) throws -> Void = { _ in }) throws {
        do {
            try onOwnThread(setUp)
        } catch {
            unsafe core.forgetStop()
            throw error
        }
        unsafe core.runForever()
    }

    /// Runs the loop on this thread until an operation completes, and returns its result.
    ///
    ///     let answer = try loop.runUntilComplete { loop, completion in
    ///         loop.schedule(after: .seconds(1)) { completion.succeed(42) }
    ///     }
    ///
    /// - Parameter begin: Runs on the loop first; it passes `completion` on to whatever will complete it.
    /// - Returns: The value that the completion was given.
    /// - Throws: The error that the completion was given, what `begin` throws, or
    ///   ``LoopError/stoppedBeforeCompletion`` if somebody stopped the loop first; the loop can then run again.
    ///
    /// The corresponding asyncio name is `loop.run_until_complete`.
    @available(*, noasync, message: "it would block a thread of Swift's pool; run a loop on a thread of its own")
    public nonisolated func runUntilComplete<Value>(
        _ begin: (isolated EventLoop, Completion<Value>) throws -> Void
    ) throws -> sending Value {
        let completion = unsafe Completion<Value>(core)
        unsafe core.requireRunnable()
        try unsafe core.asCurrent { try Crossing.call(begin, self, completion) }
        completion.attach()
        unsafe core.runForever()
        return try completion.take()
    }

    /// Runs one turn of the loop on this thread: one poll for input and one batch of callbacks.
    ///
    /// - Parameter waiting: Whether to wait for input or a deadline when nothing is ready.
    ///
    /// The corresponding libuv calls are `uv_run` with `UV_RUN_NOWAIT` and `UV_RUN_ONCE`.
    @available(*, noasync, message: "it would block a thread of Swift's pool; run a loop on a thread of its own")
    public nonisolated func runOnce(waiting: Bool = false) {
        unsafe core.runOnce(waiting: waiting)
    }

    /// Ends the run after the batch that is running.
    ///
    /// The rest of its batch still runs; what that schedules waits for the next run. Called before a run, it lets that run turn exactly once, without waiting. Called twice, it changes nothing.
    ///
    /// The corresponding asyncio name is `loop.stop`; the corresponding libuv call is `uv_stop`.
    public func stop() { unsafe core.stop() }

    /// Closes the loop: everything that is scheduled is dropped, everything that is open is closed and reported.
    ///
    /// Listeners close first, then connections, whose protocols hear of it with ``LoopError/loopClosed``, then the
    /// rest. Must be called on the loop's thread while the loop does not run. Closing twice does nothing.
    ///
    /// - Returns: What was still open, which a program that ends in order may want to be nothing.
    ///
    /// The corresponding asyncio name is `loop.close`; the corresponding libuv call is `uv_loop_close`.
    @available(*, noasync, message: "a loop is closed by the thread that made it")
    @discardableResult
    public nonisolated func close() -> CloseReport {
        unsafe core.close()
    }

    /// Calls `body` on the loop, which does not run, from its thread.
    private nonisolated func onOwnThread(_ body: (isolated EventLoop) throws -> Void) throws {
        unsafe core.requireRunnable()
        try unsafe core.asCurrent { try Crossing.call(body, self) }
    }
}

/// Where the outcome of an operation goes that ``EventLoop/runUntilComplete(_:)`` waits for.
///
/// Not `Sendable`: it is completed on the loop. The corresponding asyncio name is `asyncio.Future`.
public final class Completion<Value> {
    private let core: LoopCore
    private var result: Result<Value, any Error>?
    /// Whether a run waits for this, which completing it ends.
    private var isAwaited = false

    init(_ core: LoopCore) { self.core = core }

    /// Whether it has been completed.
    public var isComplete: Bool { result != nil }

    /// Completes the operation with a value and stops the loop.
    ///
    /// Only the first completion counts.
    public func succeed(_ value: sending Value) { complete(.success(value)) }

    /// Completes the operation with an error and stops the loop.
    ///
    /// Only the first completion counts.
    public func fail(_ error: any Error) { complete(.failure(error)) }

    private func complete(_ result: Result<Value, any Error>) {
        guard self.result == nil else { return }
        self.result = result
        if isAwaited { core.stop() }
    }

    /// A run is about to wait for this.
    ///
    /// If it is complete already, that run turns once.
    fileprivate func attach() {
        isAwaited = true
        if isComplete { core.stop() }
    }

    fileprivate func take() throws -> sending Value {
        isAwaited = false
        guard let result else { throw LoopError.stoppedBeforeCompletion }
        // SAFETY: the value was sent to the loop, the loop has stopped, and this is the one reference to it that the
        // caller can reach.
        nonisolated(unsafe) let value = try result.get()
        return unsafe value
    }
}
