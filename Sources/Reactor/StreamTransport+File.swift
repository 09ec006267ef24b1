// Sending a file in callbacks: by the system, from file to socket without a copy, as long as it takes anything; when it
// does not, a piece of the file is read on a thread of the pool and written in the ordinary way, which waits for room.
// Meanwhile `writingEnd` is `.file`, which makes every other write a mistake.

internal import CReactor

/// What one step of sending a file has come to.
package enum FileStep: Sendable {
    /// The system has taken so many bytes.
    case sent(Int)
    case endOfFile
    /// The system has no room.
    case full
    /// The system cannot send from this file to this connection.
    case impossible
}

extension StreamTransport {
    /// Sends a part of a file after what was written, and calls `onEnd` once, later.
    ///
    /// Until then writing is a mistake and traps, as it would come between the file's bytes. Reading goes on. Closing
    /// the connection, or its loss, ends the sending too. What the system does not have in its cache it reads from
    /// the disk meanwhile, a megabyte at most in one turn of the loop; pieces that are written cross the write marks
    /// as others do.
    ///
    /// - Parameters:
    ///   - descriptor: A regular file that is open for reading; it stays the caller's and must stay open meanwhile. The
    ///     place that `read` would go on from is neither used nor changed.
    ///   - offset: Where to begin, in bytes.
    ///   - count: How many bytes to send; nil is to the end of the file.
    ///   - onEnd: Receives how many bytes were sent, which is fewer than `count` if the file ends before; or
    ///     ``PartialSendError`` with how many bytes were at least, if some were, or else what went wrong. Not called if the
    ///     loop is closed first.
    /// - Returns: The transfer, which can be cancelled; it may be dropped.
    /// - Throws: ``StreamError/closed``, ``StreamError/writeAfterEnd`` or ``StreamError/sendingFile`` if nothing can be
    ///   written now; `onEnd` is then not called.
    ///
    /// The corresponding asyncio name is `loop.sendfile`; the C name is `sendfile`.
    @discardableResult
    public func sendFile(
        _ descriptor: CInt,
        offset: Int = 0,
        count: Int? = nil,
        _ onEnd: @escaping (Result<Int, any Error>) -> Void
    ) throws -> FileTransfer {
        core.requireHere("StreamTransport")
        require(offset >= 0 && count ?? 0 >= 0, "A part of a file has no negative offset or count.")
        guard phase == .open else { throw StreamError.closed }
        if writingEnd == .file { throw StreamError.sendingFile }
        guard writingEnd == .open else { throw StreamError.writeAfterEnd }
        return FileTransfer(self, descriptor, offset, count ?? .max, onEnd)
    }

    /// Sends from a file what the system takes at once.
    func sendFromFile(_ file: CInt, _ count: Int, at offset: Int) throws -> FileStep {
        // The driver's descriptor, as the transport's own is -1 while a server looks for activity.
        guard case .system(let stream) = driver, stream.streamKind.isSocket else { return .impossible }
        let sent = creactor_send_file(stream.descriptor, file, Int64(offset), count)
        if sent > 0 {
            core.statistics.bytesSent &+= UInt64(sent)
            noteSent(sent)
            return .sent(sent)
        }
        if sent == 0 { return .endOfFile }
        let code = SystemError.Code(rawValue: CInt(sent))
        if code == .wouldBlock { return .full }
        if code == .notImplemented { return .impossible }
        let error = SystemError(code, call: "sendfile", address: remoteAddress)
        // A file that cannot be read is no fault of the connection's.
        if code != .inputOutput && code != .badDescriptor { fail(error) }
        throw error
    }

    /// Writes a piece of the file in the ordinary way.
    func writePiece(_ bytes: Bytes) {
        writingEnd = .open
        writeHere(bytes)
        writingEnd = .file
    }

    /// How many bytes of what was written have been lost with the connection, at most.
    var lostBytes: Int { driverClosing ? Int(queuedTotal - sentTotal) : 0 }
}

/// A file on its way, made by ``StreamTransport/sendFile(_:offset:count:_:)``.
///
/// Not `Sendable`: it belongs to its loop.
public final class FileTransfer {
    private let core: LoopCore
    private var transport: StreamTransport?
    private var onEnd: ((Result<Int, any Error>) -> Void)?
    private let file: CInt
    private let start: Int
    private let count: Int
    private var isBySystem = true
    /// Whether the next step comes when nothing waits to be sent any more.
    private var isDraining = false

    /// How many bytes have been sent so far, or have been written and wait.
    public private(set) var sentCount = 0

    fileprivate init(
        _ transport: StreamTransport,
        _ file: CInt,
        _ start: Int,
        _ count: Int,
        _ onEnd: @escaping (Result<Int, any Error>) -> Void
    ) {
        core = transport.core
        self.transport = transport
        self.onEnd = onEnd
        (self.file, self.start, self.count) = (file, start, count)
        transport.writingEnd = .file
        transport.onSent = { [self] in drained() }
        nextStep()
    }

    /// Ends the sending: `onEnd` is called with `CancellationError`, later.
    ///
    /// The connection can then be written to as before, behind exactly ``sentCount`` bytes of the file. Does nothing
    /// if the sending has ended.
    public func cancel() {
        core.requireHere("FileTransfer")
        guard let transport else { return }
        release(transport)
        soon { [self] in end(CancellationError()) }
    }

    private func soon(_ body: @escaping () -> Void) {
        _ = core.scheduleSoon(body, site: CallSite(file: #fileID, line: #line))
    }

    /// Goes on as soon as nothing waits to be sent.
    private func nextStep() {
        guard let transport else { return }
        isDraining = transport.writeBufferSize > 0
        if !isDraining { soon { [self] in step() } }
    }

    private func drained() {
        guard let transport else { return }
        if transport.phase == .closed {
            sentCount = max(0, sentCount - transport.lostBytes)
            let reason = transport.failure ?? StreamError.closed
            self.transport = nil
            core.enter()
            end(reason)
            core.leave { "the end of a file on \(transport.summary)" }
        } else if isDraining {
            nextStep()
        }
    }

    private func step() {
        // A connection that is closing tells by `drained` when it is gone.
        guard let transport, transport.phase == .open else { return }
        let left = count - sentCount
        do {
            guard left > 0 else { return succeed(transport) }
            if isBySystem {
                switch try transport.sendFromFile(file, min(left, 1 << 20), at: start + sentCount) {
                case .sent(let count):
                    sentCount += count
                    return nextStep()
                case .endOfFile: return succeed(transport)
                case .full: break
                case .impossible: isBySystem = false
                }
            }
            try readPiece(min(left, isBySystem ? 16_384 : 262_144))
        } catch {
            fail(error, transport)
        }
    }

    private func readPiece(_ count: Int) throws {
        let (file, place, core) = (file, start + sentCount, core)
        // SAFETY: used on the loop's thread only, which is where `submit` brings them.
        nonisolated(unsafe) let (this, loopCore) = (self, core)
        _ = try OffloadPool.shared.submit { refusal in
            let piece = Result {
                if let refusal { throw refusal }
                return try FileReading.read(file, count, at: place)
            }
            // A loop that is closed has closed the connection.
            _ = unsafe loopCore.submit { _ in
                unsafe loopCore.workElsewhere -= 1
                unsafe this.didRead(piece)
            }
        }
        core.workElsewhere += 1
    }

    private func didRead(_ piece: Result<Bytes, any Error>) {
        guard let transport, transport.phase == .open else { return }
        switch piece {
        case .success(let bytes) where bytes.isEmpty: succeed(transport)
        case .success(let bytes):
            sentCount += bytes.count
            transport.writePiece(bytes)
            nextStep()
        case .failure(let error): fail(error, transport)
        }
    }

    private func succeed(_ transport: StreamTransport) {
        release(transport)
        onEnd.take()?(.success(sentCount))
    }

    private func fail(_ error: any Error, _ transport: StreamTransport) {
        release(transport)
        end(error)
    }

    private func end(_ error: any Error) {
        onEnd.take()?(.failure(sentCount > 0 ? PartialSendError(sentCount: sentCount, reason: error) : error))
    }

    /// Lets others write again.
    private func release(_ transport: StreamTransport) {
        self.transport = nil
        transport.onSent = nil
        if transport.writingEnd == .file { transport.writingEnd = .open }
    }
}
