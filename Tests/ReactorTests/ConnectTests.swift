// Behaviour 98 of asyncio, and more: an attempt to connect ends in exactly one way, the protocol's connection or the
// failure, never from within the call, however it is refused, timed out or cancelled.

import AsyncIOTesting
import Foundation
import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct ConnectTests {
        @Test(arguments: everyNetwork)
        func `a port that nobody listens on refuses`(network: EventLoop.Network) throws {
            let log = Recorder<String>()
            try perform(on: network) { loop in
                let listener = try loop.listen(on: .anyPort) { Probe() }
                let address = listener.localAddress
                listener.close()
                after(turns: 3, on: loop) {
                    do {
                        let attempt = try loop.connect(to: address, { Probe() }) { error in
                            #expect((error as? SystemError)?.address == address)
                            log.append(word(error))
                            loop.stop()
                        }
                        #expect(attempt.isPending)
                        log.append("returned")
                    } catch {
                        Issue.record("\(error)")
                    }
                }
                return {}
            }
            #expect(log.all == ["returned", "ECONNREFUSED"])
        }

        @Test(arguments: everyNetwork)
        func `cancelling an attempt fails it, once, and makes no protocol`(network: EventLoop.Network) throws {
            let log = Recorder<String>()
            try perform(on: network) { loop in
                let listener = try loop.listen(on: .anyPort) { Probe() }
                let attempt = try loop.connect(to: listener.localAddress) {
                    log.append("made")
                    return Probe()
                } onFailure: { error in
                    log.append(word(error))
                }
                attempt.cancel()
                attempt.cancel()
                log.append("cancelled")
                after(turns: 20, on: loop) {
                    #expect(!attempt.isPending)
                    attempt.cancel()
                    listener.drain(within: .zero) { loop.stop() }
                }
                return {}
            }
            #expect(log.all == ["cancelled", "CancellationError"])
        }

        @Test(arguments: everyNetwork)
        func `cancelling an attempt that has succeeded does nothing`(network: EventLoop.Network) throws {
            let log = Recorder<String>()
            try perform(on: network) { loop in
                let listener = try loop.listen(on: .anyPort) { Probe() }
                let client = Probe()
                let attempt = try loop.connect(to: listener.localAddress, { client }) { log.append(word($0)) }
                client.onMade = { transport in
                    #expect(!attempt.isPending)
                    attempt.cancel()
                    loop.schedule { transport.close() }
                }
                client.whenOver = { listener.drain(within: .seconds(10)) { loop.stop() } }
                return { for entry in client.story { log.append(entry) } }
            }
            #expect(log.all == ["made", "lost"])
        }

        @Test func `an attempt that gets no answer times out`() throws {
            // A listening socket whose queue is full answers nothing. The virtual clock does the waiting.
            let socket = try FullSocket()
            defer { socket.close() }
            let log = Recorder<String>()
            var configuration = EventLoop.Configuration.real
            configuration.clock = VirtualClock()
            try perform(configuration) { loop in
                let began = loop.now
                try loop.connect(to: socket.address, timeout: .seconds(3), { Probe() }) { error in
                    log.append(word(error))
                    #expect("\(error)".contains("\(socket.address)"))
                    #expect(began.duration(to: loop.now) >= .seconds(3))
                    loop.stop()
                }
                return {}
            }
            #expect(log.all == ["timedOut"])
        }

        @Test func `an attempt that waits for an answer can be cancelled`() throws {
            let socket = try FullSocket()
            defer { socket.close() }
            let log = Recorder<String>()
            try perform(on: .system) { loop in
                let attempt = try loop.connect(to: socket.address, timeout: nil, { Probe() }) { error in
                    log.append(word(error))
                    loop.stop()
                }
                after(turns: 5, on: loop) { attempt.cancel() }
                return {}
            }
            #expect(log.all == ["CancellationError"])
        }

        @Test func `an attempt that cannot begin throws and fails no second time`() throws {
            try perform(on: .system) { loop in
                // TCP to the broadcast address is refused by the kernel without a packet.
                let address = try SocketAddress(host: "255.255.255.255", port: 9)
                let error = #expect(throws: SystemError.self) {
                    try loop.connect(to: address, { Probe() }) { _ in Issue.record("onFailure after a throw") }
                }
                #expect(error?.address == address && error?.call == "uv_tcp_connect")
                after(turns: 5, on: loop) { loop.stop() }
                return {}
            }
        }

        @Test(arguments: everyNetwork)
        func `closing the loop fails an attempt that is under way`(network: EventLoop.Network) throws {
            let log = Recorder<String>()
            try withLoop(.on(network), expectingLeftovers: true) { loop in
                try loop.runForever { loop in
                    let listener = try loop.listen(on: .anyPort) { Probe() }
                    // Stopped by a callback, the run ends with its batch, and in memory a connection takes another.
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
            // On a socket the connection may be there before the loop ends.
            #expect(log.all == ["loopClosed"] || (network == .system && log.all == ["made"]))
        }

        @Test(arguments: everyNetwork)
        func `a factory that throws ends the attempt with exactly one outcome`(network: EventLoop.Network) throws {
            let log = Recorder<String>()
            let issues = IssueLog()
            try perform(on: network, collecting: issues) { loop in
                let server = Probe()
                let listener = try loop.listen(on: .anyPort) { server }
                server.whenOver = {
                    log.append("server \(server.story.last!)")
                    after(turns: 3, on: loop) { listener.drain(within: .zero) { loop.stop() } }
                }
                try loop.connect(to: listener.localAddress) { () throws -> Probe in
                    throw Refusal()
                } onFailure: { error in
                    log.append("failed \(word(error))")
                }
                return {}
            }
            // The caller learns of it: by the failure, as it gets no protocol.
            #expect(log.all.sorted() == ["failed Refusal", "server lost ECONNRESET"])
            #expect(issues.all.count <= 1)
        }

        @Test(.enabled(if: hasIPv6)) func `a client connects over IPv6 to a listener of its own loop`() throws {
            let story = Recorder<String>()
            try perform(on: .system) { loop in
                let listener = try loop.listen(on: SocketAddress(host: "::1", port: 0)) {
                    let echo = Probe()
                    echo.onData = { transport, bytes in transport.write(bytes) }
                    return echo
                }
                let client = Probe()
                client.onMade = { $0.write("six") }
                client.onData = { transport, _ in if client.received.count == 3 { transport.close() } }
                client.whenOver = { listener.drain(within: .seconds(10)) { loop.stop() } }
                try loop.connect(to: listener.localAddress, { client }, onFailure: { Issue.record("\($0)") })
                return { for entry in client.story { story.append(entry) } }
            }
            #expect(story.all == ["made", "data six", "lost"])
        }

        @Test(arguments: everyNetwork)
        func `a client that closes the listener as it connects is told what became of it`(
            network: EventLoop.Network
        ) throws {
            let story = Recorder<String>()
            try perform(on: network) { loop in
                let server = Probe()
                server.onMade = { $0.close() }
                let listener = try loop.listen(on: .anyPort) { server }
                let client = Probe()
                client.onMade = { _ in listener.close() }
                client.whenOver = { listener.drain(within: .seconds(10)) { loop.stop() } }
                try loop.connect(to: listener.localAddress, { client }, onFailure: { Issue.record("\($0)") })
                return { for entry in client.story { story.append(entry) } }
            }
            // On a socket the server may have accepted before.
            let accepted = network == .system && story.all == ["made", "eof", "lost"]
            #expect(accepted || story.all == ["made", "lost ECONNRESET"])
        }
    }
}

/// Whether this machine can listen on ::1.
let hasIPv6: Bool = {
    let descriptor = socket(AF_INET6, CInt(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { return false }
    defer { _ = close(descriptor) }
    var address = sockaddr_in6()
    address.sin6_family = sa_family_t(AF_INET6)
    address.sin6_addr = in6addr_loopback
    let length = socklen_t(MemoryLayout<sockaddr_in6>.size)
    return unsafe withUnsafePointer(to: &address) {
        unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe bind(descriptor, $0, length) == 0 }
    }
}()

/// A listening socket of the system that accepts nothing and whose queue is full, so that connecting to it never ends.
struct FullSocket {
    let address: SocketAddress
    private let descriptors: [CInt]

    init() throws {
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        var descriptors = [socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)]
        let size = length
        unsafe withUnsafeMutablePointer(to: &name) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { name in
                _ = unsafe bind(descriptors[0], name, size)
                _ = listen(descriptors[0], 0)
                _ = unsafe getsockname(descriptors[0], name, &length)
                for _ in 0..<4 {
                    let client = socket(AF_INET, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_NONBLOCK.rawValue), 0)
                    _ = unsafe connect(client, name, size)
                    descriptors.append(client)
                }
            }
        }
        address = try SocketAddress(host: "127.0.0.1", port: Int(UInt16(bigEndian: name.sin_port)))
        self.descriptors = descriptors
    }

    func close() { for descriptor in descriptors { _ = Glibc.close(descriptor) } }
}
