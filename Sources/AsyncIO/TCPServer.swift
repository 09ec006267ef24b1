// A TCP server for tasks. The object may go to any thread; its listeners stay on the loop that made them, and so do the
// connections. What happens while it serves is in TCPServer+Serving.swift.

/// The settings of a server.
public struct ServerOptions: Sendable {
    /// The settings of its listeners, and of the connections that they accept.
    public var listener = ListenerOptions()

    /// When ``TCPServer/serve(_:)`` is cancelled: how long handlers that do not end are waited for before their
    /// connections are aborted.
    public var shutdownTimeout = Duration.seconds(5)

    /// Receives what a handler threw, on the loop, after its connection was closed.
    ///
    /// Nil, the default, tells ``EventLoop/Configuration/onIssue`` of errors other than the loss of the connection
    /// itself. Either way the error concerns that connection only. The cancellation of a handler that was cancelled is
    /// no error.
    public var onError: (@Sendable (any Error, TCPConnection) -> Void)?

    /// The defaults.
    public init() {}
}

/// A TCP server.
///
///     let server = try await TCPServer.listen(host: "127.0.0.1", port: 7777)
///     try await server.serve { connection in
///         for try await bytes in connection { try await connection.write(bytes) }
///     }
///
/// It ends in one of four ways: ``close()`` stops accepting, and serving ends with the last handler; ``drain(within:)``
/// also cancels the handlers that have not ended in time; ``abort()`` cancels them at once; and cancelling the task that
/// serves does the last, with some time for handlers to clean up.
///
/// Any thread may use it. One that is dropped without having served is closed.
///
/// The corresponding asyncio name is `asyncio.Server`; the corresponding libuv call is `uv_listen`.
public final class TCPServer: Sendable {
    let bound: LoopBound<ServerState>

    /// The addresses that it listens on, with the ports that the system chose where 0 was asked for.
    public let localAddresses: [SocketAddress]

    /// The first of ``localAddresses``.
    public var localAddress: SocketAddress { localAddresses[0] }

    /// The port of ``localAddress``.
    public var port: Int { Int(localAddress.port) }

    /// The loop that it belongs to.
    public var loop: EventLoop { bound.loop }

    private init(_ state: ServerState, on loop: isolated EventLoop) {
        bound = LoopBound(state, on: loop)
        localAddresses = state.listeners.map(\.localAddress)
    }

    deinit { close() }

    /// Listens on a host's addresses.
    ///
    /// Clients can connect when this returns, and wait in the kernel's backlog until ``serve(_:)`` accepts them.
    ///
    /// Must be called on a loop, to which the server and its connections then belong.
    ///
    /// - Parameters:
    ///   - host: An IP address, or a name all of whose addresses are listened on. `0.0.0.0` and `::` are all addresses of
    ///     the machine of their family.
    ///   - port: The port; 0 takes any, the same one for all addresses.
    ///   - options: Limits, and the settings of the connections.
    /// - Returns: The server, which accepts nobody before ``serve(_:)``.
    /// - Throws: ``SystemError`` that names the address, such as ``SystemError/Code/addressInUse``.
    ///
    /// The corresponding asyncio name is `asyncio.start_server`.
    public static func listen(host: String, port: Int, options: ServerOptions = .init()) async throws -> TCPServer {
        try await listen(host, port, options, on: Loops.here("TCPServer.listen"))
    }

    private static func listen(
        _ host: String,
        _ port: Int,
        _ options: ServerOptions,
        on loop: isolated EventLoop
    ) async throws -> TCPServer {
        let state = ServerState(options, on: loop)
        do {
            for var address in try await HostLookup.addresses(
                of: host,
                port,
                nil,
                by: SystemResolver.shared,
                until: nil,
                on: loop
            ) {
                if port == 0, let first = state.listeners.first { address.port = first.localAddress.port }
                try state.listen(on: address, loop)
            }
        } catch {
            state.close()
            throw error
        }
        return TCPServer(state, on: loop)
    }

    /// A server with one listener, which `begin` makes.
    static func listen(
        _ options: ServerOptions,
        on loop: isolated EventLoop,
        _ begin: @Sendable (ServerState, isolated EventLoop) throws -> Void
    ) throws -> TCPServer {
        let state = ServerState(options, on: loop)
        try begin(state, loop)
        return TCPServer(state, on: loop)
    }

    /// Stops accepting.
    ///
    /// Handlers that run go on; ``serve(_:)`` returns when the last has ended. One that waits for something else than its
    /// client does not hear that the client has gone: ``drain(within:)`` and ``abort()`` end it. Clients that wait in the
    /// backlog are refused. Any thread; returns at once. Idempotent.
    ///
    /// The corresponding asyncio name is `Server.close`.
    public func close() { perform { $0.close() } }

    /// Stops accepting and cancels the handlers, whose connections are aborted at once.
    ///
    /// ``serve(_:)`` returns when they have ended. Any thread; returns at once. Idempotent.
    ///
    /// The corresponding asyncio name is `Server.abort_clients`.
    public func abort() { perform { $0.abort() } }

    /// Stops accepting, gives the handlers some time to end by themselves, and then cancels those that have not.
    ///
    /// Returns when all have ended. If the task is cancelled the time is over at once.
    ///
    /// - Parameter limit: How long to wait.
    ///
    /// The corresponding asyncio names are `Server.close` and `wait_closed`.
    public func drain(within limit: Duration) async {
        await Self.drain(bound, limit, on: bound.loop)
    }

    private static func drain(
        _ bound: LoopBound<ServerState>,
        _ limit: Duration,
        on loop: isolated EventLoop
    ) async {
        await bound.value(on: loop).drain(limit, on: loop)
    }

    /// How many connections its handlers have open.
    public var connectionCount: Int { get async { await Self.counts(bound, on: bound.loop).active } }

    /// How many connections it has accepted so far.
    public var acceptedCount: UInt64 { get async { await Self.counts(bound, on: bound.loop).accepted } }

    private static func counts(
        _ bound: LoopBound<ServerState>,
        on loop: isolated EventLoop
    ) -> (active: Int, accepted: UInt64) {
        let state = bound.value(on: loop)
        return (state.active, state.acceptedCount)
    }

    private func perform(_ action: @escaping @Sendable (ServerState) -> Void) {
        if let state = bound.ifHere { return action(state) }
        // A loop that is closed has closed its listeners.
        _ = try? bound.loop.submit { [bound] loop in action(bound.value(on: loop)) }
    }
}
