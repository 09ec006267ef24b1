// The calls of a raw socket that may wait.

extension RawSocket {
    /// Receives what has arrived, at least one byte, at most `count` and 64 KiB; no bytes at the end of what the peer
    /// sends.
    ///
    /// - Throws: `CancellationError` as soon as the task is cancelled, when nothing was received. ``SystemError``,
    ///   ``ReadinessError/closed``; ``ReadinessError/busy(_:_:)`` while another task waits to receive.
    ///
    /// The corresponding asyncio name is `loop.sock_recv`.
    public func receive(upTo count: Int = 65_536) async throws -> Bytes {
        guard count > 0 else { return Bytes() }
        return try await Self.call(bound, .readable, on: bound.loop) { try SocketCalls.receive($0, upTo: count) }
    }

    /// Receives what has arrived into memory of the caller's, as much as fits.
    ///
    /// - Returns: How many bytes those are; 0 at the end of what the peer sends, or if the span is empty.
    /// - Throws: As ``receive(upTo:)``.
    ///
    /// The corresponding asyncio name is `loop.sock_recv_into`.
    public func receive(into span: inout MutableRawSpan) async throws -> Int {
        while span.byteCount > 0, let state = bound.ifHere {
            try Task.checkCancellation()
            if let count = try SocketCalls.receive(try state.openDescriptor(), into: &span) { return count }
            try await Self.waitToReceive(bound, on: bound.loop)
        }
        guard span.byteCount > 0 else { return 0 }
        return try await receive(upTo: span.byteCount).copyBytes(to: &span)
    }

    private static func waitToReceive(
        _ bound: LoopBound<RawSocketState>,
        on loop: isolated EventLoop
    ) async throws {
        try await bound.value(on: loop).wait(for: .readable, on: loop)
    }

    /// Receives a datagram, and its sender.
    ///
    /// - Throws: As ``receive(upTo:)``; no datagram is lost by cancellation.
    ///
    /// The corresponding asyncio names are `loop.sock_recvfrom` and `sock_recvfrom_into`.
    public func receiveDatagram() async throws -> Datagram {
        try await Self.call(bound, .readable, on: bound.loop) { try SocketCalls.receiveFrom($0) }
    }

    /// Sends all bytes, and returns when the kernel has taken them.
    ///
    /// - Throws: ``PartialSendError`` that says how many bytes were sent, if some were before the task was cancelled or
    ///   another error came; otherwise as ``receive(upTo:)``.
    ///
    /// The corresponding asyncio name is `loop.sock_sendall`.
    public func sendAll(_ bytes: Bytes) async throws { try await Self.sendAll(bound, bytes, on: bound.loop) }

    private static func sendAll(
        _ bound: LoopBound<RawSocketState>,
        _ bytes: Bytes,
        on loop: isolated EventLoop
    ) async throws {
        let state = bound.value(on: loop)
        var rest = bytes
        while !rest.isEmpty {
            do {
                let sent = try await state.attempt(.writable, on: loop) { try SocketCalls.send($0, rest) }
                rest = rest[(rest.startIndex + sent)...]
            } catch {
                let sent = bytes.count - rest.count
                throw sent > 0 ? PartialSendError(sentCount: sent, reason: error) : error
            }
        }
    }

    /// Sends from a file what the system takes, and waits until it takes something.
    package func sendFromFile(_ file: CInt, _ count: Int, at offset: Int) async throws -> FileStep {
        try await Self.call(bound, .writable, on: bound.loop) {
            try SocketCalls.sendFile($0, file, count, at: offset)
        }
    }

    /// Sends a datagram, and returns when the kernel has taken it.
    ///
    /// - Throws: As ``receive(upTo:)``: the datagram was not sent then.
    ///
    /// The corresponding asyncio name is `loop.sock_sendto`.
    public func send(_ bytes: Bytes, to address: SocketAddress) async throws {
        _ = try await Self.call(bound, .writable, on: bound.loop) { try SocketCalls.send($0, bytes, to: address) }
    }

    /// Connects, and returns when the connection is there.
    ///
    /// - Throws: ``SystemError`` that names the address, for a Unix socket also ``SystemError/Code/wouldBlock`` while the
    ///   peer's backlog is full; `CancellationError` as soon as the task is cancelled: the
    ///   connection may still come about, so that there is not much to be done with the socket but to close it.
    ///
    /// The corresponding asyncio name is `loop.sock_connect`.
    public func connect(to address: SocketAddress) async throws {
        try await Self.connect(bound, address, on: bound.loop)
    }

    private static func connect(
        _ bound: LoopBound<RawSocketState>,
        _ address: SocketAddress,
        on loop: isolated EventLoop
    ) async throws {
        let state = bound.value(on: loop)
        try Task.checkCancellation()
        if try SocketCalls.connect(try state.openDescriptor(), to: address) { return }
        try await state.waitForConnection(to: address, on: loop)
    }

    /// Accepts a client, as a socket of the same loop.
    ///
    /// - Returns: The connection; its ``remoteAddress`` is the client's.
    /// - Throws: As ``receive(upTo:)``; no client is lost by cancellation.
    ///
    /// The corresponding asyncio name is `loop.sock_accept`.
    public func accept() async throws -> RawSocket {
        let loop = bound.loop
        return try await Self.accept(bound, on: loop)
    }

    private static func accept(
        _ bound: LoopBound<RawSocketState>,
        on loop: isolated EventLoop
    ) async throws -> RawSocket {
        let descriptor = try await bound.value(on: loop).attempt(.readable, on: loop) { try SocketCalls.accept($0) }
        do {
            return try RawSocket(adopting: descriptor, on: loop)
        } catch {
            SocketCalls.close(descriptor)
            throw error
        }
    }

    private static func call<Value: Sendable>(
        _ bound: LoopBound<RawSocketState>,
        _ readiness: Readiness,
        on loop: isolated EventLoop,
        _ body: @Sendable (CInt) throws -> Value?
    ) async throws -> Value {
        try await bound.value(on: loop).attempt(readiness, on: loop, body)
    }
}
