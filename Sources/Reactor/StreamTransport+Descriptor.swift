// The descriptor behind a connection: looked at, adjusted, and given away. It is libuv's, which has no way to let go of
// one but to close it; what is given away is therefore a second descriptor of the same open socket.

internal import CReactor

extension StreamTransport {
    /// Gives the connection away: returns its descriptor, which is the caller's from now on, and ends the transport.
    ///
    /// The protocol hears of the end by ``ConnectionProtocol/connectionLost(_:error:on:)``, with no error, and the peer
    /// hears nothing. What the peer has sent and the protocol was not yet given can be read from the descriptor. It has
    /// another number than the connection's, as that one is closed; it is closed by `exec`, and does not block.
    ///
    /// - Throws: ``StreamError/unsentBytes`` while bytes that were written wait to be sent, or the end of the stream
    ///   does; ``StreamError/closed``; ``StreamError/hasNoDescriptor``; ``SystemError`` if there is no descriptor left.
    ///   The connection then goes on.
    public func detach() throws -> CInt {
        let stream = try openStream()
        guard writeBufferSize == 0, writingEnd == .open || writingEnd == .sent else { throw StreamError.unsentBytes }
        let copy = creactor_duplicate(stream.descriptor)
        guard copy >= 0 else { throw SystemError(status: copy, call: "fcntl(F_DUPFD_CLOEXEC)") }
        closeGivenAway()
        return copy
    }

    /// Calls `body` with the connection's descriptor.
    ///
    /// It is the connection's, which closes it: use it for nothing but looking at it and setting options, and not after
    /// the call. Who reads from it, writes to it or closes it breaks the connection, or whatever has the number next.
    ///
    /// - Returns: What `body` returns.
    /// - Throws: What `body` throws; ``StreamError/closed``; ``StreamError/hasNoDescriptor``.
    ///
    /// The corresponding asyncio name is `get_extra_info('socket')`; the corresponding libuv call is `uv_fileno`.
    public func withUnsafeFileDescriptor<Result>(_ body: (CInt) throws -> Result) throws -> Result {
        try body(openStream().descriptor)
    }

    /// Sets an option of the socket that is an `int`, such as `SO_RCVBUF` of the level `SOL_SOCKET`.
    ///
    /// - Throws: ``SystemError`` if the system refuses; ``StreamError/closed``; ``StreamError/hasNoDescriptor``.
    ///
    /// The C name is `setsockopt`.
    public func setSocketOption(level: CInt, name: CInt, value: CInt) throws {
        try check(creactor_set_option(openStream().descriptor, level, name, value), "setsockopt")
    }

    /// The value of an option of the socket that is an `int`.
    ///
    /// - Throws: As ``setSocketOption(level:name:value:)``.
    ///
    /// The C name is `getsockopt`.
    public func socketOption(level: CInt, name: CInt) throws -> CInt {
        var value: CInt = 0
        try unsafe check(creactor_get_option(openStream().descriptor, level, name, &value), "getsockopt")
        return value
    }

    /// Sets how a terminal treats what is typed, until the connection is closed, or the process exits in order.
    ///
    /// - Throws: ``SystemError`` if the connection is no terminal, or the system refuses; ``StreamError``.
    ///
    /// The corresponding libuv call is `uv_tty_set_mode`.
    public func setTerminalMode(_ mode: TerminalMode) throws { try openStream().setTerminalMode(mode) }

    /// How many columns and rows a terminal has.
    ///
    /// - Throws: ``SystemError`` if the connection is no terminal; ``StreamError``.
    ///
    /// The corresponding libuv call is `uv_tty_get_winsize`.
    public func terminalSize() throws -> (columns: Int, rows: Int) { try openStream().windowSize() }

    private func openStream() throws -> SystemStream {
        core.requireHere("StreamTransport")
        guard phase == .open else { throw StreamError.closed }
        guard case .system(let stream) = driver else { throw StreamError.hasNoDescriptor }
        // The end of a pipe is sent by closing it, of which the protocol hears a little later.
        guard stream.phase == .open else { throw StreamError.closed }
        return stream
    }

    // MARK: Pipes

    /// Whether something can be written to it, or could before its end.
    var isWritable: Bool {
        if case .system(let stream) = driver, !stream.streamKind.isSocket { return stream.isWritable }
        return true
    }

    /// Notes which directions the driver has; called before the protocol is.
    func noteDirections(of stream: SystemStream) {
        if !stream.isReadable { readingEnd = .reached }
        if !stream.isWritable { writingEnd = .sent }
        guard !stream.isReadable else { return }
        // Without it the end is noticed by the next write.
        let watch = try? ReaderWatch(self, of: stream.descriptor)
        withExtras {
            $0.isWritingEnd = true
            $0.readerWatch = watch
        }
    }

    /// Nobody reads from the pipe any more.
    func readerIsGone() {
        guard phase != .closed else { return }
        if writeBufferSize > 0 || receiver is StreamChannel {
            fail(SystemError(.brokenPipe, call: "poll"))
        } else {
            close()
        }
    }

    /// Whether it ended because nobody reads from the pipe any more, and everything that was written had been taken.
    var endedWithItsReader: Bool {
        isWritingEnd && lostBytes == 0 && (failure as? SystemError)?.code == .brokenPipe
    }
}
