// How many items a queue holds, and who waits for one or for room: all of a queue but its items, and so without their type.
//
// Ground rules:
//   * Nobody waits for an item while there is one that is not reserved, and the same with room.
//   * A task that is woken for an item, or for room, has one reserved, in the order in which tasks came. Newcomers take
//     what is beyond, without waiting: perhaps an item before that of a task that was woken and has not run.
//   * A task that is cancelled after it was woken passes the reservation on: no item and no slot is lost.

/// The counts of a queue and those who wait for it.
///
/// Belongs to the code of one loop: not `Sendable`.
@safe
@usableFromInline
package final class QueueCounts {
    /// How many items the queue holds at most.
    @usableFromInline package let capacity: Int

    // An exclusivity check at run time would take longer than what it checks. It would find nothing: no code of the
    // program's runs while one of these changes.
    // SAFETY: numbers, and changed on one thread.
    @usableFromInline @exclusivity(unchecked) var items = 0
    // SAFETY: as above. Tasks that were woken for an item and have not run yet.
    @usableFromInline @exclusivity(unchecked) var reservedItems = 0
    // SAFETY: as above. Tasks that were woken for room and have not run yet.
    @usableFromInline @exclusivity(unchecked) var reservedSlots = 0
    // SAFETY: as above. Items that were put in and not reported as done.
    @usableFromInline @exclusivity(unchecked) var unfinished = 0
    // SAFETY: as above. Set once.
    @usableFromInline @exclusivity(unchecked) var finished = false

    @usableFromInline let getters = WaitQueue("AsyncQueue.get")
    @usableFromInline let putters = WaitQueue("AsyncQueue.put")
    private let joiners = WaitQueue("AsyncQueue.join")

    /// The counts of an empty queue.
    package init(capacity: Int) { self.capacity = capacity }

    @inlinable package var count: Int { unsafe items }
    @inlinable package var unfinishedCount: Int { unsafe unfinished }
    @inlinable package var isFinished: Bool { unsafe finished }

    // MARK: Putting

    /// Whether an item may be put in at once.
    @inlinable
    @inline(__always)
    package var hasFreeRoom: Bool { unsafe !finished && items &+ reservedSlots < capacity }

    /// Waits for room, which is then the caller's.
    ///
    /// - Returns: False if the queue is finished.
    /// - Throws: `CancellationError`.
    @usableFromInline
    package func waitForRoom() async throws -> Bool {
        if unsafe finished { return false }
        try await putters.wait()
        if unsafe finished { return false }
        unsafe reservedSlots -= 1
        if Task.isCancelled {
            offerRoom()
            throw CancellationError()
        }
        return true
    }

    /// An item was put in.
    @inlinable
    @inline(__always)
    package func inserted() {
        unsafe items &+= 1
        unsafe unfinished &+= 1
        if unsafe getters.wasUsed { offerItem() }
    }

    // MARK: Getting

    /// Whether an item may be taken at once.
    @inlinable
    @inline(__always)
    package var hasFreeItem: Bool { unsafe items > reservedItems }

    /// Waits for an item, which is then the caller's.
    ///
    /// - Returns: False if the queue is finished and empty.
    /// - Throws: `CancellationError`.
    @usableFromInline
    package func waitForItem() async throws -> Bool {
        if unsafe finished && items == 0 { return false }
        try await getters.wait()
        // Who was woken for an item finds one; the end wakes those for whom there is none.
        if unsafe items == 0 { return false }
        unsafe reservedItems -= 1
        if Task.isCancelled {
            offerItem()
            throw CancellationError()
        }
        return true
    }

    /// An item was taken.
    @inlinable
    @inline(__always)
    package func removed() {
        unsafe items &-= 1
        if unsafe putters.wasUsed { offerRoom() }
        if unsafe finished { endGets() }
    }

    // MARK: Reservations

    /// Wakes who has waited longest for an item, if there is one for him.
    @usableFromInline
    func offerItem() {
        if unsafe items > reservedItems, getters.wakeFirst() { unsafe reservedItems += 1 }
    }

    /// Wakes who has waited longest for room, if there is some for him.
    @usableFromInline
    func offerRoom() {
        if unsafe items + reservedSlots < capacity, putters.wakeFirst() { unsafe reservedSlots += 1 }
    }

    // MARK: Finishing

    /// The work on an item is done.
    package func taskDone() {
        require(
            unsafe unfinished > 0,
            "AsyncQueue.taskDone() was called more often than items were put in."
        )
        unsafe unfinished -= 1
        if unsafe unfinished == 0 { joiners.wakeAll() }
    }

    /// Waits until the work on all items is done.
    package func join() async throws {
        if unsafe unfinished > 0 { try await joiners.wait() }
    }

    /// Nothing more can be put in.
    package func finish() {
        unsafe finished = true
        putters.wakeAll()
        endGets()
    }

    /// All items of the finished queue were dropped.
    package func dropped() {
        // Some may have been reported before they were got.
        unsafe unfinished = max(0, unfinished - items)
        unsafe items = 0
        unsafe reservedItems = 0
        if unsafe unfinished == 0 { joiners.wakeAll() }
        endGets()
    }

    /// Ends the gets that wait, if the finished queue is empty.
    ///
    /// As long as it is not, each item in it belongs to a task that was woken, which may yet pass it on.
    @usableFromInline
    func endGets() {
        if unsafe items == 0 { getters.wakeAll() }
    }
}
