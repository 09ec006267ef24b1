// Time that passes only when there is nothing else to do.

internal import Synchronization
public import Reactor

/// A clock for tests: it stands still while anything can run, and jumps to the next deadline when nothing can.
///
///     var configuration = EventLoop.Configuration()
///     configuration.clock = VirtualClock()
///     configuration.network = .memory()
///
/// An hour of timers then takes no time, and what runs when is exact. Can be read and advanced from any thread.
public final class VirtualClock: LoopClock {
    private let nanoseconds: Atomic<Int64>
    private let jumps: Bool

    /// Creates a clock that shows `start`.
    ///
    /// - Parameters:
    ///   - start: The first instant.
    ///   - jumps: Whether the clock jumps by itself when the loop is idle. One that does not moves only by
    ///     ``advance(by:)``; the loop then does not sleep but polls until it is advanced.
    public init(start: LoopInstant = LoopInstant(nanoseconds: 0), jumps: Bool = true) {
        nanoseconds = Atomic(start.nanoseconds)
        self.jumps = jumps
    }

    /// The instant that the clock shows.
    public var now: LoopInstant { LoopInstant(nanoseconds: nanoseconds.load(ordering: .acquiring)) }

    /// Moves the clock forward.
    public func advance(by duration: Duration) {
        if duration < .zero { fatalError("A clock cannot go back by \(duration).") }
        var shown = nanoseconds.load(ordering: .acquiring)
        while true {
            let next = LoopInstant(nanoseconds: shown).advanced(by: duration).nanoseconds
            let (exchanged, original) = nanoseconds.compareExchange(
                expected: shown,
                desired: next,
                ordering: .acquiringAndReleasing
            )
            if exchanged { return }
            shown = original
        }
    }

    /// Jumps to `deadline`, if the clock jumps by itself.
    ///
    /// Called by the loop.
    public func idle(until deadline: LoopInstant) {
        if jumps { nanoseconds.max(deadline.nanoseconds, ordering: .acquiringAndReleasing) }
    }
}
