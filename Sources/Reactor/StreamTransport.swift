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

    /// How what arrives gets to the protocol.
    private enum Way {
        /// It is handed over, and nobody times that.
        case plain
        /// As `plain`, by the long way once: somebody wants to know whether anything arrives.
        case watched
        case timed
        case buffered
    }

    /// The end of what the peer sends.
    enum ReadingEnd {
        case ahead
        /// It has come while reading was paused.
        case waiting
        case reached
    }

    /// The end of what this side sends.
    enum WritingEnd {
        case open
        /// A file is being sent, between whose bytes nothing may come: see StreamChannel+File.swift.
        case file
        /// Asked for, and behind bytes that wait.
        case requested
        /// The driver was told.
        case submitted
        case sent
    }

    let core: LoopCore
    /// What few connections have: see `StreamExtras`.
    private var extras: StreamExtras? {
        get { unsafe heldExtras }
        set { unsafe heldExtras = newValue }
    }
    var driver: StreamDriver {
        get { unsafe heldDriver }
        set {
            unsafe heldDriver = newValue
            keepDescriptor()
        }
    }
    // SAFETY: a check of exclusivity at run time would find nothing in these: the loop's thread alone uses them, and they are
    // only ever replaced.
    @exclusivity(unchecked) private var heldExtras: StreamExtras?
    @exclusivity(unchecked) private var heldDriver = StreamDriver.none
    @exclusivity(unchecked) private var heldOrigin: Origin
    @exclusivity(unchecked) private var heldReceiver = Held<Receiver>()
    /// Who is told what happens here, until it has closed.
    var receiver: Receiver? { unsafe heldReceiver.object }
    // SAFETY: used only while it is held.
    @inline(__always)
    var hotReceiver: Unmanaged<Receiver>? { unsafe heldReceiver.lent }
    /// What waits to be sent; nil as long as nothing ever has.
    var queue: WriteQueue?
    /// A number that no other connection of this loop has, in the order in which they were made.
    public let number: UInt64

    /// The descriptor of a socket, which libuv owns and which is open as long as `phase` is; or -1.
    private(set) var descriptor: CInt = -1
    /// The place in the listener's list of connections.
    var indexInListener: Int32 = 0

    private(set) var phase = Phase.open
    private var way = Way.timed
    /// Whether the driver was told to close, after which nothing more is sent.
    var driverClosing = false

    // Reading: see StreamTransport+Reading.swift
    var wantsReading = true
    var isDriverReading = false
    var readingEnd = ReadingEnd.ahead

    // Writing: see StreamTransport+Writing.swift
    var writingEnd = WritingEnd.open
    var isWritingPaused = false

    /// Where its limits come from: one reference, as they are the listener's if it has one. (idle connections)
    enum Origin {
        case listener(Listener)
        case limits(StreamLimits)
    }

    init(core: LoopCore, _ origin: Origin) {
        self.core = core
        unsafe heldOrigin = origin
        number = core.nextConnectionNumber()
    }

    /// Whether the protocol reads into memory of its own.
    @inline(__always)
    var isBuffered: Bool { way == .buffered }
    /// Whether what arrives takes the short way.
    @inline(__always)
    var isPlain: Bool { way == .plain }

    /// This end's address; nil if it was not asked for while the connection was open.
    public var localAddress: SocketAddress? {
        if let address = extras?.localAddress { return address }
        guard let address = driver.address(remote: false) else { return nil }
        withExtras { $0.localAddress = address }
        return address
    }

    /// The peer's address; nil if it was not asked for while the connection was open.
    ///
    /// It is read from the system when it is first asked for, so that connections that never ask pay nothing.
    public var remoteAddress: SocketAddress? {
        if let address = extras?.remoteAddress { return address }
        // A connection that was reset has none any more.
        guard let address = driver.address(remote: true) else { return receiver?.remoteAddress }
        withExtras { $0.remoteAddress = address }
        return address
    }

    /// Both addresses as they are now, for who keeps them itself.
    var currentAddresses: StreamChannel.Addresses {
        StreamChannel.Addresses(local: driver.address(remote: false), remote: driver.address(remote: true))
    }

    private var listener: Listener? { if case .listener(let listener) = unsafe heldOrigin { listener } else { nil } }

    /// Shared with other connections of the same options, unless they were set for this one.
    var limits: StreamLimits {
        if let limits = extras?.limits { return limits }
        return switch unsafe heldOrigin {
        case .listener(let listener): listener.limits
        case .limits(let limits): limits
        }
    }

    /// Both addresses, while the connection is being accepted, if its listener knows them.
    var acceptedAddresses: StreamChannel.Addresses? { listener?.acceptedAddresses }

    /// The peer's address as far as it is known, for an error: a connection that broke has none any more.
    var knownRemoteAddress: SocketAddress? { extras?.remoteAddress ?? receiver?.remoteAddress }

    func withExtras(_ change: (StreamExtras) -> Void) {
        let all = extras ?? StreamExtras()
        extras = all
        change(all)
    }

    /// Why the connection broke.
    private(set) var failure: (any Error)? {
        get { extras?.failure }
        set { withExtras { $0.failure = newValue } }
    }

    /// Called when the system has taken some of what waits to be sent, and when the connection is gone.
    var onSent: (() -> Void)? {
        get { extras?.onSent }
        set { if newValue != nil || extras != nil { withExtras { $0.onSent = newValue } } }
    }

    /// What somebody wants to know of what happens here: see StreamTransport+Activity.swift.
    var activity: StreamActivity? {
        get { extras?.activity }
        set { withExtras { $0.activity = newValue } }
    }

    /// Sends the next message that arrives, and the next that is written, the long way.
    func leaveShortWays() {
        if way == .plain { way = .watched }
        descriptor = -1
    }

    func resumeShortReading() { if way == .watched { way = .plain } }

    func resumeShortWriting() { keepDescriptor() }

    /// Of what is no socket the short way of writing knows nothing.
    private func keepDescriptor() {
        if case .system(let stream) = driver, stream.streamKind.isSocket {
            descriptor = stream.descriptor
        } else {
            descriptor = -1
        }
    }

    /// Remembers why the connection ends, if nothing else ended it before.
    func noteFailure(_ error: any Error) { if failure == nil { failure = error } }

    /// Whether it is the writing end of a pipe.
    var isWritingEnd: Bool { extras?.isWritingEnd ?? false }

    /// The memory that a buffered protocol reads into.
    var activeBuffer: ReadBuffer? {
        get { extras?.activeBuffer }
        set { if newValue != nil || extras != nil { withExtras { $0.activeBuffer = newValue } } }
    }

    /// Sets when writing pauses and resumes.
    func setMarks(low: Int, high: Int) {
        let changed = StreamLimits(low: low, high: high, like: limits)
        withExtras { $0.limits = changed }
    }

    /// Whether the connection is closing or closed.
    public var isClosing: Bool { phase != .open }

    /// Closes the connection after what was written has been sent.
    ///
    /// Reading stops at once. If the peer does not take the rest within ``StreamOptions/closeTimeout``, the connection
    /// is aborted. Bytes that the peer had sent and that nobody read make the kernel answer with a reset. Idempotent.
    /// ``StreamOptions/linger`` has it wait for the peer's acknowledgements too.
    ///
    /// The corresponding asyncio name is `Transport.close`.
    public func close() {
        core.requireHere("StreamTransport")
        guard phase == .open else { return }
        if linger == .zero { return abort() }
        flushQueued()
        // The flush may have failed, and closed it.
        guard phase == .open else { return }
        phase = .closing
        guard writeBufferSize > 0 || (writingEnd == .requested || writingEnd == .submitted) else {
            closeAfterSending()
            return
        }
        let deadline = core.now.advanced(by: limits.closeTimeout)
        let timer = core.schedule(
            at: deadline,
            { [self] in fail(LoopError.timedOut("Sending the last bytes to a peer that does not read them")) },
            site: CallSite(file: #fileID, line: #line)
        )
        withExtras { $0.closeDeadline = timer }
    }

    /// Ends the transport of a connection that lives on elsewhere, to which nothing waits to be sent.
    func closeGivenAway() {
        phase = .closing
        closeDriver(reset: false)
    }

    /// Closes the connection at once: what waits to be sent is dropped, and the peer is told that it broke (RST).
    ///
    /// The protocol hears of it with no error. Idempotent, and allowed after ``close()``.
    ///
    /// The corresponding asyncio name is `Transport.abort`; the corresponding libuv call is `uv_tcp_close_reset`.
    public func abort() {
        core.requireHere("StreamTransport")
        guard phase != .closed else { return }
        phase = .closing
        queue?.dropAll()
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
        install(receiver)
        do {
            try core.withLoop { try core.crossings.made(receiver.base, self, $0) }
        } catch {
            protocolFailed(error, in: "connectionMade")
        }
        startDriverReadingIfWanted()
    }

    private func install(_ receiver: Receiver) {
        unsafe heldReceiver.set(receiver)
        way = receiver.buffered != nil ? .buffered : core.timesCallbacks ? .timed : .plain
    }

    /// Gives the connection to another protocol.
    func replaceReceiver(_ next: Receiver) {
        core.requireHere("StreamTransport")
        guard phase != .closed, let previous = receiver else { return }
        // Its method may be the one that calls, and nothing else holds it.
        core.flushes.keep(previous)
        activeBuffer = nil
        install(next)
    }

    /// The driver is gone: the last thing that happens to a transport.
    func didClose() {
        guard phase != .closed else { return }
        phase = .closed
        queue?.dropAll()
        if let extras {
            extras.closeDeadline?.cancel()
            extras.closeDeadline = nil
            extras.activeBuffer = nil
            extras.onSent.take()?()
            extras.readerWatch.take()?.stop()
            extras.afterClose.take()?()
        }
        driver = .none
        let listener = listener
        if let listener { unsafe heldOrigin = .limits(listener.limits) }
        defer { listener?.didLose(self) }
        guard let receiver = unsafe heldReceiver.take() else { return }
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
        if writeBufferSize > 0 { text += ", \(writeBufferSize) B to send" } else if lingers { text += ", lingering" }
        return text
    }
}
