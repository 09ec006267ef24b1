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

    /// How many tasks wait for one another.
    public let parties: Int

    /// How many wait at present, or have not left yet.
    public private(set) var waitingCount = 0

    /// Whether ``abort()`` has broken it.
    public var isBroken: Bool { state == .broken }

    /// Creates a barrier for a number of tasks, at least one.
    public init(parties: Int) {
        precondition(parties > 0, "An AsyncBarrier needs at least one party.")
        self.parties = parties
    }

    /// Waits until all parties have come.
    ///
    /// - Returns: A number from 0 to one less than the parties, different for each of those who leave together.
    /// - Throws: ``BrokenBarrierError`` if the barrier is broken or was reset or broken while this waited;
    ///   `CancellationError` if the task is cancelled before all have come: it then does not count.
    @discardableResult
    public func wait() async throws -> Int {
        while state == .draining || state == .resetting { try await newcomers.wait() }
        if state == .broken { throw BrokenBarrierError() }
        let index = waitingCount
        waitingCount += 1
        defer { leave() }
        if waitingCount == parties {
            state = .draining
            waiters.wakeAll()
        } else {
            try await waitForTheOthers()
        }
        return index
    }

    /// Sends away all who wait, with an error, and makes the barrier empty and whole.
    public func reset() {
        guard waitingCount > 0 else { return state = .filling }
        state = .resetting
        waiters.wakeAll()
    }

    /// Breaks the barrier: who waits or comes gets an error, until ``reset()``.
    public func abort() {
        state = .broken
        waiters.wakeAll()
        newcomers.wakeAll()
    }

    private func waitForTheOthers() async throws {
        while state == .filling { try await waiters.wait() }
        if state != .draining { throw BrokenBarrierError() }
    }

    private func leave() {
        waitingCount -= 1
        guard waitingCount == 0 else { return }
        if state == .draining || state == .resetting { state = .filling }
        if state == .filling { newcomers.wakeAll() }
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
