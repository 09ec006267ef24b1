// Behaviours 91, 113 and 120 of asyncio over Unix sockets: what becomes of the file, who may be replaced, and that a
// peer that sends much and goes at once loses nothing. What is about connections is tested over TCP and here only once
// more.

import AsyncIOTesting
import Foundation
import TestSupport
import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct UnixSocketTests {
        /// Lets a client send something to an echo server at a path, and returns its story.
        private func echo(
            _ path: String,
            on network: EventLoop.Network,
            _ options: ListenerOptions = .init(),
            look: (@Sendable (Listener, StreamTransport) -> Void)? = nil
        ) throws -> [String] {
            let story = Recorder<String>()
            try perform(on: network) { loop in
                let listener = try loop.listen(on: SocketAddress(unixPath: path), options: options) {
                    let echo = Probe()
                    echo.onData = { transport, bytes in transport.write(bytes) }
                    return echo
                }
                let client = Probe()
                client.onMade = { transport in
                    look?(listener, transport)
                    transport.write("hello")
                }
                client.onData = { transport, _ in if client.received.count == 5 { transport.close() } }
                client.whenOver = { listener.drain(within: .seconds(10)) { loop.stop() } }
                try loop.connect(to: listener.localAddress, { client }, onFailure: { Issue.record("\($0)") })
                return { for entry in client.story { story.append(entry) } }
            }
            return story.all
        }

        @Test(arguments: everyNetwork)
        func `a client and a listener meet at a path`(network: EventLoop.Network) throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            let path = folder.file("socket")
            let story = try echo(path, on: network) { listener, transport in
                #expect(listener.localAddress.description == "unix:\(path)")
                #expect(transport.remoteAddress == listener.localAddress)
                #expect(transport.localAddress?.description == "unix:")
                #expect(folder.files == (network == .system ? ["socket"] : []))
            }
            #expect(story == ["made", "data hello", "lost"])
            #expect(folder.files == [])
        }

        #if os(Linux)
        @Test(arguments: everyNetwork)
        func `an abstract name needs no file`(network: EventLoop.Network) throws {
            let path = "\0swift-asyncio-\(ScratchName.next())"
            let story = try echo(path, on: network) { listener, transport in
                #expect(listener.localAddress.unixPath == path)
                #expect(transport.remoteAddress?.unixPath == path)
            }
            #expect(story == ["made", "data hello", "lost"])
        }
        #endif

        @Test(arguments: everyNetwork)
        func `nobody at a path is a refusal that names it, and never comes before connect returns`(
            network: EventLoop.Network
        ) throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            let log = Recorder<String>()
            try perform(on: network) { loop in
                let address = try SocketAddress(unixPath: folder.file("nobody"))
                try loop.connect(to: address, { Probe() }) { error in
                    log.append(word(error))
                    #expect("\(error)".contains("\(address)"))
                    loop.stop()
                }
                log.append("returned")
                return {}
            }
            #expect(log.all == ["returned", network == .system ? "ENOENT" : "ECONNREFUSED"])
        }

        @Test func `a socket that nobody listens on any more refuses`() throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            Raw.close(Raw.unixSocket(boundTo: folder.file("old"), backlog: 1))
            let log = Recorder<String>()
            try perform(on: .system) { loop in
                try loop.connect(to: SocketAddress(unixPath: folder.file("old")), { Probe() }) { error in
                    log.append(word(error))
                    loop.stop()
                }
                return {}
            }
            #expect(log.all == ["ECONNREFUSED"])
        }

        @Test func `a socket that was left is replaced, unless that is not wanted`() throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            let path = folder.file("socket")
            Raw.close(Raw.unixSocket(boundTo: path, backlog: 1))
            try perform(on: .system) { loop in
                var options = ListenerOptions()
                options.unix.replacesExisting = false
                let address = try SocketAddress(unixPath: path)
                let error = #expect(throws: SystemError.self) {
                    try loop.listen(on: address, options: options) { Probe() }
                }
                #expect(error?.code == .addressInUse && error?.address == address && error?.call == "bind")
                #expect(folder.files == ["socket"])
                try loop.listen(on: address) { Probe() }.close()
                #expect(folder.files == [])
                loop.stop()
                return {}
            }
        }

        @Test func `what is at the path and is no socket stays, and listening fails`() throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            Raw.close(Raw.open(folder.file("file"), writing: true))
            Raw.makeFIFO(folder.file("fifo"))
            try perform(on: .system) { loop in
                for name in ["file", "fifo"] {
                    let error = #expect(throws: SystemError.self) {
                        try loop.listen(on: SocketAddress(unixPath: folder.file(name))) { Probe() }
                    }
                    #expect(error?.code == .addressInUse && "\(error!)".contains(folder.file(name)))
                }
                #expect(folder.files == ["fifo", "file"])
                #expect(throws: SystemError.self) {
                    try loop.listen(on: SocketAddress(unixPath: folder.file("none/socket"))) { Probe() }
                }
                loop.stop()
                return {}
            }
        }

        @Test func `closing removes the file only if it is the one that was made, and if that is wanted`() throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            try perform(on: .system) { loop in
                // Behaviour 120: gone, replaced, and kept.
                let gone = try loop.listen(on: SocketAddress(unixPath: folder.file("gone"))) { Probe() }
                let replaced = try loop.listen(on: SocketAddress(unixPath: folder.file("replaced"))) { Probe() }
                var options = ListenerOptions()
                options.unix.removesOnClose = false
                let kept = try loop.listen(on: SocketAddress(unixPath: folder.file("kept")), options: options) {
                    Probe()
                }
                let successor = try loop.listen(on: SocketAddress(unixPath: folder.file("replaced"))) { Probe() }
                ScratchName.unlink(folder.file("gone"))
                gone.close()
                replaced.close()
                kept.close()
                #expect(folder.files == ["kept", "replaced"])
                successor.close()
                #expect(folder.files == ["kept"])
                loop.stop()
                return {}
            }
        }

        @Test func `permissions are set before anybody can connect`() throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            try perform(on: .system) { loop in
                var options = ListenerOptions()
                for permissions: UInt16 in [0o600, 0o666, 0o000] {
                    options.unix.permissions = permissions
                    let address = try SocketAddress(unixPath: folder.file("socket"))
                    let listener = try loop.listen(on: address, options: options) { Probe() }
                    #expect(Raw.permissions(of: folder.file("socket")) == permissions)
                    listener.close()
                }
                loop.stop()
                return {}
            }
        }

        @Test(arguments: everyNetwork)
        func `the limit of connections makes clients wait on Unix sockets too`(network: EventLoop.Network) throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            let served = Recorder<Int>()
            try perform(on: network) { loop in
                var options = ListenerOptions()
                options.maxConnections = 2
                let listener = try loop.listen(on: SocketAddress(unixPath: folder.file("s")), options: options) {
                    let probe = Probe()
                    probe.onData = { transport, bytes in transport.write(bytes) }
                    return probe
                }
                for number in 0..<8 {
                    let client = Probe()
                    client.onMade = { $0.write("?") }
                    client.onData = { transport, _ in
                        #expect(listener.connectionCount <= 2)
                        served.append(number)
                        transport.close()
                    }
                    client.whenOver = {
                        guard served.count == 8, listener.isListening else { return }
                        listener.drain(within: .seconds(10)) { loop.stop() }
                    }
                    try loop.connect(to: listener.localAddress, { client }, onFailure: { Issue.record("\($0)") })
                }
                return { #expect(listener.pauseCount > 0) }
            }
            #expect(served.all.sorted() == Array(0..<8))
        }

        #if os(Linux)
        @Test func `a full backlog is waited for, until the deadline or as long as it takes`() throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            let path = folder.file("full")
            let listening = Raw.unixSocket(boundTo: path, backlog: 0)
            var clients: [CInt] = []
            // Until connecting would have to wait.
            repeat { clients.append(Raw.unixSocket()) } while Raw.connectNow(clients.last!, to: path) == 0
            defer { for each in clients + [listening] { Raw.close(each) } }
            let log = Recorder<String>()
            var configuration = EventLoop.Configuration.real
            configuration.clock = VirtualClock()
            try perform(configuration) { loop in
                let began = loop.now
                let address = try SocketAddress(unixPath: path)
                let client = Probe()
                client.onMade = { transport in
                    log.append("made")
                    transport.close()
                }
                client.whenOver = { loop.stop() }
                try loop.connect(to: address, timeout: nil, { client }) { log.append(word($0)) }
                try loop.connect(to: address, timeout: .seconds(3), { Probe() }) { error in
                    log.append(word(error))
                    #expect(began.duration(to: loop.now) >= .seconds(3))
                    #expect(loop.statistics.turns < 1_000)
                    // Makes room.
                    Raw.close(ScratchName.accept(listening))
                }
                let cancelled = try loop.connect(to: address, timeout: nil, { Probe() }) { log.append(word($0)) }
                loop.schedule(after: .seconds(1)) { cancelled.cancel() }
                return {}
            }
            #expect(log.all == ["CancellationError", "timedOut", "made"])
        }
        #endif

        @Test(arguments: everyNetwork)
        func `a peer that sends more than fits and closes at once loses nothing`(network: EventLoop.Network) throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            let sent = pattern(network.bulk)
            let story = Recorder<String>()
            let received = Recorder<[UInt8]>()
            try perform(on: network) { loop in
                let server = Probe()
                let listener = try loop.listen(on: SocketAddress(unixPath: folder.file("s"))) { server }
                // The reader is slow at first: behaviour 113.
                server.onMade = { transport in
                    transport.pauseReading()
                    after(turns: 5, on: loop) { transport.resumeReading() }
                }
                server.whenOver = { listener.drain(within: .seconds(10)) { loop.stop() } }
                let client = Probe()
                client.onMade = { transport in
                    transport.write(Bytes(sent))
                    transport.close()
                }
                try loop.connect(to: listener.localAddress, { client }, onFailure: { Issue.record("\($0)") })
                return {
                    for entry in server.story { story.append(entry) }
                    received.append(server.received)
                }
            }
            #expect(story.all == ["made", "data \(sent.count) bytes", "eof", "lost"])
            #expect(received.all == [sent])
        }

        @Test(arguments: everyNetwork)
        func `closing the loop removes the file and tells those who connect`(network: EventLoop.Network) throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            let log = Recorder<String>()
            try withLoop(.on(network), expectingLeftovers: true) { loop in
                try loop.runForever { loop in
                    let listener = try loop.listen(on: SocketAddress(unixPath: folder.file("s"))) { Probe() }
                    loop.schedule {
                        loop.stop()
                        try loop.connect(to: listener.localAddress) {
                            log.append("made")
                            return Probe()
                        } onFailure: {
                            log.append(word($0))
                        }
                    }
                }
            }
            #expect(log.all == ["loopClosed"])
            #expect(folder.files == [])
        }
    }
}

/// Names that no other test has, and two calls on names and sockets.
enum ScratchName {
    private static let used = Recorder<Int>()

    static func next() -> String {
        used.append(1)
        return "\(getpid())-\(used.count)"
    }

    static func unlink(_ path: String) { try? FileManager.default.removeItem(atPath: path) }

    static func accept(_ listening: CInt) -> CInt { Foundation.accept(listening, nil, nil) }
}
