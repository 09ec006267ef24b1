// Datagram sockets for tasks that the program brings along, and those that are connected from an address that is given.

import AsyncIO
import Foundation
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct AdoptedDatagramTests {
        @Test func `a bound socket becomes one for tasks, and closing closes its descriptor`() async throws {
            try await onNetwork(.sockets) { _ in
                let socket = Raw.udpSocket(bound: true)
                let peer = Raw.udpSocket(connectedTo: Raw.port(of: socket))
                Raw.write(peer, "before")
                let server = try await UDPSocket.adopt(descriptor: socket)
                #expect(server.localAddress.map { Int($0.port) } == Raw.port(of: socket))
                #expect(server.remoteAddress == nil)
                let datagram = try await server.receive()
                #expect(datagram.bytes == "before")
                try await server.send("answer", to: datagram.address)
                #expect(Raw.read(peer) == "answer")
                try await server.close()
                #expect(!Raw.isOpen(socket))
                Raw.close(peer)
            }
        }

        @Test func `a connected socket hears that its peer has gone, and stays open`() async throws {
            try await onNetwork(.sockets) { _ in
                let peer = Raw.udpSocket(bound: true)
                let port = Raw.port(of: peer)
                let client = try await UDPSocket.adopt(descriptor: Raw.udpSocket(connectedTo: port))
                #expect(client.remoteAddress == (try SocketAddress(host: "127.0.0.1", port: port)))
                try await client.send("hello")
                #expect(Raw.read(peer) == "hello")
                Raw.close(peer)
                try await client.send("anybody?")
                #expect(await errorOf { _ = try await client.receive() } == "ECONNREFUSED")
                try await client.close()
            }
        }

        @Test func `a socket that is dropped is closed`() async throws {
            try await onNetwork(.sockets) { loop in
                let socket = Raw.udpSocket(bound: true)
                do { _ = try await UDPSocket.adopt(descriptor: socket) }
                await turns(5, on: loop)
                #expect(!Raw.isOpen(socket))
            }
        }

        @Test func `adopting by a task that is cancelled leaves the descriptor to its owner`() async throws {
            try await onNetwork(.sockets) { _ in
                let socket = Raw.udpSocket(bound: true)
                let task = spawn {
                    cancelThisTask()
                    _ = try await UDPSocket.adopt(descriptor: socket)
                }
                #expect(await isCancelled { try await task.value })
                #expect(Raw.isOpen(socket) && !Raw.isNonBlocking(socket))
                Raw.close(socket)
            }
        }

        @Test func `what is no UDP socket is refused and stays the caller's`() async throws {
            try await onNetwork(.sockets) { _ in
                let (datagrams, other) = Raw.socketPair(ofDatagrams: true)
                let stream = Raw.tcpSocket(bound: true)
                for (descriptor, refusal) in [
                    (datagrams, DescriptorError.notUDP), (stream, .notADatagramSocket),
                ] {
                    let error = await failure { try await UDPSocket.adopt(descriptor: descriptor) }
                    #expect(error as? DescriptorError == refusal)
                    #expect(Raw.isOpen(descriptor) && !Raw.isNonBlocking(descriptor))
                }
                for each in [datagrams, other, stream] { Raw.close(each) }
            }
        }

        // MARK: An address of this end

        @Test(arguments: Driver.allCases)
        func `a connected socket sends from the address that it is given`(driver: Driver) async throws {
            try await onNetwork(driver) { _ in
                try await UDPSocket.withSocket(host: "127.0.0.1", port: 0) { server in
                    let port = Int(try #require(server.localAddress).port)
                    let any = try SocketAddress(host: "127.0.0.1", port: 0)
                    let first = try await UDPSocket.connect(host: "127.0.0.1", port: port, from: any)
                    let local = try #require(first.localAddress)
                    #expect(local.host == "127.0.0.1" && local.port != 0)
                    let taken = await failure {
                        try await UDPSocket.connect(host: "127.0.0.1", port: port, from: local)
                    }
                    #expect((taken as? SystemError)?.code == .addressInUse)
                    #expect((taken as? SystemError)?.address == local)
                    try await first.close()
                    let second = try await UDPSocket.connect(host: "127.0.0.1", port: port, from: local)
                    #expect(second.localAddress == local && second.remoteAddress == server.localAddress)
                    try await second.send("hello")
                    #expect(try await server.receive().address == local)
                    try await second.close()
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `addresses of another family than this end's are not tried`(driver: Driver) async throws {
            try await onNetwork(driver) { _ in
                let local = try SocketAddress(host: "::1", port: 0)
                let error = await failure { try await UDPSocket.connect(host: "127.0.0.1", port: 9, from: local) }
                #expect(error is ResolverError, "\(error as Any)")
            }
        }
    }
}
