// Making a connection: addresses are found, tried in order within one deadline, and the first that answers counts.

extension TCPConnection {
    /// Connects to a host.
    ///
    /// A host name is looked up on a thread of the pool of ``offload(_:)``; its addresses are tried one after the other.
    ///
    /// Must be called on a loop, to which the connection then belongs.
    ///
    /// - Parameters:
    ///   - host: An IP address or a name.
    ///   - port: The peer's port.
    ///   - options: The settings of the connection.
    ///   - timeout: How long all of it may take; nil leaves it to the system, which takes minutes.
    /// - Returns: The connection, which stays open until it is closed or dropped.
    /// - Throws: ``SystemError`` of the address that was tried last, ``LoopError/timedOut(_:)``, or `CancellationError` as
    ///   soon as the task is cancelled: nothing is left of the attempt then.
    ///
    /// The corresponding asyncio name is `asyncio.open_connection`; the corresponding libuv call is `uv_tcp_connect`.
    public static func connect(
        host: String,
        port: Int,
        options: StreamOptions = .init(),
        timeout: Duration? = .seconds(30)
    ) async throws -> TCPConnection {
        let loop = Loops.here("TCPConnection.connect")
        return try await connect(host, port, options, timeout, on: loop)
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
    ///   - timeout: How long connecting may take; nil leaves it to the system, which takes minutes.
    ///   - body: Uses the connection.
    /// - Returns: What `body` returns.
    /// - Throws: As ``connect(host:port:options:timeout:)`` and ``close()``, and what `body` throws.
    public static func withConnection<Value>(
        host: String,
        port: Int,
        options: StreamOptions = .init(),
        timeout: Duration? = .seconds(30),
        _ body: nonisolated(nonsending) (TCPConnection) async throws -> Value
    ) async throws -> Value {
        let connection = try await connect(host: host, port: port, options: options, timeout: timeout)
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
        _ timeout: Duration?,
        on loop: isolated EventLoop
    ) async throws -> TCPConnection {
        let deadline = timeout.map { loop.now.advanced(by: $0) }
        let addresses = try await HostLookup.addresses(of: host, port, until: deadline, on: loop)
        var failure: any Error = LoopError.notAnAddress(host)
        for address in addresses {
            try Task.checkCancellation()
            let left = deadline.map { loop.now.duration(to: $0) }
            if let left, left <= .zero { throw LoopError.timedOut("Connecting to \(host):\(port)") }
            do {
                return try await Dialer(address, on: loop).connect(address, options, left, on: loop)
            } catch let error as SystemError {
                failure = error
            }
        }
        throw failure
    }
}

/// One attempt to connect.
private final class Dialer {
    private let park: Park
    private var failure: (any Error)?
    private var channel: StreamChannel?

    init(_ address: SocketAddress, on loop: isolated EventLoop) {
        park = ExplainedPark(on: loop, .connection(to: address))
    }

    func connect(
        _ address: SocketAddress,
        _ options: StreamOptions,
        _ timeout: Duration?,
        on loop: isolated EventLoop
    ) async throws -> TCPConnection {
        try Task.checkCancellation()
        let made = StreamChannel(on: loop) { [self] channel in didConnect(channel) }
        let attempt = try loop.connect(to: address, options: options, timeout: timeout) {
            made
        } onFailure: { [self] error in
            didFail(error)
        }
        do {
            while channel == nil && failure == nil { try await park.wait(on: loop) }
        } catch {
            attempt.cancel()
            channel?.abort()
            throw error
        }
        if let channel, let transport = channel.transport { return TCPConnection(channel, transport, here: loop) }
        throw failure ?? StreamError.closed
    }

    private func didConnect(_ channel: StreamChannel) {
        self.channel = channel
        park.wake()
    }

    private func didFail(_ error: any Error) {
        failure = error
        park.wake()
    }
}

/// Host names and addresses.
enum HostLookup {
    /// The addresses of a host, in the order in which to try them.
    static func addresses(
        of host: String,
        _ port: Int,
        until deadline: LoopInstant?,
        on loop: isolated EventLoop
    ) async throws -> [SocketAddress] {
        if let address = try? SocketAddress(host: host, port: port) { return [address] }
        guard let deadline else { return try await offload { try SocketAddress.resolve(host: host, port: port) } }
        do {
            return try await withTimeout(loop.now.duration(to: deadline)) {
                try await offload { try SocketAddress.resolve(host: host, port: port) }
            }
        } catch is TimeoutError {
            throw LoopError.timedOut("Looking up \(host)")
        }
    }
}
