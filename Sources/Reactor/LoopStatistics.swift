// The loop's figures: plain counters, always on, a few additions a turn.

/// What a loop has done so far, and how late it runs.
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

    var lagMilliseconds: UInt64 = 0
    var largestLagMilliseconds: UInt64 = 0

    /// The figures on one line.
    public var description: String {
        "turns \(turns), callbacks \(callbacks), lag \(lag) (largest \(largestLag)), "
            + "received \(bytesReceived) B, sent \(bytesSent) B, accepted \(connectionsAccepted)"
    }
}
