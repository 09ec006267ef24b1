// The subscriber's side of a broadcast channel: a place in its row of elements, and the line of those who wait for the next.
//
// Ground rule: a task that is woken for an element has it promised, and no newcomer takes one before it has. So several
// tasks that share a subscription are served in the order in which they came.

internal import Reactor

/// Where a subscriber is.
final class SubscriberPlace {
    /// The place in the order of subscribing.
    let number: Int
    /// The number of the element that it receives next.
    var next: Int
    let line = WaitQueue("BroadcastSubscription")
    /// Tasks that were woken for an element and have not run yet.
    var promised = 0
    /// Whether the channel no longer knows it.
    var isCancelled = false

    init(number: Int, next: Int) { (self.number, self.next) = (number, next) }
}

/// A subscription to a ``BroadcastChannel``: a sequence of what is sent after it was made.
///
/// The sequence ends when the channel is closed and all was received, or when the subscription is cancelled. Dropping the
/// subscription cancels it; a loop over it holds it. Several tasks may receive from one: each element goes to one of them.
///
/// Belongs to the code of the channel's loop; not `Sendable`.
///
/// `tokio::sync::broadcast::Receiver` is similar.
public final class BroadcastSubscription<Element> {
    private let channel: BroadcastChannel<Element>
    private let place: SubscriberPlace

    /// How many elements it has missed so far, of those that it was told of.
    public private(set) var missedCount = 0

    init(_ channel: BroadcastChannel<Element>, _ place: SubscriberPlace) {
        self.channel = channel
        self.place = place
    }

    deinit { channel.remove(place) }

    /// How many elements there are to receive.
    public var count: Int { place.isCancelled ? 0 : channel.available(to: place) }

    /// Ends the subscription: what it has not received is let go, and tasks that wait go on with nil.
    ///
    /// Idempotent.
    public func cancel() { channel.remove(place) }

    /// Receives the next element, when there is one; nil when there will be none.
    ///
    /// An element that was meant for this task is returned, even if the task was cancelled in the meantime. Does not look at
    /// cancellation unless it has to wait.
    ///
    /// - Throws: ``BroadcastError/missed(_:)`` if elements were dropped, once, and the next call goes on with the oldest that
    ///   is left; `CancellationError` if the task is cancelled while it waits, or the loop ends.
    public func receive() async throws -> Element? {
        if isFree, let element = try take() { return element }
        while !place.isCancelled && !(channel.isClosed && isFree) {
            try await place.line.wait()
            // The end of the subscription or the channel wakes all, and promises nothing.
            if place.promised > 0 { place.promised -= 1 }
            defer { promise() }
            if let element = try take() { return element }
        }
        return nil
    }

    /// Receives the next element if there is one that nobody waits for; nil if there is none at the moment.
    ///
    /// - Throws: ``BroadcastError/missed(_:)`` as ``receive()``; ``ChannelError/closed`` if there will be none.
    public func tryReceive() throws -> Element? {
        if isFree, let element = try take() { return element }
        if place.isCancelled || (channel.isClosed && isFree) { throw ChannelError.closed }
        return nil
    }

    /// Whether no task waits that came before.
    private var isFree: Bool { place.promised == 0 && place.line.isEmpty }

    /// Wakes who waits, if there is an element for him, or will be none for anybody.
    private func promise() {
        if channel.available(to: place) > place.promised, place.line.wakeFirst() {
            place.promised += 1
        } else if channel.isClosed && place.promised == 0 {
            place.line.wakeAll()
        }
    }

    private func take() throws -> Element? {
        guard !place.isCancelled else { return nil }
        let missed = channel.takeMissed(place)
        if missed > 0 {
            missedCount += missed
            throw BroadcastError.missed(missed)
        }
        return channel.available(to: place) > 0 ? channel.take(place) : nil
    }
}

extension BroadcastSubscription: AsyncSequence {
    /// Receives until the channel is closed or the subscription cancelled.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let subscription: BroadcastSubscription

        /// The next element, or nil when there will be none: see ``BroadcastSubscription/receive()``.
        public mutating func next() async throws -> Element? { try await subscription.receive() }

        /// The same with the isolation of the caller.
        public mutating func next(isolation: isolated (any Actor)?) async throws(any Error) -> Element? {
            try await subscription.receive()
        }
    }

    /// Iterates over the elements that this subscription has not received yet.
    ///
    /// After ``BroadcastError/missed(_:)`` a new loop goes on where this one was.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(subscription: self) }
}

/// What a subscriber of a ``BroadcastChannel`` is told.
public enum BroadcastError: Error, Hashable, Sendable, CustomStringConvertible {
    /// So many elements were dropped before it received them, as it was too slow.
    case missed(Int)

    /// A sentence.
    public var description: String {
        switch self {
        case .missed(let count): "The subscriber was too slow and missed \(count) elements of the BroadcastChannel."
        }
    }
}
