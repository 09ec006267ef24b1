// Unix sockets for tasks. A connection is a connection: what differs is the address, and how one begins.

/// A connection over a Unix socket: the same as over TCP, with other addresses.
///
/// One type for both, so that what is written for the one serves the other. What a Unix socket does not have: a reset.
/// After ``TCPConnection/abort()`` the peer reads the end, or ``SystemError/Code/connectionReset`` if bytes that it had
/// sent were not read.
public typealias UnixConnection = TCPConnection

/// A server on a Unix socket: the same as on TCP, with another address.
///
///     let server = try await UnixServer.listen(path: "/run/app.sock")
///     try await server.serve { connection in
///         for try await bytes in connection { try await connection.write(bytes) }
///     }
public typealias UnixServer = TCPServer

extension TCPConnection {
    /// Connects to a Unix socket.
    ///
    /// Must be called on a loop, to which the connection then belongs. While the peer's backlog is full this tries
    /// again, after a millisecond at first, and every tenth of a second in the end.
    ///
    /// - Parameters:
    ///   - path: The socket's file; on Linux also an abstract name, behind a zero byte.
    ///   - options: The settings of the connection.
    ///   - timeout: How long all of it may take; nil is as long as the backlog is full.
    /// - Returns: The connection, which stays open until it is closed or dropped.
    /// - Throws: ``SystemError`` that names the path, such as ``SystemError/Code/connectionRefused`` if nobody listens
    ///   there any more; ``LoopError/unixPathTooLong(_:limit:)``, ``LoopError/timedOut(_:)``, or `CancellationError` as
    ///   soon as the task is cancelled: nothing is left of the attempt then.
    ///
    /// The corresponding asyncio name is `asyncio.open_unix_connection`.
    public static func connect(
        path: String,
        options: StreamOptions = .init(),
        timeout: Duration? = .seconds(30)
    ) async throws -> TCPConnection {
        let address = try SocketAddress(unixPath: path)
        return try await connect(address, options, timeout, on: Loops.here("UnixConnection.connect"))
    }

    private static func connect(
        _ address: SocketAddress,
        _ options: StreamOptions,
        _ timeout: Duration?,
        on loop: isolated EventLoop
    ) async throws -> TCPConnection {
        let deadline = timeout.map { loop.now.advanced(by: $0) }
        let dialer = Dialer("\(address)", nil, at: [address], options, ConnectOptions(), on: loop)
        return try await dialer.connect(until: deadline, on: loop)
    }

    /// Connects to a Unix socket for the length of `body`.
    ///
    /// When `body` returns, what was written is sent and the connection closed, as by ``close()``; when it throws, the
    /// connection is aborted.
    ///
    /// - Parameters:
    ///   - path: The socket's file; on Linux also an abstract name, behind a zero byte.
    ///   - options: The settings of the connection.
    ///   - timeout: How long connecting may take; nil is as long as the backlog is full.
    ///   - body: Uses the connection.
    /// - Returns: What `body` returns.
    /// - Throws: As ``connect(path:options:timeout:)`` and ``close()``, and what `body` throws.
    public static func withConnection<Value>(
        path: String,
        options: StreamOptions = .init(),
        timeout: Duration? = .seconds(30),
        _ body: nonisolated(nonsending) (TCPConnection) async throws -> Value
    ) async throws -> Value {
        try await use(connect(path: path, options: options, timeout: timeout), body)
    }
}

extension TCPServer {
    /// Listens on a Unix socket.
    ///
    /// Clients can connect when this returns, and wait in the kernel's backlog until ``serve(_:)`` accepts them. A
    /// socket that was left at the path is replaced, and the file removed when the server is closed: see
    /// ``UnixListenerOptions``.
    ///
    /// Must be called on a loop, to which the server and its connections then belong.
    ///
    /// - Parameters:
    ///   - path: The socket's file; on Linux also an abstract name, behind a zero byte.
    ///   - options: Limits, and the settings of the connections.
    /// - Returns: The server, which accepts nobody before ``serve(_:)``.
    /// - Throws: ``SystemError`` that names the path, such as ``SystemError/Code/addressInUse`` if a file is there that
    ///   is no socket; ``LoopError/unixPathTooLong(_:limit:)``.
    ///
    /// The corresponding asyncio name is `asyncio.start_unix_server`.
    public static func listen(path: String, options: ServerOptions = .init()) async throws -> TCPServer {
        let address = try SocketAddress(unixPath: path)
        return try await listen(options, on: Loops.here("UnixServer.listen")) { state, loop in
            try state.listen(on: address, loop)
        }
    }

    /// Listens on a socket that the program has bound, TCP or Unix, such as one that it was started with.
    ///
    /// The file of a Unix socket stays when the server is closed, as it was not made here.
    ///
    /// Must be called on a loop, to which the server and its connections then belong.
    ///
    /// - Parameters:
    ///   - descriptor: Is the server's when this returns: nobody else may use or close it then. It is made not to
    ///     block.
    ///   - options: Limits, and the settings of the connections.
    /// - Returns: The server, which accepts nobody before ``serve(_:)``.
    /// - Throws: ``DescriptorError`` if the descriptor is no such socket, ``SystemError``; it is then still the
    ///   caller's.
    ///
    /// The corresponding asyncio name is the argument `sock` of `asyncio.start_server`.
    public static func listen(adopting descriptor: CInt, options: ServerOptions = .init()) async throws -> TCPServer {
        try await listen(options, on: Loops.here("TCPServer.listen")) { state, loop in
            try state.listen(adopting: descriptor, loop)
        }
    }
}
