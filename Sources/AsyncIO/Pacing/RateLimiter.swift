// A token bucket. It counts in whole numbers and in the time at which something was due, not at which a timer came: so that
// neither rounding nor lateness adds up.
//
// Ground rules:
//   * One unit is the part of a token that comes in a nanosecond at a rate of one: a token is as many units as `period` has
//     nanoseconds, and each nanosecond brings `rate` units.
//   * While tasks wait the bucket does not overflow for the lateness of those before them, up to one burst: so a timer that
//     comes late costs no rate, and a loop that was busy for long lets no flood through.
//   * Tokens are taken when they are there, by the first in line; who waits has taken none.

internal import Reactor

/// A limit of so many per time, with bursts: a token bucket.
///
///     let limiter = RateLimiter(rate: 100, per: .seconds(1), burst: 10)
///     for request in requests {
///         try await limiter.acquire()
///         try await send(request)
///     }
///
/// Tokens come evenly at the rate; as many as the burst says are kept while nobody wants them, and are there at the
/// beginning. Who waits is served in order, a large request before smaller ones that came later, in the nanosecond in which
/// its last token is complete, and rounding never adds up. Who is served late, as the loop was busy, delays nobody after
/// him: what came in the meantime is made up for, as much as one burst of it.
///
/// Belongs to the code of one loop; not `Sendable`. asyncio has nothing like it; the package `aiolimiter` is similar.
public final class RateLimiter {
    private let turn = AsyncLock()
    private let tokenUnits: Int128
    private let capacityUnits: Int128
    /// In which an empty bucket fills.
    private let fillingTime: Duration
    /// What is in the bucket, as of `instant`.
    private var units: Int128
    private var instant: LoopInstant?

    /// How many tokens come in each ``period``.
    public let rate: Int

    /// The time in which ``rate`` tokens come.
    public let period: Duration

    /// How many tokens are kept at most.
    public let burst: Int

    /// Creates a limiter with a full bucket.
    ///
    /// - Parameters:
    ///   - rate: How many tokens come in each period, at least one.
    ///   - period: A length of time, counted in whole nanoseconds; more than zero.
    ///   - burst: How many tokens are kept while nobody wants them, at least one.
    public init(rate: Int, per period: Duration = .seconds(1), burst: Int = 1) {
        require(
            rate > 0 && burst > 0 && period > .zero,
            "A RateLimiter needs a rate, a time and a burst above zero."
        )
        (self.rate, self.period, self.burst) = (rate, period, burst)
        tokenUnits = Int128(LoopInstant(nanoseconds: 0).advanced(by: period).nanoseconds)
        capacityUnits = tokenUnits * Int128(burst)
        units = capacityUnits
        fillingTime = Self.time(of: capacityUnits, rate)
    }

    /// How many tokens can be taken without waiting; none while somebody waits.
    public var availableTokens: Int {
        if turn.isLocked { return 0 }
        fill(until: LoopWait.now)
        return Int(units / tokenUnits)
    }

    /// Takes tokens, when they are there and it is this task's turn.
    ///
    /// More than the burst can be taken at once: that waits until as many have come, which are then kept for it. Does not
    /// look at cancellation unless it has to wait; a cancellation that comes when they are there has no effect.
    ///
    /// - Parameter count: How many, at least one.
    /// - Throws: `CancellationError` if the task is cancelled while it waits, or the loop ends: it has taken none then, and
    ///   the next in line is served as if it had never come.
    public func acquire(_ count: Int = 1) async throws {
        require(count > 0, "RateLimiter.acquire was called for fewer tokens than one.")
        let arrival = LoopWait.now
        try await turn.acquire()
        defer { turn.release() }
        let now = LoopWait.now
        fill(until: max(arrival, now.advanced(by: .zero - fillingTime)))
        let due = time(of: count)
        if due > now { try await sleep(until: due) }
        take(count, at: due)
    }

    /// Takes tokens if they are there and nobody waits; says whether it did.
    ///
    /// Never for more than the burst.
    ///
    /// - Parameter count: How many, at least one.
    /// - Returns: Whether this has taken them.
    public func tryAcquire(_ count: Int = 1) -> Bool {
        require(count > 0, "RateLimiter.tryAcquire was called for fewer tokens than one.")
        if turn.isLocked { return false }
        let now = LoopWait.now
        fill(until: now)
        guard time(of: count) <= now else { return false }
        take(count, at: now)
        return true
    }

    // MARK: The bucket

    /// Lets time pass in which nobody wanted tokens.
    private func fill(until now: LoopInstant) {
        guard let instant else { return self.instant = now }
        guard instant < now else { return }
        units = min(capacityUnits, units + income(from: instant, until: now))
        self.instant = now
    }

    /// When so many tokens are there.
    private func time(of count: Int) -> LoopInstant {
        let start = instant ?? LoopWait.now
        return start.advanced(by: Self.time(of: max(0, Int128(count) * tokenUnits - units), rate))
    }

    /// In which so many units come.
    private static func time(of units: Int128, _ rate: Int) -> Duration {
        let (whole, rest) = units.quotientAndRemainder(dividingBy: Int128(rate))
        return .nanoseconds(Int64(clamping: whole + (rest > 0 ? 1 : 0)))
    }

    /// Takes tokens that are there at an instant.
    private func take(_ count: Int, at due: LoopInstant) {
        if let instant, instant < due {
            units += income(from: instant, until: due)
            self.instant = due
        }
        units -= Int128(count) * tokenUnits
    }

    private func income(from start: LoopInstant, until end: LoopInstant) -> Int128 {
        (Int128(end.nanoseconds) - Int128(start.nanoseconds)) * Int128(rate)
    }
}
