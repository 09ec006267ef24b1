// What a channel knows, as a plain structure that its lock guards.
//
// Ground rules:
//   * Elements wait in the buffer only while no task waits to receive, and tasks wait to send only while it is full. So
//     nobody who comes later is served before one who waits.
//   * Whoever serves a waiting task does it completely, under the lock: an element has one owner at any moment, which is the
//     sender, the buffer or the receiver.
//   * A task leaves its line when it is served, or by itself when its wait has ended otherwise.
//
// All of it is inlined into the program: generic code that is not asks the runtime for its types at every step.

public import Reactor

/// A task that waits, and the element that it sends or was given.
///
/// Under the channel's lock.
@usableFromInline
final class ChannelWaiter<Element: Sendable> {
    @usableFromInline
    enum Outcome {
        /// Not served, and in line, unless it was passed over, as it had been cancelled.
        case none
        case served
        /// The channel was closed before its turn.
        case closed
    }

    @usableFromInline let wait = ForeignWait("Channel")
    @usableFromInline var outcome = Outcome.none
    /// What it sends, until that is taken; or what it was given.
    @usableFromInline var element: Element?
    // Of its line. Each holds the other; leaving the line lets go.
    @usableFromInline var isInLine = false
    @usableFromInline var next: ChannelWaiter?
    @usableFromInline var previous: ChannelWaiter?

    @inlinable
    init(_ element: Element? = nil) { self.element = element }

    @inlinable
    deinit {}
}

/// Tasks that wait, first come, first served.
@usableFromInline
struct WaiterLine<Element: Sendable> {
    @usableFromInline var first: ChannelWaiter<Element>?
    @usableFromInline var last: ChannelWaiter<Element>?

    @inlinable
    init() {}

    @inlinable
    mutating func append(_ waiter: ChannelWaiter<Element>) {
        waiter.isInLine = true
        waiter.previous = last
        if let last { last.next = waiter } else { first = waiter }
        last = waiter
    }

    @inlinable
    mutating func remove(_ waiter: ChannelWaiter<Element>) {
        guard waiter.isInLine else { return }
        waiter.isInLine = false
        let (previous, next) = (waiter.previous.take(), waiter.next.take())
        if let previous { previous.next = next } else { first = next }
        if let next { next.previous = previous } else { last = previous }
    }

    /// The first who still waits, as far as can be told.
    @inlinable
    mutating func removeFirst() -> ChannelWaiter<Element>? {
        while let waiter = first {
            remove(waiter)
            if !waiter.wait.isKnownToBeOver { return waiter }
        }
        return nil
    }
}

/// The state of a channel.
@usableFromInline
struct ChannelState<Element: Sendable> {
    @usableFromInline typealias Waiter = ChannelWaiter<Element>

    /// What has come of a call.
    @usableFromInline
    enum Step<Value> {
        /// It is done; and who is to be told, after the lock is released.
        case done(Value, wakes: Waiter? = nil)
        /// It has to wait, and is in line.
        case waits(Waiter)
        /// It would have to wait.
        case refused
        case closed
    }

    @usableFromInline let capacity: Int
    @usableFromInline let items = Ring<Element>()
    @usableFromInline var senders = WaiterLine<Element>()
    @usableFromInline var receivers = WaiterLine<Element>()
    @usableFromInline var isClosed = false

    @inlinable
    init(capacity: Int) { self.capacity = capacity }

    /// How many elements are in the buffer.
    @inlinable
    var count: Int { items.length }

    @inlinable
    mutating func send(_ element: Element, mayWait: Bool) -> Step<Void> {
        if isClosed { return .closed }
        if let receiver = receivers.removeFirst() {
            receiver.element = element
            receiver.outcome = .served
            return .done((), wakes: receiver)
        }
        if items.length < capacity {
            items.append(element)
            return .done(())
        }
        guard mayWait else { return .refused }
        let waiter = Waiter(element)
        senders.append(waiter)
        return .waits(waiter)
    }

    @inlinable
    mutating func receive(mayWait: Bool) -> Step<Element> {
        // A capacity of zero has no buffer: elements go from hand to hand.
        let item = items.length > 0 ? items.removeFirst() : nil
        let sender = senders.removeFirst()
        let sent = sender?.element.take()
        sender?.outcome = .served
        if let item {
            if let sent { items.append(sent) }
            return .done(item, wakes: sender)
        }
        if let sent { return .done(sent, wakes: sender) }
        if isClosed { return .closed }
        guard mayWait else { return .refused }
        let waiter = Waiter()
        receivers.append(waiter)
        return .waits(waiter)
    }

    /// Ends the wait of a sender, and says how.
    @inlinable
    mutating func leave(sender: Waiter) -> Waiter.Outcome {
        if sender.outcome == .none { senders.remove(sender) }
        return sender.outcome
    }

    /// Ends the wait of a receiver, and says how, and what it was given.
    @inlinable
    mutating func leave(receiver: Waiter) -> (outcome: Waiter.Outcome, element: Element?) {
        if receiver.outcome == .none { receivers.remove(receiver) }
        return (receiver.outcome, receiver.element.take())
    }

    /// Closes it, and returns who is to be told.
    @inlinable
    mutating func close() -> [Waiter] {
        isClosed = true
        var waiters: [Waiter] = []
        while let waiter = senders.removeFirst() ?? receivers.removeFirst() {
            waiter.outcome = .closed
            waiters.append(waiter)
        }
        return waiters
    }
}
