// What a transport shares with others, and what it rarely has: kept apart, so that an idle connection is small.

/// The limits of connections that were made with the same options, which share them.
final class StreamLimits {
    let lowWaterMark: Int
    let highWaterMark: Int
    let closeTimeout: Duration

    init(_ options: StreamOptions) {
        (lowWaterMark, highWaterMark) = options.writeMarks
        closeTimeout = options.closeTimeout
    }

    init(low: Int, high: Int, closeTimeout: Duration) {
        (lowWaterMark, highWaterMark, self.closeTimeout) = (low, high, closeTimeout)
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
