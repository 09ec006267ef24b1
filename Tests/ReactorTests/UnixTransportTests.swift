// Behaviours 103 to 111 of asyncio once more, over Unix sockets: half-close, errors in callbacks, partial writes, closing,
// aborting and flow control. A Unix socket has no reset: who is aborted reads the end, unless it had sent what was not
// read.

import Foundation
import TestSupport
import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct UnixTransportTests {
        /// Lets one server and one client play over a Unix socket.
        private func playOnUnix(
            _ network: EventLoop.Network,
            collecting issues: IssueLog? = nil,
            _ prepare: @Sendable (isolated EventLoop, Scene) throws -> Void
        ) throws -> Story {
            let folder = ScratchFolder()
            defer { folder.remove() }
            let story = try play(on: network, collecting: issues) { loop, scene in
                scene.address = try SocketAddress(unixPath: folder.file("socket"))
                try prepare(loop, scene)
            }
            #expect(folder.files == [])
            return story
        }

        @Test(arguments: everyNetwork)
        func `behaviour 103: a peer that has sent its end still receives, and the end waits for the bytes before it`(
            network: EventLoop.Network
        ) throws {
            let sent = pattern(network.bulk)
            let story = try playOnUnix(network) { _, scene in
                scene.client.onMade = { transport in
                    transport.write(Bytes(sent))
                    transport.writeEOF()
                }
                scene.server.onEOF = { transport in
                    transport.write("bye")
                    transport.close()
                    return true
                }
            }
            #expect(story.serverReceived == sent)
            #expect(story.server.suffix(2) == ["eof", "lost"])
            #expect(story.client.suffix(3) == ["data bye", "eof", "lost"])
        }

        @Test(arguments: everyNetwork)
        func `behaviour 104: an error thrown by a callback ends that connection, and is reported`(
            network: EventLoop.Network
        ) throws {
            let issues = IssueLog()
            let story = try playOnUnix(network, collecting: issues) { _, scene in
                scene.client.onMade = { $0.write("x") }
                scene.server.onData = { _, _ in throw Refusal() }
            }
            #expect(story.server == ["made", "data x", "lost Refusal"])
            // What is aborted in memory is a reset, whatever the address.
            #expect(story.client == (network == .system ? ["made", "eof", "lost"] : ["made", "lost ECONNRESET"]))
            #expect(issues.all.count == 1)
        }

        @Test(arguments: everyNetwork)
        func `behaviour 105: many writes of all sizes arrive in order, whatever the socket takes`(
            network: EventLoop.Network
        ) throws {
            let sent = pattern(network.bulk)
            let story = try playOnUnix(network) { _, scene in
                scene.client.onMade = { transport in
                    var rest = sent[...]
                    var chance = Chance(seed: 105)
                    while !rest.isEmpty {
                        let piece = rest.prefix(1 + chance.roll(sent.count / 40))
                        rest = rest.dropFirst(piece.count)
                        let cut = piece.startIndex + chance.roll(piece.count)
                        if chance.roll(2) == 0 {
                            transport.write(Bytes(Array(piece)))
                        } else {
                            transport.write(contentsOf: [
                                Bytes(Array(piece[..<cut])), Bytes(), Bytes(Array(piece[cut...])),
                            ])
                        }
                    }
                    #expect(transport.writeBufferSize > 0)
                    transport.close()
                    // Behaviour 106: what comes now is dropped.
                    transport.write("dropped")
                }
            }
            #expect(story.serverReceived == sent)
            #expect(story.server.suffix(2) == ["eof", "lost"] && story.client.last == "lost")
        }

        @Test(arguments: everyNetwork)
        func `behaviour 107: an abort drops what waits, although the peer can read an end`(
            network: EventLoop.Network
        ) throws {
            let sent = pattern(network.bulk)
            let story = try playOnUnix(network) { loop, scene in
                scene.server.onMade = { transport in
                    transport.pauseReading()
                    after(turns: 10, on: loop) { transport.resumeReading() }
                }
                scene.client.onMade = { transport in
                    transport.write(Bytes(sent))
                    transport.close()
                    transport.abort()
                    #expect(transport.writeBufferSize == 0)
                }
            }
            #expect(story.client == (network == .system ? ["made", "pause", "lost"] : story.client))
            #expect(story.client.last == "lost" && story.serverReceived.count < sent.count)
            #expect(story.serverReceived == Array(sent.prefix(story.serverReceived.count)))
        }

        @Test(arguments: everyNetwork, ["write", "close", "abort"])
        func `behaviours 108 and 109: pause comes within the write, and what it does itself counts`(
            network: EventLoop.Network,
            does what: String
        ) throws {
            let sent = pattern(network.bulk)
            let story = try playOnUnix(network) { _, scene in
                scene.clientOptions.writeHighWaterMark = 0
                scene.clientOptions.writeLowWaterMark = 0
                scene.client.onMade = { transport in
                    transport.write(Bytes(sent))
                    scene.client.note("written")
                }
                scene.client.onPause = { transport in
                    switch what {
                    case "write": transport.write("from pause")
                    case "close": transport.close()
                    default: transport.abort()
                    }
                }
                scene.client.onResume = { transport in
                    #expect(transport.writeBufferSize == 0)
                    transport.close()
                }
            }
            let isResumed = what == "write"
            #expect(story.client == ["made", "pause", "written"] + (isResumed ? ["resume"] : []) + ["lost"])
            switch what {
            case "write": #expect(story.serverReceived == sent + Array("from pause".utf8))
            case "close": #expect(story.serverReceived == sent)
            default: #expect(story.serverReceived.count < sent.count)
            }
        }

        @Test func `behaviour 110: who closes with bytes unread resets, and that is what the peer is told`() throws {
            let story = try playOnUnix(.system) { loop, scene in
                scene.server.onMade = { transport in
                    transport.pauseReading()
                    after(turns: 5, on: loop) { transport.close() }
                }
                scene.client.onMade = { $0.write("nobody reads this") }
            }
            #expect(story.client == ["made", "lost ECONNRESET"])
            #expect(story.server == ["made", "lost"])
        }

        @Test(arguments: everyNetwork)
        func `behaviour 111: memory behind a span may change after write has returned`(
            network: EventLoop.Network
        ) throws {
            let sent = pattern(network.bulk)
            let story = try playOnUnix(network) { _, scene in
                scene.client.onMade = { transport in
                    var memory = sent
                    transport.write(unsafe memory.span.bytes)
                    for index in memory.indices { memory[index] = 0 }
                    transport.close()
                    withExtendedLifetime(memory) {}
                }
            }
            #expect(story.serverReceived == sent)
        }
    }
}
