// Tasks that any thread starts on a loop, and whose ends are chained: cancelling the one who waits cancels the task, and
// whatever ends the task ends the waits.
//
// Ground rules:
//   * What is known of the task is guarded, and belongs to no loop: so a wait can neither outlive the loop of the task
//     nor be lost with it.
//   * The ticket is held by whatever is still to run: the submission, then the task. If it goes without a result, nobody
//     can have one any more, and it says so.

internal import Reactor

/// A task that was started on a loop from any thread, with ``EventLoop/submitTask(name:fileID:line:_:)``.
///
/// Any thread. It may be dropped; the task goes on. An error that it throws, if nobody has awaited or asked for it when the
/// last reference goes, is reported to the loop's ``EventLoop/Configuration/onIssue``.
///
/// The corresponding asyncio name is the `concurrent.futures.Future` of `run_coroutine_threadsafe`.
public final class SubmittedTask<Value: Sendable>: Sendable {
    private let work: SubmittedWork<Value>
    private let submission: Submission

    fileprivate init(_ work: SubmittedWork<Value>, _ submission: Submission) {
        (self.work, self.submission) = (work, submission)
    }

    /// The loop that the task runs on.
    public var loop: EventLoop { work.loop }

    /// The name that it was given, for messages.
    public var name: String? { work.name }

    /// The result, when the task has ended.
    ///
    /// Any number of tasks may wait, on this loop, on others and on none. They are chained to this one: cancelling one
    /// that waits cancels this task, as the end of its loop does, and ends its wait at once. Who only wants to look awaits
    /// it in ``shield(name:fileID:line:_:)``.
    ///
    /// - Throws: What the task throws; `CancellationError` if it or the waiting task was cancelled;
    ///   ``LoopError/loopClosed`` if the loop closed before the task began.
    ///
    /// The corresponding asyncio name is `asyncio.wrap_future`.
    public var value: Value {
        get async throws {
            let wait = ForeignWait("SubmittedTask")
            if let number = work.onEnd({ wait.end() }) {
                await wait.wait()
                work.forget(number)
            }
            if let result = work.result() { return try result.get() }
            cancel()
            throw CancellationError()
        }
    }

    /// Waits for the result while this thread does nothing else.
    ///
    /// For code that is no task; not on the loop's own thread, where it traps.
    ///
    /// - Parameter timeout: How long to wait; nil waits as long as it takes. When it has passed, the task goes on: it can
    ///   be waited for again, or cancelled.
    /// - Returns: What the task returns.
    /// - Throws: What the task throws; ``LoopError/timedOut(_:)``; otherwise as ``value``.
    ///
    /// The corresponding asyncio name is `concurrent.futures.Future.result`.
    @available(*, noasync, message: "it would block a thread of Swift's pool; use `try await task.value`")
    public func wait(timeout: Duration? = nil) throws -> Value {
        require(
            !loop.isCurrent,
            "SubmittedTask.wait was called on the thread of the task's own EventLoop, which would wait for itself for ever."
        )
        let rendezvous = Rendezvous<Void>()
        if let number = work.onEnd({ rendezvous.complete(.success(())) }) {
            _ = rendezvous.wait(timeout)
            work.forget(number)
        }
        guard let result = work.result() else {
            throw LoopError.timedOut("A task submitted to the EventLoop '\(loop.configuration.name)'")
        }
        return try result.get()
    }

    /// The result if the task has ended; nil as long as it has not.
    ///
    /// Asking counts as having seen an error.
    public var result: Result<Value, any Error>? { work.result() }

    /// Whether the task has ended.
    public var isDone: Bool { work.isDone }

    /// Whether it was cancelled; it may not have ended yet.
    public var isCancelled: Bool { work.isCancelled }

    /// Cancels the task.
    ///
    /// One that has not begun never does: this differs from Swift's own tasks. One that has ends when it notices, which
    /// every wait of this library does at once. Any thread; returns at once.
    ///
    /// - Returns: Whether it had not ended.
    ///
    /// The corresponding asyncio name is `concurrent.futures.Future.cancel`.
    @discardableResult
    public func cancel() -> Bool {
        guard work.cancel() else { return false }
        // The ticket goes with the submission's closure, and ends the work.
        submission.cancel()
        return true
    }
}

extension EventLoop {
    /// Starts a task on the loop, from any thread.
    ///
    ///     let task = try loop.submitTask { loop in try await refresh(on: loop) }
    ///     let page = try task.wait(timeout: .seconds(5))
    ///
    /// It begins in a later turn of the loop, in one order with what this thread submits otherwise, and is one of the loop's
    /// tasks like those of ``spawn(name:eager:fileID:line:_:)``: listed, and cancelled and awaited when the run ends. It
    /// inherits nothing from the caller. Returns at once.
    ///
    /// From a task that wants to do something on another loop and go on, ``run(_:)`` is simpler.
    ///
    /// - Parameters:
    ///   - name: For messages.
    ///   - fileID: Where this was called, for messages.
    ///   - line: Where this was called, for messages.
    ///   - body: What the task does, on the loop.
    /// - Returns: The task, which may be dropped.
    /// - Throws: ``LoopError/loopClosed``.
    ///
    /// The corresponding asyncio name is `asyncio.run_coroutine_threadsafe`.
    @discardableResult
    public nonisolated func submitTask<Value: Sendable>(
        name: String? = nil,
        fileID: StaticString = #fileID,
        line: UInt = #line,
        _ body: @escaping @Sendable (isolated EventLoop) async throws -> Value
    ) throws -> SubmittedTask<Value> {
        let work = SubmittedWork<Value>(self, name, fileID, line)
        let ticket = Ticket(work)
        let submission = try submit { loop in ticket.begin(body, on: loop) }
        return SubmittedTask(work, submission)
    }
}

/// What is known of a submitted task.
private final class SubmittedWork<Value: Sendable>: Sendable {
    private struct State {
        var result: Result<Value, any Error>?
        var task: LoopTask<Void>?
        var isCancelled = false
        var isObserved = false
        var waits: [UInt64: @Sendable () -> Void] = [:]
        var lastNumber: UInt64 = 0
    }

    let loop: EventLoop
    let name: String?
    let file: StaticString
    let line: UInt
    private let state = Guarded(State())

    init(_ loop: EventLoop, _ name: String?, _ file: StaticString, _ line: UInt) {
        (self.loop, self.name, self.file, self.line) = (loop, name, file, line)
    }

    deinit {
        let (result, isObserved) = state.locked { ($0.result, $0.isObserved) }
        guard case .failure(let error)? = result, !isObserved, !(error is CancellationError) else { return }
        let subject = "\(name.map { "task \($0)" } ?? "the task") of \(file):\(line)"
        loop.reportAnywhere(.unobservedError(error), subject)
    }

    var isDone: Bool { state.locked { $0.result != nil } }
    var isCancelled: Bool { state.locked { $0.isCancelled } }

    /// The result, which counts as seen then.
    func result() -> Result<Value, any Error>? {
        state.locked { state in
            if state.result != nil { state.isObserved = true }
            return state.result
        }
    }

    /// Ends it; the first end counts.
    func complete(_ result: Result<Value, any Error>) {
        let (waits, task) = state.locked { state -> ([UInt64: @Sendable () -> Void], LoopTask<Void>?) in
            guard state.result == nil else { return ([:], nil) }
            state.result = result
            defer { state.waits = [:] }
            return (state.waits, state.task.take())
        }
        for (_, wait) in waits.sorted(by: { $0.key < $1.key }) { wait() }
        withExtendedLifetime(task) {}
    }

    /// Has `body` called at the end; nil, and it is not, if that has come already.
    func onEnd(_ body: @escaping @Sendable () -> Void) -> UInt64? {
        state.locked { state in
            guard state.result == nil else { return nil }
            state.lastNumber += 1
            state.waits[state.lastNumber] = body
            return state.lastNumber
        }
    }

    /// Forgets what is to be called at the end.
    func forget(_ number: UInt64) {
        let body = state.locked { $0.waits.removeValue(forKey: number) }
        withExtendedLifetime(body) {}
    }

    /// The task was made.
    func begins(_ task: LoopTask<Void>) {
        let isCancelled = state.locked { state in
            if state.result == nil { state.task = task }
            return state.isCancelled
        }
        if isCancelled { task.cancel() }
    }

    /// Cancels the task if there is one, and whatever comes of it if not; false if it has ended.
    func cancel() -> Bool {
        let (isOver, task) = state.locked { state in
            if state.result == nil { state.isCancelled = true }
            return (state.result != nil, state.task)
        }
        task?.cancel()
        return !isOver
    }
}

/// Held by whatever is still to run.
private final class Ticket<Value: Sendable>: Sendable {
    private let work: SubmittedWork<Value>

    init(_ work: SubmittedWork<Value>) { self.work = work }

    deinit { work.complete(.failure(work.isCancelled ? CancellationError() : LoopError.loopClosed)) }

    func begin(_ body: @escaping @Sendable (isolated EventLoop) async throws -> Value, on loop: isolated EventLoop) {
        // Cancelled when the loop had taken it already.
        if work.isCancelled { return }
        let task = spawn(name: work.name, fileID: work.file, line: work.line) { [self] in
            do { work.complete(.success(try await body(loop))) } catch { work.complete(.failure(error)) }
        }
        work.begins(task)
    }
}
