// Tasks that a loop knows: it cancels and awaits them when its run ends, which it cannot do with a bare `Task { }`.

/// A task that was spawned on a loop.
///
/// It may be dropped; the task goes on. Any thread.
///
/// The corresponding asyncio name is `asyncio.Task`.
public final class LoopTask<Value: Sendable>: Sendable {
    private let state: LoopBound<State>
    private let task: Task<Void, Never>

    /// The name that it was given, for messages.
    public let name: String?

    fileprivate init(_ name: String?, _ state: LoopBound<State>, _ task: Task<Void, Never>) {
        self.name = name
        self.state = state
        self.task = task
    }

    /// The result, when the task has ended.
    ///
    /// Any number of tasks may wait. Cancelling one that waits ends its wait with `CancellationError` and leaves this
    /// task alone.
    public var value: Value {
        get async throws {
            try await LoopTask.value(state, on: state.loop)
        }
    }

    private static func value(_ state: LoopBound<State>, on loop: isolated EventLoop) async throws -> Value {
        try await state.value(on: loop).value(on: loop)
    }

    /// Cancels the task.
    ///
    /// It ends when it notices, which every wait of this library does at once.
    ///
    /// The corresponding asyncio name is `Task.cancel`.
    public func cancel() { task.cancel() }

    /// Whether it was cancelled; it may not have ended yet.
    public var isCancelled: Bool { task.isCancelled }

    /// What the loop's thread knows of the task.
    final class State {
        private var result: Result<Value, any Error>?
        private var waiters: [Park] = []

        func value(on loop: isolated EventLoop) async throws -> Value {
            while result == nil {
                let park = Park(on: loop)
                waiters.append(park)
                defer { waiters.removeAll { $0 === park } }
                try await park.wait(on: loop)
            }
            return try result!.get()
        }

        func complete(_ result: Result<Value, any Error>) {
            self.result = result
            for waiter in waiters { waiter.wake() }
        }
    }
}

/// Starts a task on the loop that runs here, with the isolation of the code that spawns it.
///
/// It begins in the loop's next turn. When the loop's run ends, the task is cancelled and awaited; an error that it
/// throws then goes to ``EventLoop/Configuration/onIssue``.
///
/// Must be called on a loop: elsewhere it traps.
///
/// - Parameters:
///   - name: For messages.
///   - fileID: Where this was called, for messages.
///   - line: Where this was called, for messages.
///   - body: What the task does.
/// - Returns: The task, which may be dropped.
///
/// The corresponding asyncio name is `asyncio.create_task`.
@discardableResult
public nonisolated func spawn<Value: Sendable>(
    name: String? = nil,
    fileID: StaticString = #fileID,
    line: UInt = #line,
    @_inheritActorContext(always) _ body: @escaping @Sendable @isolated(any) () async throws -> Value
) -> LoopTask<Value> {
    Loops.here("AsyncIO.spawn", fileID, line).assumeIsolated { start(name, on: $0, body) }
}

private func start<Value: Sendable>(
    _ name: String?,
    on loop: isolated EventLoop,
    _ body: @escaping @Sendable @isolated(any) () async throws -> Value
) -> LoopTask<Value> {
    let state = LoopBound(LoopTask<Value>.State(), on: loop)
    let id = loop.spawned.nextID()
    // A body that is isolated to nothing stays on the loop by preferring it.
    let preference = body.isolation == nil ? loop.taskExecutor : nil
    let finish: @Sendable (isolated EventLoop) async -> Void = { loop in
        let result: Result<Value, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        if loop.isEnding, case .failure(let error) = result, !(error is CancellationError) {
            loop.report(.uncaughtError(error), "task \(name ?? "#\(id)"), which the end of the run cancelled")
        }
        state.value(on: loop).complete(result)
        loop.spawned.remove(id)
    }
    let task =
        if let preference {
            Task(name: name, executorPreference: preference) { await finish(loop) }
        } else {
            Task(name: name) { await finish(loop) }
        }
    loop.spawned.insert(id) { task.cancel() }
    return LoopTask(name, state, task)
}

/// The loop of the caller.
enum Loops {
    /// The loop that runs here, or a sentence that says what to do.
    static func here(_ what: String, _ file: StaticString = #fileID, _ line: UInt = #line) -> EventLoop {
        guard let loop = EventLoop.current else { fatalError(mistake(what), file: file, line: line) }
        return loop
    }

    static func mistake(_ what: String) -> String {
        "\(what) was called where no event loop runs. Call it inside AsyncIO.run { } or withEventLoop { }. If you do, "
            + "the function around the call is nonisolated and async and therefore runs on Swift's pool: isolate it to "
            + "the main actor, or enable the feature NonisolatedNonsendingByDefault in your package."
    }
}
