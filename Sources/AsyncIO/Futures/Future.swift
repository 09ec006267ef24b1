// A value that comes later, from anywhere, for anybody.
//
// Ground rules:
//   * The result is set once, on any thread; that alone decides who was first and what is read.
//   * Whoever waits, waits on the future's loop. Being told (waking, calling back) happens there as well, after the result
//     was set, in the order of registration and never within the call that completed it.
//   * A failure that nobody has looked at when the last reference goes is reported, as it would be lost otherwise.

internal import Reactor

/// A result that is not there yet.
///
/// Made with a ``Promise``, which completes it. Any thread may hold it, ask it and await it; any number of tasks may wait.
///
///     let promise = Promise<Int>()
///     legacy.fetch { value in promise.succeed(value) }        // on any thread
///     let value = try await promise.future.value
///
/// A failure that nobody has awaited or asked for when the future goes is reported to the loop's
/// ``EventLoop/Configuration/onIssue``, unless it is a cancellation.
///
/// The corresponding asyncio names are `asyncio.Future` and `concurrent.futures.Future`.
public final class Future<Value: Sendable>: Sendable {
    /// The loop on which tasks wait for it and callbacks run.
    public let loop: EventLoop

    private let outcome = Outcome<Value>()
    private let waiters: LoopBound<FutureWaiters<Value>>
    private let cancelsWithAwaiter: Bool
    private let taskName: String?
    private let isOfTask: Bool
    private let site: (file: StaticString, line: UInt)

    init(here loop: EventLoop, cancelsWithAwaiter: Bool, _ file: StaticString, _ line: UInt) {
        self.loop = loop
        self.cancelsWithAwaiter = cancelsWithAwaiter
        (taskName, isOfTask, site) = (nil, false, (file, line))
        waiters = LoopBound(FutureWaiters(), here: loop)
    }

    /// The result of a task.
    init(taskOn loop: isolated EventLoop, _ record: TaskRecord, _ name: String?, _ file: StaticString, _ line: UInt) {
        self.loop = loop
        cancelsWithAwaiter = false
        (taskName, isOfTask, site) = (name, true, (file, line))
        waiters = LoopBound(FutureWaiters(), on: loop)
        waiters.value(on: loop).line.record = record
    }

    deinit {
        guard let error = outcome.unobservedFailure, !(error is CancellationError) else { return }
        let what = isOfTask ? taskName.map { "task \($0)" } ?? "the task" : "the future"
        loop.reportAnywhere(.unobservedError(error), "\(what) of \(site.file):\(site.line)")
    }

    /// Counts a failure as seen.
    func observe() { outcome.observe() }

    /// The result if it is there; nil as long as it is not.
    ///
    /// Any thread. Asking counts as having seen a failure.
    ///
    /// The corresponding asyncio names are `Future.result` and `Future.exception`.
    public var result: Result<Value, any Error>? {
        guard let result = outcome.result else { return nil }
        outcome.observe()
        return result
    }

    /// Whether the result is there.
    ///
    /// The corresponding asyncio name is `Future.done`.
    public var isDone: Bool { outcome.result != nil }

    /// Whether it was cancelled before there was a result.
    ///
    /// The corresponding asyncio name is `Future.cancelled`.
    public var isCancelled: Bool {
        if case .failure(let error) = outcome.result { error is CancellationError } else { false }
    }

    /// The value, when it is there.
    ///
    /// Returns at once if it is. Cancelling a task that waits ends its wait, and not the future, unless the promise was
    /// made with `cancelsWithAwaiter`.
    ///
    /// - Throws: The failure; `CancellationError` if the future or the waiting task was cancelled, or if the loop ends.
    public var value: Value {
        get async throws {
            outcome.observe()
            if let result = outcome.result { return try result.get() }
            return try await value(on: loop)
        }
    }

    private func value(on loop: isolated EventLoop) async throws -> Value {
        while true {
            if let result = outcome.result { return try result.get() }
            do {
                try await waiters.value(on: loop).line.wait()
            } catch {
                if cancelsWithAwaiter && Task.isCancelled { cancel() }
                throw error
            }
        }
    }

    /// Completes it with `CancellationError`, unless it is done.
    ///
    /// Any thread; returns at once. Whoever completes it later is told that it was too late.
    ///
    /// - Returns: Whether this call did it.
    ///
    /// The corresponding asyncio name is `Future.cancel`.
    @discardableResult
    public func cancel() -> Bool { complete(.failure(CancellationError())) }

    /// Has `body` called on the loop when the result is there, in the order of registration, and never before this
    /// returns.
    ///
    /// Any thread. Counts as having seen a failure.
    ///
    /// - Returns: A token that can take the callback back; it may be dropped.
    ///
    /// The corresponding asyncio name is `Future.add_done_callback`.
    @discardableResult
    public func onComplete(
        _ body: @escaping @Sendable (isolated EventLoop, Result<Value, any Error>) -> Void
    ) -> FutureCallback {
        outcome.observe()
        let callback = FutureCallback(loop)
        perform { waiters, loop in
            waiters.add(callback, body)
            if self.outcome.result != nil { self.tell(waiters, on: loop) }
        }
        return callback
    }

    /// The same for this library's own use: is told at once, before tasks that wait go on, and counts as nothing.
    @discardableResult
    func whenDone(_ body: @escaping @Sendable (isolated EventLoop) -> Void) -> FutureCallback {
        let callback = FutureCallback(loop)
        perform { waiters, loop in
            waiters.addObserver(callback, body)
            if self.outcome.result != nil { self.tell(waiters, on: loop) }
        }
        return callback
    }

    /// The error, if it failed; does not count as having seen it.
    var failure: (any Error)? {
        if case .failure(let error) = outcome.result { error } else { nil }
    }

    @discardableResult
    func complete(_ result: Result<Value, any Error>) -> Bool {
        guard outcome.complete(result) else { return false }
        perform { [self] waiters, loop in tell(waiters, on: loop) }
        return true
    }

    private func tell(_ waiters: FutureWaiters<Value>, on loop: isolated EventLoop) {
        guard let result = outcome.result else { return }
        waiters.tell(result, on: loop)
    }

    /// On the loop: at once if it runs here, or else soon; never if it is closed, as nobody waits there any more.
    private func perform(
        _ body: @escaping @Sendable (FutureWaiters<Value>, isolated EventLoop) -> Void
    ) {
        if loop.isCurrent {
            loop.assumeIsolated { body(waiters.value(on: $0), $0) }
        } else {
            _ = try? loop.submit { [waiters] loop in body(waiters.value(on: loop), loop) }
        }
    }
}

/// A callback that was registered with ``Future/onComplete(_:)``.
public final class FutureCallback: Sendable {
    private let loop: EventLoop
    private let wasCancelled = AtomicFlag()

    fileprivate init(_ loop: EventLoop) { self.loop = loop }

    /// Takes the callback back, if it has not been called.
    ///
    /// Any thread; does not wait for one that is running.
    ///
    /// The corresponding asyncio name is `Future.remove_done_callback`.
    public func cancel() { wasCancelled.set() }

    fileprivate var isWanted: Bool { !wasCancelled.isSet }
}

/// Who is to be told of a result, on the loop.
final class FutureWaiters<Value: Sendable> {
    typealias Body = @Sendable (isolated EventLoop, Result<Value, any Error>) -> Void

    let line = WaitQueue("Future")
    private var callbacks: [(FutureCallback, Body)] = []
    private var observers: [(FutureCallback, @Sendable (isolated EventLoop) -> Void)] = []

    fileprivate func addObserver(_ callback: FutureCallback, _ body: @escaping @Sendable (isolated EventLoop) -> Void) {
        observers.removeAll { !$0.0.isWanted }
        observers.append((callback, body))
    }

    fileprivate func add(_ callback: FutureCallback, _ body: @escaping Body) { callbacks.append((callback, body)) }

    fileprivate func tell(_ result: Result<Value, any Error>, on loop: isolated EventLoop) {
        let observers = observers
        self.observers = []
        for (callback, body) in observers where callback.isWanted { body(loop) }
        line.wakeAll()
        let callbacks = callbacks
        self.callbacks = []
        for (callback, body) in callbacks {
            loop.schedule { if callback.isWanted { body(loop, result) } }
        }
    }
}
