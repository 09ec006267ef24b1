// A value that comes later, from anywhere, for anybody: the typed face of an `Eventual`.

internal import Reactor

/// A result that is not there yet.
///
/// Made with a ``Promise``, which completes it. Any thread may hold it, ask it and await it; any number of tasks may wait.
///
///     let promise = Promise<Int>()
///     legacy.fetch { value in promise.succeed(value) }
///     let value = try await promise.future.value
///
/// A failure that nobody has awaited or asked for when the future goes is reported to the loop's
/// ``EventLoop/Configuration/onIssue``, unless it is a cancellation.
///
/// The corresponding asyncio names are `asyncio.Future` and `concurrent.futures.Future`.
public struct Future<Value: Sendable>: Sendable, Hashable {
    let eventual: Eventual
    private let cancelsWithAwaiter: Bool

    init(here loop: EventLoop, cancelsWithAwaiter: Bool, _ file: StaticString, _ line: UInt) {
        self.cancelsWithAwaiter = cancelsWithAwaiter
        eventual = Eventual(here: loop, file, line)
    }

    /// Whether both are the same future.
    public static func == (a: Future, b: Future) -> Bool { a.eventual === b.eventual }

    /// By which future it is.
    public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(eventual)) }

    /// The loop on which tasks wait for it and callbacks run.
    public var loop: EventLoop { eventual.loop }

    /// The result if it is there; nil as long as it is not.
    ///
    /// Any thread. Asking counts as having seen a failure.
    ///
    /// The corresponding asyncio names are `Future.result` and `Future.exception`.
    public var result: Result<Value, any Error>? { eventual.result() }

    /// Whether the result is there.
    ///
    /// Any thread. The corresponding asyncio name is `Future.done`.
    public var isDone: Bool { eventual.isDone }

    /// Whether it was cancelled before there was a result.
    ///
    /// Any thread. The corresponding asyncio name is `Future.cancelled`.
    public var isCancelled: Bool { eventual.failure is CancellationError }

    /// The value, when it is there.
    ///
    /// Returns at once if it is. Cancelling a task that waits ends its wait, and not the future, unless the promise was
    /// made with `cancelsWithAwaiter`.
    ///
    /// - Throws: The failure; `CancellationError` if the future or the waiting task was cancelled, or if the loop ends.
    public var value: Value {
        get async throws {
            do {
                return try await eventual.value(as: Value.self)
            } catch {
                if cancelsWithAwaiter && !isDone && Task.isCancelled { cancel() }
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
    public func cancel() -> Bool { eventual.fail(CancellationError()) }

    /// Has `body` called on the loop when the result is there, in the order of registration, and never before this
    /// returns.
    ///
    /// Any thread. Tasks that wait for the value go on before. Counts as having seen a failure. On a loop that is closed,
    /// or closes before that, it is not called.
    ///
    /// - Returns: A token that can take the callback back; it may be dropped.
    ///
    /// The corresponding asyncio name is `Future.add_done_callback`.
    @discardableResult
    public func onComplete(
        _ body: @escaping @Sendable (isolated EventLoop, Result<Value, any Error>) -> Void
    ) -> FutureCallback {
        eventual.onComplete(body)
    }
}

/// A callback that was registered with ``Future/onComplete(_:)``.
public final class FutureCallback: Sendable {
    private let callback: EventualCallback

    fileprivate init(_ callback: EventualCallback) { self.callback = callback }

    /// Takes the callback back, if it has not been called.
    ///
    /// Any thread; does not wait for one that is running.
    ///
    /// The corresponding asyncio name is `Future.remove_done_callback`.
    public func cancel() { callback.cancel() }
}

extension Eventual {
    /// The result, when there is one; asking counts as having seen it.
    func result<Value: Sendable>() -> Result<Value, any Error>? {
        guard isDone else { return nil }
        observe()
        return Result { try get(as: Value.self)! }
    }

    /// Has `body` called on the loop when there is a result.
    func onComplete<Value: Sendable>(
        _ body: @escaping @Sendable (isolated EventLoop, Result<Value, any Error>) -> Void
    ) -> FutureCallback {
        observe()
        let callback = EventualCallback()
        // Not held, as it holds the callback, for ever if the loop closes before. It is there when it calls.
        onCompletion(callback, atOnce: false) { [unowned self] loop in
            if let result: Result<Value, any Error> = self.result() { body(loop, result) }
        }
        return FutureCallback(callback)
    }
}
