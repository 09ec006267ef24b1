// Sending a file on a raw socket: by the system, from file to socket without a copy; where it cannot do that, a piece of
// the file is read on a thread of the pool and sent.

extension RawSocket {
    /// How much the system sends at most before others have their turn.
    private static var largestStep: Int { 1 << 20 }
    /// How much is read and sent at a time where the system cannot send files.
    private static var fallbackPiece: Int { 262_144 }

    /// Sends a part of a file, and returns when the kernel has taken it.
    ///
    /// Nothing else may send on the socket meanwhile: it would come in between. The place in the file that `read` would
    /// go on from is neither used nor changed. What the system does not have in its cache it reads from the disk
    /// meanwhile, a megabyte at most before others have their turn. Any thread.
    ///
    /// - Parameters:
    ///   - descriptor: A regular file that is open for reading; it stays the caller's and must stay open meanwhile.
    ///   - offset: Where to begin, in bytes.
    ///   - count: How many bytes to send; nil is to the end of the file.
    /// - Returns: How many bytes were sent, which is fewer than `count` if the file ends before.
    /// - Throws: ``PartialSendError`` with how many bytes the kernel has taken, if some were when something went wrong
    ///   or the task was cancelled, or else that itself: ``SystemError``, ``ReadinessError``, `CancellationError`.
    ///
    /// The corresponding asyncio name is `loop.sock_sendfile`; the C name is `sendfile`.
    @discardableResult
    public func sendFile(_ descriptor: CInt, offset: Int = 0, count: Int? = nil) async throws -> Int {
        require(offset >= 0 && count ?? 0 >= 0, "A part of a file has no negative offset or count.")
        return try await sendFile(descriptor, offset, count ?? .max, on: loop)
    }

    private func sendFile(
        _ file: CInt,
        _ offset: Int,
        _ count: Int,
        on loop: isolated EventLoop
    ) async throws -> Int {
        var sent = 0
        var isBySystem = true
        do {
            while sent < count {
                if isBySystem {
                    switch try await sendFromFile(file, Swift.min(count - sent, Self.largestStep), at: offset + sent) {
                    case .sent(let more):
                        sent += more
                        await AsyncIO.yield()
                    case .endOfFile: return sent
                    case .full: break
                    case .impossible: isBySystem = false
                    }
                } else {
                    let (place, size) = (offset + sent, Swift.min(count - sent, Self.fallbackPiece))
                    let piece = try await offload { try FileReading.read(file, size, at: place) }
                    if piece.isEmpty { return sent }
                    do {
                        try await sendAll(piece)
                        sent += piece.count
                    } catch let error as PartialSendError {
                        sent += error.sentCount
                        throw error.reason
                    }
                }
            }
            return sent
        } catch {
            throw sent > 0 ? PartialSendError(sentCount: sent, reason: error) : error
        }
    }
}
