// What can be set about a connection and a listener. Every limit has a default that is on.

internal import CReactor

/// The settings of one connection.
public struct StreamOptions: Sendable, Hashable {
    /// Send small writes at once instead of gathering them for a round trip.
    ///
    /// The C name is `TCP_NODELAY`.
    public var noDelay = true

    /// Probe a silent peer after this long, in whole seconds and at least one; nil never probes.
    ///
    /// The C names are `SO_KEEPALIVE` and `TCP_KEEPIDLE`.
    public var keepAlive: Duration?

    /// How long it is between two probes that get no answer, in whole seconds; nil leaves it to the system.
    ///
    /// Counts with ``keepAlive`` only. The C name is `TCP_KEEPINTVL`.
    public var keepAliveInterval: Duration?

    /// After how many probes without an answer the connection is broken; nil leaves it to the system.
    ///
    /// Counts with ``keepAlive`` only. The C name is `TCP_KEEPCNT`.
    public var keepAliveCount: Int?

    /// How long what was sent may remain unacknowledged before the connection is broken; nil leaves it to the system,
    /// which takes a quarter of an hour.
    ///
    /// In milliseconds on Linux and whole seconds on Apple's systems. The C names are `TCP_USER_TIMEOUT` and
    /// `TCP_RXT_CONNDROPTIME`.
    public var userTimeout: Duration?

    /// How many bytes the kernel keeps to be sent; nil leaves it to the system, which adapts it.
    ///
    /// Linux doubles it. The C name is `SO_SNDBUF`.
    public var sendBufferSize: Int?

    /// How many bytes the kernel keeps that were received; nil leaves it to the system, which adapts it.
    ///
    /// Linux doubles it. Set before the connection is made, as how much the peer may send at once follows from it. The C
    /// name is `SO_RCVBUF`.
    public var receiveBufferSize: Int?

    /// When more bytes than this wait to be sent, writing is paused.
    public var writeHighWaterMark = 65_536

    /// When no more bytes than this wait, writing resumes.
    ///
    /// At most the high-water mark; nil is a quarter of it.
    public var writeLowWaterMark: Int?

    /// How long ``StreamTransport/close()`` tries to send what waits before it aborts.
    ///
    /// That is until the kernel has it; whether the peer has it is what ``linger`` asks for.
    public var closeTimeout = Duration.seconds(5)

    /// How long closing waits until the peer has acknowledged everything; nil, the default, leaves it to the kernel,
    /// which goes on sending after the connection is closed and tells nobody how that ends.
    ///
    /// With a time closing first sends what waits, for ``closeTimeout`` at most. Then it sends the end and waits for the
    /// peer's acknowledgement of that and of all before it, for this time at most. Waiting is the loop's, which does
    /// other things meanwhile: it looks after a millisecond and then after twice as long each time, up to 16
    /// milliseconds. So the connection is closed, and ``TCPConnection/close()`` returns, up to that much later than the
    /// acknowledgement comes, which Linux keeps back for 40 milliseconds if the peer has nothing to send. If it does not come in time the connection is reset, and closing fails with
    /// ``LoopError/timedOut(_:)``; if the connection breaks, with ``SystemError``. What a peer has acknowledged is with
    /// its kernel: whether its program has read it only an answer of the program's tells.
    ///
    /// With ``Duration/zero`` closing resets the connection at once, as ``StreamTransport/abort()`` does: what the peer
    /// has not got yet is dropped, and the system keeps the addresses for no further minute.
    ///
    /// ``StreamTransport/abort()``, the cancellation of who waits for the close, and closing the loop end the wait at
    /// once, by a reset. A connection that lingers counts to the limits of its server, whose handlers end, and which
    /// drains, after it. A connection that is given away does not linger.
    ///
    /// Of TCP only: Unix sockets, pipes and terminals close as ever, as nothing is under way there. Linux tells what is not
    /// acknowledged, the end included (`SIOCOUTQ`), and Apple's systems all but the end; on others a positive time closes as
    /// nil does. Must not be negative.
    ///
    /// The C name is `SO_LINGER`, which is never set to a time: with one Linux makes `close` wait for the peer even
    /// where the socket does not block, and with it the whole loop.
    public var linger: Duration?

    /// The defaults.
    public init() {}

    /// The marks, checked.
    var writeMarks: (low: Int, high: Int) {
        let low = writeLowWaterMark ?? writeHighWaterMark / 4
        require(
            low >= 0 && writeHighWaterMark >= low,
            "Write marks must satisfy 0 <= low <= high, but are \(low) and \(writeHighWaterMark)."
        )
        return (low, writeHighWaterMark)
    }

    func validate() {
        _ = writeMarks
        require(
            keepAliveCount ?? 1 > 0,
            "A connection is not broken before one probe: keepAliveCount must be positive."
        )
        require(
            sendBufferSize ?? 1 > 0 && receiveBufferSize ?? 1 > 0,
            "The kernel's buffers must have room for at least one byte; nil leaves their size to the system."
        )
        require(
            linger ?? .zero >= .zero,
            "StreamOptions.linger must not be negative: zero resets the connection, and nil does not wait."
        )
    }

    /// Sets what concerns a TCP socket.
    ///
    /// Returns 0 or a negative errno value.
    func apply(to descriptor: CInt) -> CInt {
        // The kernel takes no more than 32,767 seconds.
        let idle = keepAlive.map { UInt32(clamping: max(1, min($0.components.seconds, 32_767))) } ?? 0
        let status = creactor_set_tcp_options(descriptor, noDelay ? 1 : 0, idle)
        guard status == 0, hasMore else { return status }
        let interval = keepAliveInterval.map { UInt32(clamping: max(1, min($0.components.seconds, 32_767))) } ?? 0
        let patience = userTimeout.map { max(1, min($0 / .milliseconds(1), 2_147_483_647)) } ?? 0
        return creactor_set_more_tcp_options(
            descriptor,
            interval,
            UInt32(clamping: min(keepAliveCount ?? 0, 127)),
            UInt32(patience),
            CInt(clamping: sendBufferSize ?? 0),
            CInt(clamping: receiveBufferSize ?? 0)
        )
    }

    /// Whether anything is set that few programs set.
    private var hasMore: Bool {
        keepAliveInterval != nil || keepAliveCount != nil || userTimeout != nil || sendBufferSize != nil
            || receiveBufferSize != nil
    }
}

/// The settings of a listener.
public struct ListenerOptions: Sendable, Hashable {
    /// How many connections the kernel keeps waiting; it may allow fewer (`net.core.somaxconn`).
    public var backlog = 4_096

    /// Take an address that connections of an earlier server still use as they end; else that takes a minute.
    ///
    /// The C name is `SO_REUSEADDR`.
    public var reuseAddress = true

    /// Let several sockets of one user share the port, for one listener on each of several loops.
    ///
    /// The C name is `SO_REUSEPORT`.
    public var reusePort = false

    /// How many connections of this listener may be open at once; nil is as many as the soft limit on descriptors
    /// allows with 64 to spare, and at most 100,000.
    ///
    /// At the limit accepting pauses: further clients wait in the kernel's backlog, and nobody is refused. It goes on
    /// with the next connection that closes.
    public var maxConnections: Int?

    /// The settings of the connections that are accepted.
    public var connection = StreamOptions()

    /// What concerns the file of a Unix socket.
    public var unix = UnixListenerOptions()

    /// The defaults.
    public init() {}
}

/// What becomes of the file of a Unix socket; an abstract name has none.
public struct UnixListenerOptions: Sendable, Hashable {
    /// Remove a socket that is at the path already, such as one that a program left which was killed.
    ///
    /// Nothing but a socket is ever removed: for any other file listening fails with ``SystemError/Code/addressInUse``.
    /// Whether somebody still listens there is not asked: who does loses its clients to the new listener.
    public var replacesExisting = true

    /// Who may connect, as the file's permissions, such as `0o600`; nil leaves it to the process's mask.
    ///
    /// They are set before anybody can connect. On Linux connecting takes the permission to write.
    public var permissions: UInt16?

    /// Remove the file when the listener is closed, if it is still the one that it made.
    ///
    /// The corresponding asyncio name is the argument `cleanup_socket`.
    public var removesOnClose = true

    /// The defaults.
    public init() {}
}
