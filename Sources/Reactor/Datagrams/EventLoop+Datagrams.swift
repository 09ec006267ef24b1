// Datagram sockets in callbacks. Both ways take IP addresses; names are resolved before.

extension EventLoop {
    /// Makes a datagram socket that is bound to an address.
    ///
    /// The protocol's ``DatagramProtocol/connectionMade(_:on:)`` has been called when this returns; datagrams come
    /// later.
    ///
    /// - Parameters:
    ///   - address: Where to receive; port 0 takes any, see ``DatagramTransport/localAddress``.
    ///   - options: The settings of the socket.
    ///   - receiver: Receives the datagrams; the socket keeps it until it is closed.
    /// - Returns: The socket, which may be dropped; it stays open until it is closed.
    /// - Throws: ``SystemError`` that names the address, such as ``SystemError/Code/addressInUse``; and what the
    ///   protocol's
    ///   `connectionMade` throws.
    ///
    /// The corresponding asyncio name is `loop.create_datagram_endpoint` with `local_addr`; the corresponding libuv
    /// call is `uv_udp_bind`.
    @discardableResult
    public func bindDatagram(
        to address: SocketAddress,
        options: DatagramOptions = .init(),
        _ receiver: any DatagramProtocol
    ) throws -> DatagramTransport {
        try unsafe core.openDatagram(local: address, remote: nil, options, receiver)
    }

    /// Makes a datagram socket that is connected to an address: it sends there, and receives from there alone.
    ///
    /// Nothing is sent by that, so nothing is known of the peer; but if the peer's machine answers that nobody listens
    /// there, ``DatagramProtocol/errorReceived(_:from:on:)`` hears of it.
    ///
    /// - Parameters:
    ///   - address: The peer.
    ///   - local: The address to send from; nil leaves it to the system.
    ///   - options: The settings of the socket.
    ///   - receiver: Receives the datagrams; the socket keeps it until it is closed.
    /// - Returns: The socket, which may be dropped; it stays open until it is closed.
    /// - Throws: As ``bindDatagram(to:options:_:)``, and ``SystemError`` if there is no way to the peer.
    ///
    /// The corresponding asyncio name is `loop.create_datagram_endpoint` with `remote_addr`; the corresponding libuv
    /// call is `uv_udp_connect`.
    @discardableResult
    public func connectDatagram(
        to address: SocketAddress,
        from local: SocketAddress? = nil,
        options: DatagramOptions = .init(),
        _ receiver: any DatagramProtocol
    ) throws -> DatagramTransport {
        try unsafe core.openDatagram(local: local, remote: address, options, receiver)
    }
}

extension LoopCore {
    fileprivate func openDatagram(
        local: SocketAddress?,
        remote: SocketAddress?,
        _ options: DatagramOptions,
        _ receiver: any DatagramProtocol
    ) throws -> DatagramTransport {
        try requireOpen()
        options.validate()
        for address in [local, remote] where address?.family == .unix {
            throw SystemError(.addressFamilyNotSupported, call: "socket", address: address)
        }
        let transport: DatagramTransport
        if let memory {
            let socket = try memory.datagrams.open(local: local, remote: remote, options)
            transport = DatagramTransport(core: self, .memory(socket), options, connectedTo: remote)
            socket.transport = transport
        } else {
            let handle = try UDPHandle(on: self, local: local, remote: remote, options)
            transport = DatagramTransport(core: self, .udp(handle), options, connectedTo: remote)
            handle.transport = transport
        }
        try transport.begin(with: receiver)
        return transport
    }
}
