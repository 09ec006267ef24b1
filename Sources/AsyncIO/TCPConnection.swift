// A TCP connection for tasks. The object may go to any thread; what it stands for stays on its loop. On that loop its
// methods are direct calls, from elsewhere they go there and come back.

/// A TCP connection.
///
/// Servers hand one to their handlers; clients make one with ``connect(host:port:options:timeout:)`` or, for the
/// length of a scope, with ``withConnection(host:port:options:timeout:_:)``. As an `AsyncSequence` it is what arrives:
///
///     for try await bytes in connection { try await connection.write(bytes) }
///
/// One task may read while another writes. Any thread may use it: on the connection's own loop nothing switches,
/// elsewhere each call goes to the loop and back. A connection that is dropped without ``close()`` is closed.
///
/// The corresponding asyncio names are `StreamReader` and `StreamWriter`; the libuv type is `uv_tcp_t`.
public final class TCPConnection: Sendable {
    let bound: LoopBound<StreamChannel>

    /// A number that no other connection of its loop has, in the order in which they were made.
    public let number: UInt64

    /// The peer's address; nil if it was gone before the connection was handed over.
    public let remoteAddress: SocketAddress?

    /// This end's address; nil if the peer was gone before the connection was handed over.
    public let localAddress: SocketAddress?

    /// The loop that it belongs to.
    public var loop: EventLoop { bound.loop }

    init(_ channel: StreamChannel, _ transport: StreamTransport, here loop: EventLoop) {
        bound = LoopBound(channel, here: loop)
        number = transport.number
        remoteAddress = transport.remoteAddress
        localAddress = transport.localAddress
    }

    deinit {
        if let channel = bound.ifHere {
            channel.closeSoon()
        } else {
            // A loop that is closed has closed its connections.
            _ = try? bound.loop.submit { [bound] loop in bound.value(on: loop).closeSoon() }
        }
    }
}

// MARK: Reading

extension TCPConnection: AsyncSequence {
    /// Reads what has arrived, at least one byte, or nil at the end of what the peer sends.
    ///
    /// Nothing is read from the system before somebody asks. The bytes share the loop's read memory or are an exact copy,
    /// as ``Bytes`` explains.
    ///
    /// - Throws: `CancellationError` as soon as the task is cancelled: bytes that come later stay for the next read.
    ///   ``SystemError`` if the connection broke, ``StreamError/closed`` if this side closed it,
    ///   ``StreamError/busyReader`` while another task reads.
    ///
    /// The corresponding asyncio name is `StreamReader.read`.
    public func read() async throws -> Bytes? {
        try await Self.read(bound, on: bound.loop)
    }

    /// Reads what has arrived into memory of the caller's, as much as fits; the rest stays for the next read.
    ///
    /// - Returns: How many bytes those are; 0 at the end of what the peer sends, or if the span is empty.
    /// - Throws: As ``read()``.
    ///
    /// The corresponding asyncio name is `loop.sock_recv_into`.
    public func read(into span: inout MutableRawSpan) async throws -> Int {
        guard span.byteCount > 0, let bytes = try await read() else { return 0 }
        let count = bytes.copyBytes(to: &span)
        if count < bytes.count { await Self.putBack(bytes[(bytes.startIndex + count)...], bound, on: loop) }
        return count
    }

    private static func read(_ bound: LoopBound<StreamChannel>, on loop: isolated EventLoop) async throws -> Bytes? {
        try await bound.value(on: loop).read(on: loop)
    }

    private static func putBack(_ rest: Bytes, _ bound: LoopBound<StreamChannel>, on loop: isolated EventLoop) {
        bound.value(on: loop).putBack(rest)
    }

    /// What arrives, until the end.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let connection: TCPConnection

        /// The next bytes: see ``TCPConnection/read()``.
        public mutating func next() async throws -> Bytes? { try await connection.read() }

        /// The next bytes, with the isolation of the caller.
        public mutating func next(isolation: isolated (any Actor)?) async throws(any Error) -> Bytes? {
            try await connection.read()
        }
    }

    /// Iterates over what arrives. One task at a time may.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(connection: self) }
}

// MARK: Writing

extension TCPConnection {
    /// Sends bytes.
    ///
    /// Returns at once if the kernel takes them all. Otherwise the rest is queued in order, and this returns when the
    /// kernel has it; if more than the high-water mark was queued, when no more than the low one is. Tasks may write
    /// concurrently; each call's bytes stay together.
    ///
    /// - Throws: `CancellationError` if the task is cancelled: before anything was taken over, or while this waits, in
    ///   which case the bytes stay queued and are sent. ``SystemError`` if the connection broke; how much the peer got is
    ///   then unknown. ``StreamError/closed``, ``StreamError/writeAfterEnd``.
    ///
    /// The corresponding asyncio names are `StreamWriter.write` and `drain`; the libuv calls are `uv_try_write` and
    /// `uv_write`.
    public func write(_ bytes: Bytes) async throws {
        try await Self.write(bytes, bound, on: bound.loop)
    }

    /// Sends the bytes of a span, which is free again when this returns.
    ///
    /// Like ``write(_:)-(Bytes)``; what the kernel does not take at once is copied.
    public func write(_ span: RawSpan) async throws {
        try await Self.write(span, bound, on: bound.loop)
    }

    /// Sends the UTF-8 of a text.
    ///
    /// Like ``write(_:)-(Bytes)``.
    public func write(_ text: String) async throws { try await write(Bytes(text.utf8)) }

    /// Sends several pieces in one system call, without joining them.
    ///
    /// Like ``write(_:)-(Bytes)``. The corresponding asyncio name is `StreamWriter.writelines`.
    public func write(contentsOf pieces: [Bytes]) async throws {
        try await Self.write(pieces, bound, on: bound.loop)
    }

    /// Sends the end of the stream after everything that was written; reading goes on.
    ///
    /// Returns at once. Idempotent.
    ///
    /// - Throws: ``StreamError/closed``, or ``SystemError`` if the connection broke.
    ///
    /// The corresponding asyncio name is `StreamWriter.write_eof`; the corresponding libuv call is `uv_shutdown`.
    public func writeEOF() async throws {
        try await Self.writeEOF(bound, on: bound.loop)
    }

    private static func write(
        _ bytes: Bytes,
        _ bound: LoopBound<StreamChannel>,
        on loop: isolated EventLoop
    ) async throws {
        try await bound.value(on: loop).write(bytes, on: loop)
    }

    private static func write(
        _ span: RawSpan,
        _ bound: LoopBound<StreamChannel>,
        on loop: isolated EventLoop
    ) async throws {
        try await bound.value(on: loop).write(span, on: loop)
    }

    private static func write(
        _ pieces: [Bytes],
        _ bound: LoopBound<StreamChannel>,
        on loop: isolated EventLoop
    ) async throws {
        try await bound.value(on: loop).write(contentsOf: pieces, on: loop)
    }

    private static func writeEOF(_ bound: LoopBound<StreamChannel>, on loop: isolated EventLoop) throws {
        try bound.value(on: loop).writeEOF()
    }
}

// MARK: Ending

extension TCPConnection {
    /// Closes the connection after what was written has been sent, and waits for that.
    ///
    /// Reading ends at once. If the peer does not take the rest within ``StreamOptions/closeTimeout``, the connection is
    /// aborted. Idempotent. A handler's connection is closed when it returns; it need not call this.
    ///
    /// - Throws: The error that the connection broke with, such as ``LoopError/timedOut(_:)`` if the last bytes could not
    ///   be sent. `CancellationError` if the task is cancelled: the connection is then aborted.
    ///
    /// The corresponding asyncio names are `StreamWriter.close` and `wait_closed`.
    public func close() async throws {
        try await Self.close(bound, on: bound.loop)
    }

    private static func close(_ bound: LoopBound<StreamChannel>, on loop: isolated EventLoop) async throws {
        try await bound.value(on: loop).close(on: loop)
    }

    /// Closes the connection at once: what waits to be sent is dropped, and the peer is told that it broke (RST).
    ///
    /// Any thread; returns at once. Idempotent.
    ///
    /// The corresponding asyncio name is `Transport.abort`; the corresponding libuv call is `uv_tcp_close_reset`.
    public func abort() {
        if let channel = bound.ifHere { return channel.abort() }
        // A loop that is closed has closed its connections.
        _ = try? bound.loop.submit { [bound] loop in bound.value(on: loop).abort() }
    }
}

extension TCPConnection: CustomStringConvertible {
    /// Number and addresses.
    public var description: String {
        "connection #\(number) \(localAddress?.description ?? "?") - \(remoteAddress?.description ?? "?")"
    }
}
