// Descriptors that the program brings along become connections and listeners. Whoever gets an error keeps the
// descriptor as it was; without one it is the loop's, which closes it once and then never again.

internal import CReactor

extension EventLoop {
    /// Makes a connection of a descriptor, for a protocol.
    ///
    /// It may be a connected stream socket, or the end of a pipe, a FIFO or a character device that can be waited for.
    /// Which directions it has is asked of the system: a protocol of the writing end of a pipe is never given bytes,
    /// and learns that nobody reads any more by ``ConnectionProtocol/connectionLost(_:error:on:)``, with an error only
    /// if bytes waited. To the reading end nothing can be written. The end of a pipe that is written to is sent by
    /// closing it, which ``StreamTransport/writeEOF()`` does.
    ///
    /// The protocol gets its connection later, never before this returns.
    ///
    /// - Parameters:
    ///   - descriptor: Is the loop's when this returns: nobody else may use or close it then. It is made not to block.
    ///   - options: The settings of the connection.
    ///   - receiver: The protocol.
    /// - Throws: ``DescriptorError`` if the descriptor is nothing of that, ``SystemError``; it is then still the
    ///   caller's.
    ///
    /// The corresponding asyncio names are `loop.connect_accepted_socket`, `loop.connect_read_pipe`,
    /// `loop.connect_write_pipe` and the argument `sock` of `loop.create_connection`; the libuv calls are `uv_tcp_open`
    /// and `uv_pipe_open`.
    public func adopt(
        descriptor: CInt,
        options: StreamOptions = .init(),
        for receiver: any StreamProtocol
    ) throws {
        unsafe try core.adoptLater(descriptor, options, Receiver.of(receiver))
    }

    /// Makes a connection of a descriptor, for a protocol that reads into memory of its own.
    ///
    /// Like ``adopt(descriptor:options:for:)``.
    public func adopt(
        descriptor: CInt,
        options: StreamOptions = .init(),
        buffered receiver: any BufferedStreamProtocol
    ) throws {
        unsafe try core.adoptLater(descriptor, options, BufferedReceiver(receiver))
    }

    /// Accepts connections on a socket that the program has bound, and makes a protocol for each.
    ///
    /// The socket may listen already, or does from now on. The file of a Unix socket stays when the listener is closed,
    /// as it was not made here.
    ///
    /// - Parameters:
    ///   - descriptor: Is the loop's when this returns: nobody else may use or close it then. It is made not to block.
    ///   - options: Backlog, limits, and the settings of the connections.
    ///   - makeProtocol: Called on the loop for each connection.
    /// - Returns: The listener, which may be dropped; it stays open until it is closed.
    /// - Throws: ``DescriptorError`` if the descriptor is no such socket, ``SystemError``; it is then still the
    ///   caller's.
    ///
    /// The corresponding asyncio name is the argument `sock` of `loop.create_server`.
    @discardableResult
    public func listen(
        adopting descriptor: CInt,
        options: ListenerOptions = .init(),
        _ makeProtocol: @escaping () throws -> any StreamProtocol
    ) throws -> Listener {
        unsafe try core.listen(adopting: descriptor, options) { Receiver.of(try makeProtocol()) }
    }

    /// Accepts connections on a socket that the program has bound, and makes a protocol for each that reads into memory
    /// of its own.
    ///
    /// Like ``listen(adopting:options:_:)``.
    @discardableResult
    public func listen(
        adopting descriptor: CInt,
        options: ListenerOptions = .init(),
        buffered makeProtocol: @escaping () throws -> any BufferedStreamProtocol
    ) throws -> Listener {
        unsafe try core.listen(adopting: descriptor, options) { BufferedReceiver(try makeProtocol()) }
    }

    /// Makes a pipe: what is written to the one end is read from the other.
    ///
    /// Both ends are the caller's, do not block and are closed by `exec`. Make connections of them by
    /// ``adopt(descriptor:options:for:)``, or hand one to another process.
    ///
    /// - Throws: ``SystemError`` if there is no descriptor left.
    ///
    /// The corresponding libuv call is `uv_pipe`.
    public nonisolated static func makePipe() throws -> (reading: CInt, writing: CInt) {
        var ends: (CInt, CInt) = (-1, -1)
        let status = unsafe withUnsafeMutableBytes(of: &ends) {
            // SAFETY: two numbers beside each other.
            unsafe creactor_pipe($0.baseAddress!.assumingMemoryBound(to: CInt.self))
        }
        try check(status, "pipe")
        return ends
    }
}

extension LoopCore {
    /// Takes a descriptor over, which is the caller's again if this throws.
    func adopt(_ descriptor: CInt, _ options: StreamOptions) throws -> SystemStream {
        try requireOpen()
        options.validate()
        let kind = try AdoptedStream.kind(of: descriptor)
        if owns(descriptor) { throw DescriptorError.isOwned }
        if kind == .tcp { try check(options.apply(to: descriptor), "setsockopt") }
        let stream = try SystemStream(kind, on: self)
        do {
            try stream.open(descriptor)
        } catch {
            stream.close()
            throw error
        }
        return stream
    }

    /// Gives the receiver its connection.
    func begin(_ stream: SystemStream, _ options: StreamOptions, _ receiver: Receiver) -> StreamTransport {
        let transport = StreamTransport(core: self, .limits(StreamLimits(options)))
        transport.driver = .system(stream)
        stream.attach(transport)
        if !stream.streamKind.isSocket { transport.noteDirections(of: stream) }
        transport.begin(with: receiver)
        return transport
    }

    fileprivate func adoptLater(_ descriptor: CInt, _ options: StreamOptions, _ receiver: Receiver) throws {
        let stream = try adopt(descriptor, options)
        let site = CallSite(file: #fileID, line: #line)
        _ = scheduleSoon(
            { [self] in
                enter()
                let transport = begin(stream, options, receiver)
                leave { transport.subject("connectionMade") }
            },
            site: site
        )
    }

    fileprivate func listen(
        adopting descriptor: CInt,
        _ options: ListenerOptions,
        _ makeReceiver: @escaping () throws -> Receiver
    ) throws -> Listener {
        try requireOpen()
        if owns(descriptor) { throw DescriptorError.isOwned }
        let (socket, address) = try ListeningSocket.adopted(descriptor, options)
        let listener = Listener(core: self, address: address, options: options, makeReceiver: makeReceiver)
        listener.begin(.system(try ListenerHandle(listener, socket)))
        return listener
    }
}
