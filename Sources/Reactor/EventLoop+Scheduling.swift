// Getting callbacks to run: soon, after a while, at an instant, from elsewhere. All share one queue, first in first
// out; none of them ever runs its callback before it returns.

extension EventLoop {
    /// Runs `body` soon: in the next batch, after everything that is ready already.
    ///
    /// - Parameters:
    ///   - body: Runs once on the loop. An error that it throws goes to ``Configuration/onIssue``; the loop goes on.
    ///   - fileID: Where this was called, for messages.
    ///   - line: Where this was called, for messages.
    /// - Returns: A token that can cancel the callback; it may be dropped.
    ///
    /// The corresponding asyncio name is `loop.call_soon`.
    @discardableResult
    public func schedule(
        _ body: @escaping () throws -> Void,
        fileID: StaticString = #fileID,
        line: UInt32 = #line
    ) -> Scheduled {
        unsafe core.scheduleSoon(body, site: CallSite(file: fileID, line: line))
    }

    /// Runs `body` when at least `delay` has passed, counted from this call.
    ///
    /// Never early, and at most a millisecond late on an idle loop. A zero or negative delay is due in the loop's next
    /// turn; one beyond 292 years never comes. Callbacks with equal deadlines run in the order of these calls.
    ///
    /// - Parameters:
    ///   - delay: How long to wait.
    ///   - body: Runs once on the loop. An error that it throws goes to ``Configuration/onIssue``; the loop goes on.
    ///   - fileID: Where this was called, for messages.
    ///   - line: Where this was called, for messages.
    /// - Returns: A token that can cancel the callback; it may be dropped.
    ///
    /// The corresponding asyncio name is `loop.call_later`.
    @discardableResult
    public func schedule(
        after delay: Duration,
        _ body: @escaping () throws -> Void,
        fileID: StaticString = #fileID,
        line: UInt32 = #line
    ) -> Scheduled {
        let deadline = unsafe core.now.advanced(by: delay)
        return unsafe core.schedule(at: deadline, body, site: CallSite(file: fileID, line: line))
    }

    /// Runs `body` when the loop's clock has reached `deadline`.
    ///
    /// Like ``schedule(after:_:fileID:line:)``, with an instant in place of a delay. An instant that has passed is due
    /// in the loop's next turn.
    ///
    /// - Parameters:
    ///   - deadline: The earliest instant at which to run.
    ///   - body: Runs once on the loop. An error that it throws goes to ``Configuration/onIssue``; the loop goes on.
    ///   - fileID: Where this was called, for messages.
    ///   - line: Where this was called, for messages.
    /// - Returns: A token that can cancel the callback; it may be dropped.
    ///
    /// The corresponding asyncio name is `loop.call_at`.
    @discardableResult
    public func schedule(
        at deadline: LoopInstant,
        _ body: @escaping () throws -> Void,
        fileID: StaticString = #fileID,
        line: UInt32 = #line
    ) -> Scheduled {
        unsafe core.schedule(at: deadline, body, site: CallSite(file: fileID, line: line))
    }

    /// Runs `body` on the loop soon, from any thread.
    ///
    /// Submissions of one thread run in their order, and in one order with what that thread schedules. Wakes the loop
    /// if it sleeps. Waits for nothing; what is submitted before the loop runs is kept until it does.
    ///
    /// - Parameter body: Runs once on the loop. An error that it throws goes to ``Configuration/onIssue``.
    /// - Returns: A token that can cancel the callback from any thread; it may be dropped.
    /// - Throws: ``LoopError/loopClosed``.
    ///
    /// The corresponding asyncio name is `loop.call_soon_threadsafe`; the libuv call is `uv_async_send`.
    @discardableResult
    public nonisolated func submit(
        _ body: consuming @escaping @Sendable (isolated EventLoop) throws -> Void
    ) throws -> Submission {
        guard let submission = unsafe core.submit(Crossing.submitted(body)) else { throw LoopError.loopClosed }
        return submission
    }
}
