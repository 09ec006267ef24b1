// Behaviours 104 and 112 of asyncio: a protocol that reads into memory of its own, the memory that it may bring, and
// what it may do in the two calls.

import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct BufferedProtocolTests {
        /// A buffered protocol in the hands of a test.
        final class Reader: BufferedStreamProtocol {
            var buffer = ReadBuffer(capacity: 8)
            private(set) var received: [UInt8] = []
            private(set) var updates: [Int] = []
            private(set) var story: [String] = []
            var onBuffer: ((StreamTransport) throws -> Void)?
            var onUpdate: ((StreamTransport, Int) throws -> Void)?
            var onEOF: (() -> Void)?
            var whenOver: (() -> Void)?

            func connectionMade(_ transport: StreamTransport, on loop: isolated EventLoop) { story.append("made") }

            func readBuffer(for transport: StreamTransport, on loop: isolated EventLoop) throws -> ReadBuffer {
                try onBuffer?(transport)
                return buffer
            }

            func bufferUpdated(_ count: Int, from transport: StreamTransport, on loop: isolated EventLoop) throws {
                if count <= 0 { Issue.record("bufferUpdated(\(count))") }
                updates.append(count)
                buffer.withBytes(buffer.position..<buffer.position + count) { span in
                    unsafe span.withUnsafeBytes { unsafe received.append(contentsOf: $0) }
                }
                try onUpdate?(transport, count)
            }

            func eofReceived(from transport: StreamTransport, on loop: isolated EventLoop) -> Bool {
                story.append("eof")
                onEOF?()
                return false
            }

            func connectionLost(_ transport: StreamTransport, error: (any Error)?, on loop: isolated EventLoop) {
                story.append(error.map { "lost \(word($0))" } ?? "lost")
                (onBuffer, onUpdate, onEOF) = (nil, nil, nil)
                whenOver?()
                whenOver = nil
            }
        }

        /// What the reader experienced, and the other end.
        struct Outcome: Sendable {
            var story: [String] = []
            var received: [UInt8] = []
            var updates: [Int] = []
            var client: [String] = []
        }

        /// Lets a client play against a buffered server.
        private func play(
            on network: EventLoop.Network,
            collecting issues: IssueLog? = nil,
            _ prepare: @Sendable (isolated EventLoop, Reader, Probe) throws -> Void
        ) throws -> Outcome {
            // SAFETY: the loop runs on this thread, within the call below.
            nonisolated(unsafe) var outcome = Outcome()
            try perform(on: network, collecting: issues) { loop in
                let (reader, client) = (Reader(), Probe())
                let listener = try loop.listen(on: .anyPort, buffered: { reader })
                var open = 2
                let over = {
                    open -= 1
                    if open == 0 { listener.drain(within: .zero) { loop.stop() } }
                }
                (reader.whenOver, client.whenOver) = (over, over)
                try prepare(loop, reader, client)
                try loop.connect(to: listener.localAddress, { client }, onFailure: { Issue.record("\($0)") })
                return {
                    unsafe outcome = Outcome(
                        story: reader.story,
                        received: reader.received,
                        updates: reader.updates,
                        client: client.story
                    )
                }
            }
            return unsafe outcome
        }

        @Test(arguments: everyNetwork)
        func `bytes arrive in the memory of the protocol, as much as fits at a time`(
            network: EventLoop.Network
        ) throws {
            let sent = pattern(1_001)
            let outcome = try play(on: network) { _, _, client in
                client.onMade = { transport in
                    transport.write(Bytes(sent))
                    transport.close()
                }
            }
            #expect(outcome.received == sent)
            #expect(outcome.updates.allSatisfy { $0 <= 8 })
            #expect(outcome.story == ["made", "eof", "lost"])
        }

        @Test(arguments: everyNetwork)
        func `a read begins at the position of the buffer`(network: EventLoop.Network) throws {
            let outcome = try play(on: network) { _, reader, client in
                // Collects a message of eight bytes in whatever pieces it comes.
                reader.onUpdate = { transport, count in
                    reader.buffer.position += count
                    guard reader.buffer.position == reader.buffer.capacity else { return }
                    reader.buffer.withBytes(0..<8) { transport.write($0) }
                    reader.buffer.position = 0
                }
                client.onMade = { $0.write("12345678abcdefgh") }
                client.onData = { transport, _ in if client.received.count == 16 { transport.close() } }
            }
            #expect(outcome.client == ["made", "data 12345678abcdefgh", "lost"])
            #expect(outcome.received == Array("12345678abcdefgh".utf8))
        }

        @Test(arguments: everyNetwork)
        func `the protocol can bring memory, which lives as long as it is read into`(
            network: EventLoop.Network
        ) throws {
            @safe final class Owner {
                // SAFETY: allocated here, freed with the owner.
                let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 5, alignment: 1)
                init() { unsafe memory.initializeMemory(as: UInt8.self, repeating: 0) }
                deinit { unsafe memory.deallocate() }
            }
            // SAFETY: the loop runs on this thread, within the call below.
            nonisolated(unsafe) weak var lastOwner: Owner?
            let outcome = try play(on: network) { _, reader, client in
                reader.onBuffer = { _ in
                    let owner = Owner()
                    unsafe lastOwner = owner
                    reader.buffer = unsafe ReadBuffer(unsafeMemory: owner.memory, owner: owner)
                }
                reader.onUpdate = { _, _ in
                    #expect(unsafe lastOwner != nil)
                    reader.buffer = ReadBuffer(capacity: 1)
                    #expect(unsafe lastOwner == nil)
                }
                client.onMade = { transport in
                    transport.write("one two three")
                    transport.close()
                }
            }
            #expect(outcome.received == Array("one two three".utf8))
            #expect(unsafe lastOwner == nil)
        }

        @Test(arguments: everyNetwork)
        func `a buffer without room ends the connection`(network: EventLoop.Network) throws {
            let issues = IssueLog()
            let outcome = try play(on: network, collecting: issues) { _, reader, client in
                reader.onUpdate = { _, count in reader.buffer.position += count }
                client.onMade = { $0.write("123456789") }
            }
            #expect(outcome.received == Array("12345678".utf8))
            #expect(outcome.story == ["made", "lost emptyReadBuffer"])
            #expect(outcome.client.last == "lost ECONNRESET")
            #expect(issues.all.count == 1)
        }

        @Test(arguments: everyNetwork, [true, false])
        func `an error thrown by either method ends the connection`(network: EventLoop.Network, early: Bool) throws {
            let issues = IssueLog()
            let outcome = try play(on: network, collecting: issues) { _, reader, client in
                if early { reader.onBuffer = { _ in throw Refusal() } }
                reader.onUpdate = { _, _ in throw Refusal() }
                client.onMade = { $0.write("x") }
            }
            #expect(outcome.story == ["made", "lost Refusal"])
            #expect(outcome.client == ["made", "lost ECONNRESET"])
            #expect(issues.all.count == 1)
        }

        /// What to do, and whether in `readBuffer` already.
        static let acts = [true, false].flatMap { early in ["close", "abort", "pause", "write"].map { ($0, early) } }

        @Test(arguments: everyNetwork, acts)
        func `the protocol may close, abort, pause and write in either method`(
            network: EventLoop.Network,
            act: (String, early: Bool)
        ) throws {
            let (action, early) = act
            let outcome = try play(on: network) { loop, reader, client in
                var done = false
                let act: (StreamTransport) -> Void = { transport in
                    guard !done else { return }
                    done = true
                    switch action {
                    case "close": transport.close()
                    case "abort": transport.abort()
                    case "write": transport.write("y")
                    default:
                        transport.pauseReading()
                        after(turns: 20, on: loop) { transport.resumeReading() }
                    }
                }
                if early { reader.onBuffer = act } else { reader.onUpdate = { transport, _ in act(transport) } }
                client.onMade = { transport in
                    transport.write("0123456789")
                    if action == "pause" || action == "write" { transport.writeEOF() }
                }
            }
            let all = Array("0123456789".utf8)
            if action == "pause" || action == "write" {
                #expect(outcome.received == all)
                #expect(outcome.story == ["made", "eof", "lost"])
            } else {
                #expect(early ? outcome.received.isEmpty : outcome.received.count < all.count)
                #expect(outcome.story == ["made", "lost"])
            }
            #expect(outcome.client.contains("data y") == (action == "write"))
        }

        @Test(arguments: everyNetwork)
        func `a peer that is aborted from within readBuffer brings no update of nothing`(
            network: EventLoop.Network
        ) throws {
            let outcome = try play(on: network) { _, reader, client in
                reader.onBuffer = { _ in client.transport?.abort() }
                client.onMade = { $0.write("x") }
            }
            // The byte may have been on its way to the system's end, or not.
            #expect(outcome.story == ["made", "lost ECONNRESET"])
        }
    }
}
