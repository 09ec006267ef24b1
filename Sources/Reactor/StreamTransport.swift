// One connection as its protocol sees it: the state that decides what may happen next. Reading is in
// StreamTransport+Reading.swift, writing in StreamTransport+Writing.swift; what carries the bytes is the driver.
//
// Ground rules:
//   * `connectionLost` is called exactly once for each `connectionMade`, from `didClose` and nowhere else.
//   * `phase` only moves forward: open, closing (what waits is still sent), closed.
//   * The driver holds the transport, and the transport the driver and the protocol, until `didClose` cuts all three.

/// A connection, as handed to its protocol.
///
/// Belongs to its loop: not `Sendable`, and none of its methods waits. The protocol keeps it for as long as it likes;
/// after ``ConnectionProtocol/connectionLost(_:error:on:)`` it does nothing any more.
///
/// The corresponding asyncio name is `asyncio.Transport`.
@safe
public final class StreamTransport {
    enum Phase {
        case open
        case closing
        case closed
    }

    let core: LoopCore
    let options: StreamOptions
    var driver = StreamDriver.none {
        didSet {
            if case .tcp(let stream) = driver { descriptor = stream.descriptor } else { descriptor = -1 }
        }
    }
    /// The descriptor of a TCP driver, which libuv owns and which is open as long as `phase` is; or -1.
    private(set) var descriptor: CInt = -1
    private(set) var receiver: Receiver?
    // SAFETY: the same object, not counted: used only while `receiver` holds it.
    private(set) var hotReceiver: Unmanaged<Receiver>!
    private(set) var isBuffered = false
    /// Whether what arrives takes the short way: a stream protocol, and nobody times callbacks.
    private(set) var isPlain = false
    private var listener: Listener?
    /// The place in the listener's list of connections.
    var indexInListener = 0

    private(set) var phase = Phase.open
    /// Whether the driver was told to close, after which nothing more is sent.
    var driverClosing = false
    private(set) var failure: (any Error)?
    /// Called when the system has taken some of what waits to be sent.
    var onSent: (() -> Void)?
    private var closeDeadline: Scheduled?

    // Reading: see StreamTransport+Reading.swift
    var wantsReading = true
    var isDriverReading = false
    var hasReachedEnd = false
    /// The end has come while reading was paused.
    var endIsWaiting = false
    var activeBuffer: ReadBuffer?

    // Writing: see StreamTransport+Writing.swift
    let queue = WriteQueue()
    var endRequested = false
    /// Whether the driver was told to send the end, and whether it has.
    var endSubmitted = false
    var endSent = false
    var isWritingPaused = false
    var highWaterMark: Int
    var lowWaterMark: Int

    /// A number that no other connection of this loop has, in the order in which they were made.
    public let number: UInt64

    private var cachedLocalAddress: SocketAddress?
    private var cachedRemoteAddress: SocketAddress?

    init(core: LoopCore, options: StreamOptions, listener: Listener?) {
        self.core = core
        self.options = options
        self.listener = listener
        (lowWaterMark, highWaterMark) = options.writeMarks
        number = core.nextConnectionNumber()
    }

    /// This end's address; nil if it was not asked for while the connection was open.
    public var localAddress: SocketAddress? {
        if cachedLocalAddress == nil { cachedLocalAddress = driver.address(remote: false) }
        return cachedLocalAddress
    }

    /// The peer's address; nil if it was not asked for while the connection was open.
    ///
    /// It is read from the system when it is first asked for, so that connections that never ask pay nothing.
    public var remoteAddress: SocketAddress? {
        if cachedRemoteAddress == nil { cachedRemoteAddress = driver.address(remote: true) }
        return cachedRemoteAddress
    }

    /// Whether the connection is closing or closed.
    public var isClosing: Bool { phase != .open }

    /// Closes the connection after what was written has been sent.
    ///
    /// Reading stops at once. If the peer does not take the rest within ``StreamOptions/closeTimeout``, the connection
    /// is aborted. Bytes that the peer had sent and that nobody read make the kernel answer with a reset. Idempotent.
    ///
    /// The corresponding asyncio name is `Transport.close`.
    public func close() {
        guard phase == .open else { return }
        phase = .closing
        guard queue.byteCount > 0 || (endRequested && !endSent) else {
            closeDriver(reset: false)
            return
        }
        let deadline = core.now.advanced(by: options.closeTimeout)
        closeDeadline = core.schedule(
            at: deadline,
            { [self] in fail(LoopError.timedOut("Sending the last bytes to a peer that does not read them")) },
            site: CallSite(file: #fileID, line: #line)
        )
    }

    /// Closes the connection at once: what waits to be sent is dropped, and the peer is told that it broke (RST).
    ///
    /// The protocol hears of it with no error. Idempotent, and allowed after ``close()``.
    ///
    /// The corresponding asyncio name is `Transport.abort`; the corresponding libuv call is `uv_tcp_close_reset`.
    public func abort() {
        guard phase != .closed else { return }
        phase = .closing
        queue.dropAll()
        closeDriver(reset: true)
    }

    /// Closes the connection at once because of an error, which the protocol will hear of.
    func fail(_ error: any Error) {
        guard phase != .closed else { return }
        if failure == nil { failure = error }
        abort()
    }

    /// Closes the connection because the protocol threw, and says so.
    @inline(never)
    func protocolFailed(_ error: any Error, in method: StaticString) {
        core.report(.protocolError(error), subject(method))
        fail(error)
    }

    func subject(_ method: StaticString, of lost: Receiver? = nil) -> String {
        let name = (receiver ?? lost).map { "\(type(of: $0.base))" } ?? "a protocol"
        return "\(name).\(method) on \(summary)"
    }

    func closeDriver(reset: Bool) {
        guard !driverClosing else { return }
        driverClosing = true
        driver.close(reset: reset)
    }

    /// Gives the connection to its protocol and lets it read.
    ///
    /// The driver is set.
    func begin(with receiver: Receiver) {
        self.receiver = receiver
        unsafe hotReceiver = Unmanaged.passUnretained(receiver)
        isBuffered = receiver.buffered != nil
        isPlain = !isBuffered && !core.timesCallbacks
        do {
            try core.withLoop { try core.crossings.made(receiver.base, self, $0) }
        } catch {
            protocolFailed(error, in: "connectionMade")
        }
        startDriverReadingIfWanted()
    }

    /// The driver is gone: the last thing that happens to a transport.
    func didClose() {
        guard phase != .closed else { return }
        phase = .closed
        closeDeadline?.cancel()
        closeDeadline = nil
        queue.dropAll()
        activeBuffer = nil
        onSent = nil
        driver = .none
        let listener = listener.take()
        defer { listener?.didLose(self) }
        guard let receiver = receiver.take() else { return }
        core.enter()
        core.withLoop { core.crossings.lost(receiver.base, self, failure, $0) }
        core.leave { subject("connectionLost", of: receiver) }
    }

    /// Called for what is still open when the loop closes.
    func closeWithLoop() {
        if failure == nil { failure = LoopError.loopClosed }
        abort()
    }

    var summary: String {
        let ends = "\(localAddress?.description ?? "?") - \(remoteAddress?.description ?? "?")"
        var text = "connection #\(number) \(ends)"
        if phase != .open { text += ", closing" }
        if !wantsReading { text += ", reading paused" }
        if queue.byteCount > 0 { text += ", \(queue.byteCount) B to send" }
        return text
    }
}
