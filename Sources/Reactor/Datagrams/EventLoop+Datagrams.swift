// Datagram sockets in callbacks. Whoever names addresses gives those of IP; names are resolved before. Whoever brings a
// descriptor along and gets an error keeps it.

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
    /// - Throws: As ``bindDatagram(to:options:_:)``, and ``SystemError`` if there is no way to the peer, or if `local` is of
    ///   another family.
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

    /// Makes a datagram socket of a descriptor.
    ///
    /// It may be any datagram socket of IPv4 or IPv6: one that is bound, one that is connected, which then sends there and
    /// receives from there alone, or neither, which gets a port with the first datagram that it sends. The protocol's
    /// ``DatagramProtocol/connectionMade(_:on:)`` has been called when this returns; datagrams come later, also those that
    /// the kernel had already.
    ///
    /// - Parameters:
    ///   - descriptor: Is the loop's when this returns: nobody else may use or close it then. It is made not to block.
    ///   - options: The settings of the socket. Those that concern binding count for nothing:
    ///     ``DatagramOptions/reuseAddress``, ``DatagramOptions/reusePort`` and ``DatagramOptions/isIPv6Only``.
    ///   - receiver: Receives the datagrams; the socket keeps it until it is closed.
    /// - Returns: The socket, which may be dropped; it stays open until it is closed.
    /// - Throws: ``DescriptorError`` if the descriptor is no such socket, ``SystemError``; it is then still the
    ///   caller's, and as it was. What the protocol's `connectionMade` throws, after which it is closed.
    ///
    /// The corresponding asyncio name is the argument `sock` of `loop.create_datagram_endpoint`; the corresponding libuv
    /// call is `uv_udp_open`.
    @discardableResult
    public func adoptDatagram(
        descriptor: CInt,
        options: DatagramOptions = .init(),
        _ receiver: any DatagramProtocol
    ) throws -> DatagramTransport {
        try unsafe core.adoptDatagram(descriptor, options, receiver)
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
        if let local, let remote, local.family != remote.family {
            throw SystemError(.addressFamilyNotSupported, call: "bind", address: local)
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

    fileprivate func adoptDatagram(
        _ descriptor: CInt,
        _ options: DatagramOptions,
        _ receiver: any DatagramProtocol
    ) throws -> DatagramTransport {
        try requireOpen()
        options.validate()
        let socket = try AdoptedDatagrams(descriptor)
        if owns(descriptor) { throw DescriptorError.isOwned }
        try socket.apply(options, to: descriptor)
        let handle = try UDPHandle(on: self, adopting: descriptor, isIPv6: socket.isIPv6, options)
        let transport = DatagramTransport(core: self, .udp(handle), options, connectedTo: nil)
        handle.transport = transport
        try transport.begin(with: receiver)
        return transport
    }
}
