// A TCP connection for tasks. The object may go to any thread; what it stands for stays on its loop. There its methods are
// plain calls, up to the suspension itself; from elsewhere they go to the loop and come back.
//
// In this module, although it is about tasks, because every asynchronous function that a message passes through, and every
// step to another isolation, costs it a hundred instructions or more: so `read` holds the continuation itself, and
// `write` is a plain call if the kernel takes everything. (streams 50 × 64 B: 2,200 instead of 4,500 in layers)

internal import CReactor

/// A TCP connection.
///
/// Servers hand one to their handlers; clients make one with ``connect(host:port:options:connecting:timeout:)`` or, for
/// the length of a scope, with ``withConnection(host:port:options:connecting:timeout:_:)``. As an `AsyncSequence` it is
/// what arrives:
///
///     for try await bytes in connection { try await connection.write(bytes) }
///
/// One task may read while another writes. Any thread may use it: on the connection's own loop nothing switches,
/// elsewhere each call goes to the loop and back. A connection that is dropped without ``close()`` is closed.
///
/// The corresponding asyncio names are `StreamReader` and `StreamWriter`; the libuv type is `uv_tcp_t`.
@safe
public final class TCPConnection: Sendable {
    /// The loop that it belongs to.
    public let loop: EventLoop
    // SAFETY: counted once, from `init` to `deinit`. Used on the loop's thread only.
    private nonisolated(unsafe) let hot: Unmanaged<StreamChannel>

    /// A number that no other connection of its loop has, in the order in which they were made.
    public let number: UInt64

    /// The peer's address; nil if it was gone before the connection was handed over.
    public var remoteAddress: SocketAddress? { addresses.remote }

    /// This end's address; nil if the peer was gone before the connection was handed over.
    public var localAddress: SocketAddress? { addresses.local }

    // SAFETY: set before this object exists, and never after; so any thread may read them.
    private var addresses: StreamChannel.Addresses { unsafe hot._withUnsafeGuaranteedRef { $0.addresses } }

    /// Stands for a channel of the loop that runs here, if `loop` is it.
    package init(_ channel: StreamChannel, _ transport: StreamTransport, here loop: EventLoop) {
        require(loop.isCurrent, "A connection was bound to an EventLoop that does not run here.")
        self.loop = loop
        unsafe hot = Unmanaged.passRetained(channel)
        number = transport.number
        channel.keepAddresses()
    }

    deinit {
        perform { $0.closeSoon() }
        unsafe hot.release()
    }

    /// Whether the loop runs here, at this moment.
    @inline(__always)
    private var isHere: Bool { unsafe creactor_current_loop() == loop.core.identity }

    /// The channel.
    package func channel(on loop: isolated EventLoop) -> StreamChannel { unsafe hot.takeUnretainedValue() }

    /// The channel, for what may only be used on the loop.
    package func channelHere(_ what: StaticString) -> StreamChannel {
        unsafe loop.core.requireHere(what)
        return unsafe hot.takeUnretainedValue()
    }

    /// Lets the loop do something with the channel: at once if it runs here, or else soon.
    private func perform(_ action: @escaping @Sendable (StreamChannel) -> Void) {
        if isHere { return unsafe hot._withUnsafeGuaranteedRef { action($0) } }
        // SAFETY: used on the loop's thread only, and held until then.
        nonisolated(unsafe) let channel = unsafe hot.takeUnretainedValue()
        // A loop that is closed has closed its connections.
        _ = try? loop.submit { _ in unsafe action(channel) }
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
    @inlinable
    public func read() async throws -> Bytes? {
        // PERF: inlined into its caller, which saves a frame: 130 instructions. So is `write`. (streams 50 × 64 B)
        // Code that is isolated to nothing would leave the loop's thread before it suspends.
        guard Isolation.exists(#isolation), beginRead() else { return try await readSlowly() }
        if await suspendRead() { throw CancellationError() }
        if let bytes = takeArrived() { return bytes }
        return try await readSlowly()
    }

    /// Begins the wait of a read in the simplest case: on the loop, in the handler's own task, with nothing there yet.
    @usableFromInline
    func beginRead() -> Bool {
        guard isHere else { return false }
        return unsafe hot._withUnsafeGuaranteedRef { $0.beginWaitForBytes() }
    }

    /// Waits for bytes, in a wait that has begun.
    ///
    /// Returns whether it was cancelled.
    @inlinable
    func suspendRead() async -> Bool {
        #if compiler(>=6.2) && compiler(<6.5)
        // Without steps to the caller's isolation before and after.
        unsafe await _unsafeInheritExecutor_withUnsafeContinuation { unsafe store($0) }
        #else
        unsafe await withUnsafeContinuation { unsafe store($0) }
        #endif
    }

    @usableFromInline
    func store(_ continuation: UnsafeContinuation<Bool, Never>) {
        unsafe hot._withUnsafeGuaranteedRef { unsafe $0.arrival.store(continuation) }
    }

    /// The bytes that have arrived, if this is the loop: the caller's isolation may be elsewhere.
    @usableFromInline
    func takeArrived() -> Bytes? { isHere ? unsafe hot._withUnsafeGuaranteedRef { $0.takeArrived() } : nil }

    @usableFromInline
    func readSlowly() async throws -> Bytes? {
        // The end, or what the connection broke with, is mostly known here.
        guard isHere, let reading = try unsafe hot._withUnsafeGuaranteedRef({ try $0.readAtOnce() }) else {
            return try await read(on: loop)
        }
        if case .bytes(let bytes) = reading { return bytes }
        return nil
    }

    private func read(on loop: isolated EventLoop) async throws -> Bytes? {
        try await channel(on: loop).read(on: loop)
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
        if count < bytes.count { await putBack(bytes[(bytes.startIndex + count)...], on: loop) }
        return count
    }

    private func putBack(_ rest: Bytes, on loop: isolated EventLoop) { channel(on: loop).putBack(rest) }

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

    /// Iterates over what arrives.
    ///
    /// One task at a time may.
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
    @inlinable
    public func write(_ bytes: Bytes) async throws {
        if try !writeNow(bytes) { try await finishWrite(bytes) }
    }

    /// Writes if this is the loop, and says whether the kernel has taken everything.
    @usableFromInline
    func writeNow(_ bytes: Bytes) throws -> Bool {
        guard isHere else { return false }
        return try unsafe hot._withUnsafeGuaranteedRef { try $0.write(bytes) }
    }

    /// Does what ``writeNow(_:)`` left to be done.
    @usableFromInline
    func finishWrite(_ bytes: Bytes) async throws {
        if isHere { try await flush(on: loop) } else { try await write(bytes, on: loop) }
    }

    /// Sends the bytes of a span, which is free again when this returns.
    ///
    /// Like ``write(_:)-(Bytes)``; what the kernel does not take at once is copied.
    public func write(_ span: RawSpan) async throws {
        guard isHere else { return try await write(Bytes(copying: span), on: loop) }
        if try unsafe !hot._withUnsafeGuaranteedRef({ try $0.write(span) }) { try await flush(on: loop) }
    }

    /// Sends the bytes of an array, which are copied.
    ///
    /// Like ``write(_:)-(Bytes)``.
    public func write(_ bytes: [UInt8]) async throws { try await write(Bytes(bytes)) }

    /// Sends the UTF-8 of a text.
    ///
    /// Like ``write(_:)-(Bytes)``.
    public func write(_ text: String) async throws { try await write(Bytes(text.utf8)) }

    /// Sends several pieces in one system call, without joining them.
    ///
    /// Like ``write(_:)-(Bytes)``. The corresponding asyncio name is `StreamWriter.writelines`.
    public func write(contentsOf pieces: [Bytes]) async throws {
        guard isHere else { return try await write(contentsOf: pieces, on: loop) }
        if try unsafe !hot._withUnsafeGuaranteedRef({ try $0.write(contentsOf: pieces) }) { try await flush(on: loop) }
    }

    /// Sends the end of the stream after everything that was written; reading goes on.
    ///
    /// Returns at once. Idempotent.
    ///
    /// - Throws: ``StreamError/closed``, or ``SystemError`` if the connection broke.
    ///
    /// The corresponding asyncio name is `StreamWriter.write_eof`; the corresponding libuv call is `uv_shutdown`.
    public func writeEOF() async throws { try await writeEOF(on: loop) }

    private func write(_ bytes: Bytes, on loop: isolated EventLoop) async throws {
        let channel = self.channel(on: loop)
        if try !channel.write(bytes) { try await channel.flush(on: loop) }
    }

    private func write(contentsOf pieces: [Bytes], on loop: isolated EventLoop) async throws {
        let channel = self.channel(on: loop)
        if try !channel.write(contentsOf: pieces) { try await channel.flush(on: loop) }
    }

    private func flush(on loop: isolated EventLoop) async throws { try await channel(on: loop).flush(on: loop) }

    private func writeEOF(on loop: isolated EventLoop) throws { try channel(on: loop).writeEOF() }
}

// MARK: Ending

extension TCPConnection {
    /// Closes the connection after what was written has been sent, and waits for that.
    ///
    /// Reading ends at once. If the peer does not take the rest within ``StreamOptions/closeTimeout``, the connection is
    /// aborted. Idempotent. A handler's connection is closed when it returns; it need not call this. With
    /// ``StreamOptions/linger`` this waits for the peer's acknowledgements too.
    ///
    /// - Throws: The error that the connection broke with, such as ``LoopError/timedOut(_:)`` if the last bytes could not
    ///   be sent. `CancellationError` if the task is cancelled: the connection is then aborted.
    ///
    /// The corresponding asyncio names are `StreamWriter.close` and `wait_closed`.
    public func close() async throws { try await close(on: loop) }

    private func close(on loop: isolated EventLoop) async throws { try await channel(on: loop).close(on: loop) }

    /// Closes the connection at once: what waits to be sent is dropped, and the peer is told that it broke (RST).
    ///
    /// Any thread; returns at once. Idempotent.
    ///
    /// The corresponding asyncio name is `Transport.abort`; the corresponding libuv call is `uv_tcp_close_reset`.
    public func abort() { perform { $0.abort() } }
}

extension TCPConnection: CustomStringConvertible {
    /// Number and addresses.
    public var description: String {
        "connection #\(number) \(localAddress?.description ?? "?") - \(remoteAddress?.description ?? "?")"
    }
}
