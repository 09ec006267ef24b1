// One datagram socket as its protocol sees it. Sending is in DatagramTransport+Sending.swift, receiving in
// DatagramTransport+Receiving.swift; what carries the datagrams is the driver.
//
// Ground rules:
//   * `connectionLost` is called exactly once for each `connectionMade`, from `didClose` and nowhere else.
//   * `phase` only moves forward: open, closing (what waits is still sent), closed.
//   * The driver holds the transport, and the transport the driver and the protocol, until `didClose` cuts all three.

/// A datagram socket, as handed to its protocol.
///
/// Made by ``EventLoop/bindDatagram(to:options:_:)``, ``EventLoop/connectDatagram(to:from:options:_:)`` and
/// ``EventLoop/adoptDatagram(descriptor:options:_:)``. Belongs to its loop: not `Sendable`, and none of its methods
/// waits. It stays open until it is closed, whether or not anybody keeps it.
///
/// The corresponding asyncio name is `asyncio.DatagramTransport`; the libuv type is `uv_udp_t`.
@safe
public final class DatagramTransport {
    enum Phase {
        case open
        case closing
        case closed
    }

    let core: LoopCore
    private(set) var phase = Phase.open
    private(set) var driver: DatagramDriver
    private var receiver: (any DatagramProtocol)?
    private var closeDeadline: Scheduled?
    private let closeTimeout: Duration
    /// Whether the driver was told to close, after which nothing more is sent.
    private(set) var driverClosing = false
    private var failure: (any Error)?
    private var knownAddress: SocketAddress?

    // Receiving: see DatagramTransport+Receiving.swift
    var wantsReading = true
    var isDriverReading = false
    /// What came in one system call with a datagram after which reading was paused: at most a batch.
    var held: [Datagram] = []
    var isHandingOver = false

    // Sending: see DatagramTransport+Sending.swift
    var marks: (low: Int, high: Int)
    var waitingCount = 0
    var waitingSize = 0
    var isWritingPaused = false

    /// The address that the socket is connected to; nil if it is not.
    public let remoteAddress: SocketAddress?

    init(core: LoopCore, _ driver: DatagramDriver, _ options: DatagramOptions, connectedTo peer: SocketAddress?) {
        self.core = core
        self.driver = driver
        marks = options.writeMarks
        closeTimeout = options.closeTimeout
        // As the system has it, or if it does not say so as it was asked to connect.
        remoteAddress = driver.address(remote: true) ?? peer
    }

    /// This end's address; nil if it was not asked for while the socket was open.
    public var localAddress: SocketAddress? {
        if let knownAddress { return knownAddress }
        knownAddress = driver.address(remote: false)
        return knownAddress
    }

    /// Whether the socket is closing or closed.
    public var isClosing: Bool { phase != .open }

    /// Gives the socket to its protocol and lets it receive.
    func begin(with receiver: any DatagramProtocol) throws {
        self.receiver = receiver
        do {
            try core.withLoop { try core.datagrams.crossings.made(receiver, self, $0) }
        } catch {
            abort()
            throw error
        }
        startDriverReadingIfWanted()
    }

    /// Closes the socket after what waits to be sent has been.
    ///
    /// Receiving stops at once. What the system has not taken within ``DatagramOptions/closeTimeout`` is dropped.
    /// Idempotent.
    ///
    /// The corresponding asyncio name is `DatagramTransport.close`.
    public func close() {
        core.requireHere("DatagramTransport")
        guard phase == .open else { return }
        phase = .closing
        held = []
        guard waitingCount > 0 else { return closeDriver() }
        closeDeadline = core.schedule(
            at: core.now.advanced(by: closeTimeout),
            { [self] in
                failure = failure ?? LoopError.timedOut("Sending the last datagrams of a socket")
                abort()
            },
            site: CallSite(file: #fileID, line: #line)
        )
    }

    /// Closes the socket at once: what waits to be sent is dropped.
    ///
    /// Idempotent, and allowed after ``close()``.
    ///
    /// The corresponding asyncio name is `DatagramTransport.abort`.
    public func abort() {
        core.requireHere("DatagramTransport")
        guard phase != .closed else { return }
        phase = .closing
        held = []
        closeDriver()
    }

    func closeDriver() {
        guard !driverClosing else { return }
        // Asked for while there is one to tell it.
        _ = localAddress
        driverClosing = true
        driver.close()
    }

    /// The driver is gone: the last thing that happens to a transport.
    func didClose() {
        guard phase != .closed else { return }
        phase = .closed
        closeDeadline?.cancel()
        closeDeadline = nil
        driver = .none
        guard let receiver = receiver.take() else { return }
        core.enter()
        core.withLoop { core.datagrams.crossings.lost(receiver, self, failure, $0) }
        core.leave { "\(type(of: receiver)).connectionLost on \(summary)" }
    }

    /// Called for what is still open when the loop closes.
    func closeWithLoop() {
        if failure == nil { failure = LoopError.loopClosed }
        abort()
    }

    /// Calls a method of the protocol, if it is to be called yet.
    ///
    /// What it throws is reported, and the socket stays open.
    func call(_ method: StaticString, _ body: (any DatagramProtocol, EventLoop) throws -> Void) {
        guard phase == .open, let receiver else { return }
        do {
            try core.withLoop { try body(receiver, $0) }
        } catch {
            core.report(.uncaughtError(error), subject(method))
        }
    }

    func subject(_ method: StaticString) -> String {
        "\(receiver.map { "\(type(of: $0))" } ?? "a protocol").\(method) on \(summary)"
    }

    var summary: String {
        var text = "UDP \(localAddress?.description ?? "?")"
        if let remoteAddress { text += " - \(remoteAddress)" }
        if phase != .open { text += ", closing" }
        if !wantsReading { text += ", reading paused" }
        if waitingCount > 0 { text += ", \(waitingCount) datagrams to send" }
        return text
    }
}

/// What the datagram sockets of a loop share.
@safe
final class DatagramParts {
    let crossings = DatagramCrossings.make()
    // SAFETY: allocated here, freed in `deinit` or for a larger one.
    private var batchMemory = unsafe UnsafeMutableRawBufferPointer(start: nil, count: 0)

    /// Longer than any datagram without jumbograms.
    static let largestDatagram = 65_536

    /// Memory for so many datagrams, which the next call may use again.
    func room(forBatch count: Int) -> UnsafeMutableRawBufferPointer {
        let size = count * Self.largestDatagram
        if unsafe batchMemory.count < size {
            // SAFETY: nobody uses it between two reads of the loop, and a read asks for it once.
            unsafe batchMemory.deallocate()
            unsafe batchMemory = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 16)
        }
        return unsafe UnsafeMutableRawBufferPointer(rebasing: batchMemory[..<size])
    }

    deinit { unsafe batchMemory.deallocate() }
}

/// The methods of datagram protocols as functions that take the loop: see `Crossings`.
@safe
struct DatagramCrossings {
    let made: (any DatagramProtocol, DatagramTransport, EventLoop) throws -> Void
    let received: (any DatagramProtocol, Datagram, DatagramTransport, EventLoop) throws -> Void
    let failed: (any DatagramProtocol, SystemError, DatagramTransport, EventLoop) throws -> Void
    let pause: (any DatagramProtocol, DatagramTransport, EventLoop) throws -> Void
    let resume: (any DatagramProtocol, DatagramTransport, EventLoop) throws -> Void
    let lost: (any DatagramProtocol, DatagramTransport, (any Error)?, EventLoop) -> Void

    static func make() -> DatagramCrossings {
        // SAFETY: same fields in the same order, of types that differ only in an isolation that is not represented; and
        // only the loop's own thread calls them, within a run or a close.
        unsafe unsafeBitCast(IsolatedDatagramMethods(), to: DatagramCrossings.self)
    }
}

/// The same as functions that are isolated to the loop.
private struct IsolatedDatagramMethods {
    let made: (any DatagramProtocol, DatagramTransport, isolated EventLoop) throws -> Void = {
        try $0.connectionMade($1, on: $2)
    }
    let received: (any DatagramProtocol, Datagram, DatagramTransport, isolated EventLoop) throws -> Void = {
        try $0.datagramReceived($1, from: $2, on: $3)
    }
    let failed: (any DatagramProtocol, SystemError, DatagramTransport, isolated EventLoop) throws -> Void = {
        try $0.errorReceived($1, from: $2, on: $3)
    }
    let pause: (any DatagramProtocol, DatagramTransport, isolated EventLoop) throws -> Void = {
        try $0.pauseWriting(to: $1, on: $2)
    }
    let resume: (any DatagramProtocol, DatagramTransport, isolated EventLoop) throws -> Void = {
        try $0.resumeWriting(to: $1, on: $2)
    }
    let lost: (any DatagramProtocol, DatagramTransport, (any Error)?, isolated EventLoop) -> Void = {
        $0.connectionLost($1, error: $2, on: $3)
    }
}
