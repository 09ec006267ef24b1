// Mutual exclusion between tasks of one loop, over their awaits. Between two awaits nothing else runs on a loop, so that
// code without an `await` in it needs no lock.

internal import Reactor

/// A lock that one task at a time holds, also while it waits for something else.
///
///     try await lock.withLock {
///         let balance = try await account.balance()
///         try await account.set(balance - 10)
///     }
///
/// First come, first served: a release hands the lock to the task that has waited longest, and nobody gets in between.
/// Not reentrant: a task that waits for a lock that it holds waits for ever. Belongs to the code of one loop; it is not
/// `Sendable`, so the compiler refuses a second one. Nothing is allocated while nobody waits.
///
/// The corresponding asyncio name is `asyncio.Lock`.
public final class AsyncLock {
    private let line = WaitQueue("AsyncLock")

    /// Whether a task holds the lock.
    public private(set) var isLocked = false
    /// Releases to come from tasks that the end of the loop sent on without the lock, and that do not know it.
    private var releasesToIgnore = 0

    /// Creates a lock that nobody holds.
    public init() {}

    /// Runs `body` while holding the lock.
    ///
    /// - Throws: What `body` throws; `CancellationError` if the task has to wait and is cancelled before `body` begins. The
    ///   lock then goes to the next in line.
    ///
    /// The corresponding asyncio form is `async with lock:`.
    public func withLock<Value>(
        _ body: nonisolated(nonsending) () async throws -> Value
    ) async throws -> Value {
        try await acquire()
        defer { release() }
        return try await body()
    }

    /// Waits for the lock and takes it; ``release()`` must follow.
    ///
    /// Prefer ``withLock(_:)``, which cannot forget that. Returns at once if nobody holds the lock.
    ///
    /// - Throws: `CancellationError` if the task was cancelled and has to wait, or is cancelled while it does: it does not
    ///   hold the lock then.
    ///
    /// The corresponding asyncio name is `Lock.acquire`.
    public func acquire() async throws {
        if tryAcquire() { return }
        try await line.wait()
        // Handed over, so `isLocked` has stayed true.
        try passOnIfCancelled()
    }

    /// Takes the lock if nobody holds it; says whether it did.
    public func tryAcquire() -> Bool {
        if isLocked { return false }
        isLocked = true
        return true
    }

    /// Gives the lock to the next in line, or sets it free.
    ///
    /// Returns at once. Traps if nobody holds the lock.
    ///
    /// The corresponding asyncio name is `Lock.release`.
    public func release() {
        require(isLocked, "An AsyncLock was released that nobody holds. Use withLock { }.")
        if releasesToIgnore > 0 {
            releasesToIgnore -= 1
            return
        }
        if !line.wakeFirst() { isLocked = false }
    }

    private func passOnIfCancelled() throws {
        guard Task.isCancelled else { return }
        release()
        throw CancellationError()
    }

    /// Takes the lock back whatever happens to the task, for a caller that releases it in any case.
    ///
    /// False if the loop ends: then the task goes on without the lock, and a release is ignored.
    func reacquire() async -> Bool {
        if tryAcquire() { return true }
        if await line.waitUncancellable() { return true }
        if !tryAcquire() { releasesToIgnore += 1 }
        return false
    }
}
