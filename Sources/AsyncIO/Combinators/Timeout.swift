// Deadlines. Swift's cancellation cannot be taken back, so the body runs in a child task that alone is cancelled.

/// The time that ``withTimeout(_:_:)`` allows has passed.
///
/// The corresponding asyncio name is `TimeoutError`.
public struct TimeoutError: Error, Hashable, Sendable, CustomStringConvertible {
    /// How much time there was.
    public let limit: Duration

    /// Creates the error for a limit.
    public init(limit: Duration) { self.limit = limit }

    /// The limit, in a sentence.
    public var description: String { "The operation did not end within \(limit)." }
}

/// Runs `body`, and cancels it when `limit` has passed.
///
/// Always waits for `body` to end; what it returns counts even if it comes late. Only the cancellation that the limit
/// caused becomes a ``TimeoutError``: other errors of `body` are thrown as they are, and so is the cancellation of the
/// calling task. With a limit of zero or less `body` does not begin.
///
/// Neither what `body` captures nor what it returns needs to be `Sendable`: it runs with the caller's isolation.
///
/// - Throws: ``TimeoutError``, or what `body` throws.
///
/// The corresponding asyncio names are `asyncio.timeout` and `asyncio.wait_for`.
public func withTimeout<Value>(
    _ limit: Duration,
    _ body: nonisolated(nonsending) @escaping () async throws -> Value
) async throws -> Value {
    guard limit > .zero else { throw TimeoutError(limit: limit) }
    try Task.checkCancellation()
    let body = Transfer(body)
    // Counted from here, whatever the body does before it first waits.
    let deadline = LoopWait.now.advanced(by: limit)
    return try await race(
        #isolation,
        { (_: isolated (any Actor)?) in Transfer(try await body.value()) },
        until: { (_: isolated (any Actor)?) in try await LoopWait.sleep(until: deadline, for: "withTimeout") },
        failure: { hasExpired in hasExpired ? TimeoutError(limit: limit) : nil }
    ).value
}
