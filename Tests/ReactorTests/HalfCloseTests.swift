// Behaviour 103 of asyncio: either end can finish sending and go on receiving; the end of the stream comes after every
// byte that was written before it.

import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct HalfCloseTests {
        @Test(arguments: everyNetwork)
        func `a peer that has sent its end still receives`(network: EventLoop.Network) throws {
            let story = try play(on: network) { loop, scene in
                scene.client.onMade = { transport in
                    transport.write("question")
                    transport.writeEOF()
                    transport.writeEOF()
                }
                scene.server.onEOF = { transport in
                    after(turns: 10, on: loop) {
                        #expect(!transport.isClosing)
                        transport.write("answer")
                        transport.close()
                    }
                    return true
                }
            }
            #expect(story.server == ["made", "data question", "eof", "lost"])
            #expect(story.client == ["made", "data answer", "eof", "lost"])
        }

        @Test(arguments: everyNetwork)
        func `the end waits for the bytes before it`(network: EventLoop.Network) throws {
            let sent = pattern(network.bulk)
            let story = try play(on: network) { _, scene in
                scene.client.onMade = { transport in
                    transport.write(Bytes(sent))
                    transport.writeEOF()
                    #expect(transport.writeBufferSize > 0)
                }
                scene.server.onEOF = { _ in
                    #expect(scene.server.received.count == sent.count)
                    return false
                }
            }
            #expect(story.serverReceived == sent)
            #expect(story.client.suffix(2) == ["eof", "lost"] && story.client.first == "made")
        }

        @Test(arguments: everyNetwork)
        func `both ends can finish at the same time and receive what the other sent`(
            network: EventLoop.Network
        ) throws {
            let fromClient = pattern(network.bulk, seed: 1)
            let fromServer = pattern(network.bulk, seed: 2)
            let story = try play(on: network) { _, scene in
                scene.client.onMade = { transport in
                    transport.write(Bytes(fromClient))
                    transport.writeEOF()
                }
                scene.server.onMade = { transport in
                    transport.write(Bytes(fromServer))
                    transport.writeEOF()
                }
            }
            #expect(story.serverReceived == fromClient)
            #expect(story.clientReceived == fromServer)
            #expect(story.server.suffix(2) == ["eof", "lost"])
            #expect(story.client.suffix(2) == ["eof", "lost"])
        }

        @Test(arguments: everyNetwork)
        func `a connection whose both halves have ended stays until it is closed, if its protocol keeps it`(
            network: EventLoop.Network
        ) throws {
            let story = try play(on: network) { loop, scene in
                scene.client.onMade = { $0.writeEOF() }
                scene.server.onMade = { $0.writeEOF() }
                for probe in [scene.client, scene.server] {
                    probe.onEOF = { transport in
                        after(turns: 20, on: loop) {
                            probe.note("closes")
                            transport.close()
                        }
                        return true
                    }
                }
            }
            #expect(story.server == ["made", "eof", "closes", "lost"])
            #expect(story.client == ["made", "eof", "closes", "lost"])
        }

        @Test(arguments: everyNetwork)
        func `the end can be sent from within resumeWriting, followed by close`(network: EventLoop.Network) throws {
            let sent = pattern(network.bulk)
            let story = try play(on: network) { _, scene in
                scene.clientOptions.writeHighWaterMark = 0
                scene.clientOptions.writeLowWaterMark = 0
                scene.client.onMade = { $0.write(Bytes(sent)) }
                scene.client.onResume = { transport in
                    transport.writeEOF()
                    transport.close()
                }
            }
            #expect(story.serverReceived == sent)
            #expect(story.server.suffix(2) == ["eof", "lost"])
            #expect(story.client == ["made", "pause", "resume", "lost"])
        }

        @Test(arguments: everyNetwork)
        func `the end can be sent from within resumeWriting, and bytes still arrive after it`(
            network: EventLoop.Network
        ) throws {
            let sent = pattern(network.bulk)
            let story = try play(on: network) { _, scene in
                scene.clientOptions.writeHighWaterMark = 0
                scene.clientOptions.writeLowWaterMark = 0
                scene.client.onMade = { $0.write(Bytes(sent)) }
                scene.client.onResume = { $0.writeEOF() }
                scene.server.onEOF = { transport in
                    transport.write("thanks")
                    return false
                }
            }
            #expect(story.serverReceived == sent)
            #expect(story.client == ["made", "pause", "resume", "data thanks", "eof", "lost"])
        }

        @Test(arguments: everyNetwork)
        func `an abort after the end was sent is still a reset`(network: EventLoop.Network) throws {
            let story = try play(on: network) { loop, scene in
                scene.client.onMade = { $0.writeEOF() }
                scene.server.onEOF = { transport in
                    scene.client.transport?.abort()
                    after(turns: 10, on: loop) {
                        // Reading has ended, so that only writing can find out.
                        repeatedly(on: loop) {
                            transport.write("?")
                            return !transport.isClosing
                        }
                    }
                    return true
                }
            }
            #expect(story.client == ["made", "lost"])
            #expect(story.server[..<2] == ["made", "eof"] && story.server.count == 3)
            #expect(story.server.last == "lost EPIPE" || story.server.last == "lost ECONNRESET")
        }
    }
}
