// A datagram socket for tasks. The object may go to any thread; what it stands for stays on its loop. There sending
// is a plain call if the kernel takes the datagram; from elsewhere calls go to the loop and come back.

/// A UDP socket.
///
///     let socket = try await UDPSocket.bind(host: "127.0.0.1", port: 9999)
///     for try await datagram in socket {
///         try await socket.send(datagram.bytes, to: datagram.address)
///     }
///
/// Datagrams may get lost, come twice, and in another order. What arrives while nobody receives stays with the kernel,
/// which drops what it has no room for. One task may receive while others send. Any thread may use it; a socket that is
/// dropped without ``close()`` is closed.
///
/// No error of the network ends a socket: the next ``receive()`` or ``send(_:to:)-(Bytes,_)`` throws it, once. In
/// particular a connected socket hears that way that nobody listens at the peer's port,
/// ``SystemError/Code/connectionRefused``.
///
/// The corresponding asyncio name is `loop.create_datagram_endpoint`; the libuv type is `uv_udp_t`.
public final class UDPSocket: Sendable {
    let bound: LoopBound<DatagramChannel>

    /// This end's address, with the port that the system chose where 0 was asked for.
    public let localAddress: SocketAddress?

    /// The address that the socket is connected to; nil if it is not.
    public let remoteAddress: SocketAddress?

    /// The loop that it belongs to.
    public var loop: EventLoop { bound.loop }

    init(_ channel: DatagramChannel, on loop: isolated EventLoop) {
        bound = LoopBound(channel, on: loop)
        localAddress = channel.transport?.localAddress
        remoteAddress = channel.transport?.remoteAddress
    }

    deinit { perform { $0.closeSoon() } }

    private func perform(_ action: @escaping @Sendable (DatagramChannel) -> Void) {
        if let channel = bound.ifHere { return action(channel) }
        // A loop that is closed has closed its sockets.
        _ = try? bound.loop.submit { [bound] loop in action(bound.value(on: loop)) }
    }

    // MARK: Making

    /// Makes a socket that is bound to a host's address.
    ///
    /// Must be called on a loop, to which the socket then belongs.
    ///
    /// - Parameters:
    ///   - host: An IP address, or a name, of whose addresses the first is taken that can be. `0.0.0.0` and `::` are all
    ///     addresses of the machine of their family.
    ///   - port: The port; 0 takes any.
    ///   - options: The settings of the socket.
    /// - Returns: The socket, which stays open until it is closed or dropped.
    /// - Throws: ``SystemError`` that names the address, such as ``SystemError/Code/addressInUse``.
    ///
    /// The corresponding libuv call is `uv_udp_bind`.
    public static func bind(host: String, port: Int, options: DatagramOptions = .init()) async throws -> UDPSocket {
        try await make(host, port, options, .bound, on: Loops.here("UDPSocket.bind"))
    }

    /// Makes a socket that is connected to a host's address: it sends there, and receives from there alone.
    ///
    /// Nothing is sent by that, so nothing is known of the peer. Must be called on a loop, to which the socket then
    /// belongs.
    ///
    /// - Parameters:
    ///   - host: An IP address, or a name, of whose addresses the first is taken to which there is a way.
    ///   - port: The peer's port.
    ///   - options: The settings of the socket.
    /// - Returns: The socket, which stays open until it is closed or dropped.
    /// - Throws: ``SystemError`` that names the address.
    ///
    /// The corresponding libuv call is `uv_udp_connect`.
    public static func connect(host: String, port: Int, options: DatagramOptions = .init()) async throws -> UDPSocket {
        try await connect(host: host, port: port, from: nil, options: options)
    }

    /// Makes a socket that is connected to a host's address, and sends from an address that is given.
    ///
    /// Like ``connect(host:port:options:)``.
    ///
    /// - Parameters:
    ///   - host: An IP address, or a name, of whose addresses the first is taken that is of the family of `localAddress`
    ///     and to which there is a way.
    ///   - port: The peer's port.
    ///   - localAddress: This end's address, with port 0 for any; nil leaves it to the system.
    ///   - options: The settings of the socket.
    /// - Returns: The socket, which stays open until it is closed or dropped.
    /// - Throws: ``SystemError`` that names the address: `localAddress` if that cannot be had, as with
    ///   ``SystemError/Code/addressInUse``. ``ResolverError/noMatchingLocalAddress(_:host:)`` if the
    ///   host has none of its family.
    ///
    /// The corresponding asyncio name is the argument `local_addr` of `loop.create_datagram_endpoint`; the corresponding
    /// libuv calls are `uv_udp_bind` and `uv_udp_connect`.
    public static func connect(
        host: String,
        port: Int,
        from localAddress: SocketAddress?,
        options: DatagramOptions = .init()
    ) async throws -> UDPSocket {
        try await make(host, port, options, .connected(from: localAddress), on: Loops.here("UDPSocket.connect"))
    }

    /// Makes a bound socket for the length of `body`.
    ///
    /// When `body` returns, what was sent goes out and the socket is closed; when it throws, the socket is aborted.
    ///
    /// - Throws: As ``bind(host:port:options:)`` and ``close()``, and what `body` throws.
    public static func withSocket<Value>(
        host: String,
        port: Int,
        options: DatagramOptions = .init(),
        _ body: nonisolated(nonsending) (UDPSocket) async throws -> Value
    ) async throws -> Value {
        try await bind(host: host, port: port, options: options).use(body)
    }

    /// Makes a connected socket for the length of `body`.
    ///
    /// Like ``withSocket(host:port:options:_:)``.
    ///
    /// - Throws: As ``connect(host:port:options:)`` and ``close()``, and what `body` throws.
    public static func withSocket<Value>(
        connectedTo host: String,
        port: Int,
        options: DatagramOptions = .init(),
        _ body: nonisolated(nonsending) (UDPSocket) async throws -> Value
    ) async throws -> Value {
        try await connect(host: host, port: port, options: options).use(body)
    }

    private func use<Value>(
        _ body: nonisolated(nonsending) (UDPSocket) async throws -> Value
    ) async throws -> Value {
        do {
            let value = try await body(self)
            try await close()
            return value
        } catch {
            abort()
            throw error
        }
    }

    /// What the host's address is.
    private enum Way {
        case bound
        case connected(from: SocketAddress?)
    }

    private static func make(
        _ host: String,
        _ port: Int,
        _ options: DatagramOptions,
        _ way: Way,
        on loop: isolated EventLoop
    ) async throws -> UDPSocket {
        var failure: any Error = LoopError.notAnAddress(host)
        let resolver = SystemResolver.shared
        var addresses = try await HostLookup.addresses(of: host, port, nil, by: resolver, until: nil, on: loop)
        if case .connected(let local?) = way {
            addresses.removeAll { $0.family != local.family }
            if addresses.isEmpty { throw ResolverError.noMatchingLocalAddress([local], host: host) }
        }
        for address in addresses {
            let channel = DatagramChannel(on: loop)
            do {
                switch way {
                case .bound: try loop.bindDatagram(to: address, options: options, channel)
                case .connected(let local):
                    try loop.connectDatagram(to: address, from: local, options: options, channel)
                }
                return UDPSocket(channel, on: loop)
            } catch let error as SystemError {
                failure = error
            }
        }
        throw failure
    }

    // MARK: Ending

    /// Closes the socket after what waits to be sent has been, and waits for that.
    ///
    /// Who receives gets ``DatagramError/closed``. Idempotent.
    ///
    /// - Throws: ``LoopError/timedOut(_:)`` if the last datagrams could not be sent in
    ///   ``DatagramOptions/closeTimeout``.
    ///   `CancellationError` if the task is cancelled: the socket is then aborted.
    ///
    /// The corresponding asyncio name is `DatagramTransport.close`.
    public func close() async throws { try await Self.close(bound, on: bound.loop) }

    private static func close(_ bound: LoopBound<DatagramChannel>, on loop: isolated EventLoop) async throws {
        try await bound.value(on: loop).close(on: loop)
    }

    /// Closes the socket at once: what waits to be sent is dropped.
    ///
    /// Any thread; returns at once. Idempotent.
    ///
    /// The corresponding asyncio name is `DatagramTransport.abort`.
    public func abort() { perform { $0.abort() } }

    /// Changes settings of the socket on its loop, such as the multicast groups that it listens to.
    ///
    /// - Parameter change: Is given the transport, for the length of the call.
    /// - Throws: ``DatagramError/closed``, and what `change` throws.
    ///
    /// The corresponding asyncio name is `get_extra_info("socket")`.
    public func configure(_ change: @Sendable (DatagramTransport) throws -> Void) async throws {
        try await Self.configure(bound, change, on: bound.loop)
    }

    private static func configure(
        _ bound: LoopBound<DatagramChannel>,
        _ change: @Sendable (DatagramTransport) throws -> Void,
        on loop: isolated EventLoop
    ) throws {
        guard let transport = bound.value(on: loop).transport, !transport.isClosing else { throw DatagramError.closed }
        try change(transport)
    }
}

// MARK: Receiving

extension UDPSocket: AsyncSequence {
    /// Waits for a datagram.
    ///
    /// - Returns: The datagram, which may be empty, and its sender.
    /// - Throws: `CancellationError` as soon as the task is cancelled; no datagram is lost by that. ``SystemError``
    ///   that the
    ///   network reported: the socket stays open. ``DatagramError/busyReceiver`` while another task receives,
    ///   ``DatagramError/closed`` when this side has closed.
    ///
    /// The corresponding asyncio names are `DatagramProtocol.datagram_received` and `loop.sock_recvfrom`.
    public func receive() async throws -> Datagram { try await Self.receive(bound, on: bound.loop) }

    private static func receive(
        _ bound: LoopBound<DatagramChannel>,
        on loop: isolated EventLoop
    ) async throws -> Datagram {
        try await bound.value(on: loop).receive(on: loop)
    }

    /// Waits for a datagram, and returns with it those that the same system call brought.
    ///
    /// That is more than one only with ``DatagramOptions/receiveBatch``.
    ///
    /// - Parameter count: How many datagrams at most; what is beyond that stays for the next call.
    /// - Returns: At least one datagram, in the order in which they arrived; none if `count` is 0.
    /// - Throws: As ``receive()``.
    public func receive(upTo count: Int) async throws -> [Datagram] {
        try await Self.receive(bound, count, on: bound.loop)
    }

    private static func receive(
        _ bound: LoopBound<DatagramChannel>,
        _ count: Int,
        on loop: isolated EventLoop
    ) async throws -> [Datagram] {
        try await bound.value(on: loop).receive(upTo: count, on: loop)
    }

    /// What arrives, until this side closes the socket.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let socket: UDPSocket

        /// The next datagram: see ``UDPSocket/receive()``; nil when this side has closed the socket.
        public mutating func next() async throws -> Datagram? {
            do { return try await socket.receive() } catch DatagramError.closed { return nil }
        }

        /// The next datagram, with the isolation of the caller.
        public mutating func next(isolation: isolated (any Actor)?) async throws(any Error) -> Datagram? {
            do { return try await socket.receive() } catch DatagramError.closed { return nil }
        }
    }

    /// Iterates over what arrives.
    ///
    /// One task at a time may. An error of the network ends the iteration; another may begin.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(socket: self) }
}

extension UDPSocket: CustomStringConvertible {
    /// The addresses.
    public var description: String {
        "UDP \(localAddress?.description ?? "?")" + (remoteAddress.map { " - \($0)" } ?? "")
    }
}
