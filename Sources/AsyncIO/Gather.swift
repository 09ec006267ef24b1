// Several operations at once, and their results in the order in which they were given.
//
// Parameter packs cannot inherit isolation, so there is a function for each number of operations up to six, and one for
// any number that return the same.

/// Runs two operations concurrently and returns their results in order.
///
/// They begin in order, each with the isolation of the place where it is written. If one throws, the others are
/// cancelled and awaited, and its error is thrown.
///
/// - Throws: The first error in time; `CancellationError` if the task was cancelled and an operation noticed.
///
/// The corresponding asyncio name is `asyncio.gather`.
public func gather<A: Sendable, B: Sendable>(
    @_inheritActorContext(always) _ a: @escaping @Sendable @isolated(any) () async throws -> A,
    @_inheritActorContext(always) _ b: @escaping @Sendable @isolated(any) () async throws -> B
) async throws -> (A, B) {
    let results = try await gatherErased([
        { try await a() },
        { try await b() },
    ])
    return (results[0] as! A, results[1] as! B)
}

/// Runs three operations concurrently and returns their results in order.
///
/// They begin in order, each with the isolation of the place where it is written. If one throws, the others are
/// cancelled and awaited, and its error is thrown.
///
/// - Throws: The first error in time; `CancellationError` if the task was cancelled and an operation noticed.
///
/// The corresponding asyncio name is `asyncio.gather`.
public func gather<A: Sendable, B: Sendable, C: Sendable>(
    @_inheritActorContext(always) _ a: @escaping @Sendable @isolated(any) () async throws -> A,
    @_inheritActorContext(always) _ b: @escaping @Sendable @isolated(any) () async throws -> B,
    @_inheritActorContext(always) _ c: @escaping @Sendable @isolated(any) () async throws -> C
) async throws -> (A, B, C) {
    let results = try await gatherErased([
        { try await a() },
        { try await b() },
        { try await c() },
    ])
    return (results[0] as! A, results[1] as! B, results[2] as! C)
}

/// Runs four operations concurrently and returns their results in order.
///
/// They begin in order, each with the isolation of the place where it is written. If one throws, the others are
/// cancelled and awaited, and its error is thrown.
///
/// - Throws: The first error in time; `CancellationError` if the task was cancelled and an operation noticed.
///
/// The corresponding asyncio name is `asyncio.gather`.
public func gather<A: Sendable, B: Sendable, C: Sendable, D: Sendable>(
    @_inheritActorContext(always) _ a: @escaping @Sendable @isolated(any) () async throws -> A,
    @_inheritActorContext(always) _ b: @escaping @Sendable @isolated(any) () async throws -> B,
    @_inheritActorContext(always) _ c: @escaping @Sendable @isolated(any) () async throws -> C,
    @_inheritActorContext(always) _ d: @escaping @Sendable @isolated(any) () async throws -> D
) async throws -> (A, B, C, D) {
    let results = try await gatherErased([
        { try await a() },
        { try await b() },
        { try await c() },
        { try await d() },
    ])
    return (results[0] as! A, results[1] as! B, results[2] as! C, results[3] as! D)
}

/// Runs five operations concurrently and returns their results in order.
///
/// They begin in order, each with the isolation of the place where it is written. If one throws, the others are
/// cancelled and awaited, and its error is thrown.
///
/// - Throws: The first error in time; `CancellationError` if the task was cancelled and an operation noticed.
///
/// The corresponding asyncio name is `asyncio.gather`.
public func gather<A: Sendable, B: Sendable, C: Sendable, D: Sendable, E: Sendable>(
    @_inheritActorContext(always) _ a: @escaping @Sendable @isolated(any) () async throws -> A,
    @_inheritActorContext(always) _ b: @escaping @Sendable @isolated(any) () async throws -> B,
    @_inheritActorContext(always) _ c: @escaping @Sendable @isolated(any) () async throws -> C,
    @_inheritActorContext(always) _ d: @escaping @Sendable @isolated(any) () async throws -> D,
    @_inheritActorContext(always) _ e: @escaping @Sendable @isolated(any) () async throws -> E
) async throws -> (A, B, C, D, E) {
    let results = try await gatherErased([
        { try await a() },
        { try await b() },
        { try await c() },
        { try await d() },
        { try await e() },
    ])
    return (results[0] as! A, results[1] as! B, results[2] as! C, results[3] as! D, results[4] as! E)
}

/// Runs six operations concurrently and returns their results in order.
///
/// They begin in order, each with the isolation of the place where it is written. If one throws, the others are
/// cancelled and awaited, and its error is thrown.
///
/// - Throws: The first error in time; `CancellationError` if the task was cancelled and an operation noticed.
///
/// The corresponding asyncio name is `asyncio.gather`.
public func gather<A: Sendable, B: Sendable, C: Sendable, D: Sendable, E: Sendable, F: Sendable>(
    @_inheritActorContext(always) _ a: @escaping @Sendable @isolated(any) () async throws -> A,
    @_inheritActorContext(always) _ b: @escaping @Sendable @isolated(any) () async throws -> B,
    @_inheritActorContext(always) _ c: @escaping @Sendable @isolated(any) () async throws -> C,
    @_inheritActorContext(always) _ d: @escaping @Sendable @isolated(any) () async throws -> D,
    @_inheritActorContext(always) _ e: @escaping @Sendable @isolated(any) () async throws -> E,
    @_inheritActorContext(always) _ f: @escaping @Sendable @isolated(any) () async throws -> F
) async throws -> (A, B, C, D, E, F) {
    let results = try await gatherErased([
        { try await a() },
        { try await b() },
        { try await c() },
        { try await d() },
        { try await e() },
        { try await f() },
    ])
    return (results[0] as! A, results[1] as! B, results[2] as! C, results[3] as! D, results[4] as! E, results[5] as! F)
}

/// Runs operations concurrently and returns their results in order.
///
/// All begin in order, each with the isolation of the place where it is written. If one throws, the others are cancelled
/// and awaited, and its error is thrown.
///
/// - Throws: The first error in time; `CancellationError` if the task was cancelled and an operation noticed.
///
/// The corresponding asyncio name is `asyncio.gather(*operations)`.
public func gather<Value: Sendable>(
    _ operations: [@Sendable @isolated(any) () async throws -> Value]
) async throws -> [Value] {
    try await gatherAll(operations, #isolation)
}

private func gatherErased(
    _ operations: [@Sendable @isolated(any) () async throws -> any Sendable]
) async throws -> [any Sendable] {
    try await gatherAll(operations, #isolation)
}

private func gatherAll<Value: Sendable>(
    _ operations: [@Sendable @isolated(any) () async throws -> Value],
    _ isolation: isolated (any Actor)?
) async throws -> [Value] {
    try await withThrowingTaskGroup(of: (Int, Value).self) { group in
        for (index, operation) in operations.enumerated() {
            group.addImmediateTask {
                _ = isolation
                return (index, try await operation())
            }
        }
        var results = [Value?](repeating: nil, count: operations.count)
        while let (index, value) = try await group.next() { results[index] = value }
        return results.map { $0! }
    }
}
