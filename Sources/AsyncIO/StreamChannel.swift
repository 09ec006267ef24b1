// A connection as the loop's thread sees it: the callbacks of its transport on one side, tasks that wait on the other.
//
// Ground rules:
//   * Bytes are pulled: the transport reads only while a task waits for them, and what arrived is handed to exactly one
//     `read`. So nothing is lost if a wait is cancelled, and nothing grows without bound.
//   * What arrived before the end or the loss of the connection is read before either is heard of.
//   * Bytes that were written belong to the transport: a cancelled `write` that waited leaves them queued, in order.

/// The state of a ``TCPConnection``, on its loop.
final class StreamChannel: StreamProtocol {
    /// A task that waits until the system has taken enough of what waits to be sent.
    private struct Writer {
        let park: Park
        /// Enough is this many bytes sent in total, or, if set, no more than this many left.
        let position: UInt64
        let low: Int?
    }

    private let arrival: Park
    private var isReading = false
    private var arrived: Bytes?
    private var isAtEnd = false
    private var writers: [Writer] = []
    private var closers: [Park] = []

    private(set) var transport: StreamTransport?
    private(set) var isLost = false
    private var failure: (any Error)?
    private var endSent = false
    /// The cancellation of the handler that the connection belongs to.
    var scope: CancelScope?
    /// Called once, when the connection is there.
    var onMade: ((StreamChannel) -> Void)?
    /// Called once, when it is gone.
    var onLost: (() -> Void)?

    init(on loop: isolated EventLoop) { arrival = Park(on: loop) }

    // MARK: What the transport reports

    func connectionMade(_ transport: StreamTransport, on loop: isolated EventLoop) {
        self.transport = transport
        transport.pauseReading()
        onMade.take()?(self)
    }

    func dataReceived(_ bytes: Bytes, from transport: StreamTransport, on loop: isolated EventLoop) {
        arrived = bytes
        transport.pauseReading()
        arrival.wake()
    }

    func eofReceived(from transport: StreamTransport, on loop: isolated EventLoop) -> Bool {
        isAtEnd = true
        arrival.wake()
        return true
    }

    func connectionLost(_ transport: StreamTransport, error: (any Error)?, on loop: isolated EventLoop) {
        isLost = true
        failure = error
        arrival.wake()
        for writer in writers { writer.park.wake() }
        for closer in closers { closer.wake() }
        onLost.take()?()
    }

    // MARK: Reading

    /// The next bytes, or nil at the end.
    func read(on loop: isolated EventLoop) async throws -> Bytes? {
        try Task.checkCancellation()
        guard !isReading else { throw StreamError.busyReader }
        if let bytes = arrived.take() { return bytes }
        guard let transport = try transportToRead() else { return nil }
        isReading = true
        transport.resumeReading()
        do {
            try await arrival.wait(in: scope, on: loop)
        } catch {
            isReading = false
            transport.pauseReading()
            throw error
        }
        isReading = false
        if let bytes = arrived.take() { return bytes }
        return try transportToRead() == nil ? nil : try await read(on: loop)
    }

    /// The transport if bytes may still come, nil at the end.
    private func transportToRead() throws -> StreamTransport? {
        if isAtEnd { return nil }
        guard let transport, !isLost, !transport.isClosing else { throw reasonOfLoss }
        return transport
    }

    /// Puts back what a read brought and its caller had no room for.
    func putBack(_ rest: Bytes) { if !rest.isEmpty { arrived = rest } }

    // MARK: Writing

    func write(_ bytes: Bytes, on loop: isolated EventLoop) async throws {
        try Task.checkCancellation()
        let transport = try transportToWrite()
        transport.write(bytes)
        if transport.writeBufferSize > 0 || transport.isClosing { try await flush(transport, on: loop) }
    }

    func write(_ span: RawSpan, on loop: isolated EventLoop) async throws {
        try Task.checkCancellation()
        let transport = try transportToWrite()
        transport.write(span)
        if transport.writeBufferSize > 0 || transport.isClosing { try await flush(transport, on: loop) }
    }

    func write(contentsOf pieces: [Bytes], on loop: isolated EventLoop) async throws {
        try Task.checkCancellation()
        let transport = try transportToWrite()
        transport.write(contentsOf: pieces)
        if transport.writeBufferSize > 0 || transport.isClosing { try await flush(transport, on: loop) }
    }

    private func transportToWrite() throws -> StreamTransport {
        guard let transport, !isLost, !transport.isClosing else { throw reasonOfLoss }
        if endSent { throw StreamError.writeAfterEnd }
        return transport
    }

    /// Waits until what was written is the kernel's; after more than the high-water mark, until the low one is reached.
    private func flush(_ transport: StreamTransport, on loop: isolated EventLoop) async throws {
        let (low, high) = transport.writeBufferLimits
        let writer = Writer(
            park: Park(on: loop),
            position: transport.queuedTotal,
            low: transport.writeBufferSize > high ? low : nil
        )
        writers.append(writer)
        defer { writers.removeAll { $0.park === writer.park } }
        transport.onSent = { [unowned self] in wakeWriters() }
        while !isLost && !transport.isClosing && !isEnough(writer, transport) {
            try await writer.park.wait(in: scope, on: loop)
        }
        if !isEnough(writer, transport) || transport.failure != nil { throw reasonOfLoss }
    }

    private func isEnough(_ writer: Writer, _ transport: StreamTransport) -> Bool {
        if let low = writer.low, transport.writeBufferSize <= low, !transport.isClosing { return true }
        return transport.sentTotal >= writer.position
    }

    private func wakeWriters() {
        guard let transport else { return }
        for writer in writers where isEnough(writer, transport) { writer.park.wake() }
        if writers.isEmpty { transport.onSent = nil }
    }

    func writeEOF() throws {
        guard !endSent else { return }
        let transport = try transportToWrite()
        endSent = true
        transport.writeEOF()
    }

    // MARK: Ending

    /// Why nothing can be read or written any more.
    private var reasonOfLoss: any Error { failure ?? transport?.failure ?? StreamError.closed }

    /// Whether an error is the loss of this connection, as opposed to a fault of the code that uses it.
    func isOwnLoss(_ error: any Error) -> Bool {
        if let error = error as? StreamError { return error == .closed }
        guard let error = error as? SystemError, let loss = failure ?? transport?.failure else { return false }
        return (loss as? SystemError) == error
    }

    /// Closes after what was written has been sent, and waits for that.
    func close(on loop: isolated EventLoop) async throws {
        transport?.close()
        arrival.wake()
        let park = Park(on: loop)
        closers.append(park)
        defer { closers.removeAll { $0 === park } }
        while !isLost {
            do {
                try await park.wait(on: loop)
            } catch {
                abort()
                throw error
            }
        }
        if let failure { throw failure }
    }

    /// Closes after what was written has been sent, and does not wait.
    func closeSoon() {
        transport?.close()
        arrival.wake()
    }

    func abort() {
        transport?.abort()
        arrival.wake()
    }
}
