// Behaviours 101, 106, 107 and 110 of asyncio: close sends what waits, for a limited time; abort does not and tells the
// peer; either is heard of exactly once and never from within the call.

import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct ClosingTests {
        @Test(arguments: everyNetwork)
        func `close sends what waits first`(network: EventLoop.Network) throws {
            let sent = pattern(network.bulk)
            let story = try play(on: network) { _, scene in
                scene.client.onMade = { transport in
                    transport.write(Bytes(sent))
                    transport.close()
                    transport.close()
                    scene.client.note("closed")
                }
            }
            #expect(story.client.suffix(2) == ["closed", "lost"])
            #expect(story.serverReceived == sent)
            #expect(story.server.suffix(2) == ["eof", "lost"])
        }

        @Test(arguments: everyNetwork, ["close", "abort", "both", "twice"])
        func `lost comes after the call that ended the connection, once`(
            network: EventLoop.Network,
            how: String
        ) throws {
            let story = try play(on: network) { _, scene in
                scene.client.onMade = { transport in
                    switch how {
                    case "close": transport.close()
                    case "abort": transport.abort()
                    case "both":
                        transport.close()
                        transport.abort()
                    default:
                        transport.abort()
                        transport.abort()
                        transport.close()
                    }
                    scene.client.note("returned")
                }
            }
            #expect(story.client == ["made", "returned", "lost"])
            #expect(story.server.count { $0.hasPrefix("lost") } == 1 || story.server.isEmpty)
        }

        @Test(arguments: everyNetwork)
        func `abort is a reset for the peer`(network: EventLoop.Network) throws {
            let story = try play(on: network) { _, scene in
                scene.server.onMade = { $0.write("welcome") }
                scene.client.onData = { transport, _ in if scene.client.received.count == 7 { transport.abort() } }
            }
            #expect(story.client == ["made", "data welcome", "lost"])
            #expect(story.server == ["made", "lost ECONNRESET"])
        }

        @Test(arguments: everyNetwork)
        func `abort drops what waits, and the peer does not take the rest for the whole`(
            network: EventLoop.Network
        ) throws {
            // Behaviour 110. A reset that were reported as an end would make half a file look like a file.
            let sent = pattern(network.bulk)
            let story = try play(on: network) { _, scene in
                scene.client.onMade = { transport in
                    transport.write(Bytes(sent))
                    transport.abort()
                    #expect(transport.writeBufferSize == 0)
                }
            }
            #expect(story.client.last == "lost")
            #expect(story.serverReceived.count < sent.count)
            #expect(story.server.last == "lost ECONNRESET")
            #expect(!story.server.contains("eof"))
        }

        @Test(arguments: everyNetwork)
        func `abort after close drops what close was still sending`(network: EventLoop.Network) throws {
            let sent = pattern(network.bulk)
            let story = try play(on: network) { loop, scene in
                scene.server.onMade = { $0.pauseReading() }
                scene.client.onMade = { transport in
                    transport.write(Bytes(sent))
                    transport.close()
                    after(turns: 10, on: loop) {
                        #expect(transport.writeBufferSize > 0)
                        transport.abort()
                        scene.server.transport?.resumeReading()
                    }
                }
            }
            #expect(story.client.last == "lost")
            #expect(story.server.last == "lost ECONNRESET")
            #expect(story.serverReceived.count < sent.count)
        }

        @Test(arguments: [EventLoop.Network.memory(), .memory(capacity: 16, largestRead: 3)])
        func `close gives up on a peer that never reads`(network: EventLoop.Network) throws {
            let story = try play(on: network) { loop, scene in
                scene.clientOptions.closeTimeout = .seconds(7)
                scene.server.onMade = { $0.pauseReading() }
                let began = loop.now
                scene.client.onMade = { transport in
                    transport.write(Bytes(pattern(network.bulk)))
                    transport.close()
                }
                scene.client.onLost = { _, _ in
                    #expect(began.duration(to: loop.now) == .seconds(7))
                    scene.server.transport?.resumeReading()
                }
            }
            #expect(story.client.last == "lost timedOut")
            #expect(story.server == ["made", "lost ECONNRESET"])
        }

        @Test func `close gives up on a peer that never reads, on a real socket too`() throws {
            let story = try play(on: .system) { loop, scene in
                scene.clientOptions.closeTimeout = .milliseconds(1)
                scene.server.onMade = { $0.pauseReading() }
                scene.client.onMade = { transport in
                    transport.write(Bytes(pattern(EventLoop.Network.system.bulk)))
                    transport.close()
                }
                scene.client.onLost = { _, _ in scene.server.transport?.resumeReading() }
            }
            #expect(story.client.last == "lost timedOut")
            #expect(story.server.last == "lost ECONNRESET")
        }

        @Test(arguments: everyNetwork)
        func `a peer that closes with bytes unread resets, which ends a flush`(network: EventLoop.Network) throws {
            let sent = pattern(network.bulk)
            let story = try play(on: network) { loop, scene in
                scene.client.onMade = { transport in
                    transport.write(Bytes(sent))
                    transport.close()
                }
                scene.server.onMade = { transport in
                    transport.pauseReading()
                    after(turns: 10, on: loop) { transport.close() }
                }
            }
            #expect(story.server == ["made", "lost"])
            #expect(story.client.last == "lost ECONNRESET" || story.client.last == "lost EPIPE")
        }

        /// In which method, and whether by abort.
        static let ends = [true, false].flatMap { aborts in
            ["made", "data", "eof", "pause", "resume"].map { ($0, aborts) }
        }

        @Test(arguments: everyNetwork, ends)
        func `a protocol may end its connection from within each of its methods`(
            network: EventLoop.Network,
            end: (String, aborts: Bool)
        ) throws {
            let (method, aborts) = end
            let story = try play(on: network) { _, scene in
                let server = scene.server
                let flood = Bytes(pattern(network.bulk))
                scene.serverOptions.connection.writeHighWaterMark = 1
                scene.serverOptions.connection.writeLowWaterMark = 0
                func end(_ here: String, _ transport: StreamTransport) {
                    guard here == method else { return }
                    if aborts { transport.abort() } else { transport.close() }
                    server.note("returned")
                }
                server.onMade = { end("made", $0) }
                server.onData = { transport, _ in
                    end("data", transport)
                    if method == "pause" || method == "resume" { transport.write(flood) }
                }
                server.onEOF = { transport in
                    end("eof", transport)
                    return true
                }
                server.onPause = { end("pause", $0) }
                server.onResume = { end("resume", $0) }
                scene.client.onMade = { transport in
                    transport.write("x")
                    if method == "eof" { transport.writeEOF() }
                }
            }
            #expect(story.server.count { $0.hasPrefix("lost") } == 1)
            // Bytes that crossed the close on their way may make it a reset, which is not this end's error.
            #expect(story.server.suffix(2) == ["returned", "lost"])
            #expect(story.client.count { $0.hasPrefix("lost") } == 1)
        }

        @Test(arguments: everyNetwork)
        func `a connection that is closing when the loop closes is heard of`(network: EventLoop.Network) throws {
            let log = Recorder<String>()
            try perform(on: network) { loop in
                let (server, client) = (Probe(), Probe())
                let listener = try loop.listen(on: .anyPort) { server }
                var made = 0
                let end: (StreamTransport) -> Void = { _ in
                    made += 1
                    guard made == 2 else { return }
                    listener.close()
                    client.transport?.close()
                    server.transport?.abort()
                    loop.stop()
                }
                (server.onMade, client.onMade) = (end, end)
                server.whenOver = { log.append("server \(server.story.last!)") }
                client.whenOver = { log.append("client \(client.story.last!)") }
                try loop.connect(to: listener.localAddress, { client }, onFailure: { _ in loop.stop() })
                return {}
            }
            #expect(log.all.sorted() == ["client lost", "server lost"])
        }

        @Test(arguments: everyNetwork)
        func `closing the loop closes listeners, then connections, reports them, and tells the protocols`(
            network: EventLoop.Network
        ) throws {
            let log = Recorder<String>()
            let loop = try EventLoop(.on(network))
            try loop.runForever { loop in
                let listener = try loop.listen(on: .anyPort) {
                    let probe = Probe()
                    probe.onMade = { _ in loop.stop() }
                    probe.onLost = { transport, _ in
                        #expect(throws: LoopError.loopClosed) { try loop.listen(on: .anyPort) { Probe() } }
                        let dump = loop.dump()
                        #expect(!dump.contains("listener"))
                        transport.write("nothing")
                        transport.abort()
                    }
                    probe.whenOver = { log.append("server \(probe.story.last!)") }
                    return probe
                }
                let client = Probe()
                client.onMade = { $0.write(Bytes(pattern(network.bulk))) }
                client.whenOver = { log.append("client \(client.story.last!)") }
                try loop.connect(to: listener.localAddress, { client }, onFailure: { Issue.record("\($0)") })
            }
            let report = loop.close()
            #expect(report.handles.count == 3)
            #expect(report.handles.first?.contains("listener") == true)
            #expect(report.handles.dropFirst().allSatisfy { $0.contains("connection #") })
            #expect(log.all.sorted() == ["client lost loopClosed", "server lost loopClosed"])
            #expect(loop.close().isClean)
        }
    }
}
