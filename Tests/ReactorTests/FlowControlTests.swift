// Behaviours 108 and 109 of asyncio: the high-water mark pauses a protocol from within the write that crosses it, once;
// the low-water mark resumes it, once; and what it does in those calls is honoured.

import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct FlowControlTests {
        @Test(arguments: everyNetwork)
        func `pause comes within the write that crosses the mark, and resume once the peer has read`(
            network: EventLoop.Network
        ) throws {
            let sent = pattern(network.bulk)
            let story = try play(on: network) { _, scene in
                scene.clientOptions.writeHighWaterMark = 1_000
                scene.clientOptions.writeLowWaterMark = 100
                let client = scene.client
                client.onMade = { transport in
                    client.note("write")
                    transport.write(Bytes(sent))
                    client.note("written")
                    transport.write("more")
                    client.note("written")
                }
                client.onPause = { #expect($0.writeBufferSize > 1_000) }
                client.onResume = { transport in
                    #expect(transport.writeBufferSize <= 100)
                    transport.close()
                }
            }
            #expect(story.client == ["made", "write", "pause", "written", "written", "resume", "lost"])
            #expect(story.serverReceived == sent + Array("more".utf8))
        }

        @Test(arguments: [EventLoop.Network.memory(capacity: 100), .memory(capacity: 100, largestRead: 1)])
        func `exactly the high mark does not pause, and exactly the low mark resumes`(
            network: EventLoop.Network
        ) throws {
            let story = try play(on: network) { _, scene in
                scene.server.onMade = { $0.pauseReading() }
                let client = scene.client
                client.onMade = { transport in
                    transport.setWriteBufferLimits(high: 50, low: 10)
                    #expect(transport.writeBufferLimits == (low: 10, high: 50))
                    transport.write(Bytes(pattern(150)))
                    #expect(transport.writeBufferSize == 50)
                    client.note("at the mark")
                    transport.write("x")
                    client.note("above")
                    scene.server.transport?.resumeReading()
                }
                client.onResume = { transport in
                    #expect(transport.writeBufferSize <= 10)
                    transport.close()
                }
                scene.server.onMade = { transport in
                    transport.pauseReading()
                    if client.story.contains("above") { transport.resumeReading() }
                }
            }
            #expect(story.client == ["made", "at the mark", "pause", "above", "resume", "lost"])
            #expect(story.serverReceived.count == 151)
        }

        @Test(arguments: everyNetwork)
        func `a high mark of zero pauses on any byte that waits`(network: EventLoop.Network) throws {
            let sent = pattern(network.bulk)
            let story = try play(on: network) { _, scene in
                scene.client.onMade = { transport in
                    transport.setWriteBufferLimits(high: 0)
                    #expect(transport.writeBufferLimits == (low: 0, high: 0))
                    transport.write(Bytes(sent))
                }
                scene.client.onResume = { transport in
                    #expect(transport.writeBufferSize == 0)
                    transport.close()
                }
            }
            #expect(story.client == ["made", "pause", "resume", "lost"])
            #expect(story.serverReceived == sent)
        }

        @Test(arguments: everyNetwork)
        func `lowering the mark below what waits pauses at once`(network: EventLoop.Network) throws {
            let story = try play(on: network) { _, scene in
                let client = scene.client
                client.onMade = { transport in
                    transport.setWriteBufferLimits(high: .max)
                    transport.write(Bytes(pattern(network.bulk)))
                    client.note("written")
                    transport.setWriteBufferLimits(high: 4, low: 0)
                    client.note("lowered")
                    transport.setWriteBufferLimits(high: 3)
                }
                client.onResume = { $0.close() }
            }
            #expect(story.client == ["made", "written", "pause", "lowered", "resume", "lost"])
        }

        @Test(arguments: everyNetwork)
        func `a producer that writes from within resume sends everything in order`(
            network: EventLoop.Network
        ) throws {
            let sent = pattern(network.bulk)
            let story = try play(on: network) { _, scene in
                scene.clientOptions.writeHighWaterMark = 0
                scene.clientOptions.writeLowWaterMark = 0
                var position = 0
                var isPaused = false
                let produce: (StreamTransport) -> Void = { transport in
                    isPaused = false
                    while !isPaused && position < sent.count {
                        let end = min(position + 777, sent.count)
                        transport.write(Bytes(sent[position..<end]))
                        position = end
                    }
                    if position == sent.count { transport.writeEOF() }
                }
                scene.client.onMade = produce
                scene.client.onPause = { _ in isPaused = true }
                scene.client.onResume = produce
            }
            #expect(story.serverReceived == sent)
            #expect(story.client.suffix(2) == ["eof", "lost"])
            let marks = story.client.filter { $0 == "pause" || $0 == "resume" }
            #expect(marks.enumerated().allSatisfy { $0.element == ($0.offset % 2 == 0 ? "pause" : "resume") })
        }

        @Test(arguments: everyNetwork)
        func `what pauseWriting itself writes is sent, and does not pause again`(network: EventLoop.Network) throws {
            let sent = pattern(network.bulk)
            let story = try play(on: network) { _, scene in
                scene.client.onMade = { $0.write(Bytes(sent)) }
                scene.client.onPause = { $0.write("from pause") }
                scene.client.onResume = { transport in
                    transport.write("from resume")
                    transport.close()
                }
                scene.clientOptions.writeHighWaterMark = 100
                scene.clientOptions.writeLowWaterMark = 0
            }
            #expect(story.serverReceived == sent + Array("from pausefrom resume".utf8))
            #expect(story.client == ["made", "pause", "resume", "lost"])
        }

        @Test(arguments: everyNetwork, [true, false])
        func `a protocol that ends the connection from pauseWriting is not resumed`(
            network: EventLoop.Network,
            aborts: Bool
        ) throws {
            let sent = pattern(network.bulk)
            let story = try play(on: network) { _, scene in
                scene.clientOptions.writeHighWaterMark = 0
                scene.clientOptions.writeLowWaterMark = 0
                scene.client.onMade = { $0.write(Bytes(sent)) }
                scene.client.onPause = { if aborts { $0.abort() } else { $0.close() } }
            }
            #expect(story.client == ["made", "pause", "lost"])
            #expect(aborts ? story.serverReceived.count < sent.count : story.serverReceived == sent)
            #expect(story.server.last == (aborts ? "lost ECONNRESET" : "lost"))
        }

        @Test(arguments: everyNetwork)
        func `two connections that feed each other from resume do not lose a byte`(network: EventLoop.Network) throws {
            // Behaviour 109: the write goes to another transport than the one that is resumed.
            let sent = pattern(network.bulk)
            let story = try play(on: network) { _, scene in
                scene.clientOptions.writeHighWaterMark = 0
                scene.clientOptions.writeLowWaterMark = 0
                scene.serverOptions.connection = scene.clientOptions
                var resumed = 0
                let feed: (Probe, Probe) -> Void = { own, other in
                    guard own.story.count(where: { $0 == "resume" }) == 1 else { return }
                    other.transport?.write("fed")
                    resumed += 1
                    guard resumed == 2 else { return }
                    own.transport?.writeEOF()
                    other.transport?.writeEOF()
                }
                let (client, server) = (scene.client, scene.server)
                client.onMade = { $0.write(Bytes(sent)) }
                server.onMade = { $0.write(Bytes(sent)) }
                client.onResume = { _ in feed(client, server) }
                server.onResume = { _ in feed(server, client) }
            }
            #expect(story.serverReceived == sent + Array("fed".utf8))
            #expect(story.clientReceived == sent + Array("fed".utf8))
            #expect(story.server.suffix(2) == ["eof", "lost"] && story.client.suffix(2) == ["eof", "lost"])
        }

        @Test(arguments: everyNetwork)
        func `pausing reading at one end pauses writing at the other`(network: EventLoop.Network) throws {
            let sent = pattern(network.bulk)
            let story = try play(on: network) { loop, scene in
                let server = scene.server
                server.onMade = { $0.pauseReading() }
                scene.client.onMade = { $0.write(Bytes(sent)) }
                scene.client.onPause = { _ in
                    after(turns: 50, on: loop) {
                        #expect(scene.client.transport!.writeBufferSize > 65_536 || sent.count < 65_536)
                        #expect(server.received.isEmpty)
                        server.transport?.resumeReading()
                    }
                }
                scene.clientOptions.writeHighWaterMark = 1_000
                scene.clientOptions.writeLowWaterMark = 0
                scene.client.onResume = { $0.close() }
            }
            #expect(story.client == ["made", "pause", "resume", "lost"])
            #expect(story.serverReceived == sent)
        }
    }
}
