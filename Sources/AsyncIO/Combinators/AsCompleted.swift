// Tasks in the order in which they end.

internal import Reactor

/// The tasks in the order in which they end.
///
///     for try await task in AsyncIO.asCompleted(downloads) { use(try await task.value) }
///
/// What comes are the tasks themselves. The order is that of ending; those that had ended come first, in the given order.
/// A task that is named twice comes once. A loop over it can be left and another one goes on where it was. The tasks are
/// never cancelled.
///
/// Must be called on a loop: elsewhere it traps.
///
/// - Parameters:
///   - tasks: Any number.
///   - timeout: How long to wait for all of them; when it has passed, and none that has ended is left, the loop throws
///     ``TimeoutError``.
/// - Returns: A sequence of the given tasks.
///
/// The corresponding asyncio name is `asyncio.as_completed`.
public nonisolated func asCompleted<Value: Sendable>(
    _ tasks: [LoopTask<Value>],
    timeout: Duration? = nil
) -> CompletedTasks<Value> {
    Loops.here("AsyncIO.asCompleted").assumeIsolated { CompletedTasks(tasks, timeout, on: $0) }
}

/// The sequence that ``asCompleted(_:timeout:)`` returns.
public struct CompletedTasks<Value: Sendable>: AsyncSequence, Sendable {
    /// A task that has ended.
    public typealias Element = LoopTask<Value>

    /// What all iterations have in common.
    private final class Shared {
        let completions: Completions<Value>
        var remaining: Int
        let limit: Duration?
        var timer: Scheduled?

        init(_ tasks: [LoopTask<Value>], _ limit: Duration?, on loop: isolated EventLoop) {
            completions = Completions(tasks, on: loop)
            remaining = tasks.count
            self.limit = limit
        }
    }

    private let shared: LoopBound<Shared>

    fileprivate init(_ tasks: [LoopTask<Value>], _ timeout: Duration?, on loop: isolated EventLoop) {
        var seen: Set<ObjectIdentifier> = []
        let tasks = tasks.filter { seen.insert(ObjectIdentifier($0)).inserted }
        let shared = LoopBound(Shared(tasks, timeout, on: loop), on: loop)
        self.shared = shared
        let all = shared.value(on: loop)
        if let timeout, !tasks.isEmpty { all.timer = all.completions.expire(after: timeout, on: loop) }
        for task in tasks where task.isDone { all.completions.add(task) }
        for task in tasks where !task.isDone {
            task.whenDone { loop in shared.value(on: loop).completions.add(task) }
        }
    }

    fileprivate func next(on loop: isolated EventLoop) async throws -> LoopTask<Value>? {
        let shared = shared.value(on: loop)
        while shared.remaining > 0 {
            if let task = shared.completions.next() {
                shared.remaining -= 1
                if shared.remaining == 0 { shared.timer?.cancel() }
                return task
            }
            if shared.completions.isExpired, let limit = shared.limit { throw TimeoutError(limit: limit) }
            try await shared.completions.wait(on: loop)
        }
        return nil
    }

    /// The next of the tasks that has ended.
    public struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate let tasks: CompletedTasks

        /// Waits for the next task that ends.
        public mutating func next() async throws -> LoopTask<Value>? { try await tasks.next(on: tasks.shared.loop) }

        /// The same with the isolation of the caller.
        public mutating func next(isolation: isolated (any Actor)?) async throws(any Error) -> LoopTask<Value>? {
            try await tasks.next(on: tasks.shared.loop)
        }
    }

    /// Iterates over what is left.
    ///
    /// One task at a time may wait.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(tasks: self) }
}
