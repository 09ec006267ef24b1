// Behaviours 105, 106, 111 and 113 of asyncio: every byte that is written arrives once and in order, however little the
// network takes at a time, and what is written to a connection that is closing is dropped.

import TestSupport
import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct WritingTests {
        @Test(arguments: everyNetwork)
        func `a large write arrives byte for byte`(network: EventLoop.Network) throws {
            let sent = pattern(network.bulk)
            let story = try play(on: network) { _, scene in
                scene.client.onMade = { transport in
                    transport.write(Bytes(sent))
                    #expect(transport.writeBufferSize > 0)
                    transport.close()
                }
            }
            #expect(story.serverReceived == sent)
        }

        @Test(arguments: everyNetwork)
        func `many writes of all sizes and forms arrive in order`(network: EventLoop.Network) throws {
            let whole = pattern(network == .system ? 3 << 20 : network.bulk / 2)
            let story = try play(on: network) { _, scene in
                scene.client.onMade = { transport in
                    var position = 0
                    var random = Chance(seed: 42)
                    func take(_ limit: Int) -> Bytes {
                        let end = min(position + Int.random(in: 0...limit, using: &random), whole.count)
                        defer { position = end }
                        return Bytes(whole[position..<end])
                    }
                    let largest = max(10, whole.count / 100)
                    while position < whole.count {
                        switch Int.random(in: 0..<4, using: &random) {
                        case 0: transport.write(take(largest))
                        case 1: transport.write(take(largest).span)
                        case 2: transport.write(contentsOf: (0..<200).map { _ in take(largest / 50) })
                        default: transport.write(take(5))
                        }
                    }
                    transport.close()
                }
            }
            #expect(story.serverReceived == whole)
        }

        @Test(arguments: everyNetwork)
        func `pieces of one vectored write arrive as one stream, the empty ones too`(
            network: EventLoop.Network
        ) throws {
            let story = try play(on: network) { _, scene in
                scene.client.onMade = { transport in
                    transport.write(contentsOf: [Bytes(), Bytes()])
                    transport.write(contentsOf: ["one ", Bytes(), "two ", "three"])
                    transport.write(contentsOf: Array(repeating: Bytes(), count: 100) + ["!"])
                    transport.close()
                }
            }
            #expect(story.server == ["made", "data one two three!", "eof", "lost"])
        }

        @Test(arguments: everyNetwork)
        func `a vectored write of more pieces than one request carries arrives in order`(
            network: EventLoop.Network
        ) throws {
            let sent = pattern(5_000)
            let story = try play(on: network) { _, scene in
                scene.client.onMade = { transport in
                    transport.write(contentsOf: stride(from: 0, to: 5_000, by: 5).map { Bytes(sent[$0..<$0 + 5]) })
                    transport.close()
                }
            }
            #expect(story.serverReceived == sent)
        }

        @Test(arguments: everyNetwork)
        func `writing nothing does nothing`(network: EventLoop.Network) throws {
            let story = try play(on: network) { _, scene in
                scene.client.onMade = { transport in
                    transport.setWriteBufferLimits(high: 0)
                    transport.write(Bytes())
                    transport.write(Bytes().span)
                    #expect(transport.writeBufferSize == 0)
                    transport.close()
                }
            }
            #expect(story.client == ["made", "lost"])
            #expect(story.server == ["made", "eof", "lost"])
        }

        @Test func `a vectored write of no pieces does nothing`() async {
            // In a process of its own, as libuv ends the process if it is asked to write no buffers.
            await #expect(processExitsWith: .success) {
                try performInOwnProcess(.real) { loop in
                    let (server, client) = (Probe(), Probe())
                    let listener = try loop.listen(on: .anyPort) { server }
                    client.onMade = { transport in
                        transport.write(contentsOf: [])
                        transport.close()
                    }
                    server.whenOver = { listener.drain(within: .seconds(10)) { loop.stop() } }
                    try loop.connect(to: listener.localAddress, { client }, onFailure: { Issue.record("\($0)") })
                    return { #expect(server.story == ["made", "eof", "lost"]) }
                }
            }
        }

        @Test(arguments: everyNetwork)
        func `memory behind a span may change after write has returned`(network: EventLoop.Network) throws {
            let sent = pattern(network.bulk)
            let story = try play(on: network) { _, scene in
                scene.client.onMade = { transport in
                    var memory = sent
                    transport.write(unsafe memory.span.bytes)
                    for index in memory.indices where index % 1_000 == 999 { memory[index] = 0 }
                    memory[memory.count - 1] = 0
                    transport.close()
                }
            }
            #expect(story.serverReceived == sent)
        }

        @Test(arguments: everyNetwork)
        func `writes after close are dropped`(network: EventLoop.Network) throws {
            let story = try play(on: network) { _, scene in
                scene.client.onMade = { transport in
                    transport.write("kept")
                    transport.close()
                    transport.write("dropped")
                    transport.write(contentsOf: ["dropped"])
                    transport.write(Bytes("dropped").span)
                    transport.writeEOF()
                    #expect(transport.isClosing)
                }
                scene.client.onLost = { transport, _ in
                    transport.write("dropped")
                    transport.writeEOF()
                    transport.close()
                    transport.abort()
                    transport.pauseReading()
                    transport.resumeReading()
                    #expect(transport.isClosing && transport.writeBufferSize == 0)
                }
            }
            #expect(story.server == ["made", "data kept", "eof", "lost"])
            #expect(story.client == ["made", "lost"])
        }

        @Test(arguments: everyNetwork)
        func `what a connection echoes from its read memory arrives intact`(network: EventLoop.Network) throws {
            let sent = pattern(network.bulk)
            let story = try play(on: network) { _, scene in
                // The server pays no heed to the marks: received slices wait in its queue by the megabyte.
                scene.server.onData = { transport, bytes in transport.write(bytes) }
                scene.client.onMade = { transport in
                    transport.pauseReading()
                    transport.write(Bytes(sent))
                    transport.writeEOF()
                }
                scene.server.onEOF = { _ in
                    scene.client.transport?.resumeReading()
                    return false
                }
            }
            #expect(story.serverReceived == sent)
            #expect(story.clientReceived == sent)
            #expect(story.server.last == "lost" && story.client.suffix(2) == ["eof", "lost"])
        }

        @Test(arguments: everyNetwork)
        func `writing to a peer that has gone ends the connection with an error`(network: EventLoop.Network) throws {
            let story = try play(on: network) { loop, scene in
                scene.server.onMade = { $0.close() }
                scene.client.onEOF = { transport in
                    // The first write may still be taken by the kernel; the peer answers it with a reset.
                    repeatedly(on: loop) {
                        transport.write("anybody?")
                        return !transport.isClosing
                    }
                    return true
                }
            }
            #expect(story.client[..<2] == ["made", "eof"] && story.client.count == 3)
            #expect(story.client.last == "lost EPIPE" || story.client.last == "lost ECONNRESET")
        }

        @Test func `writing after the end of the stream is a mistake that traps`() async {
            await #expect(processExitsWith: .failure) {
                _ = try play(on: .memory()) { _, scene in
                    scene.client.onMade = { transport in
                        transport.writeEOF()
                        transport.write("too late")
                    }
                }
            }
        }
    }
}
