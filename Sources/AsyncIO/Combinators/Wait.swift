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
/// cancelled. A task that is named twice counts once. Returns at once if enough of them have ended. An error that made it
/// return does not count as seen.
///
/// Must be called on the loop that the tasks were spawned on: elsewhere it traps.
///
/// - Parameters:
///   - tasks: At least one: with none this traps.
///   - condition: What to wait for.
///   - timeout: How long to wait at most; nil waits as long as it takes.
/// - Returns: Which have ended and which have not, each in the given order.
/// - Throws: `CancellationError` if the waiting task was cancelled, or if the loop ends.
///
/// The corresponding asyncio name is `asyncio.wait`.
public func wait<Value: Sendable>(
    for tasks: [LoopTask<Value>],
    until condition: WaitCondition = .allCompleted,
    timeout: Duration? = nil
) async throws -> (done: [LoopTask<Value>], pending: [LoopTask<Value>]) {
    require(!tasks.isEmpty, "AsyncIO.wait(for:) was called without a task, and would wait for ever.")
    let loop = Loops.here("AsyncIO.wait(for:)")
    return try await wait(Loops.each(of: tasks, on: loop, "AsyncIO.wait(for:)"), condition, timeout, on: loop)
}

private func wait<Value: Sendable>(
    _ tasks: [LoopTask<Value>],
    _ condition: WaitCondition,
    _ timeout: Duration?,
    on loop: isolated EventLoop
) async throws -> (done: [LoopTask<Value>], pending: [LoopTask<Value>]) {
    try Task.checkCancellation()
    let shared = LoopBound(Progress(tasks.compactMap(\.recordIfHere), condition, on: loop), on: loop)
    let progress = shared.value(on: loop)
    let callbacks = tasks.map { task in
        task.whenDone(on: loop) { loop, failure in shared.value(on: loop).ended(failure) }
    }
    defer { for callback in callbacks { callback.cancel() } }
    let timer = timeout.map { loop.schedule(after: $0) { progress.end() } }
    defer { timer?.cancel() }
    while !progress.isEnough { try await progress.park.wait(on: loop) }
    return (tasks.filter(\.isDone), tasks.filter { !$0.isDone })
}

/// How far a wait for several tasks is.
private final class Progress {
    let park: Park
    /// Whether what was waited for has happened, or the time has passed.
    private(set) var isEnough = false
    private let condition: WaitCondition
    private var remaining: Int

    init(_ tasks: [TaskRecord], _ condition: WaitCondition, on loop: isolated EventLoop) {
        park = ExplainedPark(on: loop, .tasks(tasks))
        remaining = tasks.count
        self.condition = condition
    }

    func ended(_ failure: (any Error)?) {
        remaining -= 1
        switch condition {
        case .allCompleted: break
        case .firstCompleted: end()
        case .firstError: if let failure, !(failure is CancellationError) { end() }
        }
        if remaining == 0 { end() }
    }

    func end() {
        isEnough = true
        park.wake()
    }
}

extension Loops {
    /// The tasks, each once, which must be of the loop that runs here.
    static func each<Value>(of tasks: [LoopTask<Value>], on loop: EventLoop, _ what: String) -> [LoopTask<Value>] {
        var seen: Set<LoopTask<Value>> = []
        return tasks.filter { task in
            require(
                task.loop === loop,
                "\(what) was given a task of another EventLoop. Await its value in a task of this one, and name that."
            )
            return seen.insert(task).inserted
        }
    }
}
