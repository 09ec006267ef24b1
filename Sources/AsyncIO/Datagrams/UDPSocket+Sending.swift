// Sending for tasks: a plain call on the loop as long as the kernel takes the datagram, a wait when it does not.

/// Some datagrams of several could not be sent.
public struct DatagramBatchError: Error, CustomStringConvertible {
    /// How many were sent; the one that failed is the next.
    public let sentCount: Int
    /// What it failed with.
    public let reason: SystemError

    /// Both in one sentence.
    public var description: String { "After \(sentCount) datagrams were sent: \(reason)" }
}

extension UDPSocket {
    /// Sends a datagram, and returns when the kernel has taken it.
    ///
    /// That is mostly at once. Whether it arrives nobody knows. An empty datagram is sent like any other.
    ///
    /// - Parameters:
    ///   - bytes: What it carries.
    ///   - address: Who gets it; a connected socket needs none.
    /// - Throws: ``DatagramError/noAddress``, ``DatagramError/connected(to:)``, ``DatagramError/closed``;
    ///   ``SystemError``, such
    ///   as ``SystemError/Code/messageTooLarge``, or what the network has answered to an earlier datagram: this one is not
    ///   sent then, and the socket stays open. `CancellationError` if the task is cancelled: before anything was sent, or
    ///   while this waits, in which case the datagram stays queued and is sent.
    ///
    /// The corresponding asyncio names are `DatagramTransport.sendto` and `loop.sock_sendto`; the libuv calls are
    /// `uv_udp_try_send` and `uv_udp_send`.
    public func send(_ bytes: Bytes, to address: SocketAddress? = nil) async throws {
        if try bound.ifHere?.sendNow(bytes, address) == true { return }
        try await Self.send(bound, bytes, address, on: bound.loop)
    }

    /// Sends the UTF-8 of a text.
    ///
    /// Like ``send(_:to:)-(Bytes,_)``.
    public func send(_ text: String, to address: SocketAddress? = nil) async throws {
        try await send(Bytes(text.utf8), to: address)
    }

    private static func send(
        _ bound: LoopBound<DatagramChannel>,
        _ bytes: Bytes,
        _ address: SocketAddress?,
        on loop: isolated EventLoop
    ) async throws {
        let channel = bound.value(on: loop)
        if try !channel.sendNow(bytes, address) { try await channel.sendLater(bytes, address, on: loop) }
    }

    /// Sends several datagrams to one address, in one system call where the system can, and returns when the kernel has
    /// taken them.
    ///
    /// - Throws: As ``send(_:to:)-(Bytes,_)``; if some were sent before one failed, ``DatagramBatchError`` says how
    ///   many.
    ///
    /// The corresponding libuv call is `uv_udp_try_send2`.
    public func send(contentsOf pieces: [Bytes], to address: SocketAddress? = nil) async throws {
        try await Self.send(bound, pieces, address, on: bound.loop)
    }

    private static func send(
        _ bound: LoopBound<DatagramChannel>,
        _ pieces: [Bytes],
        _ address: SocketAddress?,
        on loop: isolated EventLoop
    ) async throws {
        let channel = bound.value(on: loop)
        var sent = 0
        while sent < pieces.count {
            do {
                sent += try channel.sendNow(pieces[sent...], address)
                if sent == pieces.count { return }
                try await channel.sendLater(pieces[sent], address, on: loop)
                sent += 1
            } catch let error as DatagramBatchError {
                throw DatagramBatchError(sentCount: sent + error.sentCount, reason: error.reason)
            } catch let error as SystemError where sent > 0 {
                throw DatagramBatchError(sentCount: sent, reason: error)
            }
        }
    }

    /// Sends a datagram if the kernel takes it at once.
    ///
    /// - Returns: Whether it did; if not, nothing was sent.
    /// - Throws: As ``send(_:to:)-(Bytes,_)``.
    ///
    /// The corresponding libuv call is `uv_udp_try_send`.
    public func trySend(_ bytes: Bytes, to address: SocketAddress? = nil) async throws -> Bool {
        if let channel = bound.ifHere { return try channel.sendNow(bytes, address) }
        return try await Self.trySend(bound, [bytes], address, on: bound.loop) == 1
    }

    /// Sends as many of several datagrams to one address as the kernel takes at once.
    ///
    /// - Returns: How many those were, from the first on.
    /// - Throws: As ``send(contentsOf:to:)``.
    ///
    /// The corresponding libuv call is `uv_udp_try_send2`.
    public func trySend(contentsOf pieces: [Bytes], to address: SocketAddress? = nil) async throws -> Int {
        try await Self.trySend(bound, pieces, address, on: bound.loop)
    }

    private static func trySend(
        _ bound: LoopBound<DatagramChannel>,
        _ pieces: [Bytes],
        _ address: SocketAddress?,
        on loop: isolated EventLoop
    ) throws -> Int {
        try bound.value(on: loop).sendNow(pieces[...], address)
    }
}
