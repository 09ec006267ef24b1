// What a transport shares with others, and what it rarely has: kept apart, so that an idle connection is small.

/// The limits of connections that were made with the same options, which share them.
final class StreamLimits {
    let lowWaterMark: Int
    let highWaterMark: Int
    let closeTimeout: Duration
    /// How long closing waits for the peer's acknowledgements; zero resets.
    let linger: Duration?

    init(_ options: StreamOptions) {
        (lowWaterMark, highWaterMark) = options.writeMarks
        (closeTimeout, linger) = (options.closeTimeout, options.linger)
    }

    /// The same as others with other marks.
    init(low: Int, high: Int, like others: StreamLimits) {
        (lowWaterMark, highWaterMark) = (low, high)
        (closeTimeout, linger) = (others.closeTimeout, others.linger)
    }
}

/// What a connection has only from when something happens to it.
final class StreamExtras {
    /// Limits of its own, in place of those that it shares.
    var limits: StreamLimits?
    /// Why it broke.
    var failure: (any Error)?
    /// Called when the system has taken some of what waits to be sent, and when the connection is gone.
    var onSent: (() -> Void)?
    var closeDeadline: Scheduled?
    /// The memory that a buffered protocol reads into.
    var activeBuffer: ReadBuffer?
    /// Whether it is the writing end of a pipe.
    var isWritingEnd = false
    /// What notices that nobody reads from a pipe any more.
    var readerWatch: ReaderWatch?
    /// Run when the descriptor is closed.
    var afterClose: (() -> Void)?
    /// What happened lately, if somebody looks.
    var activity: StreamActivity?
    /// The addresses that were asked for.
    var localAddress: SocketAddress?
    var remoteAddress: SocketAddress?
}
