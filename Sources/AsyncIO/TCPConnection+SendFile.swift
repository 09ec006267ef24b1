// Sending a file: by the system, from file to socket without a copy, as long as it takes anything; when it does not, a
// piece of the file is written in the ordinary way, as that waits for room, hears of the loss of the connection and of
// cancellation, and keeps the order. Where the system cannot do it at all, everything goes that way, in larger pieces.

extension TCPConnection {
    /// How much the system sends at most before others have their turn.
    private static var largestStep: Int { 1 << 20 }
    /// How much is written while the system has no room.
    private static var waitingPiece: Int { 16_384 }
    /// How much is read and written at a time where the system cannot send files.
    private static var fallbackPiece: Int { 262_144 }

    /// Sends a part of a file, and returns when the kernel has taken it.
    ///
    /// What was written before goes out first. Meanwhile whoever else writes gets ``StreamError/sendingFile``, except that what
    /// the connection's ``writer`` is given goes out behind the file, and is dropped if that is not sent to its end;
    /// reading goes on. The place in the file that `read` and `write` would go on from is neither used nor changed.
    /// What the system does not have in its cache it reads from the disk meanwhile, a megabyte at most before others
    /// have their turn.
    ///
    /// - Parameters:
    ///   - descriptor: A regular file that is open for reading; it stays the caller's and must stay open meanwhile.
    ///   - offset: Where to begin, in bytes.
    ///   - count: How many bytes to send; nil is to the end of the file.
    /// - Returns: How many bytes were sent, which is fewer than `count` if the file ends before.
    /// - Throws: ``PartialSendError`` with how many bytes were sent at least, if some were when something went wrong, or
    ///   else that itself: ``SystemError`` if the peer has gone or the file cannot be read; `CancellationError` if the
    ///   task is cancelled: the connection can then be written to as before, behind exactly as many bytes of the file,
    ///   the last of which may wait to be sent. ``StreamError/closed`` if this side closes, ``StreamError/sendingFile`` if
    ///   a file is being sent already, ``StreamError/writeAfterEnd``.
    ///
    /// The corresponding asyncio names are `loop.sendfile` and `loop.sock_sendfile`; the C name is `sendfile`.
    @discardableResult
    public func sendFile(_ descriptor: CInt, offset: Int = 0, count: Int? = nil) async throws -> Int {
        require(offset >= 0 && count ?? 0 >= 0, "A part of a file has no negative offset or count.")
        return try await sendFile(descriptor, offset, count ?? .max, on: loop)
    }

    /// Sends a part of the file at a path.
    ///
    /// Like ``sendFile(_:offset:count:)``; the file is opened and closed on a thread of the pool.
    @discardableResult
    public func sendFile(path: String, offset: Int = 0, count: Int? = nil) async throws -> Int {
        // Also if this task is cancelled while it waits, the file is closed.
        let file = try await offload { try OpenFile(path) }
        defer { withExtendedLifetime(file) {} }
        return try await sendFile(file.descriptor, offset: offset, count: count)
    }

    private func sendFile(
        _ file: CInt,
        _ offset: Int,
        _ count: Int,
        on loop: isolated EventLoop
    ) async throws -> Int {
        let channel = self.channel(on: loop)
        try channel.beginFile()
        var wasSent = false
        defer { channel.endFile(wasSent: wasSent) }
        var sending = FileSending(file: file, start: offset, count: count)
        do {
            try await channel.drain(on: loop)
            while sending.left > 0, try await step(&sending, channel, on: loop) {}
            wasSent = true
            return sending.sent
        } catch {
            sending.sent -= channel.lostOfFile
            throw sending.sent > 0 ? PartialSendError(sentCount: sending.sent, reason: error) : error
        }
    }

    /// Sends some of the file, and says whether there may be more.
    private func step(
        _ sending: inout FileSending,
        _ channel: StreamChannel,
        on loop: isolated EventLoop
    ) async throws -> Bool {
        try Task.checkCancellation()
        if sending.isBySystem {
            let count = Swift.min(sending.left, Self.largestStep)
            switch try channel.sendFromFile(sending.file, count, at: sending.place) {
            case .sent(let count):
                sending.sent += count
                await AsyncIO.yield()
                return true
            case .endOfFile: return false
            case .full: break
            case .impossible: sending.isBySystem = false
            }
        }
        let (file, place) = (sending.file, sending.place)
        let count = Swift.min(sending.left, sending.isBySystem ? Self.waitingPiece : Self.fallbackPiece)
        let piece = try await offload { try FileReading.read(file, count, at: place) }
        if piece.isEmpty { return false }
        try channel.writePiece(piece)
        // It is on its way, whatever happens while this waits.
        sending.sent += piece.count
        try await channel.drain(on: loop)
        return true
    }
}

/// How far a file was sent.
private struct FileSending {
    let file: CInt
    let start: Int
    let count: Int
    var sent = 0
    /// Whether the system is asked to do it.
    var isBySystem = true

    var left: Int { count - sent }
    var place: Int { start + sent }
}

extension StreamChannel {
    /// Waits until nothing waits to be sent, which `flush` may leave above the low-water mark.
    fileprivate func drain(on loop: isolated EventLoop) async throws {
        while let transport, transport.writeBufferSize > 0 { try await flush(on: loop) }
    }
}
