// Tasks that wait for the same thing, first come, first served: the one line under every lock, semaphore and queue.
//
// Ground rules:
//   * A task joins the line before it suspends, so that whoever wakes the first in line does not miss it.
//   * Who is woken has left the line at that moment, and its turn cannot be taken back: a task that is cancelled after
//     that finds out by asking, and passes on what it was woken for.
//   * Who is cancelled before that is passed over, and has left the line when its `wait` throws.
//   * A place in the line is used again, so that a line in which one waits at a time allocates once.

internal import CReactor

/// A place in a line.
@safe
private final class Place: Park {
    var nextInLine: Place?
    // SAFETY: the one before holds this one, and names itself here as long as it does.
    unowned(unsafe) var previousInLine: Place?
    var isInLine = false
    // SAFETY: the line holds its places for as long as somebody waits at them.
    unowned(unsafe) var line: WaitQueue?

    override func explain() -> WaitReason {
        guard let line = unsafe line else { return super.explain() }
        if let tasks = unsafe line.tasks { return WaitReason(text: "\(line.name)", tasks: tasks()) }
        guard let record = unsafe line.record else {
            return WaitReason(text: unsafe line.site.map { "\(line.name) of \($0.file):\($0.line)" } ?? "\(line.name)")
        }
        return WaitReason(text: "task \(record.shortTitle)", tasks: [record])
    }
}

/// Tasks that wait in order for code on the same loop to wake them.
///
/// Belongs to the loop on which a task waits: not `Sendable`.
@safe
@usableFromInline
package final class WaitQueue {
    /// What waits here, for messages.
    fileprivate let name: StaticString
    /// The task for whose end this is the line.
    // SAFETY: here as in the others, a check of exclusivity at run time would find nothing: they are used on one thread.
    // Not counted, as the task holds its line: whoever waits in it holds the task, and it is taken away before the line is
    // another's.
    @exclusivity(unchecked) unowned(unsafe) var record: TaskRecord?
    /// Finds the tasks of whose ends this is the line, for people.
    // SAFETY: as above.
    @exclusivity(unchecked) package var tasks: (() -> [TaskRecord])?
    /// Where the future was made whose line this is.
    // SAFETY: as above.
    @exclusivity(unchecked) var site: (file: StaticString, line: UInt)?
    // SAFETY: as above.
    @exclusivity(unchecked) private var first: Place?
    // SAFETY: in the list that `first` begins, whose places hold one another.
    @exclusivity(unchecked) private unowned(unsafe) var last: Place?
    // SAFETY: as above.
    @exclusivity(unchecked) private var spare: Place?
    // SAFETY: a number, and changed on one thread: a check of it at run time would find nothing.
    @exclusivity(unchecked) private var places = 0

    /// How many are in line: those who wait, and those who were cancelled and have not run yet.
    package var length: Int { unsafe places }

    /// Whether there is anybody in line.
    var hasPlaces: Bool { unsafe places != 0 }

    /// Whether anybody has ever waited here, so that the line belongs to a loop.
    // SAFETY: as above. Set once.
    @usableFromInline @exclusivity(unchecked) private(set) var wasUsed = false

    /// An empty line of those who wait for what `name` says.
    package init(_ name: StaticString) { self.name = name }

    deinit {
        // Not left to the places, each of which would let go the next from within: a long line would be a deep stack.
        while let place = unsafe first { unsafe first = place.nextInLine.take() }
    }

    /// Whether nobody waits who can still be woken.
    package var isEmpty: Bool {
        dropEnded()
        return unsafe first == nil
    }

    /// How many wait who can still be woken.
    ///
    /// Walks along the whole line; ``length`` does not, and is never less.
    package var count: Int {
        var place = unsafe first
        while let here = place {
            place = here.nextInLine
            if !here.isOccupied { remove(here) }
        }
        return length
    }

    /// Waits at the end of the line until it is this task's turn.
    ///
    /// Must be called on a loop.
    ///
    /// - Throws: `CancellationError` if the task was cancelled before its turn came, or if the loop ends. Once its turn has
    ///   come this returns, even to a task that was cancelled after that.
    package func wait() async throws {
        let place = try join()
        let wasCancelled = await place.finishWait()
        if place.core.isCurrent { leave(place) } else { await leaveElsewhere(place) }
        if wasCancelled { throw CancellationError() }
    }

    /// The same for a task that must not be disturbed; false if the loop ends.
    package func waitUncancellable() async -> Bool {
        guard let place = try? join() else { return false }
        let wasEnded = await place.finishWaitUncancellable()
        if place.core.isCurrent { leave(place) } else { await leaveElsewhere(place) }
        return !wasEnded
    }

    /// Wakes the first in line.
    ///
    /// - Returns: Whether one waited.
    @discardableResult
    package func wakeFirst() -> Bool {
        while let place = unsafe first {
            require(!place.isOccupied || place.core.isCurrent, usedByTwo)
            removeFirst(place)
            if place.wakeHere() { return true }
        }
        // Nobody waits, but whoever has waited did so on a loop, which alone may use the line as long as it is there.
        unsafe spare?.core.requireHere(name)
        return false
    }

    /// Wakes all who wait now, in order.
    ///
    /// - Returns: How many waited.
    @discardableResult
    package func wakeAll() -> Int {
        var count = 0
        while wakeFirst() { count += 1 }
        return count
    }

    private var usedByTwo: String {
        "\(name) is waited for on one EventLoop and used on another. Give each loop its own, or let one loop do the work "
            + "for both."
    }

    // MARK: The line

    private func join() throws -> Place {
        guard let core = LoopCore.current else {
            // A task that goes on after its loop, which takes no waits any more.
            if Reaper.runsHere { throw CancellationError() }
            fault(
                "\(name) has to wait, and no EventLoop runs here. Use it inside AsyncIO.run { } or withEventLoop { }."
            )
        }
        dropEnded()
        unsafe wasUsed = true
        let place: Place
        let free = unsafe spare.take()
        free?.core.requireHere(name)
        if let free, free.core === core { place = free } else { place = Place(core) }
        if let last = unsafe last { require(last.core === core, usedByTwo) }
        try place.beginWait()
        place.isInLine = true
        unsafe place.line = self
        if let last = unsafe last {
            last.nextInLine = place
            unsafe place.previousInLine = last
        } else {
            unsafe first = place
        }
        unsafe last = place
        unsafe places += 1
        return place
    }

    /// The task has been woken, or was cancelled and is still in line.
    private func leave(_ place: Place) {
        if place.isInLine { remove(place) }
        unsafe spare = place
    }

    /// The same for a task that goes on elsewhere than it waited: within an ordinary actor, which runs on the loop when the
    /// loop's tasks call it, but on whatever thread is running it when they are resumed.
    @inline(never)
    private func leaveElsewhere(_ place: Place) async {
        // What is left of a closed loop does nothing any more, wherever that is.
        guard place.core.state != .closed else { return leave(place) }
        // SAFETY: used on the loop, for which the caller waits.
        nonisolated(unsafe) let (this, left) = (self, place)
        unsafe await this.leave(left, on: left.core.withLoop { $0 })
    }

    private func leave(_ place: Place, on loop: isolated EventLoop) { leave(place) }

    private func removeFirst(_ place: Place) {
        unsafe first = place.nextInLine.take()
        if let next = unsafe first { unsafe next.previousInLine = nil } else { unsafe last = nil }
        place.isInLine = false
        unsafe places -= 1
    }

    private func remove(_ place: Place) {
        guard let previous = unsafe place.previousInLine else { return removeFirst(place) }
        let next = place.nextInLine.take()
        previous.nextInLine = next
        if let next { unsafe next.previousInLine = previous } else { unsafe last = previous }
        unsafe place.previousInLine = nil
        place.isInLine = false
        unsafe places -= 1
    }

    /// Drops those at the front who were cancelled and have not run yet.
    private func dropEnded() {
        while let place = unsafe first, !place.isOccupied { removeFirst(place) }
    }
}
