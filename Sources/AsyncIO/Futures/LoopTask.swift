// Tasks that a loop knows: it cancels and awaits them when its run ends, which it cannot do with a bare `Task { }`.

/// A task that was spawned on a loop.
///
/// It may be dropped; the task goes on. Any thread. An error that it throws, if nobody has awaited or asked for it when
/// the last reference goes, is reported to the loop's ``EventLoop/Configuration/onIssue``.
///
/// The corresponding asyncio name is `asyncio.Task`.
public final class LoopTask<Value: Sendable>: Sendable {
    let eventual: Eventual
    private let task: Task<Void, Never>
    private let record: LoopBound<TaskRecord>

    /// The name that it was given, for messages.
    ///
    /// The corresponding asyncio name is `Task.get_name`.
    public let name: String?

    fileprivate init(_ spawned: Spawned, _ name: String?) {
        self.name = name
        (eventual, record, task) = (spawned.eventual, spawned.record, spawned.task)
    }

    /// What the loop knows of it, if this is that loop.
    var recordIfHere: TaskRecord? { record.ifHere }

    /// Has `body` called when the task has ended, before those go on who wait for it, and within this call if it has
    /// ended already; counts as nothing.
    @discardableResult
    func whenDone(
        on loop: isolated EventLoop,
        _ body: @escaping @Sendable (isolated EventLoop, (any Error)?) -> Void
    ) -> EventualCallback {
        let callback = EventualCallback()
        if eventual.isDone {
            body(loop, eventual.failure)
        } else {
            eventual.onCompletion(callback, atOnce: true) { [eventual] loop in body(loop, eventual.failure) }
        }
        return callback
    }

    /// The loop that it was spawned on.
    public var loop: EventLoop { eventual.loop }

    /// The result, when the task has ended.
    ///
    /// Any number of tasks may wait. Cancelling one that waits ends its wait with `CancellationError` and leaves this
    /// task alone.
    ///
    /// - Throws: What the task throws; ``TaskError/awaitsItself`` in the task itself; `CancellationError` as said, or if
    ///   the loop ends.
    public var value: Value {
        get async throws { try await eventual.value(of: record) }
    }

    /// The result if the task has ended; nil as long as it has not.
    ///
    /// Asking counts as having seen an error. The corresponding asyncio names are `Task.result` and `Task.exception`.
    public var result: Result<Value, any Error>? { eventual.result() }

    /// Whether the task has ended.
    ///
    /// The corresponding asyncio name is `Task.done`.
    public var isDone: Bool { eventual.isDone }

    /// Cancels the task.
    ///
    /// It ends when it notices, which every wait of this library does at once. Any thread.
    ///
    /// The corresponding asyncio name is `Task.cancel`.
    public func cancel() { task.cancel() }

    /// Whether it was cancelled; it may not have ended yet.
    public var isCancelled: Bool { task.isCancelled }

    /// Has `body` called on the loop when the task has ended: see ``Future/onComplete(_:)``.
    ///
    /// The corresponding asyncio name is `Task.add_done_callback`.
    @discardableResult
    public func onComplete(
        _ body: @escaping @Sendable (isolated EventLoop, Result<Value, any Error>) -> Void
    ) -> FutureCallback {
        eventual.onComplete(body)
    }
}

/// What went wrong with a task.
public enum TaskError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A task awaited itself, which would be for ever.
    case awaitsItself

    /// A sentence.
    public var description: String { "A task awaits its own result, which would be for ever." }
}

/// Starts a task on the loop that runs here, with the isolation of the code that spawns it.
///
/// It begins in the loop's next turn, or at once if it is `eager`. When the loop's run ends, the task is cancelled and
/// awaited; an error that it throws then goes to ``EventLoop/Configuration/onIssue``.
///
/// Must be called on a loop: elsewhere it traps.
///
/// - Parameters:
///   - name: For messages.
///   - eager: Whether it runs within this call until it waits for the first time, or ends: for short work that mostly
///     need not wait. Only in a task and with its isolation: what a callback spawns begins in the next turn.
///   - fileID: Where this was called, for messages.
///   - line: Where this was called, for messages.
///   - body: What the task does.
/// - Returns: The task, which may be dropped.
///
/// The corresponding asyncio name is `asyncio.create_task`, with its `eager_start`.
@discardableResult
public nonisolated func spawn<Value: Sendable>(
    name: String? = nil,
    eager: Bool = false,
    fileID: StaticString = #fileID,
    line: UInt = #line,
    @_inheritActorContext(always) _ body: @escaping @Sendable @isolated(any) () async throws -> Value
) -> LoopTask<Value> {
    let loop = Loops.here("AsyncIO.spawn", fileID, line)
    // A body that is isolated to nothing stays on the loop by preferring it.
    let preference = body.isolation == nil ? loop.taskExecutor : nil
    let spawned = loop.assumeIsolated { start(name, eager, preference, fileID, line, on: $0) { try await body() } }
    return LoopTask(spawned, name)
}

/// What a task is made of, whatever its result.
private struct Spawned {
    let eventual: Eventual
    let record: LoopBound<TaskRecord>
    let task: Task<Void, Never>
}

/// Not generic, as generic code asks the runtime for its types at every step.
private func start(
    _ name: String?,
    _ eager: Bool,
    _ preference: (any TaskExecutor)?,
    _ file: StaticString,
    _ line: UInt,
    on loop: isolated EventLoop,
    _ body: @escaping @Sendable () async throws -> any Sendable
) -> Spawned {
    let newRecord = loop.spawned.add(name: name, file: file, line: line)
    let record = LoopBound(newRecord, on: loop)
    let eventual = Eventual(.task(name: name, file: file, line: line), record: newRecord, here: loop)
    let deadline = Deadline.inherited
    let finish: @Sendable (isolated EventLoop) async -> Void = { loop in
        let record = record.value(on: loop)
        record.begins()
        do {
            let value = try await deadline == nil ? body() : run(body, until: deadline)
            eventual.succeed(value)
        } catch {
            if loop.isEnding, !(error is CancellationError) {
                loop.report(.uncaughtError(error), "task \(record.title), which the end of the run cancelled")
                eventual.observe()
            }
            eventual.fail(error)
        }
        loop.spawned.remove(record)
    }
    let task =
        switch (preference, eager) {
        case (let preference?, false): Task(name: name, executorPreference: preference) { await finish(loop) }
        case (let preference?, true): Task.immediate(name: name, executorPreference: preference) { await finish(loop) }
        case (nil, false): Task(name: name) { await finish(loop) }
        case (nil, true): Task.immediate(name: name) { await finish(loop) }
        }
    loop.spawned.made(newRecord, task)
    return Spawned(eventual: eventual, record: record, task: task)
}

/// Runs the body of a task that has inherited a deadline.
private func run(
    _ body: @escaping @Sendable () async throws -> any Sendable,
    until deadline: LoopInstant?
) async throws -> any Sendable {
    try await Deadline.run(until: deadline) { _ in try await body() }
}

/// The loop of the caller.
enum Loops {
    /// The loop that runs here, or a sentence that says what to do.
    static func here(_ what: String, _ file: StaticString = #fileID, _ line: UInt = #line) -> EventLoop {
        guard let loop = EventLoop.current else { fatalError(mistake(what), file: file, line: line) }
        return loop
    }

    /// Runs an operation with its own isolation; on `loop`, if it is isolated to nothing.
    static func run<Value: Sendable>(
        _ operation: @Sendable @isolated(any) () async throws -> Value,
        on loop: EventLoop
    ) async throws -> Value {
        guard operation.isolation == nil, loop.configuration.globalExecutor == .pool else {
            return try await operation()
        }
        return try await withTaskExecutorPreference(loop.taskExecutor) { try await operation() }
    }

    static func mistake(_ what: String) -> String {
        "\(what) was called where no event loop runs. Call it inside AsyncIO.run { } or withEventLoop { }. If you do, "
            + "the function around the call is nonisolated and async and therefore runs on Swift's pool: isolate it to "
            + "the main actor, or enable the feature NonisolatedNonsendingByDefault in your package."
    }
}
