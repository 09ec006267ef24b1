// What a writer writes while a file is being sent on its connection: it is kept and goes out behind the file, and so does the
// end of the stream. If the file does not come to its end, what was kept is dropped, as the peer would take it, or the end, for
// what follows the whole file; whoever drains is told, and the writer goes on as before.

/// What waits for the end of a file.
final class BehindFile {
    fileprivate(set) var pieces: [Bytes] = []
    fileprivate(set) var byteCount = 0
    /// Whether the end of the stream comes behind it.
    fileprivate(set) var hasEnd = false
    /// Whether it was dropped.
    fileprivate(set) var isDropped = false
    /// Those who drain.
    fileprivate var drains: [Park] = []

    /// It does not go out.
    func drop() {
        isDropped = true
        wakeAll()
    }

    fileprivate func wakeAll() { for park in drains { park.wake() } }
}

extension StreamChannel {
    /// Whether a file is being sent on an open connection.
    private var isSendingFile: Bool {
        guard let transport, !isLost, !transport.isClosing else { return false }
        return transport.writingEnd == .file
    }

    private func behindFile() -> BehindFile {
        let rare = made()
        let behind = rare.behindFile ?? BehindFile()
        rare.behindFile = behind
        return behind
    }

    /// Keeps bytes that come when nothing can be written: behind a file, or not at all.
    @inline(never)
    func queueLate(_ bytes: Bytes) {
        guard isSendingFile, rare?.behindFile?.hasEnd != true else {
            made().writesAfterEnd = true
            return
        }
        guard !bytes.isEmpty else { return }
        let behind = behindFile()
        // What somebody may keep for long must not pin what others have received.
        behind.pieces.append(bytes.count < ReadSlab.largeRead ? bytes.exactCopy() : bytes)
        behind.byteCount += bytes.count
    }

    /// Sends the end of the stream after everything that was written, a file that is being sent included.
    func queueEnd() {
        // Everything else that throws is a connection that is closing or gone.
        if isSendingFile { behindFile().hasEnd = true } else { try? writeEOF() }
    }

    /// How many bytes were written and are not the system's.
    var queuedCount: Int { (transport?.writeBufferSize ?? 0) + (rare?.behindFile?.byteCount ?? 0) }

    /// A file has come to its end, or has not.
    func fileEnded(wasSent: Bool) {
        guard let rare, let behind = rare.behindFile else { return }
        rare.behindFile = nil
        if wasSent {
            for bytes in behind.pieces { queue(bytes) }
            if behind.hasEnd { try? writeEOF() }
            behind.wakeAll()
        } else {
            // Those who wait hear of it, or else who drains next; of a connection that is gone everybody hears anyway.
            if behind.drains.isEmpty { rare.wasDroppedBehindFile = transport?.isClosing == false }
            behind.drop()
        }
    }

    /// Waits until what was written behind a file goes out.
    func drainBehindFile(on loop: isolated EventLoop) async throws {
        guard let rare else { return }
        if rare.wasDroppedBehindFile {
            rare.wasDroppedBehindFile = false
            throw StreamError.sendingFile
        }
        while let behind = rare.behindFile, isSendingFile {
            let park = Park(on: loop)
            unsafe park.scope = Unmanaged.passUnretained(self)
            behind.drains.append(park)
            defer { behind.drains.removeAll { $0 === park } }
            try await park.wait(on: loop)
            if behind.isDropped { throw transport?.isClosing == false ? StreamError.sendingFile : reasonOfLoss }
        }
        transport?.flushQueued()
    }
}
