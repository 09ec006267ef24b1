// Several operations at once, and their results in the order in which they were given.
//
// Parameter packs cannot inherit isolation, so there is a function for each number of operations up to six, and one for
// any number that return the same.

public import Reactor

/// Runs two operations concurrently and returns their results in order.
///
///     let (user, orders) = try await AsyncIO.gather({ try await loadUser() }, { try await loadOrders() })
///
/// They begin in order, each with the isolation of the place where it is written. If one throws, the others are
/// cancelled and awaited, and its error is thrown.
///
/// An operation hears of a cancellation where it waits, and one that only asks `Task.isCancelled` hears of it too, but of one
/// by another thread not before it has waited: the loop has to come to it.
///
/// - Returns: What the operations return, in their order.
/// - Throws: The first error in time; `CancellationError` if the task was cancelled and an operation noticed.
///
/// The corresponding asyncio name is `asyncio.gather`.
@discardableResult
public func gather<A: Sendable, B: Sendable>(
    @_inheritActorContext(always) _ a: @escaping @Sendable @isolated(any) () async throws -> A,
    @_inheritActorContext(always) _ b: @escaping @Sendable @isolated(any) () async throws -> B
) async throws -> (A, B) {
    let results = try await gatherAll(
        [Erased(a), Erased(b)],
        #isolation
    )
    return (results[0] as! A, results[1] as! B)
}

/// Runs three operations concurrently and returns their results in order.
///
/// They begin in order, each with the isolation of the place where it is written. If one throws, the others are
/// cancelled and awaited, and its error is thrown.
///
/// - Returns: What the operations return, in their order.
/// - Throws: The first error in time; `CancellationError` if the task was cancelled and an operation noticed.
///
/// The corresponding asyncio name is `asyncio.gather`.
@discardableResult
public func gather<A: Sendable, B: Sendable, C: Sendable>(
    @_inheritActorContext(always) _ a: @escaping @Sendable @isolated(any) () async throws -> A,
    @_inheritActorContext(always) _ b: @escaping @Sendable @isolated(any) () async throws -> B,
    @_inheritActorContext(always) _ c: @escaping @Sendable @isolated(any) () async throws -> C
) async throws -> (A, B, C) {
    let results = try await gatherAll(
        [Erased(a), Erased(b), Erased(c)],
        #isolation
    )
    return (results[0] as! A, results[1] as! B, results[2] as! C)
}

/// Runs four operations concurrently and returns their results in order.
///
/// They begin in order, each with the isolation of the place where it is written. If one throws, the others are
/// cancelled and awaited, and its error is thrown.
///
/// - Returns: What the operations return, in their order.
/// - Throws: The first error in time; `CancellationError` if the task was cancelled and an operation noticed.
///
/// The corresponding asyncio name is `asyncio.gather`.
@discardableResult
public func gather<A: Sendable, B: Sendable, C: Sendable, D: Sendable>(
    @_inheritActorContext(always) _ a: @escaping @Sendable @isolated(any) () async throws -> A,
    @_inheritActorContext(always) _ b: @escaping @Sendable @isolated(any) () async throws -> B,
    @_inheritActorContext(always) _ c: @escaping @Sendable @isolated(any) () async throws -> C,
    @_inheritActorContext(always) _ d: @escaping @Sendable @isolated(any) () async throws -> D
) async throws -> (A, B, C, D) {
    let results = try await gatherAll(
        [Erased(a), Erased(b), Erased(c), Erased(d)],
        #isolation
    )
    return (results[0] as! A, results[1] as! B, results[2] as! C, results[3] as! D)
}

/// Runs five operations concurrently and returns their results in order.
///
/// They begin in order, each with the isolation of the place where it is written. If one throws, the others are
/// cancelled and awaited, and its error is thrown.
///
/// - Returns: What the operations return, in their order.
/// - Throws: The first error in time; `CancellationError` if the task was cancelled and an operation noticed.
///
/// The corresponding asyncio name is `asyncio.gather`.
@discardableResult
public func gather<A: Sendable, B: Sendable, C: Sendable, D: Sendable, E: Sendable>(
    @_inheritActorContext(always) _ a: @escaping @Sendable @isolated(any) () async throws -> A,
    @_inheritActorContext(always) _ b: @escaping @Sendable @isolated(any) () async throws -> B,
    @_inheritActorContext(always) _ c: @escaping @Sendable @isolated(any) () async throws -> C,
    @_inheritActorContext(always) _ d: @escaping @Sendable @isolated(any) () async throws -> D,
    @_inheritActorContext(always) _ e: @escaping @Sendable @isolated(any) () async throws -> E
) async throws -> (A, B, C, D, E) {
    let results = try await gatherAll(
        [Erased(a), Erased(b), Erased(c), Erased(d), Erased(e)],
        #isolation
    )
    return (results[0] as! A, results[1] as! B, results[2] as! C, results[3] as! D, results[4] as! E)
}

/// Runs six operations concurrently and returns their results in order.
///
/// They begin in order, each with the isolation of the place where it is written. If one throws, the others are
/// cancelled and awaited, and its error is thrown.
///
/// An operation hears of a cancellation where it waits, and one that only asks `Task.isCancelled` hears of it too, but of one
/// by another thread not before it has waited: the loop has to come to it.
///
/// - Returns: What the operations return, in their order.
/// - Throws: The first error in time; `CancellationError` if the task was cancelled and an operation noticed.
///
/// The corresponding asyncio name is `asyncio.gather`.
@discardableResult
public func gather<A: Sendable, B: Sendable, C: Sendable, D: Sendable, E: Sendable, F: Sendable>(
    @_inheritActorContext(always) _ a: @escaping @Sendable @isolated(any) () async throws -> A,
    @_inheritActorContext(always) _ b: @escaping @Sendable @isolated(any) () async throws -> B,
    @_inheritActorContext(always) _ c: @escaping @Sendable @isolated(any) () async throws -> C,
    @_inheritActorContext(always) _ d: @escaping @Sendable @isolated(any) () async throws -> D,
    @_inheritActorContext(always) _ e: @escaping @Sendable @isolated(any) () async throws -> E,
    @_inheritActorContext(always) _ f: @escaping @Sendable @isolated(any) () async throws -> F
) async throws -> (A, B, C, D, E, F) {
    let results = try await gatherAll(
        [Erased(a), Erased(b), Erased(c), Erased(d), Erased(e), Erased(f)],
        #isolation
    )
    return (results[0] as! A, results[1] as! B, results[2] as! C, results[3] as! D, results[4] as! E, results[5] as! F)
}

/// Runs operations concurrently and returns their results in order.
///
/// They begin in order. If one throws, the others are cancelled and awaited, and its error is thrown.
///
/// - Parameter operations: Written in an array, an operation inherits no isolation: name it, as in `{ @MainActor in … }`,
///   in an array of the type that this takes.
/// - Returns: What the operations return, in their order.
/// - Throws: The first error in time; `CancellationError` if the task was cancelled and an operation noticed.
///
/// The corresponding asyncio name is `asyncio.gather(*operations)`.
@discardableResult
@inlinable
public func gather<Value: Sendable>(
    _ operations: [@Sendable @isolated(any) () async throws -> Value]
) async throws -> [Value] {
    let gathered = Gathered(operations)
    try await gather(gathered, #isolation)
    return gathered.results.all
}

/// Inlined where the type is known: what is generic asks the runtime for its types at every step.
@inlinable
func gather<Value: Sendable>(_ gathered: Gathered<Value>, _ isolation: isolated (any Actor)?) async throws {
    let (operations, results) = (gathered.operations, gathered.results)
    Gathering.begins(operations.count)
    defer { Gathering.ends() }
    if let children = SharedChildren.forMany(operations.count, isolation),
        operations.allSatisfy({ children.takes($0.isolation) })
    {
        return try await children.run(gathered)
    }
    try await withThrowingDiscardingTaskGroup { group in
        for index in operations.indices {
            let operation = operations[index]
            if operation.isolation == nil, let preference = Loops.preferenceOfNowhere {
                group.addTask(executorPreference: preference) { results.set(index, try await operation()) }
            } else {
                group.addImmediateTask {
                    _ = isolation
                    results.set(index, try await operation())
                }
            }
        }
    }
}

/// Runs operations concurrently and returns what became of each, in order.
///
/// They begin in order. None is cancelled because another throws.
///
/// - Parameter operations: As for ``gather(_:)``.
/// - Returns: The result of each, in their order.
/// - Throws: `CancellationError` if the task was cancelled, after all have ended.
///
/// The corresponding asyncio name is `asyncio.gather(*operations, return_exceptions=True)`.
@discardableResult
public func gatherResults<Value: Sendable>(
    _ operations: [@Sendable @isolated(any) () async throws -> Value]
) async throws -> [Result<Value, any Error>] {
    let results = ResultSlots<Result<Value, any Error>>(operations.count)
    let gathered = operations.enumerated().map { index, operation in
        Erased(isolation: operation.isolation) {
            do { results.set(index, .success(try await operation())) } catch { results.set(index, .failure(error)) }
            return ()
        }
    }
    _ = try await gatherAll(gathered, #isolation)
    try Task.checkCancellation()
    return results.all
}

/// An operation without the type of its result, to be run in the isolation of the one who gathers.
struct Erased: Sendable {
    let run: @Sendable (isolated (any Actor)?) async throws -> any Sendable
    /// That of what it runs; what is isolated to nothing stays on a loop only if it prefers it.
    let isolation: (any Actor)?

    init<Value: Sendable>(_ operation: @escaping @Sendable @isolated(any) () async throws -> Value) {
        isolation = operation.isolation
        run = { (_: isolated (any Actor)?) in try await operation() }
    }

    /// The same, whose error is a result too.
    init<Value: Sendable>(catching operation: @escaping @Sendable @isolated(any) () async throws -> Value) {
        isolation = operation.isolation
        run = { (_: isolated (any Actor)?) in
            do { return Result<Value, any Error>.success(try await operation()) } catch {
                return Result<Value, any Error>.failure(error)
            }
        }
    }

    init(isolation: (any Actor)?, _ operation: @escaping @Sendable () async throws -> any Sendable) {
        self.isolation = isolation
        run = { (_: isolated (any Actor)?) in try await operation() }
    }
}

/// Operations of different types, and their results.
private final class ErasedOperations: Sendable {
    let operations: [Erased]
    let results: ResultSlots<any Sendable>

    init(_ operations: [Erased], _ results: ResultSlots<any Sendable>) {
        self.operations = operations
        self.results = results
    }
}

func gatherAll(_ operations: [Erased], _ isolation: isolated (any Actor)?) async throws -> [any Sendable] {
    let results = ResultSlots<any Sendable>(operations.count)
    Gathering.begins(operations.count)
    defer { Gathering.ends() }
    if let children = SharedChildren.forMany(operations.count, isolation),
        operations.allSatisfy({ children.takes($0.isolation) })
    {
        children.begin(operations.count, ErasedOperations(operations, results)) { worker, loop in
            let (child, context) = worker.current
            let erased = context as! ErasedOperations
            do {
                erased.results.set(child, try await erased.operations[child].run(loop))
                worker.hasRunChild(nil)
            } catch { worker.hasRunChild(error) }
        }
        try await children.end()
        return results.all
    }
    try await withThrowingDiscardingTaskGroup { group in
        for (index, operation) in operations.enumerated() {
            if operation.isolation == nil, let preference = Loops.preferenceOfNowhere {
                group.addTask(executorPreference: preference) { results.set(index, try await operation.run(nil)) }
            } else {
                group.addImmediateTask {
                    _ = isolation
                    results.set(index, try await operation.run(isolation))
                }
            }
        }
    }
    return results.all
}

extension Loops {
    /// What a child has to prefer that is isolated to nothing, so that it stays on the loop that runs here: the loop, unless
    /// that keeps all jobs of its thread.
    @usableFromInline
    static var preferenceOfNowhere: (any TaskExecutor)? {
        guard let loop = EventLoop.current, loop.configuration.globalExecutor == .pool else { return nil }
        return loop.taskExecutor
    }
}
