// Behaviour 100 of asyncio, and what is around it: descriptors that the program brings along become connections and
// listeners, and connections give theirs away. At each moment exactly one side owns a descriptor, and it is closed
// once.

import Foundation
import TestSupport
import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct AdoptingTests {
        @Test func `a connected Unix socket becomes a connection`() throws {
            let story = Recorder<String>()
            try perform(on: .system) { loop in
                let (ours, theirs) = Raw.socketPair()
                let probe = Probe()
                probe.onMade = { transport in
                    #expect(transport.remoteAddress?.description == "unix:")
                    #expect(Raw.isNonBlocking(ours))
                    transport.write("hello")
                    #expect(Raw.read(theirs) == "hello")
                    Raw.write(theirs, "world")
                    Raw.close(theirs)
                }
                probe.whenOver = { after(turns: 2, on: loop) { loop.stop() } }
                try loop.adopt(descriptor: ours, for: probe)
                #expect(probe.story == [])
                return { for entry in probe.story { story.append(entry) } }
            }
            #expect(story.all == ["made", "data world", "eof", "lost"])
        }

        @Test func `a connected TCP socket becomes a connection with the options`() throws {
            let story = Recorder<String>()
            try perform(on: .system) { loop in
                let echo = Probe()
                echo.onData = { transport, bytes in transport.write(bytes) }
                let listener = try loop.listen(on: .anyPort) { echo }
                let socket = Raw.tcpConnection(to: Int(listener.localAddress.port))
                let probe = Probe()
                probe.onMade = { transport in
                    #expect(transport.remoteAddress == listener.localAddress)
                    #expect(try transport.socketOption(level: 6, name: 1) != 0)  // TCP_NODELAY
                    try transport.setSocketOption(level: 6, name: 1, value: 0)
                    #expect(try transport.socketOption(level: 6, name: 1) == 0)
                    #expect(throws: SystemError.self) { try transport.setSocketOption(level: -1, name: 1, value: 1) }
                    #expect(try transport.withUnsafeFileDescriptor { $0 } == socket)
                    transport.write("hello")
                }
                probe.onData = { transport, _ in if probe.received.count == 5 { transport.close() } }
                probe.whenOver = { listener.drain(within: .seconds(10)) { loop.stop() } }
                try loop.adopt(descriptor: socket, for: probe)
                return { for entry in probe.story { story.append(entry) } }
            }
            #expect(story.all == ["made", "data hello", "lost"])
        }

        @Test func `a protocol that reads into memory of its own can have it`() throws {
            let log = Recorder<String>()
            try perform(on: .system) { loop in
                let (ours, theirs) = Raw.socketPair()
                let reader = Into { text, transport in
                    log.append(text)
                    transport.close()
                    Raw.close(theirs)
                    after(turns: 2, on: loop) { loop.stop() }
                }
                try loop.adopt(descriptor: ours, buffered: reader)
                Raw.write(theirs, "hello")
                return {}
            }
            #expect(log.all == ["hello"])
        }

        private final class Into: BufferedStreamProtocol {
            private let buffer = ReadBuffer(capacity: 100)
            private let onText: (String, StreamTransport) -> Void
            init(_ onText: @escaping (String, StreamTransport) -> Void) { self.onText = onText }
            func readBuffer(for transport: StreamTransport, on loop: isolated EventLoop) -> ReadBuffer { buffer }
            func bufferUpdated(_ count: Int, from transport: StreamTransport, on loop: isolated EventLoop) {
                onText(String(decoding: buffer.withBytes(0..<count) { Bytes(copying: $0) }, as: UTF8.self), transport)
            }
        }

        @Test func `a loop that closes closes what it has adopted, also before the protocol has it`() throws {
            let log = Recorder<String>()
            let (ours, theirs) = Raw.socketPair()
            try withLoop(.real, expectingLeftovers: true) { loop in
                try loop.runForever { loop in
                    loop.schedule {
                        loop.stop()
                        let probe = Probe()
                        probe.onMade = { _ in log.append("made") }
                        probe.whenOver = { log.append("lost") }
                        // Not counted by the harness, which counts what is open before and after.
                        try loop.adopt(descriptor: dup(ours), for: probe)
                    }
                }
            }
            #expect(log.all == [])
            Raw.close(ours)
            #expect(Raw.read(theirs) == "")
            Raw.close(theirs)
        }

        @Test(arguments: [true, false])
        func `a bound socket becomes a listener, whether or not it listens`(listening: Bool) throws {
            let story = Recorder<String>()
            try perform(on: .system) { loop in
                let socket = Raw.tcpSocket(bound: true, listening: listening)
                let echo = Probe()
                // TCP_NODELAY, of the options.
                echo.onMade = { transport in
                    let noDelay = try transport.socketOption(level: 6, name: 1)
                    #expect(noDelay != 0)
                }
                echo.onData = { transport, bytes in transport.write(bytes) }
                let listener = try loop.listen(adopting: socket) { echo }
                #expect(Int(listener.localAddress.port) == Raw.port(of: socket))
                let client = Probe()
                client.onMade = { $0.write("hello") }
                client.onData = { transport, _ in if client.received.count == 5 { transport.close() } }
                client.whenOver = {
                    listener.drain(within: .seconds(10)) {
                        #expect(!Raw.isOpen(socket))
                        loop.stop()
                    }
                }
                try loop.connect(to: listener.localAddress, { client }, onFailure: { Issue.record("\($0)") })
                return { for entry in client.story { story.append(entry) } }
            }
            #expect(story.all == ["made", "data hello", "lost"])
        }

        @Test func `the file of a Unix socket that was brought along stays`() throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            try perform(on: .system) { loop in
                let socket = Raw.unixSocket(boundTo: folder.file("given"), backlog: 5)
                let listener = try loop.listen(adopting: socket) { Probe() }
                #expect(listener.localAddress.unixPath == folder.file("given"))
                listener.close()
                #expect(folder.files == ["given"])
                loop.stop()
                return {}
            }
        }

        @Test func `what cannot listen is refused and stays the caller's`() throws {
            let (connected, other) = Raw.socketPair()
            let (datagrams, more) = Raw.socketPair(ofDatagrams: true)
            let pipe = Raw.pipe()
            let cases: [(CInt, DescriptorError)] = [
                (connected, .isConnected), (datagrams, .notAStreamSocket), (pipe.reading, .notASocket),
                (Raw.tcpSocket(), .notBound), (Raw.unixSocket(), .notBound),
            ]
            try perform(on: .system) { loop in
                for (descriptor, expected) in cases {
                    #expect(throws: expected) { try loop.listen(adopting: descriptor) { Probe() } }
                    #expect(Raw.isOpen(descriptor) && !Raw.isNonBlocking(descriptor))
                }
                loop.stop()
                return {}
            }
            for descriptor in cases.map(\.0) + [other, more, pipe.writing] { Raw.close(descriptor) }
        }

        // MARK: Giving away

        @Test func `a connection gives its descriptor away, and the peer notices nothing`() throws {
            let story = Recorder<String>()
            let given = Recorder<CInt>()
            let (ours, theirs) = Raw.socketPair()
            try perform(on: .system) { loop in
                let probe = Probe()
                probe.onData = { transport, _ in
                    given.append(try transport.detach())
                    #expect(transport.isClosing)
                    transport.write("dropped, as the connection is over")
                    #expect(throws: StreamError.closed) { try transport.detach() }
                    #expect(throws: StreamError.closed) { try transport.withUnsafeFileDescriptor { $0 } }
                }
                probe.whenOver = { after(turns: 2, on: loop) { loop.stop() } }
                // Two of them, so that the harness finds as many descriptors as before.
                try loop.adopt(descriptor: ours, for: probe)
                Raw.write(theirs, "hello")
                return { for entry in probe.story { story.append(entry) } }
            }
            #expect(story.all == ["made", "data hello", "lost"])
            let descriptor = given.all[0]
            Raw.write(theirs, "still here")
            #expect(Raw.read(descriptor) == "still here")
            Raw.write(descriptor, "me too")
            #expect(Raw.read(theirs) == "me too")
            for each in [descriptor, theirs] { Raw.close(each) }
        }

        @Test func `as long as bytes wait to be sent nothing is given away`() throws {
            let log = Recorder<String>()
            try perform(on: .system) { loop in
                let (ours, theirs) = Raw.socketPair()
                let probe = Probe()
                probe.onMade = { transport in
                    transport.write(Bytes(pattern(1 << 20)))
                    #expect(throws: StreamError.unsentBytes) { try transport.detach() }
                    #expect(!transport.isClosing)
                    Raw.setNonBlocking(theirs, true)
                    var room = [UInt8](repeating: 0, count: 65_536)
                    repeatedly(on: loop) {
                        if transport.writeBufferSize > 0 {
                            while unsafe read(theirs, &room, room.count) > 0 {}
                            return true
                        }
                        do { Raw.close(try transport.detach()) } catch { log.append("\(error)") }
                        return false
                    }
                }
                probe.whenOver = {
                    Raw.close(theirs)
                    log.append(probe.story.last!)
                    after(turns: 2, on: loop) { loop.stop() }
                }
                try loop.adopt(descriptor: ours, for: probe)
                return {}
            }
            #expect(log.all == ["lost"])
        }

        @Test(arguments: [EventLoop.Network.memory()])
        func `a connection in memory has no descriptor to give`(network: EventLoop.Network) throws {
            let story = try play(on: network) { loop, scene in
                scene.client.onMade = { transport in
                    #expect(throws: StreamError.hasNoDescriptor) { try transport.detach() }
                    #expect(throws: StreamError.hasNoDescriptor) { try transport.socketOption(level: 1, name: 1) }
                    transport.close()
                }
            }
            #expect(story.client == ["made", "lost"])
        }

        @Test func `a descriptor goes from loop to loop, and is closed once`() throws {
            let story = Recorder<String>()
            try perform(on: .system) { loop in
                let (ours, theirs) = Raw.socketPair()
                var hops = 0
                func hop(_ descriptor: CInt, on loop: isolated EventLoop) throws {
                    let probe = Probe()
                    probe.onData = { transport, bytes in
                        story.append(String(decoding: bytes, as: UTF8.self))
                        let next = try transport.detach()
                        hops += 1
                        guard hops < 5 else {
                            Raw.close(next)
                            #expect(Raw.read(theirs) == "")
                            Raw.close(theirs)
                            return after(turns: 2, on: loop) { loop.stop() }
                        }
                        try hop(next, on: loop)
                        Raw.write(theirs, "\(hops)")
                    }
                    try loop.adopt(descriptor: descriptor, for: probe)
                }
                try hop(ours, on: loop)
                Raw.write(theirs, "0")
                return {}
            }
            #expect(story.all == ["0", "1", "2", "3", "4"])
        }
    }
}
