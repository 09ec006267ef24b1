// Waiting, within a lock, for somebody else to change what the lock protects.

internal import Reactor

/// A lock, and a line of tasks that wait within it until another says that something has changed.
///
///     try await condition.withLock {
///         try await condition.wait { !items.isEmpty }
///         use(items.removeFirst())
///     }
///
/// On one loop a plain ``AsyncEvent`` or ``AsyncQueue`` is nearly always simpler. Belongs to the code of one loop; not
/// `Sendable`.
///
/// The corresponding asyncio name is `asyncio.Condition`.
public final class AsyncCondition {
    private let line = WaitQueue("AsyncCondition")

    /// The lock, which several conditions may share.
    public let lock: AsyncLock

    /// Creates a condition with a lock of its own, or one that it shares.
    public init(lock: AsyncLock = AsyncLock()) { self.lock = lock }

    /// Runs `body` while holding the lock: see ``AsyncLock/withLock(_:)``.
    public func withLock<Value>(
        _ body: nonisolated(nonsending) () async throws -> Value
    ) async throws -> Value {
        try await lock.withLock(body)
    }

    /// Releases the lock, waits for ``notify(_:)``, and takes the lock again.
    ///
    /// May return although nobody notified, when a task passes on a notification that it can no longer use: so look at
    /// what was waited for, as ``wait(until:)`` does. Traps if nobody holds the lock.
    ///
    /// - Throws: `CancellationError` if the task is cancelled, with the lock held: it was taken again before. If the task had
    ///   been notified, the notification went to the next in line. Also if the loop ends, and then perhaps while another
    ///   task has the lock; it is to be released all the same.
    public func wait() async throws {
        require(lock.isLocked, "AsyncCondition.wait was called without its lock. Call it inside withLock { }.")
        lock.release()
        var wasNotified = true
        do { try await line.wait() } catch { wasNotified = false }
        // Whatever happens: the caller goes on as the one who holds it, and releases it.
        let isHeld = await lock.reacquire()
        guard Task.isCancelled || !wasNotified || !isHeld else { return }
        if wasNotified { line.wakeFirst() }
        throw CancellationError()
    }

    /// Waits until `predicate` is true, which is looked at now and after each notification.
    ///
    /// - Throws: What `predicate` throws; `CancellationError` as ``wait()``.
    ///
    /// The corresponding asyncio name is `Condition.wait_for`.
    public func wait(until predicate: () throws -> Bool) async throws {
        while try !predicate() { try await wait() }
    }

    /// Wakes as many of those who wait as `count` says, those who came first; they go on when they get the lock.
    ///
    /// Traps if nobody holds the lock.
    public func notify(_ count: Int = 1) {
        require(lock.isLocked, "AsyncCondition.notify was called without its lock. Call it inside withLock { }.")
        var remaining = count
        while remaining > 0, line.wakeFirst() { remaining -= 1 }
    }

    /// Wakes all who wait.
    ///
    /// Traps if nobody holds the lock.
    public func notifyAll() { notify(.max) }
}
