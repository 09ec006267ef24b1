// A listening TCP socket. Three things about accepting that libuv leaves to its users:
//
//   * Not calling `uv_accept` parks one connection and stops accepting: that is the connection limit.
//   * After a failed `uv_accept` a listener accepts nothing any more until `uv_listen` is called again; the pause
//     after any failure ends with a new handle, which does that.
//   * When no descriptor is left and libuv's spare one is gone, it calls back with EMFILE again and again without
//     ever returning. Only closing the handle ends that. So a second descriptor for the same socket is kept from the
//     start: the socket and its waiting clients survive, and after a pause a new handle is opened on a copy of it.

internal import CLibUV
internal import CReactor

/// Accepts for a `Listener` on a real socket.
final class ListenerHandle: LiveHandle {
    private let core: LoopCore
    private var listener: Listener?
    private var handle: AcceptingHandle?
    /// A descriptor of the listening socket that no libuv handle owns.
    private let reserve: CInt
    private var retry: Scheduled?
    private var retryDelay = ListenerHandle.firstRetry

    private static let firstRetry = Duration.milliseconds(5)
    private static let longestRetry = Duration.seconds(1)

    /// Listens for `listener`, whose address is replaced by the one that the system gave.
    init(_ listener: Listener) throws(SystemError) {
        core = listener.core
        self.listener = listener
        let options = listener.options
        let address = listener.localAddress
        var call: UnsafePointer<CChar>?
        let socket = unsafe address.withSockaddr {
            unsafe creactor_bound_socket($0, CInt($1), options.reusePort ? 1 : 0, &call)
        }
        guard socket >= 0 else {
            // SAFETY: on failure the call is named by a literal of the C code.
            throw SystemError(status: socket, call: unsafe String(cString: call!), address: address)
        }
        reserve = socket
        do throws(SystemError) {
            let handle = try open()
            self.handle = handle
            if let bound = handle.localAddress { listener.localAddress = bound }
        } catch {
            creactor_close(socket)
            throw SystemError(error.code, call: error.call, address: address)
        }
    }

    /// A handle on a copy of the socket, listening.
    private func open() throws(SystemError) -> AcceptingHandle {
        let copy = creactor_duplicate(reserve)
        guard copy >= 0 else { throw SystemError(status: copy, call: "fcntl(F_DUPFD_CLOEXEC)") }
        let handle: AcceptingHandle
        do throws(SystemError) {
            handle = try AcceptingHandle(on: core, owner: self, descriptor: copy)
        } catch {
            creactor_close(copy)
            throw error
        }
        do throws(SystemError) {
            if let listener { try handle.listen(listener.options) }
        } catch {
            handle.close()
            throw error
        }
        return handle
    }

    /// Closes the socket.
    func stop() {
        guard listener != nil else { return }
        listener = nil
        retry?.cancel()
        retry = nil
        handle?.close()
        handle = nil
        creactor_close(reserve)
    }

    /// The limit is no longer reached: takes the client that waits.
    func resumeAccepting() { handle?.acceptPending() }

    fileprivate func canConnect(_ handle: AcceptingHandle, _ status: CInt) {
        core.noteInput()
        guard status >= 0 else {
            didFail(SystemError(status: status, call: "accept"))
            return
        }
        handle.hasPending = true
        handle.acceptPending()
    }

    fileprivate func accept(from handle: AcceptingHandle) -> Bool {
        guard let listener, listener.mayAccept() else { return false }
        do throws(SystemError) {
            let stream = try TCPStream(on: core)
            let status = unsafe uv_accept(handle.stream, stream.stream)
            guard status == 0 else {
                stream.close()
                throw SystemError(status: status, call: "uv_accept")
            }
            #if !os(Linux)
            // Linux copies these from the listening socket.
            try? stream.apply(listener.options.connection)
            #endif
            retryDelay = Self.firstRetry
            listener.didAccept(.tcp(stream)) { stream.transport = $0 }
        } catch {
            didFail(error)
        }
        return true
    }

    /// Stops accepting for a while and says so.
    private func didFail(_ error: SystemError) {
        guard let listener, retry == nil else { return }
        listener.failedAcceptCount += 1
        let delay = retryDelay
        retryDelay = min(retryDelay * 2, Self.longestRetry)
        handle?.close()
        handle = nil
        retry = core.schedule(
            at: core.now.advanced(by: delay),
            { [self] in reopen() },
            site: CallSite(file: #fileID, line: #line)
        )
        core.report(.acceptFailed(error, retryAfter: delay), "\(listener.localAddress)")
    }

    private func reopen() {
        retry = nil
        do throws(SystemError) { handle = try open() } catch { didFail(error) }
    }

    var summary: String { listener?.summary ?? "listener" }
    var closingOrder: Int { 0 }
    func closeWithLoop() { listener?.close() }
}

/// The libuv handle of a listener, while it accepts.
private final class AcceptingHandle: HandleBox, LiveHandle {
    private var owner: ListenerHandle?
    /// Whether libuv has a connection that `uv_accept` has not taken.
    var hasPending = false

    init(on core: LoopCore, owner: ListenerHandle, descriptor: CInt) throws(SystemError) {
        let loop = unsafe core.raw
        unsafe try super.init(UV_TCP, on: core, "uv_tcp_init") {
            let tcp = unsafe $0.assumingMemoryBound(to: uv_tcp_t.self)
            return unsafe uv_tcp_init(loop, tcp)
        }
        self.owner = owner
        let status = unsafe uv_tcp_open(raw.assumingMemoryBound(to: uv_tcp_t.self), descriptor)
        guard status >= 0 else {
            // The descriptor is still the caller's.
            close()
            throw SystemError(status: status, call: "uv_tcp_open")
        }
    }

    var stream: UnsafeMutablePointer<uv_stream_t> { unsafe raw.assumingMemoryBound(to: uv_stream_t.self) }

    func listen(_ options: ListenerOptions) throws(SystemError) {
        #if os(Linux)
        // An accepted socket has what its listener has, which saves a system call for each connection.
        let tcp = unsafe raw.assumingMemoryBound(to: uv_tcp_t.self)
        if options.connection.noDelay { try unsafe check(uv_tcp_nodelay(tcp, 1), "uv_tcp_nodelay") }
        if let idle = options.connection.keepAlive {
            let seconds = UInt32(clamping: max(1, idle.components.seconds))
            try unsafe check(uv_tcp_keepalive(tcp, 1, seconds), "uv_tcp_keepalive")
        }
        #endif
        try unsafe check(uv_listen(stream, CInt(clamping: options.backlog), onConnection), "uv_listen")
    }

    func acceptPending() {
        guard hasPending, phase == .open, let owner else { return }
        hasPending = false
        if !owner.accept(from: self) { hasPending = true }
    }

    func connectionArrived(_ status: CInt) { owner?.canConnect(self, status) }

    var localAddress: SocketAddress? { unsafe SocketName.of(raw.assumingMemoryBound(to: uv_tcp_t.self), remote: false) }

    override func didClose() { owner = nil }
    override var summary: String { owner?.summary ?? "listener" }
    var closingOrder: Int { 0 }
    func closeWithLoop() { owner?.closeWithLoop() }
}

private func onConnection(_ server: UnsafeMutablePointer<uv_stream_t>?, _ status: CInt) {
    // SAFETY: `data` is the handle's box until its close callback (rule 2).
    let handle = unsafe Unmanaged<AcceptingHandle>.fromOpaque(server!.pointee.data!).takeUnretainedValue()
    handle.connectionArrived(status)
}
