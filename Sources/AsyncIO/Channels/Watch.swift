// A value, and those who want to know when it changes. Changes are counted, so that who looks too late knows that there
// was one, and never how many.

internal import Reactor

/// A value that tasks of one loop watch: they see the latest, and not each one before it.
///
///     let level = Watch(0)
///     AsyncIO.spawn { for try await value in level.changes { show(value) } }
///     level.value = 3
///     try await level.wait { $0 > 10 }
///
/// Belongs to the code of one loop; not `Sendable`, nor need the value be.
///
/// asyncio has nothing like it; `tokio::sync::watch` is similar.
public final class Watch<Value> {
    private var current: Value
    private let line = WaitQueue("Watch")
    /// How many changes there were.
    fileprivate private(set) var version = 0

    /// Whether ``finish()`` was called.
    public private(set) var isFinished = false

    /// Creates a watch with a first value.
    public init(_ value: Value) { current = value }

    /// The latest value.
    ///
    /// Each assignment counts as a change, also one of an equal value. Those who wait go on later, in the order in which
    /// they came, and see what the value is then. Changing a part of it in place is one change.
    public var value: Value {
        get { current }
        _modify {
            defer { tell() }
            yield &current
        }
    }

    /// Changes the value in place, as one change.
    ///
    /// - Returns: What `body` returns.
    /// - Throws: What `body` throws; it counts as a change even then.
    @discardableResult
    public func update<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        defer { tell() }
        return try body(&current)
    }

    private func tell() {
        version += 1
        line.wakeAll()
    }

    /// The changes from here on: the latest value after each, without those in between that nobody had time for.
    ///
    /// A change counts if it comes after this property was asked for, also before a loop over it begins. The sequence ends
    /// when the watch is finished and its last change was seen.
    public var changes: Changes { Changes(watch: self, seen: version) }

    /// The value as it is, and then its ``changes``.
    public var values: Changes { Changes(watch: self, seen: version - 1) }

    /// Waits until `predicate` is true of the value, which is looked at now and after changes.
    ///
    /// A value that is replaced before this task has had its turn is not looked at.
    ///
    /// - Returns: The value of which it is true.
    /// - Throws: What `predicate` throws; ``WatchError/finished`` if the watch is finished and it is not true;
    ///   `CancellationError` if the task is cancelled while it waits, or the loop ends.
    ///
    /// `tokio::sync::watch::Receiver::wait_for` is similar.
    @discardableResult
    public func wait(until predicate: (Value) throws -> Bool) async throws -> Value {
        while true {
            let value = current
            if try predicate(value) { return value }
            if isFinished { throw WatchError.finished }
            try await line.wait()
        }
    }

    /// Says that nobody need wait any more: sequences of changes end, and waits that are not satisfied throw.
    ///
    /// The value can still be read, and changed. Idempotent.
    public func finish() {
        isFinished = true
        line.wakeAll()
    }

    fileprivate func next(after seen: inout Int) async throws -> Value? {
        while seen == version {
            if isFinished { return nil }
            try await line.wait()
        }
        seen = version
        return current
    }
}

extension Watch {
    /// The changes of a watch: see ``Watch/changes``.
    public struct Changes: AsyncSequence {
        /// The value.
        public typealias Element = Value

        fileprivate let watch: Watch
        fileprivate let seen: Int

        /// Sees each change once.
        public struct AsyncIterator: AsyncIteratorProtocol {
            fileprivate let watch: Watch
            fileprivate var seen: Int

            /// The value when it has changed since the last time; nil when the watch is finished.
            ///
            /// - Throws: `CancellationError` if the task is cancelled while it waits, or the loop ends.
            public mutating func next() async throws -> Value? { try await watch.next(after: &seen) }

            /// The same with the isolation of the caller.
            public mutating func next(isolation: isolated (any Actor)?) async throws(any Error) -> Value? {
                try await watch.next(after: &seen)
            }
        }

        /// Iterates over the changes since the sequence was asked for.
        ///
        /// Any number of tasks may: each sees the changes.
        public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(watch: watch, seen: seen) }
    }
}

/// Why a watch is waited for in vain.
public enum WatchError: Error, Hashable, Sendable, CustomStringConvertible {
    /// It was finished: see ``Watch/finish()``.
    case finished

    /// A sentence.
    public var description: String { "The Watch is finished." }
}
