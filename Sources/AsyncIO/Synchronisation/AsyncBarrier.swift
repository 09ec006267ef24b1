// A place where a number of tasks wait for one another, again and again.

internal import Reactor

/// A barrier at which tasks of one loop wait until as many as it has parties have come.
///
/// Then all go on, and the barrier can be used again. Belongs to the code of one loop; not `Sendable`.
///
/// The corresponding asyncio name is `asyncio.Barrier`.
public final class AsyncBarrier {
    private enum State {
        /// Tasks come and wait.
        case filling
        /// All have come, and they leave; who comes now waits until the last has left.
        case draining
        /// ``AsyncBarrier/reset()`` sends away who waited, and they leave.
        case resetting
        /// Nobody can wait, until it is reset.
        case broken
    }

    private var state = State.filling
    private let waiters = WaitQueue("AsyncBarrier")
    private let newcomers = WaitQueue("AsyncBarrier")
    /// How many were woken and have not left yet.
    private var leavingCount = 0
    /// The number of the next one to leave.
    private var nextIndex = 0

    /// How many tasks wait for one another.
    public let parties: Int

    /// How many wait at present, or have not left yet.
    public var waitingCount: Int { waiters.length + leavingCount }

    /// Whether ``abort()`` has broken it.
    public var isBroken: Bool { state == .broken }

    /// Creates a barrier for a number of tasks, at least one.
    public init(parties: Int) {
        require(parties > 0, "An AsyncBarrier needs at least one party.")
        self.parties = parties
    }

    /// Waits until all parties have come; the last to come goes on at once.
    ///
    /// - Returns: A number from 0 to one less than the parties, different for each of those who leave together, in the
    ///   order in which they came.
    /// - Throws: ``BrokenBarrierError`` if the barrier is broken, or was reset or broken before this task has left it;
    ///   `CancellationError` if the task is cancelled before all have come: it then does not count.
    @discardableResult
    public func wait() async throws -> Int {
        while state == .draining || state == .resetting { try await newcomers.wait() }
        if state == .broken { throw BrokenBarrierError() }
        // Who was cancelled and has not run yet is still in line: not counted, but that is looked at only if it matters.
        if waiters.length + 1 >= parties, waiters.count + 1 == parties {
            nextIndex = 0
            sendAway(.draining)
            return parties - 1
        }
        try await waiters.wait()
        defer { leave() }
        if state != .draining { throw BrokenBarrierError() }
        defer { nextIndex += 1 }
        return nextIndex
    }

    /// Sends away all who wait or have not left yet, with an error, and makes the barrier empty and whole.
    public func reset() { sendAway(.resetting) }

    /// Breaks the barrier: who waits or comes gets an error, until ``reset()``.
    public func abort() {
        sendAway(.broken)
        newcomers.wakeAll()
    }

    private func sendAway(_ state: State) {
        leavingCount += waiters.wakeAll()
        self.state = state
        if leavingCount == 0 { becomeEmpty() }
    }

    private func leave() {
        leavingCount -= 1
        if leavingCount == 0 { becomeEmpty() }
    }

    private func becomeEmpty() {
        guard state != .broken else { return }
        state = .filling
        newcomers.wakeAll()
    }
}

/// A barrier was reset or broken while tasks waited at it, or is broken.
///
/// The corresponding asyncio name is `BrokenBarrierError`.
public struct BrokenBarrierError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Creates the error.
    public init() {}

    /// A sentence.
    public var description: String { "The AsyncBarrier is broken, or was reset while tasks waited at it." }
}
