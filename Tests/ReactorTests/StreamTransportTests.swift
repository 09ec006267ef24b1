// Behaviours 101, 102 and 104 of asyncio: the life of a connection as its protocol sees it. Made and lost come exactly
// once each, nothing comes before the one or after the other, and what a protocol throws ends its own connection only.

import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct StreamTransportTests {
        @Test(arguments: everyNetwork)
        func `both ends hear made, data, end and lost, once each and in this order`(network: EventLoop.Network) throws {
            let story = try play(on: network) { _, scene in
                scene.client.onMade = { transport in
                    transport.write("hello")
                    transport.writeEOF()
                }
                scene.server.onEOF = { transport in
                    transport.write("goodbye")
                    return false
                }
            }
            #expect(story.server == ["made", "data hello", "eof", "lost"])
            #expect(story.client == ["made", "data goodbye", "eof", "lost"])
        }

        @Test(arguments: everyNetwork)
        func `data comes only after connectionMade has returned`(network: EventLoop.Network) throws {
            let story = try play(on: network) { _, scene in
                scene.client.onMade = { $0.write("at once") }
                scene.server.onMade = { transport in
                    // Asking for it changes nothing.
                    transport.pauseReading()
                    transport.resumeReading()
                    transport.resumeReading()
                    scene.server.note("made ends")
                }
                scene.server.onData = { transport, _ in if scene.server.received.count == 7 { transport.close() } }
            }
            #expect(story.server == ["made", "made ends", "data at once", "lost"])
        }

        @Test(arguments: everyNetwork)
        func `the default methods close the connection when the peer ends it`(network: EventLoop.Network) throws {
            final class Minimal: StreamProtocol {
                func dataReceived(_ bytes: Bytes, from transport: StreamTransport, on loop: isolated EventLoop) {}
            }
            let stories = Recorder<String>()
            try perform(on: network) { loop in
                let listener = try loop.listen(on: .anyPort) { Minimal() }
                let client = Probe()
                client.onMade = { $0.writeEOF() }
                client.whenOver = {
                    listener.drain(within: .seconds(1)) { loop.stop() }
                }
                try loop.connect(to: listener.localAddress, { client }, onFailure: { _ in loop.stop() })
                return { for entry in client.story { stories.append(entry) } }
            }
            #expect(stories.all == ["made", "eof", "lost"])
        }

        @Test(arguments: everyNetwork, ["made", "data", "eof", "pause", "resume"])
        func `an error thrown by a method ends that connection and is reported once`(
            network: EventLoop.Network,
            method: String
        ) throws {
            let issues = IssueLog()
            let story = try play(on: network, collecting: issues) { _, scene in
                scene.serverOptions.connection.writeHighWaterMark = 1
                scene.serverOptions.connection.writeLowWaterMark = 0
                func refuse(_ here: String) throws { if here == method { throw Refusal() } }
                let flood = Bytes(pattern(network.bulk))
                scene.server.onMade = { _ in try refuse("made") }
                scene.server.onData = { transport, _ in
                    try refuse("data")
                    transport.pauseReading()
                    if method != "eof" { transport.write(flood) } else { transport.resumeReading() }
                }
                scene.server.onEOF = { _ in
                    try refuse("eof")
                    return false
                }
                scene.server.onPause = { _ in try refuse("pause") }
                scene.server.onResume = { _ in try refuse("resume") }
                scene.client.onMade = { transport in
                    transport.write("x")
                    if method == "eof" { transport.writeEOF() }
                }
            }
            #expect(story.server.last == "lost Refusal")
            #expect(story.server.count { $0.hasPrefix("lost") } == 1)
            #expect(story.client.last == "lost ECONNRESET")
            #expect(issues.all.count == 1)
            guard case .protocolError(let error)? = issues.all.first?.kind else {
                Issue.record("\(issues.all)")
                return
            }
            #expect(error is Refusal)
            #expect(issues.all[0].subject.contains("Probe."))
        }

        @Test(arguments: everyNetwork)
        func `an error in one connection leaves the others alone`(network: EventLoop.Network) throws {
            let issues = IssueLog()
            let stories = Recorder<[String]>()
            try perform(on: network, collecting: issues) { loop in
                let probes = (0..<3).map { _ in Probe() }
                var served = 0
                let listener = try loop.listen(on: .anyPort) {
                    let echo = Probe()
                    echo.onData = { transport, bytes in
                        if bytes.first == UInt8(ascii: "!") { throw Refusal() }
                        transport.write(bytes)
                    }
                    return echo
                }
                for (number, probe) in probes.enumerated() {
                    probe.onMade = { $0.write(number == 1 ? "!" : "fine") }
                    probe.onData = { transport, _ in if probe.received.count == 4 { transport.close() } }
                    probe.whenOver = {
                        served += 1
                        if served == 3 { listener.drain(within: .seconds(1)) { loop.stop() } }
                    }
                    try loop.connect(to: listener.localAddress, { probe }, onFailure: { _ in loop.stop() })
                }
                return { for probe in probes { stories.append(probe.story) } }
            }
            #expect(
                stories.all == [
                    ["made", "data fine", "lost"], ["made", "lost ECONNRESET"], ["made", "data fine", "lost"],
                ]
            )
            #expect(issues.all.count == 1)
        }

        @Test(arguments: everyNetwork)
        func `a factory that throws closes the connection and is reported`(network: EventLoop.Network) throws {
            let issues = IssueLog()
            let story = try play(on: network, collecting: issues) { _, scene in scene.factoryError = Refusal() }
            #expect(story.server == [])
            #expect(story.client.last == "lost ECONNRESET")
            #expect(issues.all.count == 1)
        }

        @Test(arguments: everyNetwork)
        func `transport and protocol let each other go`(network: EventLoop.Network) throws {
            // SAFETY: the loop runs on this thread, within the call below.
            nonisolated(unsafe) weak var transport: StreamTransport?
            nonisolated(unsafe) weak var receiver: Probe?
            _ = try play(on: network) { _, scene in
                unsafe receiver = scene.server
                scene.server.onMade = {
                    unsafe transport = $0
                    $0.close()
                }
            }
            #expect(unsafe transport == nil)
            #expect(unsafe receiver == nil)
        }

        @Test(arguments: everyNetwork)
        func `both ends agree on their addresses, also after the connection is lost`(
            network: EventLoop.Network
        ) throws {
            let client = Recorder<SocketAddress?>()
            let server = Recorder<SocketAddress?>()
            _ = try play(on: network) { _, scene in
                func record(_ transport: StreamTransport, _ recorder: Recorder<SocketAddress?>) {
                    recorder.append(transport.localAddress)
                    recorder.append(transport.remoteAddress)
                }
                scene.client.onMade = { record($0, client) }
                scene.client.onEOF = { _ in
                    scene.client.onLost = { transport, _ in record(transport, client) }
                    return false
                }
                scene.server.onMade = { transport in
                    record(transport, server)
                    transport.writeEOF()
                }
            }
            try #require(client.count == 4 && server.count == 2)
            #expect(client.all[0] != nil && client.all[0] != client.all[1])
            #expect(server.all == [client.all[1], client.all[0]])
            #expect(Array(client.all[2...]) == Array(client.all[..<2]))
        }
    }
}
