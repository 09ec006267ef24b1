// The reader and the writer of a connection: made when they are first asked for, and the same objects from then on.

/// The reader and the writer of one connection.
///
/// A channel holds them and they hold it; so it lets them go when the connection is lost, after which they last as long
/// as somebody holds them.
struct StreamPair {
    private var reader: StreamReader?
    private var writer: StreamWriter?
    private weak var formerReader: StreamReader?
    private weak var formerWriter: StreamWriter?

    mutating func reader(of channel: StreamChannel) -> StreamReader {
        if let reader = reader ?? formerReader { return reader }
        let made = StreamReader(channel)
        if channel.isLost { formerReader = made } else { reader = made }
        return made
    }

    mutating func writer(of channel: StreamChannel) -> StreamWriter {
        if let writer = writer ?? formerWriter { return writer }
        let made = StreamWriter(channel)
        if channel.isLost { formerWriter = made } else { writer = made }
        return made
    }

    /// The connection is lost.
    mutating func letGo() {
        (formerReader, formerWriter) = (reader, writer)
        (reader, writer) = (nil, nil)
    }
}

extension StreamChannel {
    /// The reader over the connection, the same every time.
    package var reader: StreamReader { made().streams.reader(of: self) }

    /// The writer over the connection, the same every time.
    package var writer: StreamWriter { made().streams.writer(of: self) }

    // MARK: Writing without waiting

    /// Keeps bytes that are to be sent with others, before the loop polls at the latest.
    func queue(_ bytes: Bytes) {
        guard !wasEndSent else { return queueLate(bytes) }
        guard let transport = unsafe hotTransport else { return }
        unsafe transport._withUnsafeGuaranteedRef { $0.queueWrite(bytes) }
    }

    /// The same for memory that is free again when this returns.
    func queue(_ bytes: UnsafeRawBufferPointer) {
        guard !wasEndSent else { return queueLate(unsafe Bytes(copying: bytes)) }
        guard let transport = unsafe hotTransport else { return }
        unsafe transport._withUnsafeGuaranteedRef { unsafe $0.queueWrite(bytes) }
    }

    /// Sends what was queued, and says whether nothing is in the way of more.
    @inline(__always)
    func flushQueue() throws -> Bool {
        guard let transport = unsafe hotTransport else { return false }
        return try unsafe transport._withUnsafeGuaranteedRef { transport in
            guard transport.phase == .open else { return false }
            transport.flushQueued()
            try checkCancellation()
            return transport.phase == .open && !transport.isWritingPaused && rare?.hindersDrain != true
        }
    }

    /// Waits until the connection takes more, after ``flushQueue()`` said that something is in the way.
    func drain(on loop: isolated EventLoop) async throws {
        if rare?.writesAfterEnd == true { throw StreamError.writeAfterEnd }
        if rare?.hindersDrain == true { try await drainBehindFile(on: loop) }
        guard let transport, !isLost else { throw reasonOfLoss }
        if transport.isClosing {
            // So that whoever writes and drains for ever hears of the end.
            await LoopWait.turn()
            try checkCancellation()
            if isLost { throw reasonOfLoss }
            return
        }
        guard transport.isWritingPaused else { return }
        try await wait(until: .max, orAtMost: transport.writeBufferLimits.low, transport, on: loop)
    }

    /// Waits until the connection is gone.
    func waitClosed(on loop: isolated EventLoop) async throws {
        let park = Park(on: loop)
        unsafe park.scope = Unmanaged.passUnretained(self)
        let rare = made()
        rare.closers.append(park)
        defer { rare.closers.removeAll { $0 === park } }
        while !isLost { try await park.wait(on: loop) }
        if let failure { throw failure }
    }

    /// Sends what was queued as far as the kernel takes it at once, and closes: the end of a handler that failed.
    package func breakOff() {
        transport?.flushQueued()
        abort()
    }
}

/// A connection whose channel a reader or a writer can use directly.
package protocol ChannelBacked: AnyObject {
    /// The channel; traps where its loop does not run, and says of what that is the use.
    func channelHere(_ what: StaticString) -> StreamChannel
}

extension TCPConnection: ChannelBacked {
    /// Reads lines, records and blocks from the connection: the same object every time.
    ///
    /// What it has received and not handed out is what ``read()`` and iterating return first, so that both can be used in
    /// turn. Must be used on the connection's loop; elsewhere it traps.
    public var reader: StreamReader { channelHere("TCPConnection.reader").reader }

    /// Writes to the connection without waiting: the same object every time.
    ///
    /// What is written with ``write(_:)-(Bytes)`` goes behind what the writer has queued. What the writer is given while a
    /// file is being sent goes behind the file. Must be used on the connection's loop; elsewhere it traps.
    public var writer: StreamWriter { channelHere("TCPConnection.writer").writer }
}
