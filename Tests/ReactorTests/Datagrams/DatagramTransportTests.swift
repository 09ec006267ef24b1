// Behaviour 122 of asyncio: datagrams arrive in turn, empty ones too; a connected socket sends to its peer alone and hears
// that nobody listens there; no error ends a socket; and what is sent after the close goes nowhere.

import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct DatagramTransportTests {
        @Test(arguments: everyNetwork)
        func `several datagrams arrive in turn, an empty one among them, and are answered`(
            network: EventLoop.Network
        ) throws {
            let story = try playDatagrams(on: network) { loop, scene in
                let words = ["one", "", "three"]
                scene.server.onDatagram = { [scene] transport, datagram in
                    #expect(datagram.address == scene.clientSocket.localAddress)
                    #expect(!datagram.isTruncated)
                    try transport.send(datagram.bytes, to: datagram.address)
                }
                scene.client.onDatagram = { [scene] transport, datagram in
                    #expect(datagram.address == scene.serverSocket.localAddress)
                    let count = scene.client.received.count
                    if count < words.count { try transport.send(words[count]) } else { scene.end() }
                }
                try scene.clientSocket.send(words[0])
            }
            #expect(story.server == ["made", "got 'one'", "got ''", "got 'three'", "lost"])
            #expect(story.client == ["made", "got 'one'", "got ''", "got 'three'", "lost"])
        }

        @Test(arguments: everyNetwork)
        func `the path of a Unix socket is no address of a datagram socket`(network: EventLoop.Network) throws {
            try perform(on: network) { loop in
                let path = try SocketAddress(unixPath: "/tmp/nowhere")
                let refusal = SystemError(.addressFamilyNotSupported, call: "socket", address: path)
                #expect(throws: refusal) { try loop.bindDatagram(to: path, DatagramProbe()) }
                #expect(throws: refusal) { try loop.connectDatagram(to: path, DatagramProbe()) }
                loop.stop()
                return {}
            }
        }

        @Test(arguments: everyNetwork)
        func `a connected socket sends to its peer alone, and one that is not needs an address`(
            network: EventLoop.Network
        ) throws {
            let story = try playDatagrams(on: network) { loop, scene in
                let peer = try #require(scene.clientSocket.remoteAddress)
                #expect(scene.serverSocket.remoteAddress == nil)
                var other = peer
                other.port ^= 1
                #expect(throws: DatagramError.connected(to: peer)) { try scene.clientSocket.send("x", to: other) }
                #expect(throws: DatagramError.noAddress) { try scene.serverSocket.send("x") }
                try scene.clientSocket.send("to the peer", to: peer)
                scene.server.onDatagram = { [scene] _, _ in scene.end() }
            }
            #expect(story.server == ["made", "got 'to the peer'", "lost"])
            #expect(story.client == ["made", "lost"])
        }

        @Test(arguments: everyNetwork)
        func `a connected socket gets nothing from strangers`(network: EventLoop.Network) throws {
            let story = try playDatagrams(on: network) { loop, scene in
                let stranger = DatagramProbe()
                let socket = try loop.bindDatagram(to: .anyPort, stranger)
                try socket.send("strange", to: scene.clientSocket.localAddress)
                after(turns: 3, on: loop) { [scene] in
                    socket.close()
                    try? scene.serverSocket.send("known", to: scene.clientSocket.localAddress)
                }
                scene.client.onDatagram = { [scene] _, _ in scene.end() }
            }
            #expect(story.client == ["made", "got 'known'", "lost"])
        }

        @Test(arguments: everyNetwork)
        func `a connected socket hears that nobody listens, stays open, and works when somebody does`(
            network: EventLoop.Network
        ) throws {
            try perform(on: network) { loop in
                let server = DatagramProbe()
                let client = DatagramProbe()
                let first = try loop.bindDatagram(to: .anyPort, DatagramProbe())
                let address = try #require(first.localAddress)
                first.abort()
                after(turns: 3, on: loop) {
                    let socket = try! loop.connectDatagram(to: address, client)
                    client.onError = { transport, error in
                        #expect(error.code == .connectionRefused && error.address == address)
                        server.onDatagram = { _, _ in transport.close() }
                        try loop.bindDatagram(to: address, server)
                        try transport.send("again")
                    }
                    client.onLost = { _ in
                        server.onLost = { _ in loop.stop() }
                        server.transport?.close()
                    }
                    try! socket.send("anybody?")
                }
                return {
                    #expect(client.story == ["made", "error ECONNREFUSED", "lost"])
                    #expect(server.story == ["made", "got 'again'", "lost"])
                }
            }
        }

        @Test(arguments: everyNetwork)
        func `what is too long is refused and reported later, and the longest there is arrives whole`(
            network: EventLoop.Network
        ) throws {
            let longest = pattern(65_507)
            let story = try playDatagrams(on: network) { loop, scene in
                try scene.clientSocket.send(Bytes(longest + [0]))
                #expect(scene.client.story == ["made"])
                scene.client.onError = { transport, error in
                    #expect(error.code == .messageTooLarge)
                    try transport.send(Bytes(longest))
                }
                scene.server.onDatagram = { [scene] _, _ in scene.end() }
            }
            #expect(story.client == ["made", "error EMSGSIZE", "lost"])
            #expect(story.server == ["made", "got 65507", "lost"])
            #expect(story.serverReceived.first?.bytes == Bytes(longest))
        }

        @Test(arguments: everyNetwork)
        func `after the close nothing is sent, and nothing is said of it`(network: EventLoop.Network) throws {
            let story = try playDatagrams(on: network) { loop, scene in
                scene.clientSocket.close()
                #expect(scene.clientSocket.isClosing)
                try scene.clientSocket.send("late")
                try scene.clientSocket.send(contentsOf: ["later", "still"])
                scene.clientSocket.close()
                scene.clientSocket.abort()
                after(turns: 4, on: loop) { [scene] in scene.serverSocket.abort() }
            }
            #expect(story.client == ["made", "lost"])
            #expect(story.server == ["made", "lost"])
        }

        @Test(arguments: everyNetwork)
        func `a protocol that throws is reported, and its socket goes on`(network: EventLoop.Network) throws {
            let issues = IssueLog()
            let story = try playDatagrams(on: network, collecting: issues) { loop, scene in
                scene.server.onDatagram = { [scene] transport, datagram in
                    if scene.server.received.count == 1 {
                        try scene.clientSocket.send("good")
                        throw Refusal()
                    }
                    scene.end()
                }
                try scene.clientSocket.send("bad")
            }
            #expect(story.server == ["made", "got 'bad'", "got 'good'", "lost"])
            #expect(issues.all.count == 1)
            #expect(issues.all.first.map { "\($0)" }?.contains("DatagramProbe.datagramReceived") == true)
        }

        @Test(arguments: everyNetwork)
        func `a protocol that refuses its socket gets it closed, and who made it the error`(
            network: EventLoop.Network
        ) throws {
            let probe = DatagramProbe()
            // SAFETY: the loop runs on this thread, within the call below.
            nonisolated(unsafe) let shared = probe
            try perform(on: network) { loop in
                let probe = unsafe shared
                probe.onMade = { _ in throw Refusal() }
                probe.onLost = { _ in loop.stop() }
                #expect(throws: Refusal()) { try loop.bindDatagram(to: .anyPort, probe) }
                return {}
            }
            #expect(probe.story == ["made", "lost"])
        }

        @Test(arguments: roomyNetworks)
        func `a loop that closes tells the protocol, and names the socket`(network: EventLoop.Network) throws {
            let probe = DatagramProbe()
            // SAFETY: the loop runs on this thread, within the call below.
            nonisolated(unsafe) let shared = probe
            try withLoop(.on(network), expectingLeftovers: true) { loop in
                try loop.runForever { loop in
                    let socket = try loop.bindDatagram(to: .anyPort, unsafe shared)
                    let address = try #require(socket.localAddress)
                    #expect(loop.dump().contains("UDP \(address)"))
                    loop.stop()
                }
                #expect(loop.close().handles.count == 1)
            }
            #expect(probe.story == ["made", "lost loopClosed"])
        }

        @Test(arguments: everyNetwork)
        func `an address is taken once, unless its sockets share it`(network: EventLoop.Network) throws {
            try perform(on: network) { loop in
                let probe = DatagramProbe()
                let socket = try loop.bindDatagram(to: .anyPort, probe)
                let address = try #require(socket.localAddress)
                #expect(address.port != 0)
                let error = #expect(throws: SystemError.self) { try loop.bindDatagram(to: address, DatagramProbe()) }
                #expect(error?.code == .addressInUse && error?.address == address)
                socket.close()
                probe.onLost = { _ in
                    var options = DatagramOptions()
                    options.reusePort = true
                    let sockets = (0..<2).map { _ in
                        try! loop.bindDatagram(to: address, options: options, DatagramProbe())
                    }
                    for socket in sockets { socket.close() }
                    after(turns: 3, on: loop) { loop.stop() }
                }
                return {}
            }
        }

        @Test(arguments: roomyNetworks)
        func `addresses of IPv6 keep their scope, which a connected socket tells apart`(
            network: EventLoop.Network
        ) throws {
            #if os(Linux)
            let interface = "lo"
            #else
            let interface = "lo0"
            #endif
            let scoped = try SocketAddress(host: "fe80::1%\(interface)", port: 7)
            #expect(scoped != (try SocketAddress(host: "fe80::1", port: 7)))
            try perform(on: network) { loop in
                let (server, client) = (DatagramProbe(), DatagramProbe())
                let bound = try loop.bindDatagram(to: SocketAddress(host: "::1", port: 0), server)
                let peer = try #require(bound.localAddress)
                let socket = try loop.connectDatagram(to: peer, client)
                var scopedPeer = try SocketAddress(host: "::1%\(interface)", port: 0)
                scopedPeer.port = peer.port
                #expect(throws: DatagramError.connected(to: peer)) { try socket.send("x", to: scopedPeer) }
                try socket.send("six", to: peer)
                server.onDatagram = { transport, datagram in
                    #expect(datagram.address.family == .ipv6)
                    transport.close()
                    socket.close()
                }
                server.onLost = { _ in after(turns: 2, on: loop) { loop.stop() } }
                return { #expect(server.story == ["made", "got 'six'", "lost"]) }
            }
        }
    }
}
