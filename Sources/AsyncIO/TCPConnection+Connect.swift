// Making a connection: addresses are found and tried within one deadline, and the first that answers counts. How they are
// tried is in Dialer.swift.

extension TCPConnection {
    /// Connects to a host.
    ///
    /// A name is looked up on another thread. Its addresses are tried in the resolver's order, families by turns: the next
    /// as soon as one has failed, or has not answered for ``ConnectOptions/attemptDelay``. The first that answers counts,
    /// and the others are closed at once.
    ///
    /// Must be called on a loop, to which the connection then belongs.
    ///
    /// - Parameters:
    ///   - host: An IP address or a name.
    ///   - port: The peer's port.
    ///   - options: The settings of the connection.
    ///   - connecting: How to find a way there.
    ///   - timeout: How long all of it may take; nil leaves it to the system, which takes minutes.
    /// - Returns: The connection, which stays open until it is closed or dropped.
    /// - Throws: ``SystemError`` if there was one address, or ``ConnectError`` with what became of each if there were several;
    ///   ``SystemError`` or ``ResolverError`` if there was none; ``LoopError/timedOut(_:)``; `CancellationError` as soon as
    ///   the task is cancelled. Nothing is left of any attempt then.
    ///
    /// The corresponding asyncio names are `asyncio.open_connection` and `loop.create_connection`; the corresponding libuv
    /// call is `uv_tcp_connect`.
    public static func connect(
        host: String,
        port: Int,
        options: StreamOptions = .init(),
        connecting: ConnectOptions = .init(),
        timeout: Duration? = .seconds(30)
    ) async throws -> TCPConnection {
        let loop = Loops.here("TCPConnection.connect")
        return try await connect(host, port, options, connecting, timeout, on: loop)
    }

    /// Connects to a host for the length of `body`.
    ///
    /// When `body` returns, what was written is sent and the connection closed, as by ``close()``; when it throws, the
    /// connection is aborted.
    ///
    /// - Parameters:
    ///   - host: An IP address or a name.
    ///   - port: The peer's port.
    ///   - options: The settings of the connection.
    ///   - connecting: How to find a way there.
    ///   - timeout: How long connecting may take; nil leaves it to the system, which takes minutes.
    ///   - body: Uses the connection.
    /// - Returns: What `body` returns.
    /// - Throws: As ``connect(host:port:options:connecting:timeout:)`` and ``close()``, and what `body` throws.
    public static func withConnection<Value>(
        host: String,
        port: Int,
        options: StreamOptions = .init(),
        connecting: ConnectOptions = .init(),
        timeout: Duration? = .seconds(30),
        _ body: nonisolated(nonsending) (TCPConnection) async throws -> Value
    ) async throws -> Value {
        let connection = try await connect(
            host: host,
            port: port,
            options: options,
            connecting: connecting,
            timeout: timeout
        )
        return try await use(connection, body)
    }

    /// Lets `body` use a connection, and closes it.
    static func use<Value>(
        _ connection: TCPConnection,
        _ body: nonisolated(nonsending) (TCPConnection) async throws -> Value
    ) async throws -> Value {
        do {
            let value = try await body(connection)
            try await connection.close()
            return value
        } catch {
            connection.abort()
            throw error
        }
    }

    private static func connect(
        _ host: String,
        _ port: Int,
        _ options: StreamOptions,
        _ how: ConnectOptions,
        _ timeout: Duration?,
        on loop: isolated EventLoop
    ) async throws -> TCPConnection {
        let deadline = timeout.map { loop.now.advanced(by: $0) }
        let found = try await HostLookup.addresses(
            of: host,
            port,
            how.family,
            by: how.resolver,
            until: deadline,
            on: loop
        )
        try Task.checkCancellation()
        if let deadline, deadline <= loop.now { throw LoopError.timedOut("Connecting to \(host):\(port)") }
        let locals = how.localAddresses
        let addresses = locals.isEmpty ? found : found.filter { peer in locals.contains { $0.family == peer.family } }
        guard !addresses.isEmpty else { throw ResolverError.noMatchingLocalAddress(locals, host: host) }
        let dialer = Dialer(host, port, at: how.order(addresses), options, how, on: loop)
        return try await dialer.connect(until: deadline, on: loop)
    }
}
