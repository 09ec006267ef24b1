// What can be set about a datagram socket before it exists. Every limit has a default that is on.

/// The settings of a datagram socket.
public struct DatagramOptions: Sendable, Hashable {
    /// Let several sockets be bound to one address, all of which get what is sent to a multicast group.
    ///
    /// The C name is `SO_REUSEADDR`; the libuv name is `UV_UDP_REUSEADDR`.
    public var reuseAddress = false

    /// Let several sockets of one user share the port, among which the kernel distributes what arrives.
    ///
    /// The C name is `SO_REUSEPORT`.
    public var reusePort = false

    /// Allow sending to broadcast addresses.
    ///
    /// The C name is `SO_BROADCAST`; the libuv call is `uv_udp_set_broadcast`.
    public var allowsBroadcast = false

    /// Let a socket of IPv6 take IPv6 only: for both families bind two.
    ///
    /// The C name is `IPV6_V6ONLY`; the libuv name is `UV_UDP_IPV6ONLY`.
    public var isIPv6Only = true

    /// How many bytes the kernel keeps of what arrives and nobody reads, about; nil is its default.
    ///
    /// What does not fit is lost.
    ///
    /// The C name is `SO_RCVBUF`; the libuv call is `uv_recv_buffer_size`.
    public var receiveBufferSize: Int?

    /// How many bytes the kernel takes before sending has to wait, about; nil is its default.
    ///
    /// The C name is `SO_SNDBUF`; the libuv call is `uv_send_buffer_size`.
    public var sendBufferSize: Int?

    /// How many routers a datagram may pass, 1 to 255; nil is the kernel's default.
    ///
    /// The libuv call is `uv_udp_set_ttl`.
    public var timeToLive: Int?

    /// How many datagrams one system call receives at most, where the system can: 1 to 20.
    ///
    /// More than one takes 64 KiB each, once for all sockets of the loop, and each datagram is then copied: worth it
    /// for many small ones. The libuv name is `UV_UDP_RECVMMSG`.
    public var receiveBatch = 1

    /// When more bytes than this wait to be sent, writing is paused; each datagram counts its length and 8.
    public var writeHighWaterMark = 65_536

    /// When no more bytes than this wait, writing resumes.
    ///
    /// At most the high-water mark; nil is a quarter of it.
    public var writeLowWaterMark: Int?

    /// How long ``DatagramTransport/close()`` tries to send what waits before it gives up.
    public var closeTimeout = Duration.seconds(5)

    /// The defaults.
    public init() {}

    /// The marks, checked.
    var writeMarks: (low: Int, high: Int) {
        let low = writeLowWaterMark ?? writeHighWaterMark / 4
        DatagramTransport.requireMarks(low: low, high: writeHighWaterMark)
        return (low, writeHighWaterMark)
    }

    func validate() {
        _ = writeMarks
        require(
            receiveBatch >= 1 && receiveBatch <= 20,
            "DatagramOptions.receiveBatch is how many datagrams a system call receives, 1 to 20, but is \(receiveBatch)."
        )
    }
}

/// A mistake in the use of a datagram socket, or its end.
public enum DatagramError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The socket is closed by this side.
    case closed
    /// A task receives from the socket already; datagrams would go to one of the two by chance.
    case busyReceiver
    /// No address was given, and the socket is not connected to one.
    case noAddress
    /// The socket is connected to this address, and another one was given.
    case connected(to: SocketAddress)

    /// What happened, in one sentence.
    public var description: String {
        switch self {
        case .closed: "The datagram socket is closed."
        case .busyReceiver: "Another task is receiving from this datagram socket already."
        case .noAddress: "A datagram needs an address to go to, as its socket is not connected to one."
        case .connected(let address):
            "The datagram socket is connected to \(address), so it sends nowhere else: leave the address out."
        }
    }
}
