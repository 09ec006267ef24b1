// Several ways to the same end, of which the first that gets there counts: the next begins when the one before has failed
// or takes too long.

internal import Reactor

/// The outcome of ``staggeredRace(delay:_:)``.
public struct StaggeredRaceWinner<Value: Sendable>: Sendable {
    /// What the winner returned.
    public let value: Value
    /// Which operation it was.
    public let index: Int
    /// What each operation that was begun threw, in their order; nil for the winner and for those that were cancelled.
    public let errors: [(any Error)?]
}

/// No operation of a ``staggeredRace(delay:_:)`` succeeded.
public struct StaggeredRaceError: Error, CustomStringConvertible {
    /// What each threw, in their order.
    public let errors: [any Error]

    /// All of them in a sentence.
    public var description: String {
        "None of \(errors.count) attempts succeeded: " + errors.map { "\($0)" }.joined(separator: "; ")
    }
}

/// Runs operations until one returns: the first at once, each further one when the one before it has failed or has run
/// for `delay`.
///
/// When one returns, the others are cancelled and awaited. Of several that return together the first one counts.
///
/// Must be called on a loop: elsewhere it traps.
///
/// - Parameters:
///   - delay: How long an operation runs before the next begins as well; nil waits until it has failed.
///   - operations: At least one: with none this traps. As for ``gather(_:)``, they inherit no isolation.
/// - Returns: What the first to succeed returned, which it was, and what the others threw.
/// - Throws: ``StaggeredRaceError`` if all failed; `CancellationError` if the task was cancelled.
///
/// The corresponding asyncio name is the internal `staggered.staggered_race`.
public func staggeredRace<Value: Sendable>(
    delay: Duration?,
    _ operations: [@Sendable @isolated(any) () async throws -> Value]
) async throws -> StaggeredRaceWinner<Value> {
    require(!operations.isEmpty, "staggeredRace was called without an operation.")
    let loop = Loops.here("AsyncIO.staggeredRace")
    return try await run(delay, operations, loop, #isolation)
}

/// What a child of the race has to say.
private enum Event<Value: Sendable>: Sendable {
    case ended(Int, Result<Value, any Error>)
    /// The operation of this index has run for the delay, or its timer was cancelled.
    case delayed(Int)
}

private func run<Value: Sendable>(
    _ delay: Duration?,
    _ operations: [@Sendable @isolated(any) () async throws -> Value],
    _ loop: EventLoop,
    _ isolation: isolated (any Actor)?
) async throws -> StaggeredRaceWinner<Value> {
    Gathering.begins(operations.count, .race)
    defer { Gathering.ends() }
    let outcome = await withTaskGroup(of: Event<Value>.self) { group in
        var errors: [(any Error)?] = []
        func beginNext() {
            let index = errors.count
            guard index < operations.count else { return }
            errors.append(nil)
            let operation = operations[index]
            group.addImmediateTask {
                _ = isolation
                do { return .ended(index, .success(try await Loops.run(operation, on: loop))) } catch {
                    return .ended(index, .failure(error))
                }
            }
            guard let delay, index + 1 < operations.count else { return }
            group.addImmediateTask {
                _ = isolation
                try? await sleep(for: delay)
                return .delayed(index)
            }
        }
        beginNext()
        var running = 1
        while running > 0, let event = await group.next() {
            switch event {
            case .ended(let index, .success(let value)):
                group.cancelAll()
                return Result<StaggeredRaceWinner<Value>, any Error>.success(
                    StaggeredRaceWinner(value: value, index: index, errors: errors)
                )
            case .ended(let index, .failure(let error)):
                errors[index] = error
                running -= 1
                guard !Task.isCancelled, index == errors.count - 1, errors.count < operations.count else { continue }
                beginNext()
                running += 1
            case .delayed(let index):
                guard !Task.isCancelled, index == errors.count - 1, errors.count < operations.count else { continue }
                beginNext()
                running += 1
            }
        }
        group.cancelAll()
        if Task.isCancelled { return .failure(CancellationError()) }
        return .failure(StaggeredRaceError(errors: errors.compactMap(\.self)))
    }
    return try outcome.get()
}
