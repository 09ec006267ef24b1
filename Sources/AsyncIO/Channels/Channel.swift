// A channel between tasks that run anywhere. Its state is guarded by a lock, so that it belongs to no loop and nobody
// has to go elsewhere to use it; see ChannelState.swift.

public import Reactor

/// A bounded line of elements between tasks: of one loop, of several, of actors and of Swift's pool.
///
///     let channel = Channel<String>(capacity: 100)
///     AsyncIO.spawn { for try await line in channel { show(line) } }
///     try await channel.send("hello")
///     channel.close()
///
/// A send waits while the channel is full, a receive while it is empty; both are served first come, first served, and
/// elements come out in the order in which they went in. Each element goes to one receiver.
///
/// It belongs to no loop. A task waits where it runs, and a call that need not wait changes no thread. Each call takes a
/// lock for a moment; one that has to wait allocates; one that ends the wait of a task on another loop wakes that loop.
/// Between tasks of one loop ``AsyncQueue`` does the same without a lock, in a half to a third of the time.
///
/// Nothing closes it but ``close()``: a receiver waits for as long as somebody might send.
///
/// The corresponding asyncio name is `asyncio.Queue`, which one loop alone may use; `tokio::sync::mpsc` is similar.
public final class Channel<Element: Sendable>: Sendable {
    @usableFromInline let state: Guarded<ChannelState<Element>>

    /// How many elements it holds while nobody receives.
    public let capacity: Int

    /// Creates an empty channel.
    ///
    /// - Parameter capacity: How many elements it holds while nobody receives. With zero each send waits until its element
    ///   was received.
    @inlinable
    public init(capacity: Int = 1_024) {
        require(capacity >= 0, "A Channel cannot hold fewer than zero elements.")
        self.capacity = capacity
        state = Guarded(ChannelState(capacity: capacity))
    }

    /// How many elements it holds, those aside whose senders wait.
    ///
    /// Any thread; it may change at once.
    @inlinable
    public var count: Int { state.locked { $0.count } }

    /// Whether ``close()`` was called; there may still be elements to receive.
    ///
    /// Any thread.
    @inlinable
    public var isClosed: Bool { state.locked { $0.isClosed } }

    /// Sends an element, when there is room.
    ///
    /// Once this has returned the element is in the channel, or received if the capacity is zero; if it throws it is not,
    /// and nobody gets it. Does not look at cancellation unless it has to wait.
    ///
    /// - Throws: ``ChannelError/closed`` if the channel was closed, also while this waits; `CancellationError` if the task is
    ///   cancelled while it waits, or its loop ends.
    @inlinable
    public func send(_ element: Element) async throws {
        switch state.locked({ $0.send(element, mayWait: true) }) {
        case .done((), let receiver): receiver?.wait.end()
        case .waits(let waiter):
            await waiter.wait.wait()
            switch state.locked({ $0.leave(sender: waiter) }) {
            case .served: return
            case .closed: throw ChannelError.closed
            case .none: throw CancellationError()
            }
        case .closed, .refused: throw ChannelError.closed
        }
    }

    /// Sends an element if there is room, or somebody waits for one; says whether it did.
    ///
    /// Any thread, of a loop or not; returns at once.
    ///
    /// - Throws: ``ChannelError/closed``.
    @inlinable
    public func trySend(_ element: Element) throws(ChannelError) -> Bool {
        switch state.locked({ $0.send(element, mayWait: false) }) {
        case .done((), let receiver):
            receiver?.wait.end()
            return true
        case .closed: throw .closed
        case .waits, .refused: return false
        }
    }

    /// Receives the next element, when there is one; nil when the channel is closed and empty.
    ///
    /// An element that was meant for this task is returned, even if the task was cancelled in the meantime: none is lost.
    /// Does not look at cancellation unless it has to wait.
    ///
    /// - Throws: `CancellationError` if the task is cancelled while it waits, or its loop ends.
    @inlinable
    public func receive() async throws -> Element? {
        switch state.locked({ $0.receive(mayWait: true) }) {
        case .done(let element, let sender):
            sender?.wait.end()
            return element
        case .waits(let waiter):
            await waiter.wait.wait()
            let (outcome, element) = state.locked { $0.leave(receiver: waiter) }
            if outcome == .none { throw CancellationError() }
            return element
        case .closed, .refused: return nil
        }
    }

    /// Receives the next element if there is one; nil if there is none at the moment.
    ///
    /// Any thread, of a loop or not; returns at once.
    ///
    /// - Throws: ``ChannelError/closed`` if the channel is closed and empty.
    @inlinable
    public func tryReceive() throws(ChannelError) -> Element? {
        switch state.locked({ $0.receive(mayWait: false) }) {
        case .done(let element, let sender):
            sender?.wait.end()
            return element
        case .closed: throw .closed
        case .waits, .refused: return nil
        }
    }

    /// Closes the channel: nothing more can be sent; what it holds can still be received, and then receivers end.
    ///
    /// Sends that wait throw ``ChannelError/closed``, and their elements are not sent. Any thread; returns at once.
    /// Idempotent.
    @inlinable
    public func close() {
        for waiter in state.locked({ $0.close() }) { waiter.wait.end() }
    }
}

extension Channel: AsyncSequence {
    /// Receives until the channel is closed and empty.
    public struct AsyncIterator: AsyncIteratorProtocol, Sendable {
        let channel: Channel

        /// The next element, or nil when the channel is closed and empty: see ``Channel/receive()``.
        public mutating func next() async throws -> Element? { try await channel.receive() }

        /// The same with the isolation of the caller.
        public mutating func next(isolation: isolated (any Actor)?) async throws(any Error) -> Element? {
            try await channel.receive()
        }
    }

    /// Iterates over the elements, which are received.
    ///
    /// Any number of tasks may iterate: each element goes to one of them.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(channel: self) }
}

/// Why a channel refuses.
public enum ChannelError: Error, Hashable, Sendable, CustomStringConvertible {
    /// It was closed: see ``Channel/close()`` and ``BroadcastChannel/close()``.
    case closed

    /// A sentence.
    public var description: String { "The channel is closed." }
}
