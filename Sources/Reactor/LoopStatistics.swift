// The loop's figures: plain counters, always on, a few additions a turn; and what it has to do at this moment, which is looked
// at when somebody asks.

internal import CLibUV

/// What a loop has done so far, what it has to do, and how late it runs.
public struct LoopStatistics: Sendable, CustomStringConvertible {
    /// How often the loop has polled for input.
    public internal(set) var turns: UInt64 = 0
    /// How many callbacks, submissions and jobs have run from the ready queue.
    public internal(set) var callbacks: UInt64 = 0
    /// How long the last turn kept the loop from polling, to the millisecond: the loop's lag.
    public var lag: Duration { .milliseconds(lagMilliseconds) }
    /// The longest such time so far.
    public var largestLag: Duration { .milliseconds(largestLagMilliseconds) }
    /// Bytes received by all connections.
    public internal(set) var bytesReceived: UInt64 = 0
    /// Bytes that the kernel has taken from all connections.
    public internal(set) var bytesSent: UInt64 = 0
    /// How often what was written by ``StreamWriter`` was handed to the system: one call for all that was gathered.
    public internal(set) var flushes: UInt64 = 0
    /// Connections accepted by all listeners.
    public internal(set) var connectionsAccepted: UInt64 = 0

    /// How many callbacks, submissions and jobs are ready to run.
    public internal(set) var ready = 0
    /// How many timers are set, the waits of tasks that sleep included.
    public internal(set) var timers = 0
    /// How many handles are open: those that ``EventLoop/dump()`` names, and one more for each writing end of a pipe.
    public internal(set) var handles = 0
    /// How long the loop has waited in its polls for something to happen; nil without
    /// ``EventLoop/Configuration/measuresIdleTime``.
    ///
    /// What is not this is time in which it was busy. Real time, also with a virtual clock.
    ///
    /// The corresponding libuv call is `uv_metrics_idle_time`.
    public internal(set) var idleTime: Duration?

    var lagMilliseconds: UInt64 = 0
    var largestLagMilliseconds: UInt64 = 0

    /// The figures on one line.
    public var description: String {
        "turns \(turns), callbacks \(callbacks), lag \(lag) (largest \(largestLag)), "
            + "received \(bytesReceived) B, sent \(bytesSent) B, accepted \(connectionsAccepted), "
            + "ready \(ready), timers \(timers), handles \(handles)" + (idleTime.map { ", idle \($0)" } ?? "")
    }
}

extension LoopCore {
    /// The figures as they are now.
    var figures: LoopStatistics {
        var figures = statistics
        figures.ready = ready.count + inner.count
        figures.timers = deadlines.count - deadlines.stale
        guard state != .closed else { return figures }
        let own = LoopHandles.count + (mainQueue == nil ? 0 : 1)
        figures.handles = openHandles - closingHandles - own + (memory?.liveHandles.count ?? 0)
        if configuration.measuresIdleTime {
            // SAFETY: the loop is open.
            figures.idleTime = unsafe .nanoseconds(Int64(clamping: uv_metrics_idle_time(raw)))
        }
        return figures
    }
}
