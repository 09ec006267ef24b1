// How often, how soon and for how long something is tried again.

internal import Reactor

/// How often and how soon ``retry(_:if:_:)`` tries again.
public struct RetryPolicy: Hashable, Sendable {
    /// How many attempts there are at most, the first one included.
    public var maximumAttempts = 5

    /// The wait after the first attempt.
    public var initialDelay = Duration.milliseconds(100)

    /// What the wait is multiplied with after each further attempt.
    public var multiplier = 2.0

    /// The longest wait.
    public var maximumDelay = Duration.seconds(30)

    /// Which part of a wait is left to chance: of a wait of ten seconds and a jitter of 0.3 at least seven remain.
    ///
    /// It keeps many clients that failed together from coming back together. From 0, none, to 1, all of it.
    public var jitter = 0.5

    /// The time, counted from the beginning of the first attempt, after which no further attempt begins; nil is no limit.
    ///
    /// A wait that would go beyond it does not begin. An attempt that runs is not cut off: use ``withTimeout(_:_:)``, within
    /// the operation for each attempt, or around all of it.
    public var totalTime: Duration? = .seconds(60)

    /// The defaults.
    public init() {}

    /// The defaults, but for what is named here.
    ///
    /// - Parameters:
    ///   - maximumAttempts: How many attempts there are at most.
    ///   - initialDelay: The wait after the first attempt.
    ///   - multiplier: What the wait is multiplied with after each further attempt.
    ///   - maximumDelay: The longest wait.
    ///   - jitter: Which part of a wait is left to chance.
    ///   - totalTime: The time after which no further attempt begins.
    public init(
        maximumAttempts: Int = 5,
        initialDelay: Duration = .milliseconds(100),
        multiplier: Double = 2,
        maximumDelay: Duration = .seconds(30),
        jitter: Double = 0.5,
        totalTime: Duration? = .seconds(60)
    ) {
        self.maximumAttempts = maximumAttempts
        self.initialDelay = initialDelay
        self.multiplier = multiplier
        self.maximumDelay = maximumDelay
        self.jitter = jitter
        self.totalTime = totalTime
    }

    /// The wait after so many attempts, before anything is left to chance: see ``maximumDelay``.
    ///
    /// - Parameter attempts: At least one.
    /// - Returns: The wait, in whole nanoseconds.
    public func delay(afterAttempts attempts: Int) -> Duration {
        // In floating point, which is exact for whole nanoseconds up to a hundred days.
        let first = Self.nanoseconds(initialDelay)
        if first == 0 { return .zero }
        return Self.duration(min(first * multiplier.power(attempts - 1), Self.nanoseconds(maximumDelay)))
    }

    /// The same with its part of chance.
    func delay(afterAttempts attempts: Int, using generator: inout some RandomNumberGenerator) -> Duration {
        let delay = delay(afterAttempts: attempts)
        if jitter == 0 { return delay }
        let part = jitter * Double.random(in: 0...1, using: &generator)
        return Self.duration(Self.nanoseconds(delay) * (1 - part))
    }

    /// Traps where no meaning could be given to it.
    func validate() {
        require(maximumAttempts > 0, "A RetryPolicy needs at least one attempt.")
        require((0...1).contains(jitter), "The jitter of a RetryPolicy is between 0 and 1.")
        require(multiplier >= 0 && multiplier.isFinite, "The multiplier of a RetryPolicy is a number from 0 on.")
    }

    private static func nanoseconds(_ duration: Duration) -> Double {
        Double(LoopInstant(nanoseconds: 0).advanced(by: max(.zero, duration)).nanoseconds)
    }

    private static func duration(_ nanoseconds: Double) -> Duration {
        .nanoseconds(Int64(exactly: nanoseconds.rounded()) ?? .max)
    }
}

extension Double {
    /// A power with a whole exponent, infinite if it is too large.
    fileprivate func power(_ exponent: Int) -> Double {
        var (result, base, rest) = (1.0, self, max(0, exponent))
        while rest > 0 {
            if rest & 1 == 1 { result *= base }
            base *= base
            rest >>= 1
        }
        return result
    }
}
