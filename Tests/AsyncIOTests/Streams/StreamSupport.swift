// What the tests of streams stand on: sources and sinks that do as they are told.

import AsyncIO
import AsyncIOTesting

/// Delivers pieces, and then the end or an error, for ever.
final class Pieces: ByteSource {
    private var pieces: [Bytes]
    private let error: (any Error)?
    /// How often it was asked.
    private(set) var reads = 0

    init(_ pieces: [Bytes], thenThrow error: (any Error)? = nil) {
        self.pieces = pieces
        self.error = error
    }

    func read() async throws -> Bytes? {
        reads += 1
        if !pieces.isEmpty { return pieces.removeFirst() }
        if let error { throw error }
        return nil
    }
}

/// Takes what it is given, one call at a time, and waits before each until it may.
final class Basin: ByteSink {
    /// What was done to it.
    private(set) var calls: [String] = []
    private let gate = AsyncEvent()
    private var isAtWork = false
    var error: (any Error)?

    /// With no gate it takes everything at once.
    init(isOpen: Bool = true) { if isOpen { gate.set() } }

    func open() { gate.set() }

    private func work(_ call: String) async throws {
        precondition(!isAtWork, "two calls at a time")
        isAtWork = true
        defer { isAtWork = false }
        try await gate.wait()
        if let error { throw error }
        calls.append(call)
    }

    func write(_ bytes: Bytes) async throws { try await work(bytes.text) }
    func write(contentsOf pieces: [Bytes]) async throws {
        try await work(pieces.map(\.text).joined(separator: "|"))
    }
    func writeEOF() async throws { try await work("EOF") }
    func close() async throws { try await work("close") }
    func abort() { calls.append("abort") }
}

/// The loop's connections in memory, with room for so many bytes in each direction.
func memory(capacity: Int = 65_536, largestRead: Int = 65_536) -> EventLoop.Configuration {
    var configuration = EventLoop.Configuration.virtual()
    configuration.network = .memory(capacity: capacity, largestRead: largestRead)
    return configuration
}
