// A connected TCP socket behind a transport: the driver of the real network. See HandleBox.swift for the rules that its
// memory follows, StreamDriver.swift for what it owes its transport.

internal import CLibUV
internal import CReactor

/// One TCP handle of libuv's that carries a connection.
@safe
final class TCPStream: HandleBox, LiveHandle {
    /// The connection; nil while it is being set up and after it closed.
    var transport: StreamTransport? {
        didSet { unsafe hotTransport = transport.map { unsafe Unmanaged.passUnretained($0) } }
    }
    // SAFETY: the same object, not counted: `transport` holds it, and is let go only in the close callback.
    private var hotTransport: Unmanaged<StreamTransport>?
    /// Told instead of the transport while there is none.
    var attempt: ConnectAttempt?
    private var writeRequest: WriteRequest?

    init(on core: LoopCore) throws(SystemError) {
        let loop = unsafe core.raw
        unsafe try super.init(UV_TCP, on: core, "uv_tcp_init") {
            unsafe uv_tcp_init(loop, $0.assumingMemoryBound(to: uv_tcp_t.self))
        }
    }

    // SAFETY: a `uv_tcp_t` begins as a `uv_stream_t` does; valid until the close callback.
    @inline(__always)
    var stream: UnsafeMutablePointer<uv_stream_t> { unsafe raw.assumingMemoryBound(to: uv_stream_t.self) }
    var tcp: UnsafeMutablePointer<uv_tcp_t> { unsafe raw.assumingMemoryBound(to: uv_tcp_t.self) }

    // MARK: Reading

    func startReading() throws(SystemError) {
        try unsafe check(uv_read_start(stream, onAllocate, onRead), "uv_read_start")
    }

    @inline(never)
    fileprivate func giveRoom(_ buffer: UnsafeMutablePointer<uv_buf_t>) {
        // The shared slab, or whatever else it may be.
        let room = unsafe hotTransport?._withUnsafeGuaranteedRef { unsafe $0.plainRoom }
        guard let room = unsafe room ?? nil else { return unsafe giveOtherRoom(buffer) }
        unsafe buffer.pointee = uv_buf_t(base: room.baseAddress?.assumingMemoryBound(to: CChar.self), len: room.count)
    }

    @inline(never)
    private func giveOtherRoom(_ buffer: UnsafeMutablePointer<uv_buf_t>) {
        isGivingRoom = true
        let room = unsafe transport?.room()
        unsafe buffer.pointee = uv_buf_t(
            base: room?.baseAddress?.assumingMemoryBound(to: CChar.self),
            len: room?.count ?? 0
        )
    }

    @inline(__always)
    fileprivate func didRead(_ count: Int, _ buffer: UnsafePointer<uv_buf_t>?) {
        isGivingRoom = false
        if count > 0 {
            unsafe hotTransport?._withUnsafeGuaranteedRef { $0.didReceive(count) }
        } else if count < 0 {
            unsafe didNotRead(CInt(truncatingIfNeeded: count), buffer)
        }
    }

    @inline(never)
    private func didNotRead(_ status: CInt, _ buffer: UnsafePointer<uv_buf_t>?) {
        unsafe core.noteInput()
        if status == UV_ENOBUFS.rawValue {
            // Nobody wanted the bytes: this is where reading stops.
            unsafe uv_read_stop(stream)
            if closeAfterRoom { super.close() }
        } else if status == UV_EOF.rawValue {
            if unsafe buffer?.pointee.base == nil { readAgain() } else { transport?.didReachEnd() }
        } else {
            transport?.didFailReading(SystemError(status: status, call: "read", address: transport?.remoteAddress))
        }
    }

    /// The end was guessed and not read: libuv up to 1.51 reports one, with no buffer, when both directions are over
    /// after a read that did not fill its buffer, although the peer may have reset the connection.
    ///
    /// Reading tells, and half a file must not look like a file.
    private func readAgain() {
        transport?.isDriverReading = false
        transport?.startDriverReadingIfWanted()
    }

    // MARK: Writing

    /// The socket's descriptor, which libuv owns and alone closes.
    var descriptor: CInt {
        if knownDescriptor < 0 { _ = unsafe uv_fileno(handle, &knownDescriptor) }
        return knownDescriptor
    }

    func tryWrite(_ bytes: UnsafeRawBufferPointer) -> Int {
        unsafe creactor_send(descriptor, bytes.baseAddress, bytes.count)
    }

    func tryWrite(_ buffers: ArraySlice<Bytes>) -> Int {
        unsafe UVBuffers.with(buffers) { unsafe Int(uv_try_write(stream, $0, $1)) }
    }

    func write(_ buffers: [Bytes]) throws(SystemError) {
        let request = writeRequest ?? WriteRequest()
        writeRequest = request
        try request.submit(buffers, to: self)
    }

    func shutDown() throws(SystemError) {
        try ShutdownRequest().submit(to: self)
    }

    // MARK: Settings and state

    /// Gives this end an address, before it connects.
    ///
    /// Not `uv_tcp_bind`, which keeps some errors to itself until the connection fails for them.
    func bind(to local: SocketAddress) throws(SystemError) {
        var call: UnsafePointer<CChar>?
        let socket = unsafe local.withSockaddr { unsafe creactor_client_socket($0, CInt($1), &call) }
        // SAFETY: on failure the call is named by a literal of the C code.
        guard socket >= 0 else {
            throw SystemError(status: socket, call: unsafe String(cString: call!), address: local)
        }
        let status = unsafe uv_tcp_open(tcp, socket)
        guard status >= 0 else {
            // The descriptor is still ours.
            creactor_close(socket)
            throw SystemError(status: status, call: "uv_tcp_open", address: local)
        }
    }

    func apply(_ options: StreamOptions) throws(SystemError) {
        let status = options.apply(to: descriptor)
        if status < 0 { throw SystemError(status: status, call: "setsockopt") }
    }

    func address(remote: Bool) -> SocketAddress? {
        guard phase == .open else { return nil }
        return unsafe SocketName.of(tcp, remote: remote)
    }

    // MARK: Closing

    func close(reset: Bool) {
        if reset {
            // Not `uv_tcp_close_reset`, which refuses once the end of the stream is on its way.
            _ = creactor_linger_zero(descriptor)
        }
        if isGivingRoom {
            closeAfterRoom = true
        } else {
            super.close()
        }
    }

    override func didClose() {
        writeRequest = nil
        let transport = transport.take()
        let attempt = attempt.take()
        if let transport { transport.didClose() } else { attempt?.didFail() }
    }

    override var summary: String { transport.map { "TCP \($0.summary)" } ?? "TCP connection being made" }
    var closingOrder: Int { 1 }
    var liveTransport: StreamTransport? { transport }
    func closeWithLoop() {
        if let transport {
            transport.closeWithLoop()
        } else if let attempt {
            attempt.fail(LoopError.loopClosed)
        } else {
            close(reset: true)
        }
    }
}

// MARK: libuv's callbacks

private func onAllocate(
    _ handle: UnsafeMutablePointer<uv_handle_t>?,
    _: Int,
    _ buffer: UnsafeMutablePointer<uv_buf_t>?
) {
    // SAFETY: `data` is the stream, which libuv keeps alive until the close callback (rule 2).
    unsafe Unmanaged<TCPStream>.fromOpaque(handle!.pointee.data!)._withUnsafeGuaranteedRef {
        unsafe $0.giveRoom(buffer!)
    }
}

private func onRead(_ stream: UnsafeMutablePointer<uv_stream_t>?, _ count: Int, _ buffer: UnsafePointer<uv_buf_t>?) {
    // SAFETY: as above.
    unsafe Unmanaged<TCPStream>.fromOpaque(stream!.pointee.data!)._withUnsafeGuaranteedRef {
        unsafe $0.didRead(count, buffer)
    }
}
