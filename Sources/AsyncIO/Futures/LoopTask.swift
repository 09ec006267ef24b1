// Tasks that a loop knows: it cancels and awaits them when its run ends, which it cannot do with a bare `Task { }`.

public import Reactor

/// A task that was spawned on a loop.
///
/// It may be dropped; the task goes on. Any thread. Two are equal if they are the same task. An error that it throws, if nobody has awaited or asked for it when
/// the last reference goes, is reported to the loop's ``EventLoop/Configuration/onIssue``.
///
/// The corresponding asyncio name is `asyncio.Task`.
public struct LoopTask<Value: Sendable>: Sendable, Hashable {
    @usableFromInline let record: TaskRecord

    @inlinable
    init(_ record: TaskRecord) { self.record = record }

    /// The name that it was given, for messages.
    ///
    /// The corresponding asyncio name is `Task.get_name`.
    public var name: String? { record.name }

    /// Whether both are the same task.
    public static func == (a: LoopTask, b: LoopTask) -> Bool { a.record === b.record }

    /// By which task it is.
    public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(record)) }

    /// What the loop knows of it, if this is that loop.
    var recordIfHere: TaskRecord? { loop.isCurrent ? record : nil }

    /// Has `body` called when the task has ended, before those go on who wait for it, and within this call if it has
    /// ended already; counts as nothing.
    @discardableResult
    func whenDone(
        on loop: isolated EventLoop,
        _ body: @escaping @Sendable (isolated EventLoop, (any Error)?) -> Void
    ) -> EventualCallback {
        let callback = EventualCallback()
        if record.isDone {
            body(loop, record.failure)
        } else {
            record.onCompletion(callback, atOnce: true) { [unowned record] loop in
                body(loop, record.failure)
            }
        }
        return callback
    }

    /// The loop that it was spawned on.
    public var loop: EventLoop { record.loop }

    /// The result, when the task has ended.
    ///
    /// Any number of tasks may wait. Cancelling one that waits ends its wait with `CancellationError` and leaves this
    /// task alone.
    ///
    /// - Throws: What the task throws; ``TaskError/awaitsItself`` in the task itself; `CancellationError` as said, or if
    ///   the loop ends.
    public var value: Value {
        @inlinable
        @inline(__always)
        get async throws {
            if record.isAwaitedByItself { throw TaskError.awaitsItself }
            return try await record.value(as: Value.self)
        }
    }

    /// The result if the task has ended; nil as long as it has not.
    ///
    /// Asking counts as having seen an error. The corresponding asyncio names are `Task.result` and `Task.exception`.
    public var result: Result<Value, any Error>? { record.result() }

    /// Whether the task has ended.
    ///
    /// The corresponding asyncio name is `Task.done`.
    public var isDone: Bool { record.isDone }

    /// Cancels the task.
    ///
    /// It ends when it notices, which every wait of this library does at once. Any thread.
    ///
    /// The corresponding asyncio name is `Task.cancel`.
    public func cancel() { record.cancel() }

    /// Whether it was cancelled; it may not have ended yet.
    public var isCancelled: Bool { record.isCancelled }

    /// Has `body` called on the loop when the task has ended: see ``Future/onComplete(_:)``.
    ///
    /// The corresponding asyncio name is `Task.add_done_callback`.
    @discardableResult
    public func onComplete(
        _ body: @escaping @Sendable (isolated EventLoop, Result<Value, any Error>) -> Void
    ) -> FutureCallback {
        record.onComplete(body)
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
/// Bodies without a name may run in one and the same task of Swift's, one after the other. Nothing passes from one to the
/// next: values, priority and cancellation are each one's own.
///
/// - Parameters:
///   - name: For messages; also the name of Swift's task.
///   - eager: Whether it runs within this call until it waits for the first time, or ends: for short work that mostly
///     need not wait. Only in a task and with its isolation: what a callback spawns begins in the next turn.
///   - fileID: Where this was called, for messages.
///   - line: Where this was called, for messages.
///   - body: What the task does.
/// - Returns: The task, which may be dropped.
///
/// The corresponding asyncio name is `asyncio.create_task`, with its `eager_start`.
@discardableResult
@inlinable
public nonisolated func spawn<Value: Sendable>(
    name: String? = nil,
    eager: Bool = false,
    fileID: StaticString = #fileID,
    line: UInt = #line,
    @_inheritActorContext(always) _ body: @escaping @Sendable @isolated(any) () async throws -> Value
) -> LoopTask<Value> {
    guard let record = TaskRecord.make(name: name, fileID, line) else { Loops.isMissing("AsyncIO.spawn", fileID, line) }
    if TaskLocals.mayBeSet, let deadline = Deadline.inherited {
        Spawning.begin(record, name, eager: eager, bounded(body, by: deadline, on: record.loop))
    } else {
        Spawning.begin(record, name, eager: eager, body)
    }
    return LoopTask(record)
}

/// The body of a task that has inherited a deadline, on its loop.
@usableFromInline
nonisolated func bounded<Value: Sendable>(
    _ body: @escaping @Sendable @isolated(any) () async throws -> Value,
    by deadline: LoopInstant,
    on loop: EventLoop
) -> @Sendable @isolated(any) () async throws -> Value {
    func bounded(on loop: isolated EventLoop) -> @Sendable @isolated(any) () async throws -> Value {
        {
            _ = loop
            return try await Deadline.run(until: deadline) { _ in try await Loops.run(body, on: loop) }
        }
    }
    return loop.assumeIsolated { bounded(on: $0) }
}

/// The loop of the caller.
@usableFromInline
enum Loops {
    /// The loop that runs here, or a sentence that says what to do.
    @usableFromInline
    static func here(_ what: String, _ file: StaticString = #fileID, _ line: UInt = #line) -> EventLoop {
        guard let loop = EventLoop.current else { isMissing(what, file, line) }
        return loop
    }

    /// Traps with that sentence.
    @usableFromInline
    @inline(never)
    static func isMissing(_ what: String, _ file: StaticString = #fileID, _ line: UInt = #line) -> Never {
        fatalError(mistake(what), file: file, line: line)
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
