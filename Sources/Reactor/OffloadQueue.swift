// What a pool of threads has to do, as a plain structure that the pool's mutex guards: no threads and no locks here.
//
// Ground rules:
//   * Work is queued while fewer pieces are queued and running than there may be threads and places in the queue. What
//     comes then is in a second line, from which the first moves to the queue as soon as there is room.
//   * A piece of work knows its line, so that to take it back needs to search nothing.
//   * Work leaves its line exactly once: to run, to be dropped, or to be taken back.

/// What a pool of threads has to do at a moment, and has done.
public struct OffloadStatistics: Sendable, Hashable, CustomStringConvertible {
    /// How many threads there are.
    public internal(set) var threads = 0
    /// How many of them have nothing to do.
    public internal(set) var idle = 0
    /// How many pieces of work run.
    public internal(set) var running = 0
    /// How many wait for a thread.
    public internal(set) var queued = 0
    /// How many wait for room in the queue.
    public internal(set) var waiting = 0
    /// How many have run to their end, whether or not somebody still waited for them.
    public internal(set) var completed: UInt64 = 0

    /// Whether there is nothing to do.
    public var isIdle: Bool { running == 0 && queued == 0 && waiting == 0 }

    /// The figures on one line.
    public var description: String {
        "threads \(threads), idle \(idle), running \(running), queued \(queued), waiting \(waiting), "
            + "completed \(completed)"
    }
}

/// Why a pool of threads refuses work.
public enum OffloadError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The queue is full, and the pool is one that refuses then: see ``OffloadPool/Overflow/refuse``.
    case queueFull
    /// The pool was shut down.
    ///
    /// The corresponding asyncio error is `RuntimeError`, "Executor shutdown has been called".
    case shutDown

    /// A sentence.
    public var description: String {
        switch self {
        case .queueFull: "The queue of the OffloadPool is full."
        case .shutDown: "The OffloadPool is shut down and takes no more work."
        }
    }
}

/// A piece of work of a pool.
package final class OffloadWork: Sendable {
    fileprivate enum Place { case nowhere, queued, waiting }

    let body: @Sendable ((any Error)?) -> Void
    // SAFETY: under the mutex of its pool, all three. The line holds its first, and each holds the next, so that
    // the one before is there as long as it is named.
    fileprivate nonisolated(unsafe) var place = Place.nowhere
    fileprivate nonisolated(unsafe) var next: OffloadWork?
    fileprivate nonisolated(unsafe) unowned(unsafe) var previous: OffloadWork?

    init(_ body: @escaping @Sendable ((any Error)?) -> Void) { self.body = body }
}

/// Work in a line: first in, first out, and anything can leave it at once.
struct OffloadLine {
    private var first: OffloadWork?
    private var last: OffloadWork?
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    mutating func append(_ work: OffloadWork) {
        unsafe work.previous = last
        if let last { unsafe last.next = work } else { first = work }
        last = work
        count += 1
    }

    mutating func remove(_ work: OffloadWork) {
        let (previous, next) = unsafe (work.previous, work.next)
        unsafe work.previous = nil
        unsafe work.next = nil
        if let previous { unsafe previous.next = next } else { first = next }
        if let next { unsafe next.previous = previous } else { last = previous }
        count -= 1
    }

    mutating func removeFirst() -> OffloadWork? {
        guard let work = first else { return nil }
        remove(work)
        return work
    }
}

/// The state of a pool.
struct OffloadQueue {
    private(set) var queued = OffloadLine()
    private var waiting = OffloadLine()
    private(set) var running = 0
    private var completed: UInt64 = 0
    var threads = 0
    var idle = 0
    var isShutDown = false
    /// How many pieces are queued and running at most.
    private let most: Int

    init(threadLimit: Int, queueLimit: Int) {
        let (sum, overflow) = threadLimit.addingReportingOverflow(queueLimit)
        most = overflow ? .max : sum
    }

    var statistics: OffloadStatistics {
        OffloadStatistics(
            threads: threads,
            idle: idle,
            running: running,
            queued: queued.count,
            waiting: waiting.count,
            completed: completed
        )
    }

    /// Whether there is room for one more, and nobody waits for it.
    var hasRoom: Bool { waiting.isEmpty && running + queued.count < most }

    /// Whether nothing is left and nothing can come.
    var isDrained: Bool { isShutDown && running == 0 && queued.isEmpty && waiting.isEmpty }

    mutating func enqueue(_ work: OffloadWork) {
        unsafe work.place = .queued
        queued.append(work)
    }

    mutating func wait(_ work: OffloadWork) {
        unsafe work.place = .waiting
        waiting.append(work)
    }

    /// Moves the first that waits for room to the queue, if there is room; says whether it did.
    mutating func admitNext() -> Bool {
        guard running + queued.count < most, let work = waiting.removeFirst() else { return false }
        enqueue(work)
        return true
    }

    /// The next to run, which runs from here on.
    mutating func next() -> OffloadWork? {
        guard let work = queued.removeFirst() else { return nil }
        unsafe work.place = .nowhere
        running += 1
        return work
    }

    /// A piece of work has run.
    mutating func didRun() {
        running -= 1
        completed += 1
    }

    mutating func takeBack(_ work: OffloadWork) -> Bool {
        switch unsafe work.place {
        case .nowhere: return false
        case .queued: queued.remove(work)
        case .waiting: waiting.remove(work)
        }
        unsafe work.place = .nowhere
        return true
    }

    /// Takes out all that waits for room, and what is queued if that is said, oldest first.
    mutating func dropAll(andQueued: Bool) -> [OffloadWork] {
        var dropped: [OffloadWork] = []
        while andQueued, let work = queued.removeFirst() { dropped.append(work) }
        while let work = waiting.removeFirst() { dropped.append(work) }
        for work in dropped { unsafe work.place = .nowhere }
        return dropped
    }
}
