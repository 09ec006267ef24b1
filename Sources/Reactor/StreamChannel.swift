// A connection as the loop's thread sees it: the callbacks of its transport on one side, tasks that wait on the other.
//
// Ground rules:
//   * Bytes are pulled: the transport reads only while a task waits for them, and what arrived is handed to exactly one
//     `read`. So nothing is lost if a wait is cancelled, and nothing grows without bound.
//   * What arrived before the end or the loss of the connection is read before either is heard of.
//   * Bytes that were written belong to the transport: a cancelled `write` that waited leaves them queued, in order.

internal import CReactor

/// A connection that tasks read from and write to, on its loop.
@safe
package final class StreamChannel: Receiver, StreamProtocol {
    /// A task that waits until the system has taken enough of what waits to be sent.
    fileprivate struct Writer {
        let park: Park
        /// Enough is this many bytes sent in total, or, if set, no more than this many left.
        let position: UInt64
        let low: Int?
    }

    let arrival: Park
    private(set) var addresses = Addresses()
    private var arrived: Bytes?
    /// What few connections have.
    final class Rare {
        fileprivate var writers: [Writer] = []
        var closers: [Park] = []
        var streams = StreamPair()
        /// Whether a writer was used after the end was sent.
        var writesAfterEnd = false { didSet { noteDrain() } }
        /// What a writer was given while a file is being sent, and whether some was dropped of which nobody has heard.
        var behindFile: BehindFile? { didSet { noteDrain() } }
        var wasDroppedBehindFile = false { didSet { noteDrain() } }
        /// Who cancels the handler if the peer goes unheard, and whether its loss was heard of.
        weak var watch: PeerWatch?
        var heardOfLoss = false
        /// Whether no task that writes or closes hears, or has heard, that the connection is lost.
        fileprivate var tellsNobody: Bool { !heardOfLoss && writers.isEmpty && closers.isEmpty }
        /// Whether one of these stands in the way of who drains.
        private(set) var hindersDrain = false

        private func noteDrain() { hindersDrain = writesAfterEnd || wasDroppedBehindFile || behindFile != nil }
    }

    private(set) var rare: Rare?

    // SAFETY: the loop's thread alone changes it, once; a check of exclusivity at run time would find nothing.
    @exclusivity(unchecked) private var holding = Held<StreamTransport>()
    private var heldTransport: StreamTransport? { unsafe holding.object }
    // SAFETY: held as long as this is. Once the connection is gone its `phase` says so.
    @inline(__always)
    var hotTransport: Unmanaged<StreamTransport>? { unsafe holding.lent }
    /// Whom it concerns beside its transport: `OnMade` until the connection is there, and then whoever takes care of it.
    private var owner: AnyObject?
    // Whose cancellation the waits hear of: see StreamChannel+Cancellation.swift.
    // SAFETY: compared, never followed. The task lives as long as it is the handler's, so no other has its address.
    var task: UnsafeRawPointer?
    // SAFETY: a place is named here only while its wait is under way, in which the task that waits holds it.
    var waiting: Unmanaged<Park>?
    private var position: Int32 = 0
    private var lost = false
    private var isAtEnd = false
    /// Whether nothing can be written any more, or as long as a file is being sent.
    var endSent = false
    var wasTaskCancelled = false

    /// A channel that calls `onMade` once, when the connection is there.
    package convenience init(on loop: isolated EventLoop, onMade: @escaping (StreamChannel) -> Void) {
        self.init(on: loop, onMade: OnMade(onMade))
    }

    /// What is called when the connection is there: an object, as a reference is half as large as a closure, and one serves
    /// all connections of a server. (idle connections)
    package final class OnMade {
        fileprivate let body: (StreamChannel) -> Void
        package init(_ body: @escaping (StreamChannel) -> Void) { self.body = body }
    }

    package init(on loop: isolated EventLoop, onMade: OnMade) {
        arrival = Park(on: loop)
        owner = onMade
        super.init()
        unsafe arrival.scope = Unmanaged.passUnretained(self)
    }

    override var base: any ConnectionProtocol { self }

    override func deliver(_ bytes: Bytes, _ transport: StreamTransport, _ loop: isolated EventLoop) throws {
        dataReceived(bytes, from: transport, on: loop)
    }

    func made() -> Rare {
        let all = rare ?? Rare()
        rare = all
        return all
    }

    /// What the connection broke with, when it is gone.
    var failure: (any Error)? { lost ? heldTransport?.failure : nil }

    /// Both ends.
    struct Addresses {
        var local: SocketAddress?
        var remote: SocketAddress?
    }

    /// Asks for the addresses while there are some, if they are not known.
    func keepAddresses() {
        if addresses.remote == nil, let transport = heldTransport { addresses = transport.currentAddresses }
    }

    override var remoteAddress: SocketAddress? { addresses.remote }

    // No stored property is visible to other modules: each access to one would be checked at run time for overlaps.

    /// The connection, from when it is there.
    package var transport: StreamTransport? { heldTransport }

    /// Who takes care of the connection: a place that lends itself to its handler, whose closure is smaller for that.
    package var keeper: AnyObject? {
        get { owner }
        set { owner = newValue }
    }

    /// Whether the connection is gone.
    package var isLost: Bool { lost }

    /// Where it is in its server's list.
    var place: Int {
        get { Int(position) }
        set { position = Int32(truncatingIfNeeded: newValue) }
    }

    // MARK: What the transport reports

    package func connectionMade(_ transport: StreamTransport, on loop: isolated EventLoop) {
        unsafe holding.set(transport)
        if let accepted = transport.acceptedAddresses { addresses = accepted }
        // The ends of a pipe have one direction.
        isAtEnd = transport.readingEnd == .reached
        endSent = transport.writingEnd == .sent
        transport.pauseReadingHere()
        (owner.take() as? OnMade)?.body(self)
    }

    package func dataReceived(_ bytes: Bytes, from transport: StreamTransport, on loop: isolated EventLoop) {
        arrived = bytes
        transport.pauseReadingHere()
        arrival.wakeHere()
    }

    package func eofReceived(from transport: StreamTransport, on loop: isolated EventLoop) -> Bool {
        isAtEnd = true
        arrival.wakeHere()
        return true
    }

    package func connectionLost(_ transport: StreamTransport, error: (any Error)?, on loop: isolated EventLoop) {
        lost = true
        let isReading = arrival.isOccupied
        arrival.wakeHere()
        guard let rare else { return }
        // Who waits here is told of it.
        if !isReading && rare.tellsNobody, error is SystemError { rare.watch?.wasLost(self) }
        for writer in rare.writers { writer.park.wake() }
        for closer in rare.closers { closer.wake() }
        rare.behindFile.take()?.drop()
        rare.streams.letGo()
    }

    // MARK: Reading

    /// What there is to read.
    enum Reading {
        case bytes(Bytes)
        case end
        /// Nothing yet: a wait at `arrival` has begun, which is to be completed.
        case waits
    }

    /// The next bytes, if they are here, or the beginning of a wait for them.
    func beginRead() throws -> Reading {
        if arrival.isOccupied { throw StreamError.busyReader }
        if arrived != nil {
            try checkCancellation()
            if let bytes = takeArrived() { return .bytes(bytes) }
        }
        guard let transport = try transportToRead() else {
            try checkCancellation()
            return .end
        }
        try arrival.beginWait()
        transport.resumeReading()
        return .waits
    }

    /// What there is to read without a wait; nil if it takes one.
    @inline(never)
    func readAtOnce() throws -> Reading? {
        guard arrived != nil || isAtEnd || lost else { return nil }
        return try beginRead()
    }

    /// Begins a wait for bytes in the simplest case: nothing has happened yet to an open connection, and the task that
    /// asks is the handler's.
    @inline(__always)
    func beginWaitForBytes() -> Bool {
        guard arrived == nil, !isAtEnd, let transport = unsafe hotTransport else { return false }
        return unsafe transport._withUnsafeGuaranteedRef { transport in
            guard transport.phase == .open, arrival.beginInScope() else { return false }
            transport.wantMore()
            return true
        }
    }

    /// The bytes that have arrived and that nobody has read.
    @inline(__always)
    func takeArrived() -> Bytes? {
        guard let bytes = arrived else { return nil }
        // Not `take()`, which would be checked at run time for overlapping accesses.
        arrived = nil
        return bytes
    }

    /// The next bytes, or nil at the end.
    func read(on loop: isolated EventLoop) async throws -> Bytes? {
        while true {
            switch try beginRead() {
            case .bytes(let bytes): return bytes
            case .end: return nil
            case .waits: try await arrival.completeWait(on: loop)
            }
        }
    }

    /// The transport if bytes may still come, nil at the end.
    private func transportToRead() throws -> StreamTransport? {
        if isAtEnd { return nil }
        guard let transport = heldTransport, !lost, !transport.isClosing else { throw reasonOfLoss }
        return transport
    }

    /// What has arrived and nobody has read.
    var held: Bytes? { arrived }

    /// Whether the peer's end has come, and everything before it was read.
    var isAtEndOfBytes: Bool { isAtEnd && arrived == nil }

    /// Takes a line with its end, if all of it has arrived and it is not longer than it may be.
    @inline(__always)
    func takeLine(_ limit: Int) -> Bytes? {
        guard let bytes = arrived, !arrival.isTaskCancelled else { return nil }
        let count = bytes.endIndex &- bytes.startIndex
        let length = unsafe creactor_find_byte(bytes.base + bytes.startIndex, count, UInt8(ascii: "\n"))
        guard length >= 0, length <= limit else { return nil }
        return take(length &+ 1, of: bytes)
    }

    /// Takes what has arrived, unless the task was cancelled.
    @inline(__always)
    func takeAll() -> Bytes? { arrived == nil || arrival.isTaskCancelled ? nil : takeArrived() }

    /// Takes so many bytes, if they have arrived.
    @inline(__always)
    func take(_ count: Int) -> Bytes? {
        guard let bytes = arrived, bytes.endIndex &- bytes.startIndex >= count else { return nil }
        return arrival.isTaskCancelled ? nil : take(count, of: bytes)
    }

    @inline(__always)
    private func take(_ count: Int, of bytes: Bytes) -> Bytes {
        let place = bytes.startIndex &+ count
        if place == bytes.endIndex {
            arrived = nil
            return bytes
        }
        arrived = bytes[place...]
        return bytes[..<place]
    }

    /// Puts back what a read brought and its caller had no room for.
    package func putBack(_ rest: Bytes) { if !rest.isEmpty { arrived = rest } }

    /// Throws if the calling task was cancelled.
    func checkCancellation() throws { if arrival.isTaskCancelled { throw CancellationError() } }

    // MARK: Writing

    // All three say whether the kernel has taken everything.

    @inline(__always)
    func write(_ bytes: Bytes) throws -> Bool {
        if arrival.isTaskCancelled { throw CancellationError() }
        guard !endSent, let transport = unsafe hotTransport else { throw reasonNotToWrite }
        return try unsafe transport._withUnsafeGuaranteedRef { transport in
            guard transport.phase == .open else { throw reasonNotToWrite }
            transport.writeHere(bytes)
            return try isSent(transport)
        }
    }

    func write(_ span: RawSpan) throws -> Bool {
        try checkCancellation()
        let transport = try transportToWrite()
        transport.write(span)
        return try isSent(transport)
    }

    func write(contentsOf pieces: [Bytes]) throws -> Bool {
        try checkCancellation()
        let transport = try transportToWrite()
        transport.write(contentsOf: pieces)
        return try isSent(transport)
    }

    @inline(__always)
    private func isSent(_ transport: StreamTransport) throws -> Bool {
        if transport.phase != .open { throw reasonOfLoss }
        return transport.writeBufferSize == 0
    }

    func transportToWrite() throws -> StreamTransport {
        guard let transport = heldTransport, !lost, !transport.isClosing, !endSent else { throw reasonNotToWrite }
        return transport
    }

    private var reasonNotToWrite: any Error {
        guard let transport = heldTransport, !lost, !transport.isClosing else { return reasonOfLoss }
        if !transport.isWritable { return StreamError.notWritable }
        return transport.writingEnd == .file ? StreamError.sendingFile : StreamError.writeAfterEnd
    }

    /// Waits until what was written is the kernel's; after more than the high-water mark, until the low one is reached.
    package func flush(on loop: isolated EventLoop) async throws {
        guard let transport = heldTransport else { return }
        let (low, high) = transport.writeBufferLimits
        let isHigh = transport.writeBufferSize > high
        try await wait(until: transport.queuedTotal, orAtMost: isHigh ? low : nil, transport, on: loop)
    }

    /// Waits until so many bytes are the kernel's in total, or no more than so many are left.
    func wait(
        until position: UInt64,
        orAtMost low: Int?,
        _ transport: StreamTransport,
        on loop: isolated EventLoop
    ) async throws {
        let writer = Writer(park: Park(on: loop), position: position, low: low)
        unsafe writer.park.scope = Unmanaged.passUnretained(self)
        let rare = made()
        rare.writers.append(writer)
        defer { rare.writers.removeAll { $0.park === writer.park } }
        transport.onSent = { [unowned self] in wakeWriters() }
        while !lost && !transport.isClosing && !isEnough(writer, transport) { try await writer.park.wait(on: loop) }
        if !isEnough(writer, transport) || transport.failure != nil { throw reasonOfLoss }
    }

    private func isEnough(_ writer: Writer, _ transport: StreamTransport) -> Bool {
        if let low = writer.low, transport.writeBufferSize <= low, !transport.isClosing { return true }
        return transport.sentTotal >= writer.position
    }

    private func wakeWriters() {
        guard let transport = heldTransport, let rare else { return }
        for writer in rare.writers where isEnough(writer, transport) { writer.park.wake() }
        if rare.writers.isEmpty { transport.onSent = nil }
    }

    /// Whether the end of what this side sends was asked for.
    var wasEndSent: Bool { endSent }

    package func writeEOF() throws {
        if endSent && heldTransport?.writingEnd != .file { return }
        let transport = try transportToWrite()
        endSent = true
        transport.writeEOF()
    }
}
