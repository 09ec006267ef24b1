// Work that would keep the loop: it goes to a pool of threads, and its result comes back.

internal import Reactor

/// Runs blocking or long work on a thread of a pool, and returns its result.
///
/// The loop goes on meanwhile. The shared pool has as many threads as the machine has processors and four more, 32 at most;
/// what exceeds that waits its turn, first come, first served. So does what exceeds the queue of the pool, unless that is
/// one that refuses: see ``OffloadPool``. Libuv's own threads are never used.
///
/// When the loop ends, tasks that wait here get `CancellationError`: work that has not begun never does, work that runs
/// goes on without anybody who waits for it, and keeps neither the loop nor its end waiting. At the end of the process it
/// is cut off; a program that must not have that shuts the pool down first: see
/// ``OffloadPool/shutdown(within:discardingQueued:)``.
///
/// - Parameters:
///   - pool: Whose threads.
///   - body: Runs once, on a thread of the pool.
/// - Returns: What `body` returns; on a loop the caller goes on there.
/// - Throws: What `body` throws; ``OffloadError`` if the pool is shut down, or full and one that refuses;
///   ``SystemError`` if the pool has no thread and the system gives none; `CancellationError` as soon as the task is
///   cancelled: work that has not begun never does, work that has begun goes on and its result is dropped.
///
/// The corresponding asyncio names are `asyncio.to_thread` and `loop.run_in_executor`.
public func offload<Value: Sendable>(
    on pool: OffloadPool = .shared,
    _ body: @escaping @Sendable () throws -> Value
) async throws -> Value {
    try Task.checkCancellation()
    guard let loop = EventLoop.current else { return try await offloadElsewhere(pool, body) }
    return try await offload(pool, body, from: loop)
}

private func offload<Value: Sendable>(
    _ pool: OffloadPool,
    _ body: @escaping @Sendable () throws -> Value,
    from loop: isolated EventLoop
) async throws -> Value {
    let wait = OffloadWait<Value>(on: loop)
    let box = LoopBound(wait, on: loop)
    let work = try pool.submit { refusal in
        let result = outcome(body, refusal)
        // A loop that is closed has nobody who waits.
        _ = try? loop.submit { loop in
            loop.noteWorkElsewhere(-1)
            box.value(on: loop).complete(result)
        }
    }
    loop.noteWorkElsewhere(1)
    do {
        return try await wait.value(on: loop)
    } catch let error as CancellationError where !wait.isComplete {
        if pool.takeBack(work) { loop.noteWorkElsewhere(-1) }
        throw error
    }
}

/// The same for a caller that is on no loop.
private func offloadElsewhere<Value: Sendable>(
    _ pool: OffloadPool,
    _ body: @escaping @Sendable () throws -> Value
) async throws -> Value {
    let deadline = ForeignDeadline.watch()
    defer { deadline?.stop() }
    // It may have passed, and work that nobody awaits is not begun.
    try Task.checkCancellation()
    let end = OneShot<Value>()
    let work = try pool.submit { refusal in end.complete(outcome(body, refusal)) }
    return try await withTaskCancellationHandler {
        try await end.value
    } onCancel: {
        _ = pool.takeBack(work)
        end.complete(.failure(CancellationError()))
    }
}

private func outcome<Value>(_ body: () throws -> Value, _ refusal: (any Error)?) -> Result<Value, any Error> {
    Result {
        if let refusal { throw refusal }
        return try body()
    }
}

/// A task on a loop that waits for work on the pool.
private final class OffloadWait<Value: Sendable> {
    private let park: Park
    private var result: Result<Value, any Error>?

    init(on loop: isolated EventLoop) { park = ExplainedPark(on: loop, .thread) }

    func complete(_ result: Result<Value, any Error>) {
        self.result = result
        park.wake()
    }

    var isComplete: Bool { result != nil }

    func value(on loop: isolated EventLoop) async throws -> Value {
        while result == nil { try await park.wait(on: loop) }
        return try result!.get()
    }
}

extension OffloadPool {
    /// Ends the pool: it takes no more work, and this waits for what it has.
    ///
    /// From this call on `offload` throws ``OffloadError/shutDown``, also in tasks that still wait for room in the queue.
    /// What is queued is run, unless it is discarded: then its tasks get that error as well. Threads without work end.
    ///
    /// When the time has passed, or the task is cancelled, this returns with what is left in the figures; that goes on all
    /// the same, as no thread can be stopped from outside. A second call waits again, and may discard what the first has
    /// kept. The deadline is on the loop's clock; outside a loop on the system's.
    ///
    /// - Parameters:
    ///   - limit: How long to wait; with zero or less this does not.
    ///   - discardingQueued: Whether what has not begun never does.
    /// - Returns: The figures at the end of the wait: ``OffloadStatistics/isIdle`` if nothing is left.
    ///
    /// The corresponding asyncio name is `loop.shutdown_default_executor`.
    @discardableResult
    public func shutdown(
        within limit: Duration = .seconds(300),
        discardingQueued: Bool = false
    ) async -> OffloadStatistics {
        close(discardingQueued: discardingQueued)
        let pool = self
        do { try await withTimeout(limit) { await pool.drained() } } catch {}
        return statistics
    }

    /// Waits until nothing is left, or until the task is cancelled.
    private func drained() async {
        let wait = ForeignWait("OffloadPool.shutdown")
        if whenDrained({ wait.end() }) { await wait.wait() }
    }
}
