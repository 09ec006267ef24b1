// Behaviour 112 of asyncio: a connection's protocol is replaced while it lives, by one of either kind, from each of the
// methods of the one that it has.

import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct ProtocolSwitchTests {
        /// A protocol that reads into memory of its own and hands what came to a probe.
        private final class Buffered: BufferedStreamProtocol {
            let probe: Probe
            let buffer = ReadBuffer(capacity: 4)
            var onRoom: ((StreamTransport) -> Void)?
            var onUpdate: ((StreamTransport) -> Void)?
            init(_ probe: Probe) { self.probe = probe }

            func readBuffer(for transport: StreamTransport, on loop: isolated EventLoop) -> ReadBuffer {
                onRoom?(transport)
                return buffer
            }

            func bufferUpdated(_ count: Int, from transport: StreamTransport, on loop: isolated EventLoop) throws {
                let bytes = buffer.withBytes(0..<count) { Bytes(copying: $0) }
                probe.transport = transport
                try probe.dataReceived(bytes, from: transport, on: loop)
                onUpdate?(transport)
            }

            func connectionLost(_ transport: StreamTransport, error: (any Error)?, on loop: isolated EventLoop) {
                probe.connectionLost(transport, error: error, on: loop)
            }
        }

        @Test(arguments: everyNetwork)
        func `what arrives after the switch goes to the new protocol, and so does the loss`(
            network: EventLoop.Network
        ) throws {
            let second = Recorder<String>()
            let story = try play(on: network) { loop, scene in
                let next = Probe()
                scene.server.onData = { [server = scene.server] transport, _ in
                    guard server.received.count == 3 else { return }
                    next.transport = transport
                    next.whenOver = {
                        for entry in next.story { second.append(entry) }
                        server.whenOver?()
                    }
                    transport.setProtocol(next)
                    #expect(transport.currentProtocol === next)
                    transport.write("go")
                }
                scene.client.onMade = { $0.write("one") }
                scene.client.onData = { [client = scene.client] transport, _ in
                    guard client.received.count == 2 else { return }
                    transport.write("two")
                    transport.close()
                }
            }
            #expect(story.serverReceived == Array("one".utf8))
            #expect(second.all == ["data two", "eof", "lost"])
            #expect(story.client == ["made", "data go", "lost"])
        }

        @Test(arguments: everyNetwork)
        func `a protocol is replaced as it is given the connection`(network: EventLoop.Network) throws {
            let second = Recorder<String>()
            let story = try play(on: network) { loop, scene in
                let next = Probe()
                scene.server.onMade = { [server = scene.server] transport in
                    next.transport = transport
                    next.whenOver = {
                        for entry in next.story { second.append(entry) }
                        server.whenOver?()
                    }
                    transport.setProtocol(next)
                }
                scene.client.onMade = { transport in
                    transport.write("hello")
                    transport.close()
                }
            }
            #expect(story.server == ["made"])
            #expect(second.all == ["data hello", "eof", "lost"])
        }

        @Test(arguments: everyNetwork, ["data", "room", "update"])
        func `the kinds of protocol follow one another, and no byte is lost or doubled`(
            network: EventLoop.Network,
            where: String
        ) throws {
            let sent = pattern(2_000)
            let received = Recorder<[UInt8]>()
            let story = try play(on: network) { loop, scene in
                let server = scene.server
                let (plain, buffered) = (Probe(), Buffered(Probe()))
                var switches = 0
                var all: [UInt8] = []
                func finish() {
                    received.append(all)
                    plain.forget()
                    buffered.probe.forget()
                    (buffered.onRoom, buffered.onUpdate) = (nil, nil)
                    server.whenOver?()
                }
                func toPlain(_ transport: StreamTransport) {
                    switches += 1
                    plain.transport = transport
                    plain.whenOver = { finish() }
                    transport.setProtocol(plain)
                }
                func toBuffered(_ transport: StreamTransport) {
                    switches += 1
                    buffered.probe.transport = transport
                    buffered.probe.whenOver = { finish() }
                    transport.setProtocol(buffered: buffered)
                }
                plain.onData = { transport, bytes in
                    all.append(bytes: bytes)
                    toBuffered(transport)
                }
                buffered.probe.onData = { _, bytes in all.append(bytes: bytes) }
                switch `where` {
                case "room":
                    // In the middle of being asked for memory, once in a while.
                    var calls = 0
                    buffered.onRoom = { transport in
                        calls += 1
                        if calls % 3 == 0 { toPlain(transport) }
                    }
                case "update": buffered.onUpdate = { transport in if switches < 50 { toPlain(transport) } }
                default: buffered.onUpdate = { transport in if all.count < 500 { toPlain(transport) } }
                }
                server.onMade = { transport in toBuffered(transport) }
                scene.client.onMade = { transport in
                    // In many pieces, which arrive in many reads.
                    var rest = sent[...]
                    repeatedly(on: loop) {
                        transport.write(Bytes(Array(rest.prefix(50))))
                        rest = rest.dropFirst(50)
                        if rest.isEmpty { transport.close() }
                        return !rest.isEmpty
                    }
                }
            }
            #expect(received.all == [sent])
            #expect(story.client == ["made", "lost"])
        }

        @Test func `the old protocol is let go of, and a closed connection has none`() throws {
            try perform(on: .memory()) { loop in
                weak var old: Probe?
                weak var new: Probe?
                let listener = try loop.listen(on: .anyPort) { Probe() }
                var first: Probe? = Probe()
                old = first
                first!.onMade = { transport in
                    first = nil
                    let next = Probe()
                    new = next
                    next.transport = transport
                    transport.setProtocol(next)
                    after(turns: 3, on: loop) {
                        #expect(old == nil && new != nil)
                        transport.close()
                        after(turns: 3, on: loop) {
                            #expect(new == nil && transport.currentProtocol == nil)
                            transport.setProtocol(Probe())
                            #expect(transport.currentProtocol == nil)
                            listener.drain(within: .seconds(1)) { loop.stop() }
                        }
                    }
                }
                let made = first!
                try loop.connect(
                    to: listener.localAddress,
                    { [weak made] in made! },
                    onFailure: { Issue.record("\($0)") }
                )
                return {}
            }
        }
    }
}
