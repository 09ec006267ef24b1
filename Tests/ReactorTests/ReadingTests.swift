// Behaviours 102 and 113 of asyncio: pausing and resuming, and that no byte is lost by it; and the loop's read memory,
// in which what a handler keeps must stay what it was while more arrives.

import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct ReadingTests {
        @Test(arguments: everyNetwork)
        func `a connection that pauses in connectionMade gets nothing until it resumes`(
            network: EventLoop.Network
        ) throws {
            let story = try play(on: network) { loop, scene in
                scene.client.onMade = { transport in
                    transport.write("patience")
                    transport.writeEOF()
                }
                scene.server.onMade = { transport in
                    transport.pauseReading()
                    transport.pauseReading()
                    #expect(!transport.isReading)
                    // As many turns as the bytes could possibly need.
                    after(turns: 50, on: loop) {
                        scene.server.note("resumes")
                        transport.resumeReading()
                        transport.resumeReading()
                        #expect(transport.isReading)
                        scene.server.note("resumed")
                    }
                }
            }
            #expect(story.server == ["made", "resumes", "resumed", "data patience", "eof", "lost"])
        }

        @Test(arguments: everyNetwork)
        func `pausing for every piece loses nothing`(network: EventLoop.Network) throws {
            let sent = pattern(network == .system ? 400_000 : 3_000)
            let story = try play(on: network) { loop, scene in
                scene.client.onMade = { transport in
                    transport.write(Bytes(sent))
                    transport.writeEOF()
                }
                scene.server.onData = { transport, _ in
                    transport.pauseReading()
                    loop.schedule { transport.resumeReading() }
                }
                scene.server.onEOF = { transport in
                    #expect(!transport.isReading)
                    return false
                }
            }
            #expect(story.serverReceived == sent)
            #expect(Array(story.server.dropFirst(2)) == ["eof", "lost"])
        }

        @Test(arguments: everyNetwork)
        func `a paused connection hears of neither data nor end, although both have arrived`(
            network: EventLoop.Network
        ) throws {
            let story = try play(on: network) { loop, scene in
                // The client's own end is sent already, so that the kernel reports a hang-up together with the bytes.
                scene.client.onMade = { $0.writeEOF() }
                scene.server.onEOF = { transport in
                    transport.write("x")
                    return false
                }
                scene.client.onData = { transport, _ in
                    transport.pauseReading()
                    scene.client.note("pauses")
                    after(turns: 50, on: loop) {
                        scene.client.note("resumes")
                        transport.resumeReading()
                    }
                }
            }
            #expect(story.client == ["made", "data x", "pauses", "resumes", "eof", "lost"])
        }

        @Test(arguments: everyNetwork)
        func `all bytes come before the end when the peer sends more than the network holds and closes`(
            network: EventLoop.Network
        ) throws {
            let sent = pattern(network.bulk)
            let story = try play(on: network) { _, scene in
                scene.server.onMade = { transport in
                    transport.write(Bytes(sent))
                    transport.close()
                }
            }
            #expect(story.clientReceived == sent)
            #expect(story.client == ["made", "data \(sent.count) bytes", "eof", "lost"])
            #expect(story.server == ["made", "pause", "lost"] || sent.count < 65_536)
        }

        @Test(arguments: everyNetwork)
        func `nothing is received after close, although it has arrived`(network: EventLoop.Network) throws {
            let story = try play(on: network) { _, scene in
                scene.client.onMade = { transport in transport.write(Bytes(pattern(3_000))) }
                scene.server.onData = { transport, _ in
                    transport.close()
                    #expect(transport.isClosing && !transport.isReading)
                    transport.resumeReading()
                    transport.pauseReading()
                    transport.resumeReading()
                    #expect(!transport.isReading)
                    scene.server.note("closes")
                }
            }
            #expect(story.server.count == 4)
            #expect(story.server.suffix(2) == ["closes", "lost"])
        }

        @Test func `received bytes that are kept stay what they were`() throws {
            // Large reads fill slab after slab; small ones between them must be copies. The handler keeps everything.
            try keepEverything(on: .memory(capacity: 1 << 20, largestRead: 131_072), pieces: [131_072])
            try keepEverything(on: .memory(capacity: 1 << 20, largestRead: 131_072), pieces: [120_000, 5, 9_000])
            try keepEverything(on: .memory(capacity: 1 << 20, largestRead: 20_000), pieces: [1, 17, 20_000])
            try keepEverything(on: .system, pieces: [200_000])
        }

        /// Sends several megabytes in pieces of the given sizes, keeps all that arrives, and compares at the end.
        private func keepEverything(on network: EventLoop.Network, pieces: [Int]) throws {
            let sent = pattern(2 << 20)
            let arrived = Recorder<Bytes>()
            _ = try play(on: network) { loop, scene in
                var next = 0
                var size = 0
                scene.client.onMade = { transport in
                    repeatedly(on: loop) {
                        guard next < sent.count else {
                            transport.close()
                            return false
                        }
                        guard transport.writeBufferSize < 1 << 20 else { return true }
                        let count = min(pieces[size % pieces.count], sent.count - next)
                        transport.write(Bytes(sent[next..<next + count]))
                        next += count
                        size += 1
                        return true
                    }
                }
                scene.server.onData = { _, bytes in arrived.append(bytes) }
            }
            let all = arrived.all
            var received: [UInt8] = []
            for bytes in all { received.append(bytes: bytes) }
            #expect(received == sent, "kept bytes have changed: \(network), \(pieces)")
            // Eight retired slabs, the current one, and copies: memory is bounded by a constant and what was received.
            #expect(all.reduce(0) { $0 + ($1.retainedCapacity == $1.count ? 0 : 1) } <= 9 * 131_072 / 8_192)
        }

        @Test(arguments: roomyNetworks)
        func `a few kept bytes do not keep the loop's read memory`(network: EventLoop.Network) throws {
            let kept = Recorder<Bytes>()
            _ = try play(on: network) { loop, scene in
                var rounds = 0
                scene.client.onMade = { $0.write("ping") }
                scene.client.onData = { transport, bytes in
                    rounds += 1
                    if rounds == 20 { transport.close() } else { transport.write(bytes) }
                }
                scene.server.onData = { transport, bytes in
                    kept.append(bytes)
                    transport.write(bytes)
                }
            }
            // One slice may share the slab, all further ones are copies of their own size.
            #expect(kept.all.count { $0.retainedCapacity > 100 } <= 1)
            #expect(kept.all.allSatisfy { String(decoding: $0, as: UTF8.self) == "ping" })
        }

        @Test(arguments: roomyNetworks)
        func `memory that one connection keeps is not written to by another`(network: EventLoop.Network) throws {
            let kept = Recorder<Bytes>()
            try perform(on: network) { loop in
                var open = 10
                let listener = try loop.listen(on: .anyPort) {
                    let probe = Probe()
                    probe.onData = { _, bytes in kept.append(bytes) }
                    return probe
                }
                for number in 0..<10 {
                    let probe = Probe()
                    probe.onMade = { transport in
                        transport.write(Bytes([UInt8](repeating: UInt8(number), count: 9_000 + number * 2_000)))
                        transport.close()
                    }
                    probe.whenOver = {
                        open -= 1
                        if open == 0 { listener.drain(within: .seconds(10)) { loop.stop() } }
                    }
                    try loop.connect(to: listener.localAddress, { probe }, onFailure: { Issue.record("\($0)") })
                }
                return {}
            }
            #expect(kept.all.allSatisfy { bytes in bytes.allSatisfy { $0 == bytes.first } })
            #expect(kept.all.reduce(0) { $0 + $1.count } == 10 * 9_000 + 45 * 2_000)
        }
    }
}
