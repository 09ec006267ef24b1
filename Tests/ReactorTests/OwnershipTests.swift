// One owner per descriptor, at every moment: what a handle of the loop has is not adopted once more, what is closed is not
// handed out, and five hundred loops, one after the other, leave nothing.

import Foundation
import TestSupport
import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct OwnershipTests {
        @Test func `a descriptor that a handle of the loop has is not adopted once more`() throws {
            let story = Recorder<String>()
            try perform(on: .system) { loop in
                let (ours, theirs) = Raw.socketPair()
                let probe = Probe()
                probe.onMade = { transport in
                    transport.pauseReading()
                    #expect(throws: DescriptorError.isOwned) { try loop.adopt(descriptor: ours, for: Probe()) }
                    transport.write("once")
                    #expect(Raw.read(theirs) == "once")
                    transport.close()
                }
                probe.whenOver = {
                    Raw.close(theirs)
                    after(turns: 2, on: loop) { loop.stop() }
                }
                try loop.adopt(descriptor: ours, for: probe)
                // Also before the protocol has it, and nothing has begun to read.
                #expect(throws: DescriptorError.isOwned) { try loop.adopt(descriptor: ours, for: Probe()) }
                let listener = try loop.listen(on: .anyPort) { Probe() }
                let socket = try listener.withUnsafeFileDescriptor { $0 }
                #expect(throws: DescriptorError.isOwned) { try loop.listen(adopting: socket) { Probe() } }
                listener.close()
                return { for entry in probe.story { story.append(entry) } }
            }
            #expect(story.all == ["made", "lost"])
            #expect("\(DescriptorError.isOwned)".hasSuffix("already."))
        }

        @Test func `a listener lends its descriptor as long as it has one`() throws {
            try perform(on: .system) { loop in
                let listener = try loop.listen(on: .anyPort) { Probe() }
                let port = try listener.withUnsafeFileDescriptor { Raw.port(of: $0) }
                #expect(port == Int(listener.localAddress.port))
                #expect(throws: Refusal.self) { try listener.withUnsafeFileDescriptor { _ in throw Refusal() } }
                listener.close()
                #expect(throws: StreamError.closed) { try listener.withUnsafeFileDescriptor { $0 } }
                loop.stop()
                return {}
            }
            try perform(on: .memory()) { loop in
                let listener = try loop.listen(on: .anyPort) { Probe() }
                #expect(throws: StreamError.hasNoDescriptor) { try listener.withUnsafeFileDescriptor { $0 } }
                listener.close()
                loop.stop()
                return {}
            }
        }

        @Test func `a socket that was brought along serves protocols that read into memory of their own`() throws {
            let log = Recorder<String>()
            try perform(on: .system) { loop in
                let socket = Raw.tcpSocket(bound: true)
                let listener = try loop.listen(
                    adopting: socket,
                    buffered: {
                        Filling { text, transport in
                            log.append(text)
                            transport.close()
                        }
                    }
                )
                let client = Probe()
                client.onMade = { $0.write("hello") }
                client.whenOver = { listener.drain(within: .seconds(10)) { loop.stop() } }
                try loop.connect(to: listener.localAddress, { client }, onFailure: { Issue.record("\($0)") })
                return {}
            }
            #expect(log.all == ["hello"])
        }

        private final class Filling: BufferedStreamProtocol {
            private let buffer = ReadBuffer(capacity: 100)
            private let onText: (String, StreamTransport) -> Void
            init(_ onText: @escaping (String, StreamTransport) -> Void) { self.onText = onText }
            func readBuffer(for transport: StreamTransport, on loop: isolated EventLoop) -> ReadBuffer { buffer }
            func bufferUpdated(_ count: Int, from transport: StreamTransport, on loop: isolated EventLoop) {
                onText(String(decoding: buffer.withBytes(0..<count) { Bytes(copying: $0) }, as: UTF8.self), transport)
            }
        }

        @Test func `a pipe whose end was sent lends no descriptor, which may be another's by now`() throws {
            let story = Recorder<String>()
            try perform(on: .system) { loop in
                let ends = try EventLoop.makePipe()
                let writer = Probe()
                writer.onMade = { transport in
                    transport.writeEOF()
                    // The number is used again at once.
                    let (other, more) = Raw.socketPair()
                    #expect(other == ends.writing || more == ends.writing)
                    #expect(throws: StreamError.closed) { try transport.withUnsafeFileDescriptor { $0 } }
                    #expect(throws: StreamError.closed) { try transport.setSocketOption(level: 1, name: 9, value: 1) }
                    transport.abort()
                    Raw.write(other, "untouched")
                    #expect(Raw.read(more) == "untouched")
                    for each in [other, more] { Raw.close(each) }
                }
                writer.whenOver = {
                    #expect(Raw.read(ends.reading) == "")
                    Raw.close(ends.reading)
                    after(turns: 2, on: loop) { loop.stop() }
                }
                try loop.adopt(descriptor: ends.writing, for: writer)
                return { for entry in writer.story { story.append(entry) } }
            }
            #expect(story.all == ["made", "lost"])
        }

        @Test(arguments: everyNetwork)
        func `a protocol that is replaced as the loop stops is no callback that never ran`(
            network: EventLoop.Network
        ) throws {
            let ends = Recorder<String>()
            let loop = try EventLoop(.on(network))
            try loop.runForever { loop in
                let listener = try loop.listen(on: .anyPort) { Probe() }
                try loop.connect(to: listener.localAddress) {
                    let probe = Probe()
                    let witness = Witness(ends)
                    probe.onMade = { transport in
                        witness.watch()
                        let next = Probe()
                        next.transport = transport
                        transport.setProtocol(next)
                        #expect(transport.currentProtocol === next)
                        loop.stop()
                    }
                    return probe
                } onFailure: {
                    Issue.record("\($0)")
                }
            }
            let report = loop.close()
            #expect(report.droppedCallbacks == 0 && report.handles.count >= 2, "\(report)")
            #expect(ends.all == ["watched", "gone"])
        }

        @Test(arguments: everyNetwork)
        func `a protocol that is replaced as the loop closes is let go of`(network: EventLoop.Network) throws {
            let ends = Recorder<String>()
            let loop = try EventLoop(.on(network))
            try loop.runForever { loop in
                let (server, client) = (Probe(), Probe())
                for (probe, other) in [(server, client), (client, server)] {
                    let witness = Witness(ends)
                    probe.onMade = { _ in
                        witness.watch()
                        if other.transport != nil { loop.stop() }
                    }
                    probe.onLost = { _, _ in
                        guard let transport = other.transport, transport.currentProtocol != nil else { return }
                        let next = Probe()
                        next.transport = transport
                        transport.setProtocol(next)
                        ends.append("replaced")
                    }
                }
                let listener = try loop.listen(on: .anyPort) { server }
                try loop.connect(to: listener.localAddress, { client }, onFailure: { Issue.record("\($0)") })
            }
            #expect(loop.close().droppedCallbacks == 0)
            #expect(ends.all.sorted() == ["gone", "gone", "replaced", "watched", "watched"])
        }

        /// Tells of its end, and so of that of whoever holds it.
        private final class Witness: Sendable {
            private let log: Recorder<String>
            init(_ log: Recorder<String>) { self.log = log }
            func watch() { log.append("watched") }
            deinit { log.append("gone") }
        }

        // Behaviour 114.
        @Test func `five hundred loops, one after the other, leave neither descriptors nor memory`() async {
            await #expect(processExitsWith: .success) {
                func live() throws {
                    try performInOwnProcess(.real) { loop in
                        let echo = Probe()
                        echo.onData = { transport, bytes in transport.write(bytes) }
                        let listener = try loop.listen(on: .anyPort) { echo }
                        let client = Probe()
                        client.onMade = { $0.write(Bytes(pattern(100_000))) }
                        client.onData = { transport, _ in
                            if client.received.count == 100_000 { transport.close() }
                        }
                        client.whenOver = { listener.drain(within: .seconds(10)) { loop.stop() } }
                        try loop.connect(to: listener.localAddress, { client }, onFailure: { Issue.record("\($0)") })
                        return {}
                    }
                }
                for _ in 0..<100 { try live() }
                let (descriptors, memory) = (openDescriptors(), largestResidentSize())
                for _ in 0..<500 { try live() }
                precondition(openDescriptors() == descriptors, "descriptors are left")
                let growth = largestResidentSize() - memory
                precondition(growth < 4 << 20, "memory grew by \(growth) bytes")
            }
        }
    }
}
