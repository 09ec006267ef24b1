// The network in memory has a socket's manners, or tests on it would say nothing about sockets; and many connections
// that open, talk, close and abort at random in both networks, after which nothing is left of any of them.

import TestSupport
import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct MemoryNetworkTests {
        @Test func `a connection holds as much as its capacity, and a read brings no more than its limit`() throws {
            let sizes = Recorder<Int>()
            let story = try play(on: .memory(capacity: 10, largestRead: 4)) { _, scene in
                scene.client.onMade = { transport in
                    transport.write(Bytes(pattern(25)))
                    #expect(transport.writeBufferSize == 15)
                    transport.close()
                }
                scene.server.onData = { _, bytes in sizes.append(bytes.count) }
            }
            #expect(sizes.all.allSatisfy { $0 <= 4 })
            #expect(story.serverReceived == pattern(25))
        }

        @Test func `addresses look like a network's, and a port is free again when its listener is closed`() throws {
            try perform(on: .memory()) { loop in
                let first = try loop.listen(on: .anyPort) { Probe() }
                let second = try loop.listen(on: SocketAddress(host: "::1", port: 80)) { Probe() }
                #expect(first.localAddress.host == "127.0.0.1" && first.localAddress.port != 0)
                #expect(second.localAddress.description == "[::1]:80")
                second.close()
                try loop.listen(on: SocketAddress(host: "::1", port: 80)) { Probe() }.close()
                first.close()
                loop.stop()
                return {}
            }
        }

        @Test func `two loops have networks of their own`() throws {
            try withLoop { outer in
                let address = Recorder<SocketAddress>()
                try outer.runForever { loop in
                    let listener = try loop.listen(on: .anyPort) { Probe() }
                    address.append(listener.localAddress)
                    listener.close()
                    loop.stop()
                }
                let log = Recorder<String>()
                try perform(on: .memory()) { loop in
                    try loop.connect(to: address.all[0], { Probe() }) { error in
                        log.append(word(error))
                        loop.stop()
                    }
                    return {}
                }
                #expect(log.all == ["ECONNREFUSED"])
            }
        }

        @Test func `the same play takes the same course every time`() throws {
            func course() throws -> [Story] {
                try (0..<3).map { _ in
                    try play(on: .memory(capacity: 16, largestRead: 3)) { _, scene in
                        scene.client.onMade = { $0.write(Bytes(pattern(500))) }
                        scene.server.onData = { transport, bytes in
                            scene.server.note("\(bytes.count)")
                            transport.write(bytes)
                            if scene.server.received.count > 300 { transport.close() }
                        }
                        scene.client.onData = { _, bytes in scene.client.note("\(bytes.count)") }
                    }
                }
            }
            let all = try course()
            #expect(all[0].server == all[1].server && all[1].server == all[2].server)
            #expect(all[0].client == all[1].client && all[1].client == all[2].client)
        }

        @Test(arguments: everyNetwork)
        func `a callback may close the listener and every other connection`(network: EventLoop.Network) throws {
            let lost = Recorder<String>()
            try perform(on: network) { loop in
                var servers: [Probe] = []
                var listener: Listener?
                var clients = 10
                listener = try loop.listen(on: .anyPort) {
                    let server = Probe()
                    servers.append(server)
                    server.onMade = { _ in if servers.count == 10 { listener?.close() } }
                    server.onData = { transport, _ in
                        for other in servers where other !== server { other.transport?.close() }
                        transport.write("only one")
                    }
                    server.onLost = { _, _ in for other in servers { other.transport?.abort() } }
                    return server
                }
                let address = listener!.localAddress
                for number in 0..<10 {
                    let client = Probe()
                    client.whenOver = {
                        lost.append(client.story.last!)
                        clients -= 1
                        if clients == 0 {
                            servers = []
                            listener?.drain(within: .seconds(10)) { loop.stop() }
                            listener = nil
                        }
                    }
                    if number == 7 {
                        client.onMade = { transport in
                            after(turns: 30, on: loop) {
                                #expect(servers.count == 10)
                                transport.write("now")
                            }
                        }
                    }
                    try loop.connect(to: address, { client }, onFailure: { Issue.record("\($0)") })
                }
                return {}
            }
            #expect(lost.count == 10)
        }

        @Test(arguments: everyNetwork, [1, 2, 3] as [UInt64])
        func `connections that do anything at random are made and lost once each, and nothing is left`(
            network: EventLoop.Network,
            seed: UInt64
        ) throws {
            let count = network == .memory(capacity: 16, largestRead: 3) ? 60 : 200
            try perform(on: network) { loop in
                let crowd = Crowd(seed: seed, count: count)
                var options = ListenerOptions()
                options.maxConnections = 50
                options.connection.writeHighWaterMark = 10
                options.connection.writeLowWaterMark = 0
                let listener = try loop.listen(on: .anyPort, options: options) { crowd.member() }
                crowd.whenOver = {
                    listener.drain(within: .zero) {
                        #expect(listener.connectionCount == 0)
                        loop.stop()
                    }
                }
                for number in 0..<count {
                    loop.schedule(after: .microseconds(number * 10)) {
                        let attempt = try loop.connect(to: listener.localAddress) {
                            crowd.member(isClient: true)
                        } onFailure: { _ in
                            crowd.ended()
                        }
                        if number % 17 == 0 { attempt.cancel() }
                    }
                }
                // Two that wait for each other would wait for ever: now and then somebody has enough.
                crowd.leaveOneByOne(on: loop)
                return { crowd.check() }
            }
        }
    }
}

/// Protocols that do whatever a generator says, and count what happens to them.
private final class Crowd {
    private var random: Chance
    private var remaining: Int
    private var probes: [Probe] = []
    private var nextLeave: Scheduled?
    var whenOver: (() -> Void)?

    init(seed: UInt64, count: Int) {
        random = Chance(seed: seed)
        remaining = count
    }

    /// A client has come to its end, in one of the two ways.
    func ended() {
        remaining -= 1
        guard remaining == 0 else { return }
        nextLeave?.cancel()
        whenOver?()
        whenOver = nil
    }

    func member(isClient: Bool = false) -> Probe {
        let probe = Probe()
        probes.append(probe)
        probe.onMade = { [unowned self] in act($0) }
        probe.onData = { [unowned self] transport, _ in act(transport) }
        probe.onEOF = { [unowned self] transport in
            act(transport)
            return false
        }
        probe.onResume = { [unowned self] in act($0) }
        probe.onLost = { [unowned self] transport, _ in
            act(transport)
            if let other = probes.randomElement(using: &random)?.transport { act(other) }
        }
        if isClient { probe.whenOver = { [unowned self] in ended() } }
        return probe
    }

    private func act(_ transport: StreamTransport) {
        for _ in 0..<Int.random(in: 0...3, using: &random) {
            switch Int.random(in: 0..<12, using: &random) {
            case 0: transport.close()
            case 1: transport.abort()
            case 2: transport.pauseReading()
            case 3: transport.setWriteBufferLimits(high: Int.random(in: 0...100, using: &random))
            default:
                guard !transport.isEnding else { break }
                transport.write(contentsOf: [Bytes(pattern(Int.random(in: 1...300, using: &random))), "x"])
                if Int.random(in: 0..<6, using: &random) == 0 { transport.writeEOF() }
            }
        }
        transport.resumeReading()
    }

    func leaveOneByOne(on loop: isolated EventLoop) {
        nextLeave = loop.schedule(after: .milliseconds(1)) { [self] in
            let open = probes.filter { $0.transport?.isClosing == false }
            open.randomElement(using: &random)?.transport?.close()
            if remaining > 0 { leaveOneByOne(on: loop) }
        }
    }

    func check() {
        func wrong(_ isRight: (Probe) -> Bool) -> [[String]] { probes.filter { !isRight($0) }.map(\.story) }
        #expect(wrong { $0.story.first == "made" && $0.story.count { $0 == "made" } == 1 } == [])
        #expect(wrong { $0.story.last?.hasPrefix("lost") == true } == [])
        #expect(wrong { $0.story.count { $0.hasPrefix("lost") } == 1 && $0.story.count { $0 == "eof" } <= 1 } == [])
        #expect(wrong { !$0.wasNested } == [])
        #expect(remaining == 0)
    }
}

extension StreamTransport {
    /// Whether writing would be a mistake.
    fileprivate var isEnding: Bool { writingEnd != .open }
}
