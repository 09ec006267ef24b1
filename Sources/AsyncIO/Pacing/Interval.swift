// Ticks at even distances. Each is due at an instant that is counted from the one before, not from when anybody came, so
// that lateness does not add up.

internal import Reactor

/// A tick every so often: a sequence of instants that does not end.
///
///     for try await instant in Interval(every: .seconds(1)) {
///         try report(instant)
///     }
///
/// The first tick is at once unless there is a delay. Each comes when it is due and somebody asks for it; those that were due
/// before are late, and what then happens is a matter of ``MissedTicks``. A tick that comes late because the loop was busy,
/// though somebody waited for it in time, moves none of the next ones. Ticks cost nothing while nobody waits.
///
/// Belongs to the code of one loop; not `Sendable`. asyncio has nothing like it; `tokio::time::interval` is similar.
public final class Interval {
    /// What happens after a tick for which somebody came too late.
    public enum MissedTicks: Sendable {
        /// The ticks that were missed come at once, one after the other, until none is left.
        case burst
        /// The next tick is a whole period after the late one was taken, and from there on all are that much later.
        case delay
        /// The ticks that were missed do not come; the next is the next that is due.
        case skip
    }

    private let turn = AsyncLock()
    private var due: LoopInstant
    private let nanoseconds: Int64

    /// The time from tick to tick.
    public let period: Duration

    /// What happens after a tick for which somebody came too late.
    public let missedTicks: MissedTicks

    /// Creates an interval that begins now.
    ///
    /// - Parameters:
    ///   - period: The time from tick to tick, in whole nanoseconds; more than zero.
    ///   - delay: The time from now to the first tick; zero is at once.
    ///   - missedTicks: What happens after a tick for which somebody came too late.
    public init(every period: Duration, after delay: Duration = .zero, missedTicks: MissedTicks = .burst) {
        require(period > .zero, "An Interval needs a period above zero.")
        self.period = period
        nanoseconds = LoopInstant(nanoseconds: 0).advanced(by: period).nanoseconds
        self.missedTicks = missedTicks
        due = LoopWait.now.advanced(by: delay < .zero ? .zero : delay)
    }

    /// Waits for the next tick.
    ///
    /// Lets everything run once that is ready, also if the tick is due already, so that a burst keeps nobody from running.
    /// Several tasks may wait: each tick goes to one of them, in the order in which they came.
    ///
    /// - Returns: When it was due.
    /// - Throws: `CancellationError` if the task is cancelled while it waits, or the loop ends. The tick is then the next
    ///   one's who asks.
    public func tick() async throws -> LoopInstant {
        let arrival = LoopWait.now
        try await turn.acquire()
        defer { turn.release() }
        let tick = due
        try await sleep(until: tick)
        due = next(after: tick, isLate: arrival > tick)
        return tick
    }

    private func next(after tick: LoopInstant, isLate: Bool) -> LoopInstant {
        let (now, next) = (LoopWait.now, tick.advanced(by: period))
        // Who waited in time is not late for the lateness of a timer, unless that has cost a tick.
        guard isLate || next <= now else { return next }
        switch missedTicks {
        case .burst: return next
        case .delay: return now.advanced(by: period)
        case .skip:
            let passed = (now.nanoseconds - tick.nanoseconds) % nanoseconds
            return now.advanced(by: .nanoseconds(nanoseconds - passed))
        }
    }
}

extension Interval: AsyncSequence {
    /// Waits for one tick after the other.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let interval: Interval

        /// The next tick; never nil: see ``Interval/tick()``.
        public mutating func next() async throws -> LoopInstant? { try await interval.tick() }

        /// The same with the isolation of the caller.
        public mutating func next(isolation: isolated (any Actor)?) async throws(any Error) -> LoopInstant? {
            try await interval.tick()
        }
    }

    /// Iterates over the ticks that have not come yet.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(interval: self) }
}
