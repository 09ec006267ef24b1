// The general way of a read: take what is there, look whether that is what was asked for, wait for more, again.
//
// Ground rules:
//   * While a read is under way its bytes are in the reader's buffer, and `isBusy` keeps others out. However it ends, what
//     was not taken goes back in front of what may have come meanwhile.
//   * All of it is isolated to the loop, wherever the caller is.

extension StreamReader {
    @usableFromInline
    func readSlowly() async throws -> Bytes? { try await perform(.any) }

    @usableFromInline
    func readLineSlowly() async throws -> Bytes? { try await perform(.line(isText: false)) }

    @usableFromInline
    func readSlowly(_ count: Int) async throws -> Bytes {
        require(count >= 0, "read(exactly: \(count)): nothing can be read less than no bytes.")
        return try await (count == 0 ? nothing() : perform(.exactly(count))) ?? Bytes()
    }

    /// What a read of no bytes returns, which asks nobody.
    func nothing() throws -> Bytes {
        core.requireHere("StreamReader")
        return Bytes()
    }

    func perform(_ kind: StreamRequest.Kind) async throws -> Bytes? {
        core.requireHere("StreamReader")
        // SAFETY: both sides of the call are on the loop, and the caller waits for it.
        nonisolated(unsafe) let this = self
        return unsafe try await this.perform(StreamRequest(kind), on: core.withLoop { $0 })
    }

    private func perform(_ request: consuming StreamRequest, on loop: isolated EventLoop) async throws -> Bytes? {
        if isBusy { throw StreamError.busyReader }
        try checkCancellation()
        isBusy = true
        defer {
            putBack()
            isBusy = false
        }
        if let bytes = takeUnread() { buffer.receive(bytes) }
        while true {
            do {
                if let bytes = try request.take(from: buffer, limit) {
                    // Whoever reads the end of the long line has read the rest of it.
                    if isSkippingLine, bytes.contains(UInt8(ascii: "\n")) { isSkippingLine = false }
                    return bytes
                }
            } catch {
                if let isOpen = request.leavesLineOpen { isSkippingLine = isOpen }
                throw error
            }
            buffer.settle(expecting: request.expected)
            guard let bytes = try await receive(on: loop) else { return try request.takeLast(from: buffer) }
            buffer.receive(bytes)
        }
    }

    // MARK: Where the bytes come from

    private func checkCancellation() throws {
        if let channel { try channel.checkCancellation() } else { try Task.checkCancellation() }
    }

    private func takeUnread() -> Bytes? {
        if let channel { return channel.takeArrived() }
        return source?.held.take()
    }

    /// Puts back what was not taken, in front of what came to a wait that had been given up.
    private func putBack() {
        defer { buffer.letGo() }
        guard buffer.count > 0 else { return }
        if let late = takeUnread() {
            buffer.settle()
            buffer.receive(late)
        }
        let rest = buffer.takeAll()
        if let channel { channel.putBack(rest) } else { source?.held = rest }
    }

    private func receive(on loop: isolated EventLoop) async throws -> Bytes? {
        if let channel { return try await channel.read(on: loop) }
        return try await source?.receive()
    }
}

/// A source of the program's own, and what it has said for good.
final class SourceState {
    private let source: any ByteSource
    /// What was received and not read.
    var held: Bytes?
    private var hasEnded = false
    private var failure: (any Error)?

    init(_ source: any ByteSource) { self.source = source }

    func receive() async throws -> Bytes? {
        if let failure { throw failure }
        guard !hasEnded else { return nil }
        do {
            while let bytes = try await source.read() { if !bytes.isEmpty { return bytes } }
        } catch {
            if !(error is CancellationError) { failure = error }
            throw error
        }
        hasEnded = true
        return nil
    }

    /// Whether nothing comes any more and nothing is left.
    var isAtEnd: Bool { hasEnded && held == nil }
}
