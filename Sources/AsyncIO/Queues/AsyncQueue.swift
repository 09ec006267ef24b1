// A queue between tasks of one loop.
//
// Ground rules:
//   * Nobody waits for an item while there is one that is not reserved, and the same with room.
//   * A task that is woken for an item, or for room, has one reserved, in the order in which tasks came. Newcomers take
//     what is beyond, without waiting: perhaps an item before that of a task that was woken and has not run.
//   * A task that is cancelled after it was woken passes the reservation on: no item and no slot is lost.

internal import Reactor

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

    private var items: QueueStorage<Element>
    private let getters = WaitQueue("AsyncQueue.get")
    private let putters = WaitQueue("AsyncQueue.put")
    private let joiners = WaitQueue("AsyncQueue.join")
    /// Tasks that were woken for an item or for room and have not run yet.
    private var reservedItems = 0
    private var reservedSlots = 0

    /// How many items it holds at most.
    public let capacity: Int

    /// How many items were put in and not reported with ``taskDone()``.
    public private(set) var unfinishedCount = 0

    /// Whether ``finish(discardingItems:)`` was called: nothing more can be put in.
    public private(set) var isFinished = false

    /// Creates an empty queue.
    ///
    /// - Parameters:
    ///   - capacity: How many items it holds at most, at least one; `.max` for no limit.
    ///   - order: Which item is the next to get.
    public init(capacity: Int = 1_024, order: Order = .firstInFirstOut) {
        require(capacity > 0, "An AsyncQueue needs room for at least one item.")
        self.capacity = capacity
        items = QueueStorage(order.kind)
    }

    /// How many items it holds.
    ///
    /// The corresponding asyncio name is `Queue.qsize`.
    public var count: Int { items.count }

    /// Whether it holds no item.
    public var isEmpty: Bool { items.count == 0 }

    /// Whether it has no room.
    public var isFull: Bool { items.count >= capacity }

    // MARK: Putting

    /// Puts an item in, when there is room.
    ///
    /// - Throws: ``QueueError/finished`` if the queue was finished, also while this waits; `CancellationError` if the task is
    ///   cancelled while it waits. The item was not put in then.
    public func put(_ element: Element) async throws {
        if isFinished { throw QueueError.finished }
        if items.count + reservedSlots >= capacity {
            try await putters.wait()
            if isFinished { throw QueueError.finished }
            reservedSlots -= 1
            if Task.isCancelled {
                offerSlot()
                throw CancellationError()
            }
        }
        insert(element)
    }

    /// Puts an item in if there is room that nobody waits for; says whether it did.
    ///
    /// - Throws: ``QueueError/finished``.
    ///
    /// The corresponding asyncio name is `Queue.put_nowait`.
    public func tryPut(_ element: Element) throws(QueueError) -> Bool {
        if isFinished { throw .finished }
        guard items.count + reservedSlots < capacity else { return false }
        insert(element)
        return true
    }

    private func insert(_ element: Element) {
        items.insert(element)
        unfinishedCount += 1
        offerItem()
    }

    // MARK: Getting

    /// Takes the next item out, when there is one.
    ///
    /// - Throws: ``QueueError/finished`` if the queue was finished and holds nothing more; `CancellationError` if the task is
    ///   cancelled while it waits. No item is lost.
    public func get() async throws -> Element {
        if items.count <= reservedItems {
            if isFinished && isEmpty { throw QueueError.finished }
            try await getters.wait()
            // Who was woken for an item finds one; the end wakes those for whom there is none.
            if isEmpty { throw QueueError.finished }
            reservedItems -= 1
            if Task.isCancelled {
                offerItem()
                throw CancellationError()
            }
        }
        return remove()
    }

    /// Takes the next item out if there is one that nobody waits for; nil if there is none.
    ///
    /// - Throws: ``QueueError/finished`` if the queue was finished and holds nothing more.
    ///
    /// The corresponding asyncio name is `Queue.get_nowait`.
    public func tryGet() throws(QueueError) -> Element? {
        guard items.count > reservedItems else {
            if isFinished && isEmpty { throw .finished }
            return nil
        }
        return remove()
    }

    private func remove() -> Element {
        let element = items.removeNext()
        offerSlot()
        if isFinished { endGets() }
        return element
    }

    // MARK: Reservations

    /// Wakes who has waited longest for an item, if there is one for him.
    private func offerItem() {
        if items.count > reservedItems, getters.wakeFirst() { reservedItems += 1 }
    }

    /// Wakes who has waited longest for room, if there is some for him.
    private func offerSlot() {
        if items.count + reservedSlots < capacity, putters.wakeFirst() { reservedSlots += 1 }
    }

    // MARK: Finishing

    /// Says that the work on one item that was got is done: see ``join()``.
    ///
    /// Traps if it is called more often than items were put in.
    ///
    /// The corresponding asyncio name is `Queue.task_done`.
    public func taskDone() {
        require(unfinishedCount > 0, "AsyncQueue.taskDone() was called more often than items were put in.")
        unfinishedCount -= 1
        if unfinishedCount == 0 { joiners.wakeAll() }
    }

    /// Waits until every item that was put in was got and reported with ``taskDone()``.
    ///
    /// Returns at once if that is so. A moment in which it is so suffices, even if more is put in right after it.
    ///
    /// - Throws: `CancellationError` if the task is cancelled before that moment while it waits.
    ///
    /// The corresponding asyncio name is `Queue.join`.
    public func join() async throws {
        if unfinishedCount > 0 { try await joiners.wait() }
    }

    /// Ends the queue: nothing more can be put in, what is in it can be got out, and then gets end.
    ///
    /// Puts that wait throw ``QueueError/finished``, and so do gets when the queue is empty; loops over the queue end.
    /// Idempotent.
    ///
    /// - Parameter discardingItems: Whether what is in the queue is dropped, as if it were done.
    ///
    /// The corresponding asyncio name is `Queue.shutdown`.
    public func finish(discardingItems: Bool = false) {
        isFinished = true
        putters.wakeAll()
        guard discardingItems else { return endGets() }
        // Some may have been reported before they were got.
        unfinishedCount = Swift.max(0, unfinishedCount - items.count)
        let discarded = items.removeAll()
        reservedItems = 0
        if unfinishedCount == 0 { joiners.wakeAll() }
        endGets()
        // Items whose end runs code of the program's find a queue that is finished.
        withExtendedLifetime(discarded) {}
    }

    /// Ends the gets that wait, if the finished queue is empty.
    ///
    /// As long as it is not, each item in it belongs to a task that was woken, which may yet pass it on.
    private func endGets() {
        if isEmpty { getters.wakeAll() }
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
        let queue: AsyncQueue

        /// The next item, or nil when the queue is finished and empty.
        public mutating func next() async throws -> Element? {
            do { return try await queue.get() } catch QueueError.finished { return nil }
        }

        /// The next item, with the isolation of the caller.
        public mutating func next(isolation: isolated (any Actor)?) async throws(any Error) -> Element? {
            do { return try await queue.get() } catch QueueError.finished { return nil }
        }
    }

    /// Iterates over the items, which are taken out.
    ///
    /// Several tasks may iterate: each item goes to one of them.
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
