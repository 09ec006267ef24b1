// The protocol that the tests of connections use: it writes down what happens to it, in order, and lets the test act in
// each of its methods.

import Testing

@testable import Reactor

/// A protocol that writes its story down and does what the test tells it to.
///
/// The story has an entry for each call; data that comes in several pieces is one entry.
final class Probe: StreamProtocol {
    var transport: StreamTransport?
    private(set) var story: [String] = []
    private(set) var received: [UInt8] = []
    private var unreported = 0
    /// How deep in its own callbacks it is, which shows calls from within calls.
    private(set) var depth = 0
    private(set) var wasNested = false

    var onMade: ((StreamTransport) throws -> Void)?
    var onData: ((StreamTransport, Bytes) throws -> Void)?
    var onEOF: ((StreamTransport) throws -> Bool)?
    var onPause: ((StreamTransport) throws -> Void)?
    var onResume: ((StreamTransport) throws -> Void)?
    var onLost: ((StreamTransport, (any Error)?) -> Void)?
    /// The harness's, called last.
    var whenOver: (() -> Void)?

    func connectionMade(_ transport: StreamTransport, on loop: isolated EventLoop) throws {
        self.transport = transport
        try note("made") { try onMade?(transport) }
    }

    func dataReceived(_ bytes: Bytes, from transport: StreamTransport, on loop: isolated EventLoop) throws {
        check(transport)
        if bytes.isEmpty { Issue.record("dataReceived without data") }
        unreported += bytes.count
        received.append(bytes: bytes)
        try nested { try onData?(transport, bytes) }
    }

    func eofReceived(from transport: StreamTransport, on loop: isolated EventLoop) throws -> Bool {
        check(transport)
        return try note("eof") { try onEOF?(transport) ?? false }
    }

    func pauseWriting(to transport: StreamTransport, on loop: isolated EventLoop) throws {
        check(transport)
        // Called from within the write that crossed the mark, which may be within anything.
        note("pause")
        try onPause?(transport)
    }

    func resumeWriting(to transport: StreamTransport, on loop: isolated EventLoop) throws {
        check(transport)
        try note("resume") { try onResume?(transport) }
    }

    func connectionLost(_ transport: StreamTransport, error: (any Error)?, on loop: isolated EventLoop) {
        check(transport)
        note(error.map { "lost \(word($0))" } ?? "lost") { onLost?(transport, error) }
        let over = whenOver
        forget()
        over?()
    }

    /// Lets go of what the test gave it: closures refer to the other probe, and it to this one.
    func forget() {
        (onMade, onData, onEOF, onPause, onResume, onLost, whenOver) = (nil, nil, nil, nil, nil, nil, nil)
        transport = nil
    }

    private func check(_ transport: StreamTransport) {
        if transport !== self.transport { Issue.record("called with another transport, or outside a connection") }
    }

    /// Adds an entry of the test's own.
    func note(_ entry: String) {
        if unreported > 0 {
            let data = received.suffix(unreported)
            story.append(
                unreported <= 40 ? "data \(String(decoding: data, as: UTF8.self))" : "data \(unreported) bytes"
            )
            unreported = 0
        }
        story.append(entry)
    }

    private func note<R>(_ entry: String, _ body: () throws -> R) rethrows -> R {
        note(entry)
        return try nested(body)
    }

    private func nested<R>(_ body: () throws -> R) rethrows -> R {
        if depth > 0 { wasNested = true }
        depth += 1
        defer { depth -= 1 }
        return try body()
    }
}
