// The end of a future at which it is completed.

internal import Reactor

/// Completes a ``Future``, once, from any thread.
///
/// A promise that goes without having completed its future fails it with ``PromiseError/dropped``, so that nobody waits for
/// ever.
///
/// The corresponding asyncio names are `Future.set_result` and `Future.set_exception`.
public final class Promise<Value: Sendable>: Sendable {
    /// What this completes.
    public let future: Future<Value>

    /// Makes a promise and its future, on the loop that runs here.
    ///
    /// Must be called on a loop: elsewhere it traps.
    ///
    /// - Parameters:
    ///   - cancelsWithAwaiter: Whether cancelling a task that awaits the future cancels the future, as in asyncio.
    ///   - fileID: Where this was called, for messages.
    ///   - line: Where this was called, for messages.
    ///
    /// The corresponding asyncio name is `loop.create_future`.
    public init(cancelsWithAwaiter: Bool = false, fileID: StaticString = #fileID, line: UInt = #line) {
        let loop = Loops.here("Promise()", fileID, line)
        future = Future(here: loop, cancelsWithAwaiter: cancelsWithAwaiter, fileID, line)
    }

    deinit { future.eventual.fail(PromiseError.dropped) }

    /// Completes the future with a value, unless it is done; says whether this did it.
    ///
    /// Any thread; returns at once.
    @discardableResult
    public func succeed(_ value: Value) -> Bool { future.eventual.succeed(value) }

    /// Completes the future with an error, unless it is done; says whether this did it.
    ///
    /// Any thread; returns at once.
    @discardableResult
    public func fail(_ error: any Error) -> Bool { future.eventual.fail(error) }

    /// Completes the future, unless it is done; says whether this did it.
    ///
    /// Any thread; returns at once.
    @discardableResult
    public func complete(_ result: Result<Value, any Error>) -> Bool {
        switch result {
        case .success(let value): succeed(value)
        case .failure(let error): fail(error)
        }
    }
}

extension Promise where Value == Void {
    /// Completes the future, unless it is done; says whether this did it.
    @discardableResult
    public func succeed() -> Bool { succeed(()) }
}

/// What went wrong with a promise.
public enum PromiseError: Error, Hashable, Sendable, CustomStringConvertible {
    /// It went without having completed its future.
    case dropped

    /// A sentence.
    public var description: String { "A Promise was dropped without having completed its future." }
}
