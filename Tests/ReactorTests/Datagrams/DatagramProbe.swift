// The protocol that the tests of datagrams use: it writes down what happens to it, in order, and lets the test act in each
// of its methods.

import Testing

@testable import Reactor

/// A datagram protocol that writes its story down and does what the test tells it to.
final class DatagramProbe: DatagramProtocol {
    private(set) var story: [String] = []
    private(set) var received: [Datagram] = []
    private(set) var transport: DatagramTransport?
    private var isLost = false
    private var depth = 0

    var onMade: ((DatagramTransport) throws -> Void)?
    var onDatagram: ((DatagramTransport, Datagram) throws -> Void)?
    var onError: ((DatagramTransport, SystemError) throws -> Void)?
    var onPause: ((DatagramTransport) throws -> Void)?
    var onResume: ((DatagramTransport) throws -> Void)?
    var onLost: (((any Error)?) -> Void)?

    func connectionMade(_ transport: DatagramTransport, on loop: isolated EventLoop) throws {
        self.transport = transport
        try note("made") { try onMade?(transport) }
    }

    func datagramReceived(_ datagram: Datagram, from transport: DatagramTransport, on loop: isolated EventLoop) throws {
        check(transport)
        received.append(datagram)
        let text = String(decoding: datagram.bytes.prefix(40), as: UTF8.self)
        try note(datagram.bytes.count <= 40 ? "got '\(text)'" : "got \(datagram.bytes.count)") {
            try onDatagram?(transport, datagram)
        }
    }

    func errorReceived(_ error: SystemError, from transport: DatagramTransport, on loop: isolated EventLoop) throws {
        check(transport)
        try note("error \(error.code.name)") { try onError?(transport, error) }
    }

    func pauseWriting(to transport: DatagramTransport, on loop: isolated EventLoop) throws {
        check(transport)
        // Called from within the send that crossed the mark, which may be within anything.
        story.append("pause")
        try onPause?(transport)
    }

    func resumeWriting(to transport: DatagramTransport, on loop: isolated EventLoop) throws {
        check(transport)
        try note("resume") { try onResume?(transport) }
    }

    func connectionLost(_ transport: DatagramTransport, error: (any Error)?, on loop: isolated EventLoop) {
        check(transport)
        isLost = true
        note(error.map { "lost \(word($0))" } ?? "lost") { onLost?(error) }
        (onMade, onDatagram, onError, onPause, onResume, onLost) = (nil, nil, nil, nil, nil, nil)
        self.transport = nil
    }

    private func check(_ transport: DatagramTransport) {
        if transport !== self.transport || isLost { Issue.record("called outside of the socket's life") }
    }

    private func note<R>(_ entry: String, _ body: () throws -> R) rethrows -> R {
        if depth > 0 { Issue.record("'\(entry)' within another call") }
        story.append(entry)
        depth += 1
        defer { depth -= 1 }
        return try body()
    }
}

/// A server bound to a free port and a client that is connected to it.
final class DatagramScene {
    let server = DatagramProbe()
    let client = DatagramProbe()
    var serverOptions = DatagramOptions()
    var clientOptions = DatagramOptions()
    private(set) var serverSocket: DatagramTransport!
    private(set) var clientSocket: DatagramTransport!

    fileprivate func start(on loop: isolated EventLoop) throws {
        var open = 2
        let over: ((any Error)?) -> Void = { _ in
            open -= 1
            if open == 0 { loop.stop() }
        }
        server.onLost = over
        client.onLost = over
        serverSocket = try loop.bindDatagram(to: .anyPort, options: serverOptions, server)
        let address = try #require(serverSocket.localAddress)
        clientSocket = try loop.connectDatagram(to: address, options: clientOptions, client)
    }

    /// Closes both ends, after which the scene is over.
    func end() {
        serverSocket.close()
        clientSocket.close()
    }
}

/// What both ends experienced.
struct DatagramStory: Sendable {
    var server: [String] = []
    var client: [String] = []
    var serverReceived: [Datagram] = []
}

/// Lets a server and a client play until both have been closed; `act` begins when both are there.
func playDatagrams(
    on network: EventLoop.Network,
    collecting issues: IssueLog? = nil,
    sourceLocation: SourceLocation = #_sourceLocation,
    prepare: @Sendable (DatagramScene) -> Void = { _ in },
    _ act: @Sendable (isolated EventLoop, DatagramScene) throws -> Void
) throws -> DatagramStory {
    // SAFETY: the loop runs on this thread, within the call below.
    nonisolated(unsafe) var story = DatagramStory()
    try perform(on: network, collecting: issues, sourceLocation: sourceLocation) { loop in
        let scene = DatagramScene()
        prepare(scene)
        try scene.start(on: loop)
        try act(loop, scene)
        return {
            unsafe story = DatagramStory(
                server: scene.server.story,
                client: scene.client.story,
                serverReceived: scene.server.received
            )
        }
    }
    return unsafe story
}
