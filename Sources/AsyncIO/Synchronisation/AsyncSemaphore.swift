// A bound on how many tasks do something at once.

internal import Reactor

/// A number of permits, which tasks of one loop take and give back.
///
///     let limit = AsyncSemaphore(permits: 10)
///     try await limit.withPermit { try await fetch(page) }
///
/// First come, first served: a permit that is given back belongs to the task that has waited longest, and no newcomer
/// takes it. Belongs to the code of one loop; not `Sendable`. Nothing is allocated while nobody waits.
///
/// The corresponding asyncio names are `asyncio.Semaphore` and, with ``init(permits:isBounded:)``, `BoundedSemaphore`.
public final class AsyncSemaphore {
    private let line = WaitQueue("AsyncSemaphore")
    private let limit: Int

    /// How many permits can be taken without waiting.
    public private(set) var availablePermits: Int

    /// Creates a semaphore.
    ///
    /// - Parameters:
    ///   - permits: How many tasks may hold one at once; zero is a semaphore that somebody must release first.
    ///   - isBounded: Whether giving back more than was taken is a mistake, which traps.
    public init(permits: Int, isBounded: Bool = false) {
        require(permits >= 0, "An AsyncSemaphore cannot have fewer than zero permits.")
        availablePermits = permits
        limit = isBounded ? permits : .max
    }

    /// Whether a task that wants a permit now has to wait.
    ///
    /// The corresponding asyncio name is `Semaphore.locked`.
    public var isLocked: Bool { availablePermits == 0 }

    /// Runs `body` while holding a permit.
    ///
    /// - Throws: What `body` throws; `CancellationError` if the task has to wait and is cancelled before `body` begins. No
    ///   permit is lost.
    public func withPermit<Value>(
        _ body: nonisolated(nonsending) () async throws -> Value
    ) async throws -> Value {
        try await acquire()
        defer { release() }
        return try await body()
    }

    /// Waits for a permit and takes it; ``release()`` must follow.
    ///
    /// Prefer ``withPermit(_:)``, which cannot forget that. Returns at once if there is one.
    ///
    /// - Throws: `CancellationError` if the task was cancelled and has to wait, or is cancelled while it does: it holds no
    ///   permit then.
    ///
    /// The corresponding asyncio name is `Semaphore.acquire`.
    public func acquire() async throws {
        if tryAcquire() { return }
        try await line.wait()
        if Task.isCancelled {
            release()
            throw CancellationError()
        }
    }

    /// Takes a permit if there is one; says whether it did.
    public func tryAcquire() -> Bool {
        // A permit is free only while nobody waits.
        guard availablePermits > 0 else { return false }
        availablePermits -= 1
        return true
    }

    /// Gives a permit to the next in line, or sets it free.
    ///
    /// Returns at once. A bounded semaphore traps if more is given back than was taken.
    ///
    /// The corresponding asyncio name is `Semaphore.release`.
    public func release() {
        require(
            availablePermits < limit,
            "A bounded AsyncSemaphore was released more often than it was acquired. Use withPermit { }."
        )
        if !line.wakeFirst() { availablePermits += 1 }
    }
}
