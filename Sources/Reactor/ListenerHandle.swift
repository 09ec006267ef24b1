// A listening socket, TCP or Unix. libuv watches it for clients; accepting is done here, because libuv's own way
// differs between versions where it matters most, and hides what it does:
//
//   * With no descriptor left it accepts and closes every client that waits, with the help of a spare descriptor, and
//     tells nobody. When the spare is gone, 1.44 calls back without end, and 1.45 and later spin in silence.
//   * After a failed `uv_accept` a listener accepts nothing any more.
//
// Here the limit and every failure stop the watch, and clients wait in the kernel's backlog; the limit ends with the next
// connection that closes, a failure after 5 ms, doubling to a second.

internal import CLibUV
internal import CReactor
#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// Accepts for a `Listener` on a real socket.
@safe
final class ListenerHandle: HandleBox, LiveHandle {
    // SAFETY: the loop's thread alone uses it, and it is only ever replaced: a check of exclusivity would find nothing.
    @exclusivity(unchecked) private var heldListener: Listener?
    private var listener: Listener? {
        get { unsafe heldListener }
        set { unsafe heldListener = newValue }
    }
    /// The listening socket, which libuv only watches and which is closed here.
    private let socket: ListeningSocket
    private var isWatching = false
    private var retry: Scheduled?
    private var retryDelay = ListenerHandle.firstRetry
    // SAFETY: allocated in `init`, freed in `deinit`; written by `accept` alone.
    private let peer: UnsafeMutablePointer<sockaddr_storage>
    // SAFETY: as `heldListener`.
    @exclusivity(unchecked) private var peerLength: CInt = 0
    /// Whether a client is being taken over, whose address that is.
    private var isAccepting = false

    private static let firstRetry = Duration.milliseconds(5)
    private static let longestRetry = Duration.seconds(1)
    /// How many clients one turn accepts at most, so that a crowd of them leaves time for those who are served.
    private static let mostAccepts = 256

    /// Listens for `listener`, whose address is replaced by the one that the system gave.
    convenience init(_ listener: Listener) throws(SystemError) {
        let address = listener.localAddress
        let socket = try ListeningSocket.make(listener.options, address)
        do throws(SystemError) {
            try self.init(listener, socket)
        } catch {
            socket.close()
            throw SystemError(error.code, call: error.call, address: address)
        }
    }

    /// Listens for `listener` on a socket that is the caller's again if this throws.
    init(_ listener: Listener, _ socket: ListeningSocket) throws(SystemError) {
        self.socket = socket
        unsafe heldListener = listener
        unsafe peer = .allocate(capacity: 1)
        unsafe peer.initialize(to: sockaddr_storage())
        let loop = unsafe listener.core.raw
        unsafe try super.init(UV_POLL, on: listener.core, "uv_poll_init") {
            unsafe uv_poll_init(loop, $0.assumingMemoryBound(to: uv_poll_t.self), socket.descriptor)
        }
        do throws(SystemError) {
            if let bound = try SocketName.find(socket.descriptor, remote: false) { listener.isBound(to: bound) }
        } catch {
            // Nobody could be told where it listens.
            self.listener = nil
            close()
            throw error
        }
        watch()
    }

    /// The socket's descriptor, which is closed here alone.
    var descriptor: CInt { socket.descriptor }

    deinit { unsafe peer.deallocate() }

    /// Both ends' addresses of the client that is being taken over, which cost no call that way; nil if there is none.
    var acceptedAddresses: StreamChannel.Addresses? {
        guard isAccepting, let listener else { return nil }
        let remote = unsafe UnsafeMutableRawPointer(peer).assumingMemoryBound(to: sockaddr.self)
        guard let remote = unsafe SocketAddress(remote, length: Int(peerLength)) else { return nil }
        return StreamChannel.Addresses(local: listener.localAddress, remote: remote)
    }

    private var poll: UnsafeMutablePointer<uv_poll_t> { unsafe raw.assumingMemoryBound(to: uv_poll_t.self) }

    private func watch() {
        guard !isWatching, phase == .open else { return }
        isWatching = true
        let status = unsafe uv_poll_start(poll, CInt(UV_READABLE.rawValue), onClients)
        if status < 0 { pause(SystemError(status: status, call: "uv_poll_start")) }
    }

    private func stopWatching() {
        guard isWatching else { return }
        isWatching = false
        unsafe uv_poll_stop(poll)
    }

    /// Closes the socket.
    func stop() {
        guard listener != nil else { return }
        listener = nil
        retry?.cancel()
        retry = nil
        stopWatching()
        close()
        // libuv forgets a descriptor as soon as it stops watching it.
        socket.close()
    }

    /// The limit is no longer reached.
    func resumeAccepting() {
        if retry == nil { watch() }
    }

    fileprivate func clientsArrived() {
        unsafe core.noteInput()
        for _ in 0..<Self.mostAccepts {
            // Accepting calls users' code, which may close the listener.
            guard let listener, isWatching else { return }
            guard listener.mayAccept() else { return stopWatching() }
            unsafe peerLength = CInt(MemoryLayout<sockaddr_storage>.size)
            let descriptor = unsafe creactor_accept(socket.descriptor, peer, &peerLength)
            if descriptor == -EAGAIN { return listener.foundNobody() }
            do throws(SystemError) {
                if descriptor < 0 { throw SystemError(status: descriptor, call: "accept") }
                if !listener.gaveAway(descriptor) {
                    isAccepting = true
                    defer { isAccepting = false }
                    try Self.adopt(descriptor, for: listener)
                }
                retryDelay = Self.firstRetry
            } catch {
                return pause(error)
            }
        }
    }

    /// Makes a connection of an accepted descriptor, which it closes if that fails.
    static func adopt(_ descriptor: CInt, for listener: Listener) throws(SystemError) {
        let stream: SystemStream
        do throws(SystemError) {
            stream = try SystemStream(StreamKind(listener.localAddress.family), on: listener.core)
        } catch {
            breakOff(descriptor)
            throw error
        }
        do throws(SystemError) {
            try stream.open(descriptor)
        } catch {
            // The descriptor is still ours.
            stream.close()
            breakOff(descriptor)
            throw error
        }
        #if !os(Linux)
        // What cannot be set on a client that has gone is of no use to it either.
        try? stream.apply(listener.options.connection)
        #endif
        listener.didAccept(.system(stream)) { stream.attach($0) }
    }

    /// Closes a connection that nobody will serve, with a reset: an end would look like an answer.
    private static func breakOff(_ descriptor: CInt) {
        _ = creactor_linger_zero(descriptor)
        creactor_close(descriptor)
    }

    /// Stops accepting for a while and says so.
    private func pause(_ error: SystemError) {
        listener?.foundNobody()
        guard let listener, retry == nil else { return }
        listener.failedAcceptCount += 1
        let delay = retryDelay
        retryDelay = min(retryDelay * 2, Self.longestRetry)
        stopWatching()
        retry = unsafe core.schedule(
            at: core.now.advanced(by: delay),
            { [self] in
                retry = nil
                watch()
            },
            site: CallSite(file: #fileID, line: #line)
        )
        unsafe core.report(.acceptFailed(error, retryAfter: delay), "\(listener.localAddress)")
    }

    override var summary: String { listener?.summary ?? "listener" }
    var closingOrder: Int { 0 }
    func closeWithLoop() { listener?.close() }
}

private func onClients(_ poll: UnsafeMutablePointer<uv_poll_t>?, _: CInt, _: CInt) {
    // SAFETY: `data` is the handle's box until its close callback (rule 2). A poll error is told by accepting.
    let handle = unsafe Unmanaged<ListenerHandle>.fromOpaque(poll!.pointee.data!).takeUnretainedValue()
    handle.clientsArrived()
}
