// What can be set about a simulation, before it begins.

public import Reactor

/// The settings of a simulation.
public struct SimulationOptions: Sendable {
    /// The conditions of all links that get none of their own.
    public var conditions = LinkConditions()

    /// How long a host waits for the answer when it connects, before it fails with ``SystemError/Code/timedOut``.
    ///
    /// The default is Linux's, with six tries. `TCPConnection.connect` has a limit of its own, which is earlier.
    public var connectTimeout: Duration = .seconds(127)

    /// How long a connection tries to send what does not get through, before it fails with ``SystemError/Code/timedOut``.
    ///
    /// The default is Linux's, with fifteen tries.
    public var retransmissionTimeout: Duration = .seconds(924)

    /// How much of its own time a simulation has; nil is any amount.
    ///
    /// After that, who still waits is told so in an ``UnfinishedError``, and waits no longer.
    public var timeLimit: Duration? = .seconds(86_400)

    /// Receives what the loop has nobody else to tell, such as the errors of connections' handlers; nil leaves it to the trace.
    public var onIssue: (@Sendable (LoopIssue) -> Void)?

    /// Further settings of the loop; clock and network count if they are not the defaults.
    public var configuration = EventLoop.Configuration()

    /// The defaults: a network without faults.
    public init() {}
}
