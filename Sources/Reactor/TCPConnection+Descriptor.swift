// The descriptor behind a connection, for tasks: see StreamTransport+Descriptor.swift.

extension TCPConnection {
    /// Gives the connection away: returns its descriptor, which is the caller's from now on, and ends this object.
    ///
    /// The peer hears nothing. Reading and writing throw ``StreamError/closed`` from now on. The descriptor has another
    /// number than the connection's, as that one is closed; it is closed by `exec`, and does not block.
    ///
    /// - Returns: The descriptor, and the bytes that were read from it and that nobody was given, if there are any:
    ///   they come before what can be read from the descriptor.
    /// - Throws: ``StreamError/unsentBytes`` while bytes that were written wait to be sent, which those who were not
    ///   cancelled have waited for; ``StreamError/busyReader`` while a task reads; ``StreamError/closed``;
    ///   ``StreamError/hasNoDescriptor``; ``SystemError``. The connection then goes on.
    public func detach() async throws -> (descriptor: CInt, unread: Bytes?) { try await detach(on: loop) }

    /// Calls `body` on the connection's loop with the descriptor.
    ///
    /// It is the connection's, which closes it: use it for nothing but looking at it and setting options, and not after
    /// the call. Who reads from it, writes to it or closes it breaks the connection, or whatever has the number next.
    ///
    /// - Returns: What `body` returns.
    /// - Throws: What `body` throws; ``StreamError/closed``; ``StreamError/hasNoDescriptor``.
    ///
    /// The corresponding asyncio name is `StreamWriter.get_extra_info('socket')`; the libuv call is `uv_fileno`.
    public func withUnsafeFileDescriptor<Result: Sendable>(
        _ body: @Sendable (CInt) throws -> Result
    ) async throws -> Result {
        try await withDescriptor(body, on: loop)
    }

    /// Sets an option of the socket that is an `int`, such as `SO_RCVBUF` of the level `SOL_SOCKET`.
    ///
    /// - Throws: ``SystemError`` if the system refuses; ``StreamError/closed``; ``StreamError/hasNoDescriptor``.
    ///
    /// The C name is `setsockopt`.
    public func setSocketOption(level: CInt, name: CInt, value: CInt) async throws {
        try await setOption(level, name, value, on: loop)
    }

    /// The value of an option of the socket that is an `int`.
    ///
    /// - Throws: As ``setSocketOption(level:name:value:)``.
    ///
    /// The C name is `getsockopt`.
    public func socketOption(level: CInt, name: CInt) async throws -> CInt { try await option(level, name, on: loop) }

    private func detach(on loop: isolated EventLoop) throws -> (descriptor: CInt, unread: Bytes?) {
        try channel(on: loop).detach()
    }

    private func withDescriptor<Result: Sendable>(
        _ body: @Sendable (CInt) throws -> Result,
        on loop: isolated EventLoop
    ) throws -> Result {
        try channel(on: loop).openTransport().withUnsafeFileDescriptor(body)
    }

    private func setOption(_ level: CInt, _ name: CInt, _ value: CInt, on loop: isolated EventLoop) throws {
        try channel(on: loop).openTransport().setSocketOption(level: level, name: name, value: value)
    }

    private func option(_ level: CInt, _ name: CInt, on loop: isolated EventLoop) throws -> CInt {
        try channel(on: loop).openTransport().socketOption(level: level, name: name)
    }
}
