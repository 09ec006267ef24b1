// One sender's side of a channel all of whose subscribers get everything. What a subscriber does is in
// BroadcastSubscription.swift.
//
// Ground rules:
//   * Elements are numbered. One buffer holds those that somebody has yet to receive, each with how many have; a subscriber
//     is a number, that of its next element. So an element is held once, however many subscribers there are.
//   * A sender that is woken for room has it reserved, and no newcomer sends before it has.
//   * An element may do anything when it goes: so it goes when all is in order.

internal import Reactor

/// A channel in which every subscriber gets every element that is sent after it has subscribed.
///
///     let news = BroadcastChannel<String>(capacity: 16)
///     let subscription = news.subscribe()
///     AsyncIO.spawn { for try await line in subscription { show(line) } }
///     try await news.send("hello")
///     news.close()
///
/// A subscriber may be behind by as many elements as the capacity says; what happens then is the channel's ``Overflow``.
/// Belongs to the code of one loop; not `Sendable`, nor need its elements be.
///
/// asyncio has nothing like it; `tokio::sync::broadcast` is similar.
public final class BroadcastChannel<Element> {
    /// What becomes of an element for which the slowest subscriber has no room.
    public enum Overflow: Sendable {
        /// The sender waits for the slowest subscriber.
        case waitForSlowest
        /// The oldest element is dropped; subscribers who had not received it are told how many they missed, by
        /// ``BroadcastError/missed(_:)``. No sender ever waits.
        case dropOldest
    }

    private struct Slot {
        /// Nil once it is received by all, or dropped.
        var element: Element?
        /// How many subscribers have yet to receive it.
        var awaitedBy: Int
    }

    private var slots: [Slot] = []
    /// Where the first element is in `slots`: places before it are removed from time to time.
    private var head = 0
    /// The number of the first element.
    private var base = 0
    /// In the order of subscribing, in which they are woken.
    private var places: [SubscriberPlace] = []
    private var subscriptions = 0
    private let senders = WaitQueue("BroadcastChannel.send")
    /// Senders that were woken for room and have not run yet.
    private var reservedSlots = 0

    /// How many elements a subscriber may be behind.
    public let capacity: Int

    /// What happens when a subscriber would be further behind.
    public let overflow: Overflow

    /// Whether ``close()`` was called.
    public private(set) var isClosed = false

    /// Creates a channel without subscribers.
    ///
    /// - Parameters:
    ///   - capacity: How many elements a subscriber may be behind, at least one.
    ///   - overflow: What happens when one would be further behind.
    public init(capacity: Int = 256, overflow: Overflow = .waitForSlowest) {
        require(capacity > 0, "A BroadcastChannel needs room for at least one element.")
        self.capacity = capacity
        self.overflow = overflow
    }

    /// How many subscriptions there are.
    public var subscriberCount: Int { places.count }

    /// How many elements somebody has yet to receive.
    public var count: Int { slots.count - head }

    /// Subscribes to what is sent from here on.
    ///
    /// Drop the subscription, or cancel it, when it is no longer wanted, as others may wait for it. One to a channel that is
    /// closed ends at once.
    public func subscribe() -> BroadcastSubscription<Element> {
        subscriptions += 1
        let place = SubscriberPlace(number: subscriptions, next: end)
        if isClosed { place.isCancelled = true } else { places.append(place) }
        return BroadcastSubscription(self, place)
    }

    // MARK: Sending

    /// Sends an element to all who have subscribed, when the slowest of them has room for it.
    ///
    /// Senders are served in the order in which they came. Once this has returned the element is sent, to those who were
    /// subscribed when it had its turn, also if the task was cancelled after that; if it throws it is not. Without
    /// subscribers the element is dropped.
    ///
    /// - Returns: How many subscribers get it.
    /// - Throws: ``ChannelError/closed`` if the channel was closed, also while this waits; `CancellationError` if the task is
    ///   cancelled while it waits, or the loop ends.
    @discardableResult
    public func send(_ element: Element) async throws -> Int {
        if isClosed { throw ChannelError.closed }
        if mustWait {
            try await senders.wait()
            if isClosed { throw ChannelError.closed }
            reservedSlots -= 1
        }
        let count = insert(element)
        offerSlot()
        return count
    }

    /// Sends an element if no subscriber has to be waited for; says whether it did.
    ///
    /// - Throws: ``ChannelError/closed``.
    public func trySend(_ element: Element) throws(ChannelError) -> Bool {
        if isClosed { throw .closed }
        if mustWait { return false }
        _ = insert(element)
        return true
    }

    /// Closes the channel: subscribers receive what was sent before, and then their sequences end.
    ///
    /// Sends that wait throw ``ChannelError/closed``. Idempotent.
    public func close() {
        isClosed = true
        senders.wakeAll()
        // Where a task was woken for an element, it wakes the next when it runs, and the last of them all others.
        for place in places where place.promised == 0 { place.line.wakeAll() }
    }

    private var mustWait: Bool {
        switch overflow {
        case .waitForSlowest: count >= capacity || reservedSlots > 0 || !senders.isEmpty
        case .dropOldest: false
        }
    }

    private func insert(_ element: Element) -> Int {
        if places.isEmpty { return 0 }
        while count >= capacity { removeFirst() }
        slots.append(Slot(element: element, awaitedBy: places.count))
        // Not for what took the place of an element that was dropped, and promised: who is woken finds something.
        for place in places where available(to: place) > place.promised && place.line.wakeFirst() {
            place.promised += 1
        }
        return places.count
    }

    private func offerSlot() {
        if count + reservedSlots < capacity, senders.wakeFirst() { reservedSlots += 1 }
    }

    // MARK: The buffer

    /// The number of the next element to be sent.
    private var end: Int { base + count }

    /// How many elements there are for a subscriber.
    func available(to place: SubscriberPlace) -> Int { end - max(place.next, base) }

    /// How many elements were dropped that a subscriber should have received; they count as told.
    func takeMissed(_ place: SubscriberPlace) -> Int {
        guard place.next < base else { return 0 }
        defer { place.next = base }
        return base - place.next
    }

    /// The next element for a subscriber for whom there is one, and who has missed none.
    func take(_ place: SubscriberPlace) -> Element {
        let index = head + place.next - base
        guard let element = slots[index].element else {
            preconditionFailure("An element was dropped that was awaited.")
        }
        place.next += 1
        slots[index].awaitedBy -= 1
        removeReceived()
        return element
    }

    /// Ends a subscription.
    func remove(_ place: SubscriberPlace) {
        guard !place.isCancelled else { return }
        place.isCancelled = true
        places.remove(at: index(of: place))
        for number in max(place.next, base)..<end { slots[head + number - base].awaitedBy -= 1 }
        removeReceived()
        place.line.wakeAll()
    }

    /// Where a subscriber is in `places`.
    private func index(of place: SubscriberPlace) -> Int {
        var (low, high) = (0, places.count)
        while low < high {
            let middle = (low + high) / 2
            if places[middle].number < place.number { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private func removeReceived() {
        while count > 0, slots[head].awaitedBy == 0 {
            removeFirst()
            offerSlot()
        }
    }

    private func removeFirst() {
        let element = slots[head].element.take()
        withExtendedLifetime(element) {
            head += 1
            base += 1
            guard head == slots.count || head > max(16, slots.count / 2) else { return }
            slots.removeFirst(head)
            head = 0
        }
    }
}
