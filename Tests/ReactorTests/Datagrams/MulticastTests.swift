// One datagram to many: broadcast needs leave to be sent, groups are joined and left. Behaviour 122 of asyncio
// (`test_udp_sendto_broadcast`); groups are libuv's.

import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct MulticastTests {
        private static let group = "239.255.77.88"

        /// Why this machine cannot multicast to itself, or nil.
        private static let problem: String? = {
            do {
                let loop = try EventLoop()
                defer { loop.close() }
                // SAFETY: the loop runs on this thread, within the call below.
                nonisolated(unsafe) var arrived = false
                try loop.runForever { loop in
                    let probe = DatagramProbe()
                    let socket = try loop.bindDatagram(to: SocketAddress(host: "0.0.0.0", port: 0), probe)
                    try socket.setMembership(of: group, interface: "127.0.0.1")
                    try socket.setMulticastInterface("127.0.0.1")
                    probe.onDatagram = { _, _ in
                        unsafe arrived = true
                        socket.close()
                    }
                    probe.onError = { _, _ in socket.close() }
                    probe.onLost = { _ in loop.stop() }
                    try socket.send("?", to: SocketAddress(host: group, port: Int(socket.localAddress!.port)))
                    loop.schedule(after: .seconds(2)) { socket.close() }
                }
                return unsafe arrived ? nil : "what is sent to a group by loopback does not arrive"
            } catch {
                return "\(error)"
            }
        }()

        private static let networks: [EventLoop.Network] = problem == nil ? roomyNetworks : [.memory()]

        @Test(.enabled(if: problem == nil, "this machine cannot multicast by its loopback interface"))
        func `this machine's kernel can multicast, so that it is tested too`() {
            #expect(Self.networks == roomyNetworks)
        }

        @Test(arguments: networks)
        func `who has joined a group gets what is sent to it, until it leaves`(network: EventLoop.Network) throws {
            try perform(on: network) { loop in
                var options = DatagramOptions()
                options.reuseAddress = true
                let probes = (0..<3).map { _ in DatagramProbe() }
                var address = try SocketAddress(host: "0.0.0.0", port: 0)
                var sockets: [DatagramTransport] = []
                for probe in probes {
                    sockets.append(try loop.bindDatagram(to: address, options: options, probe))
                    address.port = sockets[0].localAddress!.port
                }
                let group = try SocketAddress(host: Self.group, port: Int(address.port))
                for socket in sockets.prefix(2) {
                    try socket.setMembership(of: Self.group, interface: "127.0.0.1")
                }
                let sender = try loop.bindDatagram(to: SocketAddress(host: "127.0.0.1", port: 0), DatagramProbe())
                try sender.setMulticastInterface("127.0.0.1")
                try sender.setMulticastTimeToLive(1)
                try sender.send("first", to: group)
                after(turns: 10, on: loop) {
                    try! sockets[0].setMembership(false, of: Self.group, interface: "127.0.0.1")
                    try! sender.send("second", to: group)
                }
                probes[1].onDatagram = { _, datagram in
                    guard datagram.bytes == "second" else { return }
                    // The kernel's loopback interface brings it back all the same.
                    if network != .system {
                        try sender.setMulticastLoopback(false)
                        try sender.send("not here", to: group)
                    }
                    try sender.send("end", to: SocketAddress(host: "127.0.0.1", port: Int(address.port)))
                    after(turns: 10, on: loop) {
                        for socket in sockets + [sender] { socket.close() }
                        after(turns: 3, on: loop) { loop.stop() }
                    }
                }
                return {
                    // One of the three gets the end, which is sent to their address and not to the group.
                    let received = probes.map { $0.received.map(\.bytes).filter { $0 != "end" } }
                    #expect(received == [["first"], ["first", "second"], []])
                }
            }
        }

        @Test(arguments: roomyNetworks)
        func `what is no group is refused`(network: EventLoop.Network) throws {
            try perform(on: network) { loop in
                let socket = try loop.bindDatagram(to: .anyPort, DatagramProbe())
                for group in ["127.0.0.1", "here"] {
                    let error = #expect(throws: SystemError.self) { try socket.setMembership(of: group) }
                    #expect(error.map { "\($0)".contains("uv_udp_set_membership(\(group))") } == true)
                }
                #expect(throws: SystemError.self) { try socket.setTimeToLive(0) }
                try socket.setTimeToLive(17)
                socket.close()
                #expect(throws: DatagramError.closed) { try socket.setTimeToLive(17) }
                after(turns: 3, on: loop) { loop.stop() }
                return {}
            }
        }

        @Test(arguments: roomyNetworks)
        func `a broadcast needs leave, and reaches who is bound to all addresses`(network: EventLoop.Network) throws {
            try perform(on: network) { loop in
                let (receiver, sender) = (DatagramProbe(), DatagramProbe())
                let bound = try loop.bindDatagram(to: SocketAddress(host: "0.0.0.0", port: 0), receiver)
                let everybody = try SocketAddress(host: "127.255.255.255", port: Int(bound.localAddress!.port))
                let socket = try loop.bindDatagram(to: .anyPort, sender)
                try socket.send("forbidden", to: everybody)
                sender.onError = { transport, error in
                    #expect(error.code == .accessDenied && error.address == everybody)
                    try transport.setBroadcast(true)
                    try transport.send("to all", to: everybody)
                }
                receiver.onDatagram = { _, _ in
                    bound.close()
                    socket.close()
                }
                receiver.onLost = { _ in after(turns: 2, on: loop) { loop.stop() } }
                return {
                    #expect(sender.story == ["made", "error EACCES", "lost"])
                    #expect(receiver.story == ["made", "got 'to all'", "lost"])
                }
            }
        }
    }
}
