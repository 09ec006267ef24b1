// Tasks in the order in which they end.

internal import Reactor

/// The tasks in the order in which they end.
///
///     for try await task in AsyncIO.asCompleted(downloads) { use(try await task.value) }
///
/// What comes are the tasks themselves. The order is that of ending; those that had ended come first, in the given order.
/// A task that is named twice comes once. A loop over it can be left and another one goes on where it was; several tasks
/// may take from it, and each of the given tasks comes to one of them. The given tasks are never cancelled.
///
/// Must be called on the loop that the tasks were spawned on: elsewhere it traps.
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
    let loop = Loops.here("AsyncIO.asCompleted")
    let tasks = Loops.each(of: tasks, on: loop, "AsyncIO.asCompleted")
    return loop.assumeIsolated { CompletedTasks(tasks, timeout, on: $0) }
}

/// The sequence that ``asCompleted(_:timeout:)`` returns.
public struct CompletedTasks<Value: Sendable>: AsyncSequence, Sendable {
    /// A task that has ended.
    public typealias Element = LoopTask<Value>

    private let shared: LoopBound<Completions<Value>>

    fileprivate init(_ tasks: [LoopTask<Value>], _ timeout: Duration?, on loop: isolated EventLoop) {
        let shared = LoopBound(Completions<Value>(tasks.count, timeout), on: loop)
        self.shared = shared
        shared.value(on: loop).begin(tasks.map(\.record), on: loop)
        for task in tasks {
            task.whenDone(on: loop) { loop, _ in shared.value(on: loop).add(task) }
        }
    }

    fileprivate func next(on loop: isolated EventLoop) async throws -> LoopTask<Value>? {
        try await shared.value(on: loop).next()
    }

    /// The next of the tasks that has ended.
    public struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate let tasks: CompletedTasks

        /// Waits for the next task that ends.
        ///
        /// - Returns: The task; nil if all have come.
        /// - Throws: ``TimeoutError`` when the time has passed; `CancellationError` if the waiting task was cancelled, or
        ///   if the loop ends.
        public mutating func next() async throws -> LoopTask<Value>? { try await tasks.next(on: tasks.shared.loop) }

        /// The same with the isolation of the caller.
        public mutating func next(isolation: isolated (any Actor)?) async throws(any Error) -> LoopTask<Value>? {
            try await tasks.next(on: tasks.shared.loop)
        }
    }

    /// Iterates over what is left.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(tasks: self) }
}

/// Tasks in the order in which they ended, and those who wait for the next, on their loop.
private final class Completions<Value: Sendable> {
    private let line = WaitQueue("AsyncIO.asCompleted")
    private var ended: [LoopTask<Value>?] = []
    /// How many of those have been taken out, which are no longer held.
    private var taken = 0
    private let total: Int
    private let limit: Duration?
    private var timer: Scheduled?
    /// Whether the time has passed.
    private var isExpired = false

    init(_ total: Int, _ limit: Duration?) {
        self.total = total
        self.limit = limit
        ended.reserveCapacity(total)
    }

    func begin(_ records: [TaskRecord], on loop: isolated EventLoop) {
        // Not held: as long as one has not ended, it is listed, and found there.
        let numbers = Set(records.map(\.number))
        line.tasks = { [loop] in loop.assumeIsolated { $0.spawned.all.filter { numbers.contains($0.number) } } }
        guard let limit, total > 0 else { return }
        timer = loop.schedule(after: limit) { [self] in
            isExpired = true
            line.wakeAll()
        }
    }

    func add(_ task: LoopTask<Value>) {
        ended.append(task)
        if ended.count == total { timer?.cancel() }
        line.wakeAll()
    }

    func next() async throws -> LoopTask<Value>? {
        while taken == ended.count {
            if taken == total { return nil }
            if isExpired, let limit { throw TimeoutError(limit: limit) }
            try await line.wait()
        }
        defer { taken += 1 }
        return ended[taken].take()
    }
}
