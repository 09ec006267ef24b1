// Work that would keep the loop: it goes to a pool of threads, and its result comes back.

/// Runs blocking or long work on a thread of its own pool, and returns its result.
///
/// The loop goes on meanwhile. The pool has as many threads as the machine has processors and four more, 32 at most; what
/// exceeds that waits its turn. Libuv's own threads are never used.
///
/// - Parameter body: Runs once, on a thread of the pool.
/// - Returns: What `body` returns; on a loop the caller goes on there.
/// - Throws: What `body` throws; `CancellationError` as soon as the task is cancelled: work that has not begun never
///   does, work that has begun goes on and its result is dropped.
///
/// The corresponding asyncio names are `asyncio.to_thread` and `loop.run_in_executor`.
public func offload<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try Task.checkCancellation()
    guard let loop = EventLoop.current else { return try await offloadElsewhere(body) }
    return try await offload(body, from: loop)
}

private func offload<Value: Sendable>(
    _ body: @escaping @Sendable () throws -> Value,
    from loop: isolated EventLoop
) async throws -> Value {
    let wait = OffloadWait<Value>(on: loop)
    let box = LoopBound(wait, on: loop)
    let work = try OffloadPool.shared.submit {
        let result = Result { try body() }
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
        if OffloadPool.shared.takeBack(work) { loop.noteWorkElsewhere(-1) }
        throw error
    }
}

/// The same for a caller that is on no loop.
private func offloadElsewhere<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    let outcome = OneShot<Value>()
    let work = try OffloadPool.shared.submit { outcome.complete(Result { try body() }) }
    return try await withTaskCancellationHandler {
        try await outcome.value
    } onCancel: {
        _ = OffloadPool.shared.takeBack(work)
        outcome.complete(.failure(CancellationError()))
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
