// The seam between datagram transports and what carries their datagrams: real sockets or memory. A driver calls its
// transport with what happened (`hasRoom`, `didReceive`, `didFail`, `didSend`, `didClose`), never from inside a verb.

/// What carries the datagrams of a transport.
enum DatagramDriver {
    case udp(UDPHandle)
    case memory(MemoryDatagramSocket)
    /// Nothing any more: the socket is closed.
    case none

    /// Starts to deliver what arrives.
    ///
    /// Does nothing if it is doing so.
    func startReading() throws(SystemError) {
        switch self {
        case .udp(let handle): try handle.startReading()
        case .memory(let socket): socket.startReading()
        case .none: break
        }
    }

    /// Hands the system a datagram if it takes it at once: 0, or a negative error, of which `EAGAIN` is none.
    func trySend(_ bytes: Bytes, to address: SocketAddress?) -> CInt {
        switch self {
        case .udp(let handle): handle.trySend(bytes, to: address)
        case .memory(let socket): socket.trySend(bytes, to: address)
        case .none: SystemError.Code.badDescriptor.rawValue
        }
    }

    /// Hands the system as many datagrams as it takes at once, and says how many; negative is an error of the first.
    func trySend(_ pieces: ArraySlice<Bytes>, to address: SocketAddress?) -> Int {
        if case .udp(let handle) = self { return handle.trySend(pieces, to: address) }
        var sent = 0
        for bytes in pieces {
            let status = trySend(bytes, to: address)
            if status < 0 { return sent > 0 ? sent : Int(status) }
            sent += 1
        }
        return sent
    }

    /// Sends the datagram when the system takes it; `didSend` follows, in the order of such calls.
    func send(_ sending: DatagramSending) throws(SystemError) {
        switch self {
        case .udp(let handle): try UDPSendRequest(sending).submit(to: handle)
        case .memory(let socket): socket.send(sending)
        case .none: break
        }
    }

    /// Closes; `didClose` follows.
    ///
    /// What waits to be sent is dropped.
    func close() {
        switch self {
        case .udp(let handle): handle.close()
        case .memory(let socket): socket.close()
        case .none: break
        }
    }

    /// The address of one end, while the socket is open.
    func address(remote: Bool) -> SocketAddress? {
        switch self {
        case .udp(let handle): handle.address(remote: remote)
        case .memory(let socket): remote ? socket.remoteAddress : socket.localAddress
        case .none: nil
        }
    }

    /// Changes a setting of the socket.
    func change(_ change: DatagramChange) throws(SystemError) {
        switch self {
        case .udp(let handle): try handle.change(change)
        case .memory(let socket): try socket.change(change)
        case .none: throw SystemError(.badDescriptor, call: change.call)
        }
    }
}

/// A datagram that waits to be sent.
final class DatagramSending {
    let bytes: Bytes
    let address: SocketAddress?
    /// Called once with the outcome; nil leaves errors to the protocol.
    let onEnd: ((SystemError?) -> Void)?

    init(_ bytes: Bytes, _ address: SocketAddress?, _ onEnd: ((SystemError?) -> Void)?) {
        self.bytes = bytes
        self.address = address
        self.onEnd = onEnd
    }

    /// What it counts for flow control: its bytes and a header, so that empty ones count too.
    var size: Int { bytes.count + 8 }
}

/// A setting that can be changed while a socket is open.
enum DatagramChange {
    case membership(group: String, interface: String?, source: String?, isMember: Bool)
    case multicastTimeToLive(Int)
    case multicastLoopback(Bool)
    case multicastInterface(String?)
    case broadcast(Bool)
    case timeToLive(Int)

    /// The libuv call, for messages.
    var call: String {
        switch self {
        case .membership(let group, _, nil, _): "uv_udp_set_membership(\(group))"
        case .membership(let group, _, let source?, _): "uv_udp_set_source_membership(\(group), \(source))"
        case .multicastTimeToLive(let hops): "uv_udp_set_multicast_ttl(\(hops))"
        case .multicastLoopback: "uv_udp_set_multicast_loop"
        case .multicastInterface(let name): "uv_udp_set_multicast_interface(\(name ?? "any"))"
        case .broadcast: "uv_udp_set_broadcast"
        case .timeToLive(let hops): "uv_udp_set_ttl(\(hops))"
        }
    }
}
