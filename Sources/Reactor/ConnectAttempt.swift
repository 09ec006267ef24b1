// A connection on its way. It ends in exactly one of two ways: the protocol is made and gets its connection, or
// `onFailure` gets the reason. Cancelling ends it in the second way.

internal import CLibUV
internal import CReactor

/// A connection that is being made.
///
/// Made by ``EventLoop/connect(to:from:options:timeout:_:onFailure:)``. It may be dropped; the attempt goes on.
///
/// The corresponding libuv call is `uv_tcp_connect`.
public final class ConnectAttempt {
    private let core: LoopCore
    private let options: StreamOptions
    private let address: SocketAddress
    private var makeReceiver: (() throws -> Receiver)?
    private var onFailure: ((any Error) -> Void)?
    private var timer: Scheduled?
    /// The next try, while a Unix socket's backlog is full.
    private var retry: Scheduled?
    private var retryDelay = Duration.milliseconds(1)
    private var stream: SystemStream?
    private var failure: (any Error)?

    private static let longestRetry = Duration.milliseconds(100)

    init(
        core: LoopCore,
        address: SocketAddress,
        options: StreamOptions,
        makeReceiver: @escaping () throws -> Receiver,
        onFailure: @escaping (any Error) -> Void
    ) {
        options.validate()
        self.core = core
        self.address = address
        self.options = options
        self.makeReceiver = makeReceiver
        self.onFailure = onFailure
    }

    /// Whether it has neither succeeded nor failed.
    public var isPending: Bool { makeReceiver != nil }

    /// Gives up.
    ///
    /// `onFailure` is called with `CancellationError`, later. Does nothing if the attempt has ended.
    public func cancel() {
        core.requireHere("ConnectAttempt")
        fail(CancellationError())
    }

    // MARK: On a real socket

    func begin(from local: SocketAddress?) throws(SystemError) {
        do throws(SystemError) {
            if address.family == .unix { try beginUnix() } else { try beginTCP(from: local) }
        } catch {
            // The caller hears of it by the throw, not by `onFailure` as well.
            let stream = stream
            end()
            stream?.attempt = nil
            stream?.close()
            throw SystemError(error.code, call: error.call, address: error.address ?? address)
        }
    }

    /// Gives up when the time has passed, if it still is pending.
    func limit(to timeout: Duration?) {
        guard let timeout else { return }
        timer = core.schedule(
            at: core.now.advanced(by: timeout),
            { [self] in fail(LoopError.timedOut("Connecting to \(address)")) },
            site: CallSite(file: #fileID, line: #line)
        )
    }

    private func makeStream(_ kind: StreamKind) throws(SystemError) -> SystemStream {
        let stream = try SystemStream(kind, on: core)
        stream.attempt = self
        self.stream = stream
        return stream
    }

    private func beginTCP(from local: SocketAddress?) throws(SystemError) {
        let stream = try makeStream(.tcp)
        if local != nil || options.receiveBufferSize != nil {
            try stream.open(like: local ?? address, bound: local != nil)
            try stream.apply(options)
        }
        try ConnectRequest(self).submit(to: stream, address)
    }

    // Not `uv_pipe_connect`: it cuts long paths up to libuv 1.45, knows no abstract names, and takes a full backlog,
    // which a Unix socket answers with EAGAIN, for a refusal.
    private func beginUnix() throws(SystemError) {
        let stream = try makeStream(.unix)
        let socket = creactor_unix_socket()
        if socket < 0 { throw SystemError(status: socket, call: "socket") }
        do throws(SystemError) {
            try stream.open(socket)
        } catch {
            creactor_close(socket)
            throw error
        }
        retry = core.scheduleSoon({ [self] in connectUnix() }, site: CallSite(file: #fileID, line: #line))
    }

    private func connectUnix() {
        retry = nil
        guard isPending, failure == nil, let stream else { return }
        let status = unsafe address.withSockaddr { unsafe creactor_connect_unix(stream.descriptor, $0, CInt($1)) }
        guard status == SystemError.Code.wouldBlock.rawValue else { return didConnect(status, "connect") }
        // The peer's backlog is full; nothing tells when it is not any more.
        let delay = retryDelay
        retryDelay = min(retryDelay * 2, Self.longestRetry)
        retry = core.schedule(
            at: core.now.advanced(by: delay),
            { [self] in connectUnix() },
            site: CallSite(file: #fileID, line: #line)
        )
    }

    fileprivate func didConnect(_ status: CInt, _ call: String) {
        core.noteInput()
        guard isPending, failure == nil, let stream else { return }
        guard status >= 0 else {
            fail(SystemError(status: status, call: call, address: address))
            return
        }
        do { try stream.apply(options) } catch { return fail(error) }
        succeed(.system(stream)) { stream.attach($0) }
    }

    // MARK: Either way

    /// The driver is connected: makes the protocol and hands it the connection.
    func succeed(_ driver: StreamDriver, _ attach: (StreamTransport) -> Void) {
        guard let makeReceiver, failure == nil else { return }
        core.enter()
        do {
            let receiver = try makeReceiver()
            // The factory may have cancelled.
            if failure == nil {
                end()
                let transport = StreamTransport(core: core, .limits(StreamLimits(options)))
                transport.driver = driver
                attach(transport)
                transport.begin(with: receiver)
            }
        } catch {
            fail(error)
        }
        core.leave { "connectionMade of a connection to \(address)" }
    }

    /// Gives up because of `error`.
    func fail(_ error: any Error) {
        guard isPending, failure == nil else { return }
        failure = error
        if let stream {
            stream.close(reset: true)
        } else {
            core.memory?.attemptFailed(self)
        }
    }

    /// What was being made has closed: tells why.
    func didFail() {
        guard let onFailure else { return }
        let failure = failure ?? LoopError.loopClosed
        end()
        core.enter()
        onFailure(failure)
        core.leave { "onFailure of a connection to \(address)" }
    }

    private func end() {
        timer?.cancel()
        timer = nil
        retry?.cancel()
        retry = nil
        makeReceiver = nil
        onFailure = nil
        stream = nil
    }
}

/// The request of a connection; it holds itself from submit to callback (rule 4 of HandleBox.swift).
@safe
private final class ConnectRequest {
    private let raw: UnsafeMutablePointer<uv_connect_t>
    private let attempt: ConnectAttempt

    init(_ attempt: ConnectAttempt) {
        self.attempt = attempt
        unsafe raw = UnsafeMutableRawPointer.allocate(byteCount: uv_req_size(UV_CONNECT), alignment: 16)
            .bindMemory(to: uv_connect_t.self, capacity: 1)
    }

    deinit {
        unsafe raw.deallocate()
    }

    func submit(to stream: SystemStream, _ address: SocketAddress) throws(SystemError) {
        unsafe raw.pointee.data = unsafe Unmanaged.passRetained(self).toOpaque()
        let status = unsafe address.withSockaddr { address, _ in
            unsafe uv_tcp_connect(raw, stream.tcp, address, onConnected)
        }
        guard status < 0 else { return }
        _ = unsafe ConnectRequest.reclaim(raw)
        throw SystemError(status: status, call: "uv_tcp_connect")
    }

    static func reclaim(_ raw: UnsafeMutablePointer<uv_connect_t>) -> ConnectAttempt {
        // SAFETY: takes back the reference that `submit` gave, once.
        unsafe Unmanaged<ConnectRequest>.fromOpaque(raw.pointee.data!).takeRetainedValue().attempt
    }
}

private func onConnected(_ request: UnsafeMutablePointer<uv_connect_t>?, _ status: CInt) {
    unsafe ConnectRequest.reclaim(request!).didConnect(status, "uv_tcp_connect")
}
