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
    return try await race(limit, Transfer(body), #isolation).value
}

/// What a child of a race has to say.
private enum Step<Value>: Sendable {
    case ended(Result<Transfer<Value>, any Error>)
    case expired
    case timerCancelled
}

private func race<Value>(
    _ limit: Duration,
    _ body: Transfer<nonisolated(nonsending) () async throws -> Value>,
    _ isolation: isolated (any Actor)?
) async throws -> Transfer<Value> {
    // Counted from here, whatever the body does before it first waits.
    let deadline = LoopWait.now.advanced(by: limit)
    let result = await withTaskGroup(of: Step<Value>.self) { group in
        group.addImmediateTask {
            _ = isolation
            do { return .ended(.success(Transfer(try await body.value()))) } catch { return .ended(.failure(error)) }
        }
        group.addImmediateTask {
            _ = isolation
            do { try await sleep(until: deadline) } catch { return .timerCancelled }
            return .expired
        }
        var expired = false
        while let step = await group.next() {
            switch step {
            case .ended(.failure(let error)) where expired && !Task.isCancelled && error is CancellationError:
                return Result<Transfer<Value>, any Error>.failure(TimeoutError(limit: limit))
            case .ended(let result):
                group.cancelAll()
                return result
            case .expired:
                expired = true
                group.cancelAll()
            case .timerCancelled:
                continue
            }
        }
        return .failure(CancellationError())
    }
    return try result.get()
}
