// The steps of sending a file on a connection: what the system sends by itself, and what it must be handed. While a
// file is being sent, whatever else wants to write is refused, or comes behind it if it need not wait: `endSent` keeps tasks
// away, the transport's `writingEnd` others.

internal import CReactor

/// A file that is open for reading, until nobody has this object any more.
package final class OpenFile: Sendable {
    package let descriptor: CInt

    /// Opens the file, which blocks.
    package init(_ path: String) throws {
        guard !path.utf8.contains(0) else { throw SystemError(.invalidArgument, call: "open(\(path))") }
        descriptor = unsafe creactor_open_file(path)
        try check(descriptor, "open(\(path))")
    }

    deinit { if descriptor >= 0 { creactor_close(descriptor) } }
}

/// Reading files, which blocks, and is for the threads of a pool.
package enum FileReading {
    /// Reads at most so many bytes from a place in a file; none at its end.
    package static func read(_ file: CInt, _ count: Int, at offset: Int) throws -> Bytes {
        let storage = ByteStorage.make(capacity: count)
        // SAFETY: the storage has room for so many bytes, and nobody else knows it yet.
        let read = unsafe creactor_read_file(file, storage.memory, count, Int64(offset))
        if read < 0 { throw SystemError(status: CInt(read), call: "pread") }
        return unsafe Bytes(
            storage: storage,
            base: UnsafePointer(storage.memory.assumingMemoryBound(to: UInt8.self)),
            startIndex: 0,
            endIndex: read
        )
    }
}

extension StreamChannel {
    /// Refuses everything else that wants to write, from now until ``endFile(wasSent:)``.
    ///
    /// What was written before may wait still.
    package func beginFile() throws {
        try checkCancellation()
        let transport = try transportToWrite()
        // Nobody tells when what was gathered goes out by itself.
        transport.flushQueued()
        if transport.isClosing { throw reasonOfLoss }
        endSent = true
        transport.writingEnd = .file
    }

    /// Lets others write again.
    package func endFile(wasSent: Bool) {
        endSent = false
        if let transport, transport.writingEnd == .file { transport.writingEnd = .open }
        fileEnded(wasSent: wasSent)
    }

    /// Sends from a file what the system takes at once.
    package func sendFromFile(_ file: CInt, _ count: Int, at offset: Int) throws -> FileStep {
        try transportOfFile().sendFromFile(file, count, at: offset)
    }

    /// Writes a piece of the file in the ordinary way.
    package func writePiece(_ bytes: Bytes) throws {
        let transport = try transportOfFile()
        transport.writePiece(bytes)
        if transport.isClosing { throw reasonOfLoss }
    }

    /// How many bytes of what was written have been lost with the connection, at most.
    package var lostOfFile: Int { transport?.lostBytes ?? 0 }

    /// The transport, as long as a file can be sent on it.
    private func transportOfFile() throws -> StreamTransport {
        guard let transport, !isLost, !transport.isClosing else { throw reasonOfLoss }
        return transport
    }
}
