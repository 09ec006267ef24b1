// Trying again. What ends it: success, too many attempts, too much time, an error that is not worth it, and cancellation,
// which is always passed on as it is.

internal import Reactor

/// Runs an operation, and again when it fails, with longer and longer waits in between.
///
///     let page = try await AsyncIO.retry(RetryPolicy(maximumAttempts: 3)) {
///         try await fetch("/index.html")
///     }
///
/// Waits by the loop's clock. A `CancellationError`, of the task or out of the operation, is never tried again and is
/// thrown as it is.
///
/// - Parameters:
///   - policy: How often and how soon.
///   - isWorthIt: Whether an error may go away by itself; if not it is the last one.
///   - operation: Has the caller's isolation; neither it nor what it returns needs to be `Sendable`.
/// - Returns: What the first attempt returns that succeeds.
/// - Throws: ``RetryError``, with the errors of the attempts, also if there was only one attempt; `CancellationError` if
///   the operation throws it, if the task is cancelled while it waits for the next attempt, or if the loop ends.
///
/// asyncio has nothing like it; the package `tenacity` is similar.
public func retry<Value>(
    _ policy: RetryPolicy = RetryPolicy(),
    if isWorthIt: (any Error) -> Bool = { _ in true },
    _ operation: nonisolated(nonsending) () async throws -> Value
) async throws -> Value {
    var generator = SystemRandomNumberGenerator()
    return try await retry(policy, using: &generator, if: isWorthIt, operation)
}

/// The same with a source of chance, so that the waits of a test are always the same: see ``retry(_:if:_:)``.
///
/// - Parameters:
///   - policy: How often and how soon.
///   - generator: What the ``RetryPolicy/jitter`` comes from.
///   - isWorthIt: Whether an error may go away by itself; if not it is the last one.
///   - operation: Has the caller's isolation; neither it nor what it returns needs to be `Sendable`.
/// - Returns: What the first attempt returns that succeeds.
/// - Throws: As ``retry(_:if:_:)``.
public func retry<Value>(
    _ policy: RetryPolicy = RetryPolicy(),
    using generator: inout some RandomNumberGenerator,
    if isWorthIt: (any Error) -> Bool = { _ in true },
    _ operation: nonisolated(nonsending) () async throws -> Value
) async throws -> Value {
    policy.validate()
    let end = policy.totalTime.map { LoopWait.now.advanced(by: $0) }
    var failure = RetryError()
    while true {
        do {
            return try await operation()
        } catch let error as CancellationError {
            throw error
        } catch {
            failure.add(error)
            if !isWorthIt(error) { throw failure.ending(.notWorthIt) }
        }
        if failure.attempts == policy.maximumAttempts { throw failure.ending(.attempts) }
        let delay = policy.delay(afterAttempts: failure.attempts, using: &generator)
        let next = LoopWait.now.advanced(by: delay)
        if let end, next > end { throw failure.ending(.time) }
        try await sleep(until: next)
    }
}

/// An operation has failed, after as many attempts as were worth it.
public struct RetryError: Error, Sendable, CustomStringConvertible {
    /// Why there was no further attempt.
    public enum Reason: Hashable, Sendable {
        /// There were as many as the policy allows.
        case attempts
        /// It would have begun after the time that the policy allows.
        case time
        /// The last error was not worth it.
        case notWorthIt
    }

    /// How many errors are kept.
    private static var capacity: Int { 100 }

    /// How many attempts there were.
    public private(set) var attempts = 0

    /// What they threw, the first attempt's first; after more than a hundred attempts the last hundred.
    public private(set) var errors: [any Error] = []

    /// Why there was no further attempt.
    public private(set) var reason = Reason.attempts

    /// What the last attempt threw.
    public var lastError: any Error { errors[errors.count - 1] }

    /// The reason and the last error, in a sentence.
    public var description: String {
        let count = attempts == 1 ? "1 attempt" : "\(attempts) attempts"
        return switch reason {
        case .attempts: "Given up after \(count): \(lastError)"
        case .time: "Given up after \(count), as the time was over: \(lastError)"
        case .notWorthIt: "Given up after \(count), as it was not worth another: \(lastError)"
        }
    }

    fileprivate mutating func add(_ error: any Error) {
        attempts += 1
        if errors.count == Self.capacity { errors.removeFirst() }
        errors.append(error)
    }

    fileprivate func ending(_ reason: Reason) -> RetryError {
        var error = self
        error.reason = reason
        return error
    }
}
