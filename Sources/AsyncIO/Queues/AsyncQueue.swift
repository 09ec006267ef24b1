// A queue between tasks of one loop.
//
// Who may take an item, or room, and who has to wait, is a matter of counting, in `QueueCounts`. Here the items are added,
// in code that is inlined into the program, which knows their type.

public import Reactor

/// A queue of items, which tasks of one loop put in and get out.
///
///     let jobs = AsyncQueue<Job>(capacity: 100)
///     AsyncIO.spawn { for try await job in jobs { await work(on: job) } }
///     try await jobs.put(job)
///     jobs.finish()
///
/// A put waits while the queue is full, a get while it is empty; those who wait are served first come, first served, and
/// what they were woken for nobody takes from them. Belongs to the code of one loop; it is not `Sendable`, nor need its
/// items be. For items between loops there is ``Channel``.
///
/// The corresponding asyncio names are `asyncio.Queue`, and with an ``Order`` `LifoQueue` and `PriorityQueue`.
public final class AsyncQueue<Element> {
    /// Which item is the next to get.
    public struct Order {
        enum Kind {
            case firstIn
            case lastIn
            case priority((Element, Element) -> Bool)
        }

        let kind: Kind

        /// The one that was put in first.
        public static var firstInFirstOut: Order { Order(kind: .firstIn) }

        /// The one that was put in last.
        public static var lastInFirstOut: Order { Order(kind: .lastIn) }

        /// The one that comes before all others by a comparison; of equal ones that which was put in first.
        public static func priority(by areInIncreasingOrder: @escaping (Element, Element) -> Bool) -> Order {
            Order(kind: .priority(areInIncreasingOrder))
        }
    }

    @usableFromInline let counts: QueueCounts
    /// The items, unless their order is one of priority.
    @usableFromInline let ring = Ring<Element>()
    @usableFromInline let heap: PriorityHeap<Element>?
    @usableFromInline let isLastInFirstOut: Bool

    /// How many items it holds at most.
    public var capacity: Int { counts.capacity }

    /// How many items were put in and not reported with ``taskDone()``.
    public var unfinishedCount: Int { counts.unfinishedCount }

    /// Whether ``finish(discardingItems:)`` was called: nothing more can be put in.
    public var isFinished: Bool { counts.isFinished }

    /// Creates an empty queue.
    ///
    /// - Parameters:
    ///   - capacity: How many items it holds at most, at least one; `.max` for no limit.
    ///   - order: Which item is the next to get.
    public init(capacity: Int = 1_024, order: Order = .firstInFirstOut) {
        require(capacity > 0, "An AsyncQueue needs room for at least one item.")
        counts = QueueCounts(capacity: capacity)
        switch order.kind {
        case .firstIn: (heap, isLastInFirstOut) = (nil, false)
        case .lastIn: (heap, isLastInFirstOut) = (nil, true)
        case .priority(let isBefore): (heap, isLastInFirstOut) = (PriorityHeap(isBefore), false)
        }
    }

    /// How many items it holds.
    ///
    /// The corresponding asyncio name is `Queue.qsize`.
    public var count: Int { counts.count }

    /// Whether it holds no item.
    public var isEmpty: Bool { counts.count == 0 }

    /// Whether it has no room.
    public var isFull: Bool { counts.count >= capacity }

    // MARK: Putting

    /// Puts an item in, when there is room.
    ///
    /// - Throws: ``QueueError/finished`` if the queue was finished, also while this waits; `CancellationError` if the task is
    ///   cancelled while it waits. The item was not put in then.
    @inlinable
    @inline(__always)
    public func put(_ element: Element) async throws {
        if !counts.hasFreeRoom, try await !counts.waitForRoom() { throw QueueError.finished }
        insert(element)
    }

    /// Puts an item in if there is room that nobody waits for; says whether it did.
    ///
    /// - Throws: ``QueueError/finished``.
    ///
    /// The corresponding asyncio name is `Queue.put_nowait`.
    @inlinable
    public func tryPut(_ element: Element) throws(QueueError) -> Bool {
        if !counts.hasFreeRoom {
            if counts.isFinished { throw .finished }
            return false
        }
        insert(element)
        return true
    }

    @inlinable
    @inline(__always)
    func insert(_ element: Element) {
        if let heap { heap.insert(element) } else { ring.append(element) }
        counts.inserted()
    }

    // MARK: Getting

    /// Takes the next item out, when there is one.
    ///
    /// - Throws: ``QueueError/finished`` if the queue was finished and holds nothing more; `CancellationError` if the task is
    ///   cancelled while it waits. No item is lost.
    @inlinable
    @inline(__always)
    public func get() async throws -> Element {
        if !counts.hasFreeItem, try await !counts.waitForItem() { throw QueueError.finished }
        return remove()
    }

    /// Takes the next item out if there is one that nobody waits for; nil if there is none.
    ///
    /// - Throws: ``QueueError/finished`` if the queue was finished and holds nothing more.
    ///
    /// The corresponding asyncio name is `Queue.get_nowait`.
    @inlinable
    public func tryGet() throws(QueueError) -> Element? {
        if !counts.hasFreeItem {
            if counts.isFinished && counts.count == 0 { throw .finished }
            return nil
        }
        return remove()
    }

    @inlinable
    @inline(__always)
    func remove() -> Element {
        let element: Element
        if let heap {
            element = heap.removeNext()
        } else {
            element = isLastInFirstOut ? ring.removeLast() : ring.removeFirst()
        }
        counts.removed()
        return element
    }

    // MARK: Finishing

    /// Says that the work on one item that was got is done: see ``join()``.
    ///
    /// Traps if it is called more often than items were put in.
    ///
    /// The corresponding asyncio name is `Queue.task_done`.
    public func taskDone() { counts.taskDone() }

    /// Waits until every item that was put in was got and reported with ``taskDone()``.
    ///
    /// Returns at once if that is so. A moment in which it is so suffices, even if more is put in right after it.
    ///
    /// - Throws: `CancellationError` if the task is cancelled before that moment while it waits.
    ///
    /// The corresponding asyncio name is `Queue.join`.
    public func join() async throws { try await counts.join() }

    /// Ends the queue: nothing more can be put in, what is in it can be got out, and then gets end.
    ///
    /// Puts that wait throw ``QueueError/finished``, and so do gets when the queue is empty; loops over the queue end.
    /// Idempotent.
    ///
    /// - Parameter discardingItems: Whether what is in the queue is dropped, as if it were done.
    ///
    /// The corresponding asyncio name is `Queue.shutdown`.
    public func finish(discardingItems: Bool = false) {
        counts.finish()
        guard discardingItems else { return }
        let discarded = (ring.removeAll(), heap?.removeAll())
        counts.dropped()
        // Items whose end runs code of the program's find a queue that is finished.
        withExtendedLifetime(discarded) {}
    }
}

extension AsyncQueue where Element: Comparable {
    /// A queue from which the smallest item is the next to get; of equal ones that which was put in first.
    ///
    /// The corresponding asyncio name is `asyncio.PriorityQueue`.
    public static func priority(capacity: Int = 1_024) -> AsyncQueue {
        AsyncQueue(capacity: capacity, order: .priority(by: <))
    }
}

extension AsyncQueue: AsyncSequence {
    /// Takes items out until the queue is finished and empty.
    public struct AsyncIterator: AsyncIteratorProtocol {
        @usableFromInline let queue: AsyncQueue

        @inlinable
        init(queue: AsyncQueue) { self.queue = queue }

        /// The next item, or nil when the queue is finished and empty.
        @inlinable
        @inline(__always)
        public mutating func next() async throws -> Element? {
            if !queue.counts.hasFreeItem, try await !queue.counts.waitForItem() { return nil }
            return queue.remove()
        }

        /// The next item, with the isolation of the caller.
        @inlinable
        @inline(__always)
        public mutating func next(isolation: isolated (any Actor)?) async throws(any Error) -> Element? {
            if !queue.counts.hasFreeItem, try await !queue.counts.waitForItem() { return nil }
            return queue.remove()
        }
    }

    /// Iterates over the items, which are taken out.
    ///
    /// Several tasks may iterate: each item goes to one of them.
    @inlinable
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(queue: self) }
}

/// Why a queue refuses.
public enum QueueError: Error, Hashable, Sendable, CustomStringConvertible {
    /// It was finished: see ``AsyncQueue/finish(discardingItems:)``.
    ///
    /// The corresponding asyncio name is `QueueShutDown`.
    case finished

    /// A sentence.
    public var description: String { "The AsyncQueue is finished." }
}
