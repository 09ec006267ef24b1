// What a server allows its connections, and what it tells of itself.
//
// Time limits are kept by one coarse timer of the server's, which looks at its connections every quarter of the shortest
// limit. So a limit is never kept early and at most half of it late, and a message pays nothing for it.

internal import Reactor

/// What a server has done so far and has to do at this moment.
public struct ServerStatistics: Sendable, Hashable, CustomStringConvertible {
    /// How many connections it has accepted.
    public internal(set) var accepted: UInt64 = 0
    /// How many of them have a handler.
    public internal(set) var active = 0
    /// How often accepting failed, for want of descriptors or memory.
    public internal(set) var failedAccepts: UInt64 = 0
    /// How often accepting paused because the limit of connections was reached.
    public internal(set) var pauses: UInt64 = 0
    /// Whether clients wait because it is reached.
    public internal(set) var isPaused = false
    /// How many connections were closed by a time limit.
    public internal(set) var expired: UInt64 = 0
    /// How many bytes were received; 0 without ``ServerOptions/countsBytes``.
    public internal(set) var bytesReceived: UInt64 = 0
    /// How many bytes the system has taken; 0 without ``ServerOptions/countsBytes``.
    public internal(set) var bytesSent: UInt64 = 0

    /// The figures on one line.
    public var description: String {
        "accepted \(accepted), active \(active), failed accepts \(failedAccepts), pauses \(pauses)"
            + (isPaused ? " (paused)" : "") + ", expired \(expired), received \(bytesReceived) B, sent \(bytesSent) B"
    }

    mutating func add(_ activity: StreamActivity?) {
        guard let activity, activity.countsBytes else { return }
        bytesReceived &+= activity.bytesReceived
        bytesSent &+= activity.bytesSent
    }

    mutating func add(_ other: ServerStatistics) {
        accepted += other.accepted
        active += other.active
        failedAccepts += other.failedAccepts
        pauses += other.pauses
        isPaused = isPaused || other.isPaused
        expired += other.expired
        bytesReceived &+= other.bytesReceived
        bytesSent &+= other.bytesSent
    }
}

/// What a server knows of one of its connections.
public struct ConnectionStatistics: Sendable, Hashable {
    /// When its handler began.
    public let openedAt: LoopInstant
    /// When something was last received or sent, as the server's sweep has found it, which comes a little later.
    public let lastActivity: LoopInstant
    /// How many bytes were received; nil without ``ServerOptions/countsBytes``.
    public let bytesReceived: UInt64?
    /// How many bytes the system has taken; nil without ``ServerOptions/countsBytes``.
    public let bytesSent: UInt64?
}

extension TCPConnection {
    /// What its server knows of it; nil if that looks at nothing: without a time limit and ``ServerOptions/countsBytes``.
    ///
    /// Any thread.
    public var statistics: ConnectionStatistics? { get async { await statistics(on: loop) } }

    private func statistics(on loop: isolated EventLoop) -> ConnectionStatistics? {
        channel(on: loop).activity.map {
            ConnectionStatistics(
                openedAt: $0.openedAt,
                lastActivity: $0.lastActivity,
                bytesReceived: $0.countsBytes ? $0.bytesReceived : nil,
                bytesSent: $0.countsBytes ? $0.bytesSent : nil
            )
        }
    }
}

/// The limits of a server that concern what happens on its connections.
struct ActivityLimits {
    private let idle: Duration?
    private let firstByte: Duration?
    let countsBytes: Bool
    /// How long it is between two looks; nil if there is no limit.
    let interval: Duration?

    init(_ options: ServerOptions) {
        (idle, firstByte, countsBytes) = (options.idleTimeout, options.firstByteTimeout, options.countsBytes)
        let shortest = [idle, firstByte].compactMap(\.self).min()
        require(
            shortest ?? .seconds(1) > .zero,
            "The time limits of a server must be longer than nothing; nil is none."
        )
        interval = shortest.map { max($0 / 4, .milliseconds(1)) }
    }

    /// Whether connections are looked at.
    var isWatching: Bool { interval != nil || countsBytes }

    /// Why a connection is to be closed, if it is.
    func reason(for found: StreamActivity, at now: LoopInstant) -> LoopError? {
        if let firstByte, !found.hasReceived, found.openedAt.duration(to: now) >= firstByte {
            return .timedOut("Waiting for a client's first byte for \(firstByte)")
        }
        if let idle, found.lastActivity.duration(to: now) >= idle {
            return .timedOut("A connection on which nothing happened for \(idle)")
        }
        return nil
    }
}
