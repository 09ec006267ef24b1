// Listening and connecting in callbacks. Both take IP addresses; names are resolved before.

extension EventLoop {
    /// Accepts connections on an address and makes a protocol for each.
    ///
    /// Accepting has begun when this returns; the first connection is made later. IPv6 addresses take IPv6 only: for
    /// both families listen twice.
    ///
    /// - Parameters:
    ///   - address: Where to listen; port 0 takes any, see ``Listener/localAddress``.
    ///   - options: Backlog, limits, and the settings of the connections.
    ///   - makeProtocol: Called on the loop for each connection. If it throws, that connection is closed and the error
    ///     goes to ``Configuration/onIssue``.
    /// - Returns: The listener, which may be dropped; it stays open until it is closed.
    /// - Throws: ``SystemError`` that names the address, such as ``SystemError/Code/addressInUse``.
    ///
    /// The corresponding asyncio name is `loop.create_server`; the corresponding libuv call is `uv_listen`.
    @discardableResult
    public func listen(
        on address: SocketAddress,
        options: ListenerOptions = .init(),
        _ makeProtocol: @escaping () throws -> any StreamProtocol
    ) throws -> Listener {
        unsafe try core.listen(address, options) { Receiver.of(try makeProtocol()) }
    }

    /// Accepts connections on an address for protocols that read into memory of their own.
    ///
    /// - Parameters:
    ///   - address: Where to listen; port 0 takes any, see ``Listener/localAddress``.
    ///   - options: Backlog, limits, and the settings of the connections.
    ///   - makeProtocol: Called on the loop for each connection.
    /// - Returns: The listener, which may be dropped; it stays open until it is closed.
    /// - Throws: ``SystemError`` that names the address.
    ///
    /// The corresponding asyncio name is `loop.create_server` with a `BufferedProtocol`.
    @discardableResult
    public func listen(
        on address: SocketAddress,
        options: ListenerOptions = .init(),
        buffered makeProtocol: @escaping () throws -> any BufferedStreamProtocol
    ) throws -> Listener {
        unsafe try core.listen(address, options) { BufferedReceiver(try makeProtocol()) }
    }

    /// Connects to an address and makes a protocol for the connection.
    ///
    /// Returns at once. Later either the protocol is made and gets its connection, or `onFailure` is called: exactly
    /// one of the two, and never before this returns.
    ///
    /// - Parameters:
    ///   - address: The peer.
    ///   - localAddress: This end's address, of the peer's family; nil leaves it to the system, as port 0 does the port.
    ///   - options: The settings of the connection.
    ///   - timeout: How long to try; nil leaves it to the system, which takes minutes.
    ///   - makeProtocol: Called on the loop when the connection is there. If it throws, `onFailure` gets the error.
    ///   - onFailure: Receives ``SystemError``, ``LoopError/timedOut(_:)`` or `CancellationError`.
    /// - Returns: A token that can cancel the attempt; it may be dropped.
    /// - Throws: ``SystemError`` if the attempt could not even begin, which names `localAddress` if that cannot be had;
    ///   `onFailure` is then not called.
    ///
    /// The corresponding asyncio name is `loop.create_connection`; the corresponding libuv call is `uv_tcp_connect`.
    @discardableResult
    public func connect(
        to address: SocketAddress,
        from localAddress: SocketAddress? = nil,
        options: StreamOptions = .init(),
        timeout: Duration? = .seconds(30),
        _ makeProtocol: @escaping () throws -> any StreamProtocol,
        onFailure: @escaping (any Error) -> Void
    ) throws -> ConnectAttempt {
        let makeReceiver = { Receiver.of(try makeProtocol()) }
        return unsafe try core.connect(address, localAddress, options, timeout, makeReceiver, onFailure)
    }

    /// Connects to an address for a protocol that reads into memory of its own.
    ///
    /// - Parameters:
    ///   - address: The peer.
    ///   - localAddress: This end's address, of the peer's family; nil leaves it to the system, as port 0 does the port.
    ///   - options: The settings of the connection.
    ///   - timeout: How long to try; nil leaves it to the system, which takes minutes.
    ///   - makeProtocol: Called on the loop when the connection is there. If it throws, `onFailure` gets the error.
    ///   - onFailure: Receives ``SystemError``, ``LoopError/timedOut(_:)`` or `CancellationError`.
    /// - Returns: A token that can cancel the attempt; it may be dropped.
    /// - Throws: ``SystemError`` if the attempt could not even begin, which names `localAddress` if that cannot be had;
    ///   `onFailure` is then not called.
    ///
    /// The corresponding asyncio name is `loop.create_connection` with a `BufferedProtocol`.
    @discardableResult
    public func connect(
        to address: SocketAddress,
        from localAddress: SocketAddress? = nil,
        options: StreamOptions = .init(),
        timeout: Duration? = .seconds(30),
        buffered makeProtocol: @escaping () throws -> any BufferedStreamProtocol,
        onFailure: @escaping (any Error) -> Void
    ) throws -> ConnectAttempt {
        unsafe try core.connect(
            address,
            localAddress,
            options,
            timeout,
            { BufferedReceiver(try makeProtocol()) },
            onFailure
        )
    }
}

extension LoopCore {
    fileprivate func listen(
        _ address: SocketAddress,
        _ options: ListenerOptions,
        _ makeReceiver: @escaping () throws -> Receiver
    ) throws -> Listener {
        try requireOpen()
        let listener = Listener(core: self, address: address, options: options, makeReceiver: makeReceiver)
        if let memory {
            listener.begin(.memory(try memory.listen(listener)))
        } else {
            listener.begin(.system(try ListenerHandle(listener)))
        }
        return listener
    }

    fileprivate func connect(
        _ address: SocketAddress,
        _ localAddress: SocketAddress?,
        _ options: StreamOptions,
        _ timeout: Duration?,
        _ makeReceiver: @escaping () throws -> Receiver,
        _ onFailure: @escaping (any Error) -> Void
    ) throws -> ConnectAttempt {
        try requireOpen()
        if let localAddress, localAddress.family != address.family {
            throw SystemError(.addressFamilyNotSupported, call: "bind", address: localAddress)
        }
        let attempt = ConnectAttempt(
            core: self,
            address: address,
            options: options,
            makeReceiver: makeReceiver,
            onFailure: onFailure
        )
        if let memory {
            try memory.connect(attempt, from: localAddress, to: address)
        } else {
            try attempt.begin(from: localAddress)
        }
        attempt.limit(to: timeout)
        return attempt
    }

    func requireOpen() throws {
        guard state == .idle || state == .running else { throw LoopError.loopClosed }
    }
}
