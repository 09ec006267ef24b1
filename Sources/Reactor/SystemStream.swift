// A stream of the system's behind a transport: a TCP or Unix socket, the end of a pipe, a terminal. All of them are a
// `uv_stream_t`, and differ in how they are made and in little else. See HandleBox.swift for the rules that its memory
// follows, StreamDriver.swift for what it owes its transport.

internal import CLibUV
internal import CReactor

/// One stream handle of libuv's that carries a connection.
@safe
final class SystemStream: HandleBox, LiveHandle {
    // SAFETY: the loop's thread alone uses it; a check of exclusivity at run time would find nothing. What it holds is let go
    // in the close callback only.
    @exclusivity(unchecked) private var held = Held<StreamTransport>()
    private var companion = Companion.none

    /// What few have, and none at the same time as another. (idle connections)
    private enum Companion {
        case none
        /// Told instead of the transport while there is none.
        case attempt(ConnectAttempt)
        case request(WriteRequest)
    }

    /// The connection; nil while it is being set up and after it closed.
    var transport: StreamTransport? { unsafe held.object }

    /// Gives it its connection, to whom everything is told from now on.
    func attach(_ transport: StreamTransport) {
        companion = .none
        unsafe held.set(transport)
    }

    /// Who is told instead of the transport while there is none.
    var attempt: ConnectAttempt? {
        get { if case .attempt(let attempt) = companion { attempt } else { nil } }
        set { companion = newValue.map { .attempt($0) } ?? .none }
    }

    /// A handle of the kind, without a descriptor; a terminal's has one.
    init(_ kind: StreamKind, on core: LoopCore, terminal: CInt = -1) throws(SystemError) {
        let loop = unsafe core.raw
        // SAFETY: the memory is as large as its type says.
        switch kind {
        case .tcp:
            unsafe try super.init(UV_TCP, on: core, "uv_tcp_init") {
                unsafe uv_tcp_init(loop, $0.assumingMemoryBound(to: uv_tcp_t.self))
            }
        case .unix, .pipe:
            unsafe try super.init(UV_NAMED_PIPE, on: core, "uv_pipe_init") {
                unsafe uv_pipe_init(loop, $0.assumingMemoryBound(to: uv_pipe_t.self), 0)
            }
        case .terminal:
            unsafe try super.init(UV_TTY, on: core, "uv_tty_init") {
                unsafe uv_tty_init(loop, $0.assumingMemoryBound(to: uv_tty_t.self), terminal, 0)
            }
        }
        streamKind = kind
    }

    /// Gives the handle its descriptor, which is the caller's again if this throws.
    func open(_ descriptor: CInt) throws(SystemError) {
        switch streamKind {
        case .tcp: try unsafe check(uv_tcp_open(tcp, descriptor), "uv_tcp_open")
        case .unix, .pipe: try unsafe check(uv_pipe_open(pipe, descriptor), "uv_pipe_open")
        case .terminal: break
        }
    }

    // SAFETY: every kind begins as a `uv_stream_t` does; valid until the close callback.
    @inline(__always)
    var stream: UnsafeMutablePointer<uv_stream_t> { unsafe raw.assumingMemoryBound(to: uv_stream_t.self) }
    var tcp: UnsafeMutablePointer<uv_tcp_t> { unsafe raw.assumingMemoryBound(to: uv_tcp_t.self) }
    private var pipe: UnsafeMutablePointer<uv_pipe_t> { unsafe raw.assumingMemoryBound(to: uv_pipe_t.self) }
    private var tty: UnsafeMutablePointer<uv_tty_t> { unsafe raw.assumingMemoryBound(to: uv_tty_t.self) }

    // MARK: Reading

    func startReading() throws(SystemError) {
        try unsafe check(uv_read_start(stream, onAllocate, onRead), "uv_read_start")
    }

    @inline(never)
    fileprivate func giveRoom(_ buffer: UnsafeMutablePointer<uv_buf_t>) {
        // The shared slab, or whatever else it may be.
        let room = unsafe held.lent?._withUnsafeGuaranteedRef { unsafe $0.plainRoom }
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
            unsafe held.lent?._withUnsafeGuaranteedRef { $0.didReceive(count) }
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
            // Which tells the peer nothing that it does not know.
            if status == UV_ECONNRESET.rawValue { wasReset = true }
            transport?.didFailReading(SystemError(status: status, call: "read", address: transport?.knownRemoteAddress))
        }
    }

    /// The end was guessed and not read: libuv up to 1.51 reports one, with no buffer, when both directions are over
    /// after a read that did not fill its buffer, although the peer may have reset the connection.
    ///
    /// Reading tells, and half a file must not look like a file.
    private func readAgain() {
        // SAFETY: the stream is open, as this is its callback.
        unsafe clibuv_make_readable(stream)
        transport?.isDriverReading = false
        transport?.startDriverReadingIfWanted()
    }

    // MARK: Writing

    /// The descriptor, which libuv owns and alone closes.
    var descriptor: CInt {
        if unsafe knownDescriptor < 0 { _ = unsafe uv_fileno(handle, &knownDescriptor) }
        return unsafe knownDescriptor
    }

    func tryWrite(_ bytes: UnsafeRawBufferPointer) -> Int {
        streamKind.isSocket
            ? unsafe creactor_send(descriptor, bytes.baseAddress, bytes.count)
            : unsafe creactor_write(descriptor, bytes.baseAddress, bytes.count)
    }

    func tryWrite(_ buffers: ArraySlice<Bytes>) -> Int {
        unsafe UVBuffers.with(buffers) { unsafe Int(uv_try_write(stream, $0, $1)) }
    }

    func write(_ buffers: [Bytes]) throws(SystemError) {
        try writeRequest.submit(buffers, to: self)
    }

    /// The request, which is used again and again.
    private var writeRequest: WriteRequest {
        if case .request(let request) = companion { return request }
        let request = WriteRequest()
        companion = .request(request)
        return request
    }

    /// Sends the end of the stream.
    ///
    /// A pipe is closed for that; a terminal has no end, and throws.
    func shutDown() throws(SystemError) {
        if streamKind.isSocket { return try ShutdownRequest().submit(to: self) }
        guard !isReadable else { throw SystemError(status: UV_ENOTSUP.rawValue, call: "uv_shutdown") }
        close(reset: false)
    }

    /// Whether it can be read from, and written to.
    var isReadable: Bool { unsafe uv_is_readable(stream) != 0 }
    var isWritable: Bool { unsafe uv_is_writable(stream) != 0 }

    // MARK: Settings and state

    /// Makes the socket before it connects, and binds it to the address if that is this end's.
    ///
    /// Not by `uv_tcp_bind`, which keeps some errors to itself until the connection fails for them.
    func open(like address: SocketAddress, bound: Bool) throws(SystemError) {
        var call: UnsafePointer<CChar>?
        let socket = unsafe address.withSockaddr {
            unsafe creactor_client_socket($0, CInt($1), bound ? 1 : 0, &call)
        }
        // SAFETY: on failure the call is named by a literal of the C code.
        guard socket >= 0 else {
            throw SystemError(status: socket, call: unsafe String(cString: call!), address: address)
        }
        let status = unsafe uv_tcp_open(tcp, socket)
        guard status >= 0 else {
            // The descriptor is still ours.
            creactor_close(socket)
            throw SystemError(status: status, call: "uv_tcp_open", address: address)
        }
    }

    func apply(_ options: StreamOptions) throws(SystemError) {
        guard streamKind == .tcp else { return }
        let status = options.apply(to: descriptor)
        if status < 0 { throw SystemError(status: status, call: "setsockopt") }
    }

    func address(remote: Bool) -> SocketAddress? {
        guard phase == .open, streamKind.isSocket else { return nil }
        return SocketName.of(descriptor, remote: remote)
    }

    /// Whether the peer has not acknowledged something; no where the system cannot tell.
    func hasUnacknowledged() throws(SystemError) -> Bool {
        let count = creactor_unacknowledged(descriptor)
        if count >= 0 { return count > 0 }
        let error = SystemError(status: count, call: "close", address: transport?.knownRemoteAddress)
        if error.code == .notImplemented { return false }
        throw error
    }

    /// How a terminal treats what is typed.
    func setTerminalMode(_ mode: TerminalMode) throws(SystemError) {
        guard streamKind == .terminal, phase == .open else {
            throw SystemError(status: UV_ENOTTY.rawValue, call: "uv_tty_set_mode")
        }
        if mode != .normal { creactor_reset_terminal_at_exit() }
        try unsafe check(uv_tty_set_mode(tty, mode.native), "uv_tty_set_mode")
    }

    /// How many columns and rows a terminal has.
    func windowSize() throws(SystemError) -> (columns: Int, rows: Int) {
        guard streamKind == .terminal, phase == .open else {
            throw SystemError(status: UV_ENOTTY.rawValue, call: "uv_tty_get_winsize")
        }
        var (columns, rows): (CInt, CInt) = (0, 0)
        try unsafe check(uv_tty_get_winsize(tty, &columns, &rows), "uv_tty_get_winsize")
        return (Int(columns), Int(rows))
    }

    // MARK: Closing

    func close(reset: Bool) {
        // From here on the number may be another's.
        guard phase == .open else { return }
        if reset && streamKind == .tcp && !wasReset {
            // Not `uv_tcp_close_reset`, which refuses once the end of the stream is on its way.
            _ = creactor_linger_zero(descriptor)
        }
        if streamKind == .terminal { _ = unsafe uv_tty_set_mode(tty, UV_TTY_MODE_NORMAL) }
        if isGivingRoom {
            closeAfterRoom = true
        } else {
            super.close()
        }
    }

    override func didClose() {
        let attempt = attempt
        companion = .none
        let transport = unsafe held.take()
        if let transport { transport.didClose() } else { attempt?.didFail() }
    }

    override var summary: String {
        transport.map { "\(streamKind) \($0.summary)" } ?? "\(streamKind) connection being made"
    }
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
    unsafe Unmanaged<SystemStream>.fromOpaque(handle!.pointee.data!)._withUnsafeGuaranteedRef {
        unsafe $0.giveRoom(buffer!)
    }
}

private func onRead(_ stream: UnsafeMutablePointer<uv_stream_t>?, _ count: Int, _ buffer: UnsafePointer<uv_buf_t>?) {
    // SAFETY: as above.
    unsafe Unmanaged<SystemStream>.fromOpaque(stream!.pointee.data!)._withUnsafeGuaranteedRef {
        unsafe $0.didRead(count, buffer)
    }
}
