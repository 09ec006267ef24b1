// Work that goes on although the task that waits for it is cancelled.

/// Runs `body` in a task of its own, which the cancellation of the calling task does not reach.
///
/// If the calling task is cancelled, this throws at once and `body` goes on. What it throws after that counts as seen. At
/// the end of the loop's run `body` is cancelled like every spawned task. It inherits no ``Deadline``, which would cancel
/// it.
///
/// Must be called on a loop: elsewhere it traps.
///
/// To wait for a task that exists already, and not cancel it, await its ``LoopTask/value``.
///
/// - Returns: What `body` returns.
/// - Throws: What `body` throws; `CancellationError` if the calling task was cancelled.
///
/// The corresponding asyncio name is `asyncio.shield`.
public func shield<Value: Sendable>(
    name: String? = nil,
    fileID: StaticString = #fileID,
    line: UInt = #line,
    @_inheritActorContext(always) _ body: @escaping @Sendable @isolated(any) () async throws -> Value
) async throws -> Value {
    let task = Deadline.hidden { spawn(name: name, fileID: fileID, line: line, body) }
    return try await task.value
}
