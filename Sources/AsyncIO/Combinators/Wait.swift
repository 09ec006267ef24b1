// Waiting for several tasks that go on whatever becomes of the wait: it neither cancels them nor throws what they throw.

internal import Reactor

/// What ``wait(for:until:timeout:)`` waits for.
public enum WaitCondition: Hashable, Sendable {
    /// All have ended.
    case allCompleted
    /// One has ended.
    case firstCompleted
    /// One has thrown something else than `CancellationError`, or all have ended.
    case firstError
}

/// Waits until some of the tasks, or all, have ended.
///
/// Throws nothing that they throw, and cancels none: not when the time has passed, nor when the waiting task is
/// cancelled. A task that is named twice counts once.
///
/// - Parameters:
///   - tasks: At least one: with none this traps.
///   - condition: What to wait for.
///   - timeout: How long to wait at most; nil waits as long as it takes.
/// - Returns: Which have ended and which have not, each in the given order.
/// - Throws: `CancellationError` if the waiting task was cancelled.
///
/// The corresponding asyncio name is `asyncio.wait`.
public func wait<Value: Sendable>(
    for tasks: [LoopTask<Value>],
    until condition: WaitCondition = .allCompleted,
    timeout: Duration? = nil
) async throws -> (done: [LoopTask<Value>], pending: [LoopTask<Value>]) {
    precondition(!tasks.isEmpty, "AsyncIO.wait(for:) was called without a task, and would wait for ever.")
    let loop = Loops.here("AsyncIO.wait(for:)")
    return try await wait(tasks, condition, timeout, on: loop)
}

private func wait<Value: Sendable>(
    _ tasks: [LoopTask<Value>],
    _ condition: WaitCondition,
    _ timeout: Duration?,
    on loop: isolated EventLoop
) async throws -> (done: [LoopTask<Value>], pending: [LoopTask<Value>]) {
    var seen: Set<ObjectIdentifier> = []
    let tasks = tasks.filter { seen.insert(ObjectIdentifier($0)).inserted }
    let progress = LoopBound(Completions<Value>(tasks, on: loop), on: loop)
    let callbacks = tasks.filter { !$0.isDone }.map { task in
        task.whenDone { [weak task] loop in task.map { progress.value(on: loop).add($0) } }
    }
    defer { for callback in callbacks { callback.cancel() } }
    func isEnough() -> Bool {
        switch condition {
        case .allCompleted: tasks.allSatisfy(\.isDone)
        case .firstCompleted: tasks.contains(where: \.isDone)
        case .firstError: tasks.contains(where: \.hasFailed) || tasks.allSatisfy(\.isDone)
        }
    }
    let completions = progress.value(on: loop)
    let timer = timeout.map { completions.expire(after: $0, on: loop) }
    defer { timer?.cancel() }
    try Task.checkCancellation()
    while !isEnough() && !completions.isExpired { try await completions.wait(on: loop) }
    return (tasks.filter(\.isDone), tasks.filter { !$0.isDone })
}

extension LoopTask {
    /// Whether it threw something else than `CancellationError`; does not count as having seen that.
    fileprivate var hasFailed: Bool { eventual.failure.map { !($0 is CancellationError) } ?? false }

    /// Has `body` called when the task has ended, before those go on who wait for it; counts as nothing.
    @discardableResult
    func whenDone(_ body: @escaping @Sendable (isolated EventLoop) -> Void) -> EventualCallback {
        let callback = EventualCallback()
        eventual.onCompletion(callback, atOnce: true, body)
        return callback
    }
}

/// Tasks in the order in which they end, and a task that waits for the next of them, on its loop.
final class Completions<Value: Sendable> {
    private let park: Park
    private var ended: [LoopTask<Value>] = []
    /// Whether the time has passed.
    private(set) var isExpired = false

    init(_ tasks: [LoopTask<Value>], on loop: isolated EventLoop) {
        park = ExplainedPark(on: loop, .tasks(tasks.compactMap(\.recordIfHere)))
    }

    func add(_ task: LoopTask<Value>) {
        ended.append(task)
        park.wake()
    }

    /// The next in order, taken out.
    func next() -> LoopTask<Value>? { ended.isEmpty ? nil : ended.removeFirst() }

    func expire(after limit: Duration, on loop: isolated EventLoop) -> Scheduled {
        loop.schedule(after: limit) { [self] in
            isExpired = true
            park.wake()
        }
    }

    func wait(on loop: isolated EventLoop) async throws { try await park.wait(on: loop) }
}
