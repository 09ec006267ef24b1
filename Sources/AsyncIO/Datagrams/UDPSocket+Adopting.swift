// Datagram sockets that the program brings along. From the moment that one is taken over until the object exists nothing
// waits: so whoever gets an error, be it that of a cancelled task, still owns the descriptor.

extension UDPSocket {
    /// Makes a datagram socket of a descriptor.
    ///
    /// It may be any datagram socket of IPv4 or IPv6: one that is bound, such as one that a program was started with; one
    /// that is connected, which then sends there and receives from there alone; or neither, which gets a port with the first
    /// datagram that it sends, and of which ``localAddress`` has the port 0. What the kernel had received before is received
    /// here.
    ///
    /// Must be called on a loop, to which the socket then belongs. Waits for nothing.
    ///
    /// - Parameters:
    ///   - descriptor: Is the socket's when this returns: nobody else may use or close it then. It is made not to block,
    ///     for all processes that have inherited it.
    ///   - options: The settings of the socket. Those that concern binding count for nothing:
    ///     ``DatagramOptions/reuseAddress``, ``DatagramOptions/reusePort`` and ``DatagramOptions/isIPv6Only``.
    /// - Returns: The socket, which stays open until it is closed or dropped.
    /// - Throws: ``DescriptorError`` if the descriptor is no such socket, ``SystemError``, `CancellationError`; it is
    ///   then still the caller's, and as it was.
    ///
    /// The corresponding asyncio name is the argument `sock` of `loop.create_datagram_endpoint`; the corresponding libuv
    /// call is `uv_udp_open`.
    public static func adopt(descriptor: CInt, options: DatagramOptions = .init()) async throws -> UDPSocket {
        try Task.checkCancellation()
        return try await adopt(descriptor, options, on: Loops.here("UDPSocket.adopt"))
    }

    private static func adopt(
        _ descriptor: CInt,
        _ options: DatagramOptions,
        on loop: isolated EventLoop
    ) throws -> UDPSocket {
        let channel = DatagramChannel(on: loop)
        try loop.adoptDatagram(descriptor: descriptor, options: options, channel)
        return UDPSocket(channel, on: loop)
    }
}
