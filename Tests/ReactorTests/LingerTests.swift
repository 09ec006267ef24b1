// Closing that waits for the peer's acknowledgements: on sockets with a peer that this process reads for or does not, under a
// virtual clock, so that a wait of an hour takes no time and a wait that ends early shows.

import Foundation
import TestSupport
import Testing

@testable import Reactor

#if os(Linux)
extension ReactorTests {
    @Suite struct LingerTests {
        /// More than a peer keeps that does not read, and less than the kernel takes to be sent.
        private static let count = 100_000

        /// One end of a TCP connection that lingers, and what became of it.
        private final class Ending {
            let theirs: CInt
            let probe = Probe()
            /// When it was lost, from when it was made.
            var lostAfter: Duration?
            var dumpWhenClosed = ""

            init(
                on loop: isolated EventLoop,
                _ linger: Duration?,
                _ act: @escaping (StreamTransport) throws -> Void
            ) throws {
                var options = StreamOptions()
                options.linger = linger
                options.sendBufferSize = 1 << 18
                let ours: CInt
                (ours, theirs) = Raw.tcpPair(receiveBuffer: 4_096)
                let start = loop.now
                probe.onMade = act
                probe.onLost = { [unowned self] _, _ in lostAfter = start.duration(to: loop.now) }
                probe.whenOver = { after(turns: 2, on: loop) { loop.stop() } }
                try loop.adopt(descriptor: ours, options: options, for: probe)
            }

            deinit { Raw.close(theirs) }
        }

        private struct Outcome: Sendable {
            var story: [String] = []
            var lostAfter: Duration?
            /// What the peer read, and the errno value of what ended it, when all was over.
            var read: (count: Int, error: CInt) = (0, 0)
        }

        /// Lets one end act, and tells what became of it.
        private func outcome(
            _ linger: Duration?,
            _ act: @escaping @Sendable (isolated EventLoop, StreamTransport, CInt) throws -> Void
        ) throws -> Outcome {
            let outcomes = Recorder<Outcome>()
            try perform(.virtual(network: .system)) { loop in
                // SAFETY: the loop's thread alone uses it. The other end exists by the time that this one is made.
                nonisolated(unsafe) var peer: CInt = -1
                let ending = try Ending(on: loop, linger) { transport in try unsafe act(loop, transport, peer) }
                unsafe peer = ending.theirs
                return {
                    let read = Raw.readToEnd(ending.theirs)
                    outcomes.append(Outcome(story: ending.probe.story, lostAfter: ending.lostAfter, read: read))
                }
            }
            return try #require(outcomes.all.first)
        }

        @Test func `the acknowledgement of a peer that has room ends the wait`() throws {
            let outcome = try outcome(.seconds(600)) { _, transport, _ in
                transport.write("hello")
                transport.close()
                #expect(transport.isClosing)
            }
            #expect(outcome.story == ["made", "lost"])
            // The kernel takes 40 milliseconds to acknowledge an end, in which virtual time runs ahead.
            #expect(try #require(outcome.lostAfter) < .seconds(600))
            #expect(outcome.read == (5, 0))
        }

        @Test func `a peer that does not read is reset when the time is over`() throws {
            let outcome = try outcome(.seconds(10)) { _, transport, _ in
                transport.write(Bytes(pattern(Self.count)))
                #expect(transport.writeBufferSize == 0, "the kernel has it all")
                transport.close()
            }
            #expect(outcome.story == ["made", "lost timedOut"])
            #expect(outcome.lostAfter == .seconds(10))
            #expect(outcome.read.count < Self.count && outcome.read.error == ECONNRESET)
        }

        @Test func `without a time nobody waits, and the kernel goes on`() throws {
            let outcome = try outcome(nil) { _, transport, _ in
                transport.write(Bytes(pattern(Self.count)))
                transport.close()
            }
            #expect(outcome.story == ["made", "lost"])
            #expect(outcome.lostAfter == .zero)
            #expect(outcome.read == (Self.count, 0))
        }

        @Test(arguments: [false, true])
        func `a peer that reads late gets everything, and the close ends then`(endsFirst: Bool) throws {
            let reads = Recorder<Int>()
            let outcome = try outcome(.seconds(600)) { loop, transport, peer in
                transport.write(Bytes(pattern(Self.count)))
                if endsFirst { transport.writeEOF() }
                transport.close()
                loop.schedule(after: .seconds(60)) {
                    #expect(loop.dump().contains("closing, lingering"))
                    let read = Raw.readToEnd(peer)
                    #expect(read.error == 0)
                    reads.append(read.count)
                }
            }
            #expect(reads.all == [Self.count])
            #expect(outcome.story == ["made", "lost"])
            #expect(try #require(outcome.lostAfter) >= .seconds(60))
            #expect(try #require(outcome.lostAfter) < .seconds(600))
        }

        @Test func `abort ends the wait at once, with a reset`() throws {
            let outcome = try outcome(.seconds(600)) { loop, transport, _ in
                transport.write(Bytes(pattern(Self.count)))
                transport.close()
                loop.schedule(after: .seconds(1)) { transport.abort() }
            }
            #expect(outcome.story == ["made", "lost"])
            #expect(outcome.lostAfter == .seconds(1))
            #expect(outcome.read.count < Self.count && outcome.read.error == ECONNRESET)
        }

        @Test func `a peer that breaks the connection ends the wait, with its error`() throws {
            let outcome = try outcome(.seconds(600)) { loop, transport, peer in
                transport.write(Bytes(pattern(Self.count)))
                transport.close()
                loop.schedule(after: .seconds(1)) {
                    // What it has not read makes this a reset; the number stays for the end of the test.
                    let (other, another) = Raw.pipe()
                    Raw.duplicate(other, as: peer)
                    for each in [other, another] { Raw.close(each) }
                }
            }
            #expect(outcome.story == ["made", "lost ECONNRESET"])
            #expect(try #require(outcome.lostAfter) < .seconds(2))
        }

        @Test func `zero resets at once and drops what the peer has not got`() throws {
            let outcome = try outcome(.zero) { _, transport, _ in
                transport.write(Bytes(pattern(Self.count)))
                transport.close()
                transport.close()
            }
            #expect(outcome.story == ["made", "lost"])
            #expect(outcome.lostAfter == .zero)
            #expect(outcome.read.count < Self.count && outcome.read.error == ECONNRESET)
        }

        @Test func `what the kernel has not taken is sent within closeTimeout, before the wait`() throws {
            let outcome = try outcome(.seconds(600)) { loop, transport, peer in
                transport.write(Bytes(pattern(8 << 20)))
                #expect(transport.writeBufferSize > 0)
                transport.close()
                loop.schedule(after: .seconds(1)) { #expect(transport.writeBufferSize > 0) }
            }
            #expect(outcome.story.last == "lost timedOut")
            #expect(outcome.lostAfter == StreamOptions().closeTimeout)
        }

        @Test func `a loop that closes resets what lingers`() throws {
            let (ours, theirs) = Raw.tcpPair(receiveBuffer: 4_096)
            let log = Recorder<String>()
            let loop = try EventLoop(.virtual(network: .system))
            try loop.runForever { loop in
                var options = StreamOptions()
                options.linger = .seconds(600)
                options.sendBufferSize = 1 << 18
                let probe = Probe()
                probe.onMade = { transport in
                    transport.write(Bytes(pattern(Self.count)))
                    transport.close()
                    loop.schedule(after: .seconds(1)) { loop.stop() }
                }
                probe.whenOver = { log.append(probe.story.last!) }
                try loop.adopt(descriptor: ours, options: options, for: probe)
            }
            let report = loop.close()
            #expect(report.handles.count == 1 && report.handles[0].contains("lingering"), "\(report)")
            #expect(log.all == ["lost loopClosed"])
            #expect(Raw.readToEnd(theirs).error == ECONNRESET)
            #expect(!Raw.isOpen(ours))
            Raw.close(theirs)
        }

        @Test(arguments: [Duration.zero, .seconds(600)])
        func `a connection that is given away does not linger`(linger: Duration) throws {
            let copies = Recorder<CInt>()
            let outcome = try outcome(linger) { _, transport, _ in
                transport.write("hello")
                let copy = try transport.detach()
                copies.append(copy)
                Raw.write(copy, ", world")
                Raw.close(copy)
            }
            #expect(copies.count == 1)
            #expect(outcome.story == ["made", "lost"])
            #expect(outcome.lostAfter == .zero)
            #expect(outcome.read == (12, 0))
        }

        @Test(arguments: [Duration.zero, .seconds(600)])
        func `a Unix socket closes as ever`(linger: Duration) throws {
            let story = Recorder<String>()
            try perform(.virtual(network: .system)) { loop in
                let (ours, theirs) = Raw.socketPair()
                var options = StreamOptions()
                options.linger = linger
                let probe = Probe()
                let start = loop.now
                probe.onMade = { transport in
                    transport.write("hello")
                    transport.close()
                }
                probe.onLost = { _, _ in #expect(loop.now == start) }
                probe.whenOver = { after(turns: 2, on: loop) { loop.stop() } }
                try loop.adopt(descriptor: ours, options: options, for: probe)
                return {
                    #expect(Raw.readToEnd(theirs) == (5, 0))
                    Raw.close(theirs)
                    for entry in probe.story { story.append(entry) }
                }
            }
            #expect(story.all == ["made", "lost"])
        }
    }
}
#endif

extension ReactorTests {
    @Suite struct LingerNetworkTests {
        @Test(arguments: everyNetwork)
        func `a client that lingers has everything sent and acknowledged`(network: EventLoop.Network) throws {
            let sent = pattern(network.bulk)
            let story = try play(on: network) { _, scene in
                scene.clientOptions.linger = .seconds(15)
                scene.serverOptions.connection.linger = .seconds(15)
                scene.client.onMade = { transport in
                    transport.write(Bytes(sent))
                    transport.close()
                    scene.client.note("closed")
                }
            }
            #expect(story.client.suffix(2) == ["closed", "lost"])
            #expect(story.serverReceived == sent)
            #expect(story.server.suffix(2) == ["eof", "lost"])
        }

        @Test(arguments: everyNetwork)
        func `zero is a reset for the peer of a server's connection`(network: EventLoop.Network) throws {
            let story = try play(on: network) { _, scene in
                scene.serverOptions.connection.linger = .zero
                scene.client.onMade = { $0.write("go") }
                scene.server.onData = { transport, _ in if scene.server.received.count == 2 { transport.close() } }
            }
            #expect(story.server == ["made", "data go", "lost"])
            #expect(story.client == ["made", "lost ECONNRESET"])
        }

        @Test(arguments: everyNetwork)
        func `new marks leave the time as it is`(network: EventLoop.Network) throws {
            let story = try play(on: network) { _, scene in
                scene.clientOptions.linger = .zero
                scene.client.onMade = { transport in
                    transport.setWriteBufferLimits(high: 10)
                    transport.close()
                }
            }
            #expect(story.client == ["made", "lost"])
            #expect(story.server == ["made", "lost ECONNRESET"] || story.server.isEmpty)
        }
    }
}
