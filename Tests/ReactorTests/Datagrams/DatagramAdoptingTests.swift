// Datagram sockets that the program brings along: what becomes of one that is taken over, and that whoever is refused keeps
// it as it was.

import Foundation
import TestSupport
import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct DatagramAdoptingTests {
        /// Lets a protocol have another descriptor of a socket, and tells its story when both have been closed.
        ///
        /// Another, as the harness counts what is open before and after.
        private func story(
            of socket: CInt,
            _ options: DatagramOptions = .init(),
            _ act: @Sendable (isolated EventLoop, DatagramTransport, DatagramProbe) throws -> Void
        ) throws -> [String] {
            let story = Recorder<String>()
            try perform(on: .system) { loop in
                let descriptor = dup(socket)
                let probe = DatagramProbe()
                probe.onLost = { _ in loop.stop() }
                let transport = try loop.adoptDatagram(descriptor: descriptor, options: options, probe)
                #expect(probe.story == ["made"])
                try act(loop, transport, probe)
                return { for entry in probe.story { story.append(entry) } }
            }
            Raw.close(socket)
            return story.all
        }

        @Test(arguments: [1, 8])
        func `a bound socket receives what it had already, and answers`(batch: Int) throws {
            let socket = Raw.udpSocket(bound: true)
            let peer = Raw.udpSocket(connectedTo: Raw.port(of: socket))
            defer { Raw.close(peer) }
            for text in ["one", "two"] { Raw.write(peer, text) }
            var options = DatagramOptions()
            options.receiveBatch = batch
            let story = try story(of: socket, options) { loop, transport, probe in
                #expect(Raw.isNonBlocking(socket))
                #expect(Int(transport.localAddress?.port ?? 0) == Raw.port(of: socket))
                #expect(transport.remoteAddress == nil)
                #expect(throws: DatagramError.noAddress) { try transport.send("x") }
                probe.onDatagram = { transport, datagram in
                    guard datagram.bytes == "two" else { return }
                    try transport.send("answer", to: datagram.address)
                    transport.close()
                }
            }
            #expect(story == ["made", "got 'one'", "got 'two'", "lost"])
            #expect(Raw.read(peer) == "answer")
        }

        @Test func `a connected socket sends to its peer alone`() throws {
            let peer = Raw.udpSocket(bound: true)
            defer { Raw.close(peer) }
            let address = try SocketAddress(host: "127.0.0.1", port: Raw.port(of: peer))
            let story = try story(of: Raw.udpSocket(connectedTo: Raw.port(of: peer))) { loop, transport, _ in
                #expect(transport.remoteAddress == address)
                var other = address
                other.port ^= 1
                #expect(throws: DatagramError.connected(to: address)) { try transport.send("x", to: other) }
                try transport.send("hello")
                transport.close()
            }
            #expect(story == ["made", "lost"])
            #expect(Raw.read(peer) == "hello")
        }

        @Test func `one that is neither gets a port with what it sends`() throws {
            let peer = Raw.udpSocket(bound: true)
            defer { Raw.close(peer) }
            let address = try SocketAddress(host: "127.0.0.1", port: Raw.port(of: peer))
            let socket = Raw.udpSocket()
            let story = try story(of: socket) { loop, transport, _ in
                #expect(transport.localAddress?.port == 0)
                try transport.send("hello", to: address)
                #expect(Raw.port(of: socket) != 0)
                transport.close()
            }
            #expect(story == ["made", "lost"])
            #expect(Raw.read(peer) == "hello")
        }

        @Test func `options are set, but for those of binding`() throws {
            let socket = Raw.udpSocket(bound: true)
            var options = DatagramOptions()
            options.timeToLive = 7
            options.allowsBroadcast = true
            options.receiveBufferSize = 20_000
            options.reuseAddress = true
            let story = try story(of: socket, options) { _, transport, _ in
                #expect(Raw.option(socket, 0, IP_TTL) == 7)
                #expect(Raw.option(socket, SOL_SOCKET, SO_BROADCAST) != 0)
                #expect(Raw.option(socket, SOL_SOCKET, SO_RCVBUF) >= 20_000)
                #expect(Raw.option(socket, SOL_SOCKET, SO_RCVBUF) < 100_000)
                // libuv would let others be bound to the same address.
                #expect(Raw.option(socket, SOL_SOCKET, SO_REUSEADDR) == 0)
                #expect(Raw.option(socket, SOL_SOCKET, SO_REUSEPORT) == 0)
                try transport.setTimeToLive(9)
                #expect(Raw.option(socket, 0, IP_TTL) == 9)
                transport.close()
            }
            #expect(story == ["made", "lost"])
        }

        #if os(Linux)
        @Test func `a socket of IPv6 has the settings of one`() throws {
            let socket = Raw.udpSocketOfIPv6()
            var options = DatagramOptions()
            options.timeToLive = 7
            let story = try story(of: socket, options) { _, transport, _ in
                // IPPROTO_IPV6, and IPV6_UNICAST_HOPS, IPV6_MULTICAST_IF, IPV6_MULTICAST_HOPS and IPV6_MULTICAST_LOOP.
                #expect(Raw.option(socket, 41, 16) == 7)
                try transport.setTimeToLive(9)
                for hops in [-1, 0, 256] { #expect(throws: SystemError.self) { try transport.setTimeToLive(hops) } }
                try transport.setMulticastTimeToLive(10)
                try transport.setMulticastLoopback(false)
                try transport.setMulticastInterface(nil)
                #expect([16, 17, 18, 19].map { Raw.option(socket, 41, $0) } == [9, 0, 10, 0])
                transport.close()
            }
            #expect(story == ["made", "lost"])
        }
        #endif

        @Test func `what is no UDP socket is refused and stays the caller's, as it was`() throws {
            let (datagrams, others) = Raw.socketPair(ofDatagrams: true)
            let (reading, writing) = Raw.pipe()
            let stream = Raw.tcpSocket(bound: true)
            try perform(on: .system) { loop in
                let refusals: [(CInt, DescriptorError)] = [
                    (reading, .notASocket), (stream, .notADatagramSocket), (datagrams, .notUDP),
                ]
                for (descriptor, refusal) in refusals {
                    let probe = DatagramProbe()
                    #expect(throws: refusal) { try loop.adoptDatagram(descriptor: descriptor, probe) }
                    #expect(Raw.isOpen(descriptor) && !Raw.isNonBlocking(descriptor))
                    #expect(probe.story == [])
                }
                #expect(throws: SystemError(.badDescriptor, call: "fstat")) {
                    try loop.adoptDatagram(descriptor: -1, DatagramProbe())
                }
                #expect(throws: DescriptorError.notAStreamSocket) {
                    try loop.adopt(descriptor: datagrams, for: Probe())
                }
                loop.stop()
                return {}
            }
            for each in [datagrams, others, reading, writing, stream] { Raw.close(each) }
        }

        @Test(arguments: [-1, 0, 256])
        func `an option that is refused leaves the socket to its owner`(hops: Int) throws {
            let socket = Raw.udpSocket(bound: true)
            defer { Raw.close(socket) }
            var options = DatagramOptions()
            options.timeToLive = hops
            options.allowsBroadcast = true
            try perform(on: .system) { [options] loop in
                #expect(throws: SystemError(.invalidArgument, call: "setsockopt")) {
                    try loop.adoptDatagram(descriptor: socket, options: options, DatagramProbe())
                }
                loop.stop()
                return {}
            }
            #expect(Raw.isOpen(socket) && !Raw.isNonBlocking(socket))
            #expect(Raw.option(socket, SOL_SOCKET, SO_BROADCAST) == 0)
        }

        @Test func `a descriptor has one owner on a loop`() throws {
            try perform(on: .system) { loop in
                let socket = Raw.udpSocket(bound: true)
                let probe = DatagramProbe()
                probe.onLost = { _ in loop.stop() }
                let transport = try loop.adoptDatagram(descriptor: socket, probe)
                #expect(throws: DescriptorError.isOwned) {
                    try loop.adoptDatagram(descriptor: socket, DatagramProbe())
                }
                transport.close()
                return { #expect(!Raw.isOpen(socket) && probe.story == ["made", "lost"]) }
            }
        }

        @Test func `a protocol that refuses its socket has it closed`() throws {
            try perform(on: .system) { loop in
                let socket = Raw.udpSocket(bound: true)
                let probe = DatagramProbe()
                probe.onMade = { _ in throw Refusal() }
                probe.onLost = { _ in loop.stop() }
                #expect(throws: Refusal()) { try loop.adoptDatagram(descriptor: socket, probe) }
                return { #expect(!Raw.isOpen(socket) && probe.story == ["made", "lost"]) }
            }
        }

        @Test(arguments: everyNetwork)
        func `a peer and an address of another family cannot be connected`(network: EventLoop.Network) throws {
            try perform(on: network) { loop in
                let local = try SocketAddress(host: "::1", port: 0)
                let peer = try SocketAddress(host: "127.0.0.1", port: 9)
                let refusal = SystemError(.addressFamilyNotSupported, call: "bind", address: local)
                #expect(throws: refusal) { try loop.connectDatagram(to: peer, from: local, DatagramProbe()) }
                loop.stop()
                return {}
            }
        }
    }
}
