// Several operations of different types at once, and what became of each: the form of `gather` that cancels none.

/// Runs two operations concurrently and returns what became of each, in order.
///
/// They begin in order, each with the isolation of the place where it is written. None is cancelled because another throws.
///
/// - Returns: The result of each, in their order.
/// - Throws: `CancellationError` if the task was cancelled, after all have ended.
///
/// The corresponding asyncio name is `asyncio.gather(return_exceptions=True)`.
@discardableResult
public func gatherResults<A: Sendable, B: Sendable>(
    @_inheritActorContext(always) _ a: @escaping @Sendable @isolated(any) () async throws -> A,
    @_inheritActorContext(always) _ b: @escaping @Sendable @isolated(any) () async throws -> B
) async throws -> (Result<A, any Error>, Result<B, any Error>) {
    let results = try await gatherAll([Erased(catching: a), Erased(catching: b)], #isolation)
    try Task.checkCancellation()
    return (
        results[0] as! Result<A, any Error>,
        results[1] as! Result<B, any Error>
    )
}

/// Runs three operations concurrently and returns what became of each, in order.
///
/// They begin in order, each with the isolation of the place where it is written. None is cancelled because another throws.
///
/// - Returns: The result of each, in their order.
/// - Throws: `CancellationError` if the task was cancelled, after all have ended.
///
/// The corresponding asyncio name is `asyncio.gather(return_exceptions=True)`.
@discardableResult
public func gatherResults<A: Sendable, B: Sendable, C: Sendable>(
    @_inheritActorContext(always) _ a: @escaping @Sendable @isolated(any) () async throws -> A,
    @_inheritActorContext(always) _ b: @escaping @Sendable @isolated(any) () async throws -> B,
    @_inheritActorContext(always) _ c: @escaping @Sendable @isolated(any) () async throws -> C
) async throws -> (Result<A, any Error>, Result<B, any Error>, Result<C, any Error>) {
    let results = try await gatherAll([Erased(catching: a), Erased(catching: b), Erased(catching: c)], #isolation)
    try Task.checkCancellation()
    return (
        results[0] as! Result<A, any Error>,
        results[1] as! Result<B, any Error>,
        results[2] as! Result<C, any Error>
    )
}

/// Runs four operations concurrently and returns what became of each, in order.
///
/// They begin in order, each with the isolation of the place where it is written. None is cancelled because another throws.
///
/// - Returns: The result of each, in their order.
/// - Throws: `CancellationError` if the task was cancelled, after all have ended.
///
/// The corresponding asyncio name is `asyncio.gather(return_exceptions=True)`.
@discardableResult
public func gatherResults<A: Sendable, B: Sendable, C: Sendable, D: Sendable>(
    @_inheritActorContext(always) _ a: @escaping @Sendable @isolated(any) () async throws -> A,
    @_inheritActorContext(always) _ b: @escaping @Sendable @isolated(any) () async throws -> B,
    @_inheritActorContext(always) _ c: @escaping @Sendable @isolated(any) () async throws -> C,
    @_inheritActorContext(always) _ d: @escaping @Sendable @isolated(any) () async throws -> D
) async throws -> (
    Result<A, any Error>,
    Result<B, any Error>,
    Result<C, any Error>,
    Result<D, any Error>
) {
    let results = try await gatherAll(
        [Erased(catching: a), Erased(catching: b), Erased(catching: c), Erased(catching: d)],
        #isolation
    )
    try Task.checkCancellation()
    return (
        results[0] as! Result<A, any Error>,
        results[1] as! Result<B, any Error>,
        results[2] as! Result<C, any Error>,
        results[3] as! Result<D, any Error>
    )
}

/// Runs five operations concurrently and returns what became of each, in order.
///
/// They begin in order, each with the isolation of the place where it is written. None is cancelled because another throws.
///
/// - Returns: The result of each, in their order.
/// - Throws: `CancellationError` if the task was cancelled, after all have ended.
///
/// The corresponding asyncio name is `asyncio.gather(return_exceptions=True)`.
@discardableResult
public func gatherResults<A: Sendable, B: Sendable, C: Sendable, D: Sendable, E: Sendable>(
    @_inheritActorContext(always) _ a: @escaping @Sendable @isolated(any) () async throws -> A,
    @_inheritActorContext(always) _ b: @escaping @Sendable @isolated(any) () async throws -> B,
    @_inheritActorContext(always) _ c: @escaping @Sendable @isolated(any) () async throws -> C,
    @_inheritActorContext(always) _ d: @escaping @Sendable @isolated(any) () async throws -> D,
    @_inheritActorContext(always) _ e: @escaping @Sendable @isolated(any) () async throws -> E
) async throws -> (
    Result<A, any Error>,
    Result<B, any Error>,
    Result<C, any Error>,
    Result<D, any Error>,
    Result<E, any Error>
) {
    let results = try await gatherAll(
        [Erased(catching: a), Erased(catching: b), Erased(catching: c), Erased(catching: d), Erased(catching: e)],
        #isolation
    )
    try Task.checkCancellation()
    return (
        results[0] as! Result<A, any Error>,
        results[1] as! Result<B, any Error>,
        results[2] as! Result<C, any Error>,
        results[3] as! Result<D, any Error>,
        results[4] as! Result<E, any Error>
    )
}

/// Runs six operations concurrently and returns what became of each, in order.
///
/// They begin in order, each with the isolation of the place where it is written. None is cancelled because another throws.
///
/// - Returns: The result of each, in their order.
/// - Throws: `CancellationError` if the task was cancelled, after all have ended.
///
/// The corresponding asyncio name is `asyncio.gather(return_exceptions=True)`.
@discardableResult
public func gatherResults<A: Sendable, B: Sendable, C: Sendable, D: Sendable, E: Sendable, F: Sendable>(
    @_inheritActorContext(always) _ a: @escaping @Sendable @isolated(any) () async throws -> A,
    @_inheritActorContext(always) _ b: @escaping @Sendable @isolated(any) () async throws -> B,
    @_inheritActorContext(always) _ c: @escaping @Sendable @isolated(any) () async throws -> C,
    @_inheritActorContext(always) _ d: @escaping @Sendable @isolated(any) () async throws -> D,
    @_inheritActorContext(always) _ e: @escaping @Sendable @isolated(any) () async throws -> E,
    @_inheritActorContext(always) _ f: @escaping @Sendable @isolated(any) () async throws -> F
) async throws -> (
    Result<A, any Error>,
    Result<B, any Error>,
    Result<C, any Error>,
    Result<D, any Error>,
    Result<E, any Error>,
    Result<F, any Error>
) {
    let results = try await gatherAll(
        [
            Erased(catching: a), Erased(catching: b), Erased(catching: c), Erased(catching: d), Erased(catching: e),
            Erased(catching: f),
        ],
        #isolation
    )
    try Task.checkCancellation()
    return (
        results[0] as! Result<A, any Error>,
        results[1] as! Result<B, any Error>,
        results[2] as! Result<C, any Error>,
        results[3] as! Result<D, any Error>,
        results[4] as! Result<E, any Error>,
        results[5] as! Result<F, any Error>
    )
}
