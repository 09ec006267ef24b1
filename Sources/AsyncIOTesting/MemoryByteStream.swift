// Two ends of a connection without a network: for tests of code that is written for any `ByteStream`. It has a bounded
// room, so that back-pressure is seen, and hands over pieces as they were written, so that a test decides how they come.

public import Reactor

/// One end of a connection in memory.
///
///     let (server, client) = MemoryByteStream.pair()
///     StreamWriter(client).write("hello\n")
///     let line = try await StreamReader(server).readLine()
///
/// Belongs to the loop on which it is waited for: not `Sendable`.
public final class MemoryByteStream: ByteSource, ByteSink {
    private enum State {
        case open
        /// Nothing more comes from here.
        case ended
        case closed
    }

    private let capacity: Int
    private weak var peer: MemoryByteStream?
    /// What has come and was not read.
    private var pieces: [Bytes] = []
    private var inboundEnded = false
    private var wasReset = false
    private var state = State.open
    /// Who waits for something to change: a reader here, a writer to this end.
    private var waiting: [Park] = []

    private init(capacity: Int) { self.capacity = capacity }

    /// Makes both ends of a connection.
    ///
    /// - Parameter capacity: How many bytes may wait to be read at each end before a write to it waits.
    /// - Returns: The two ends, which are alike. Whoever drops one has closed it.
    public static func pair(capacity: Int = 65_536) -> (MemoryByteStream, MemoryByteStream) {
        if capacity <= 0 { fatalError("A MemoryByteStream needs room for at least one byte.") }
        let (first, second) = (MemoryByteStream(capacity: capacity), MemoryByteStream(capacity: capacity))
        first.peer = second
        second.peer = first
        return (first, second)
    }

    // Whoever drops an end has closed it.
    deinit { peer?.peerEnded() }

    /// How many bytes have come and were not read.
    public private(set) var unreadCount = 0

    /// Waits for the next piece that was written, or a part of it if there was not room for all; nil at the end.
    ///
    /// - Throws: ``SystemError`` with ``SystemError/Code/connectionReset`` if the other end was aborted, also in place of
    ///   what had come before; ``StreamError/closed`` if this end is closed; `CancellationError`.
    public func read() async throws -> Bytes? {
        while true {
            if wasReset { throw SystemError(.connectionReset, call: "read") }
            if state == .closed { throw StreamError.closed }
            try Task.checkCancellation()
            if !pieces.isEmpty { return takePiece() }
            if inboundEnded { return nil }
            try await waitForChange()
        }
    }

    private func takePiece() -> Bytes {
        let bytes = pieces.removeFirst()
        unreadCount -= bytes.count
        change()
        return bytes
    }

    /// Waits until all bytes fit into the other end's room, in order, in parts as it becomes free.
    ///
    /// - Throws: ``SystemError`` with ``SystemError/Code/brokenPipe`` if the other end is closed, or with
    ///   ``SystemError/Code/connectionReset`` if it was aborted; ``StreamError/closed`` and ``StreamError/writeAfterEnd``;
    ///   `CancellationError`, after which a part may have been written.
    public func write(_ bytes: Bytes) async throws {
        var rest = bytes
        while !rest.isEmpty {
            try Task.checkCancellation()
            let peer = try peerToWriteTo()
            let room = min(rest.count, peer.capacity - peer.unreadCount)
            if room > 0 {
                peer.arrive(rest.prefix(room))
                rest = rest.dropFirst(room)
            } else {
                try await peer.waitForChange()
            }
        }
    }

    private func peerToWriteTo() throws -> MemoryByteStream {
        if wasReset { throw SystemError(.connectionReset, call: "write") }
        if state == .ended { throw StreamError.writeAfterEnd }
        guard state == .open else { throw StreamError.closed }
        guard let peer, peer.state != .closed else { throw SystemError(.brokenPipe, call: "write") }
        return peer
    }

    private func peerEnded() {
        inboundEnded = true
        change()
    }

    private func arrive(_ bytes: Bytes) {
        pieces.append(bytes)
        unreadCount += bytes.count
        change()
    }

    /// Ends what this end sends; it can still be sent to.
    public func writeEOF() async throws {
        guard state == .open else { return }
        state = .ended
        peer?.peerEnded()
    }

    /// Closes this end; the other reads what was written, and then the end.
    public func close() async throws {
        guard state != .closed else { return }
        state = .closed
        pieces = []
        unreadCount = 0
        peer?.peerEnded()
        change()
    }

    /// Closes this end as if the connection had broken: the other's reads and writes throw.
    public func abort() {
        guard state != .closed else { return }
        state = .closed
        pieces = []
        unreadCount = 0
        peer?.wasReset = true
        peer?.change()
        change()
    }

    // MARK: Waiting

    private func change() {
        let all = waiting
        waiting = []
        for park in all { park.wake() }
    }

    private func waitForChange() async throws {
        guard let loop = EventLoop.current else {
            fatalError("A MemoryByteStream has to wait, and no EventLoop runs here.")
        }
        let park = Park(here: loop)
        waiting.append(park)
        defer { waiting.removeAll { $0 === park } }
        try await park.wait()
    }
}
