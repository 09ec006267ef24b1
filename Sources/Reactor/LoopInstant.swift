// Points in time as the loop counts them.
//
// One signed 64-bit count of nanoseconds: 292 years, compared in one instruction by the deadline heap. Arithmetic
// saturates, so that `.seconds(.max)` means "never" and not a trap.

internal import CLibUV

/// A point in time on a loop's clock.
///
/// Instants of two loops on the real clock can be compared: both count from the same origin, which is the system's
/// monotonic clock. Instants of a virtual clock mean something only to that clock.
///
/// The corresponding asyncio name is the `float` of `loop.time()`; the corresponding libuv call is `uv_hrtime`.
public struct LoopInstant: InstantProtocol, Hashable, Sendable, CustomStringConvertible {
    /// Nanoseconds since the clock's origin.
    public var nanoseconds: Int64

    /// Creates the instant that is this many nanoseconds after the clock's origin.
    @inlinable
    public init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    /// The present instant of the system's monotonic clock, from which loops count unless they have another.
    package static var system: LoopInstant { LoopInstant(nanoseconds: Int64(bitPattern: uv_hrtime())) }

    /// An instant that never comes.
    public static var distantFuture: LoopInstant { LoopInstant(nanoseconds: .max) }

    /// The instant `duration` after this one; the far future or past if that is out of range.
    public func advanced(by duration: Duration) -> LoopInstant {
        let (sum, overflow) = nanoseconds.addingReportingOverflow(duration.saturatedNanoseconds)
        return LoopInstant(nanoseconds: overflow ? (duration < .zero ? .min : .max) : sum)
    }

    /// The time from this instant to `other`; negative if that one is earlier.
    public func duration(to other: LoopInstant) -> Duration {
        let (difference, overflow) = other.nanoseconds.subtractingReportingOverflow(nanoseconds)
        return .nanoseconds(overflow ? (other < self ? .min : .max) : difference)
    }

    /// Whether the left instant comes before the right one.
    @inlinable
    public static func < (left: LoopInstant, right: LoopInstant) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// The instant as seconds since the clock's origin.
    public var description: String { "\(Duration.nanoseconds(nanoseconds))" }
}

extension Duration {
    /// The duration in whole nanoseconds, rounded up, so that nothing happens early; saturated at 292 years.
    var saturatedNanoseconds: Int64 {
        // `components` traps beyond 2^63 seconds.
        if self >= .seconds(Int64.max) { return .max }
        if self <= .seconds(Int64.min) { return .min }
        let (seconds, attoseconds) = components
        let rest = attoseconds / 1_000_000_000 + (attoseconds % 1_000_000_000 > 0 ? 1 : 0)
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, overflow2) = whole.addingReportingOverflow(rest)
        guard !overflow && !overflow2 else { return seconds < 0 ? .min : .max }
        return sum
    }
}
