// Where a server listens: on all addresses of its hosts or on none, at one port, with one limit. Behaviours 91 and 93 of
// asyncio.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite struct TCPListeningTests {
        @Test(arguments: Driver.roomy)
        func `a server listens on several hosts at one port, and once on what is named twice`(driver: Driver)
            async throws
        {
            try await onNetwork(driver) { loop in
                let names = Names(["one.example": ["127.0.0.1", "127.0.0.3"]])
                var options = ServerOptions()
                options.resolver = names
                let hosts = ["127.0.0.1", "one.example", "127.0.0.2", "127.0.0.1"]
                let server = try await TCPServer.listen(hosts: hosts, port: 0, options: options)
                #expect(server.localAddresses.map(\.host) == ["127.0.0.1", "127.0.0.3", "127.0.0.2"])
                #expect(Set(server.localAddresses.map(\.port)) == [UInt16(server.port)] && server.port > 0)
                let serving = spawn { try await server.serve { try await $0.write("x") } }
                for address in server.localAddresses {
                    let client = try await TCPConnection.connect(host: address.host, port: server.port)
                    #expect(try await client.text(1) == "x")
                    try await client.close()
                }
                #expect(await server.acceptedCount == 3)
                server.close()
                try await serving.value
            }
        }

        @Test(arguments: ["", nil])
        func `without a host a server listens on all addresses, each family with a socket of its own`(
            host: String?
        ) async throws {
            try await onNetwork(.sockets) { loop in
                let server = try await TCPServer.listen(host: host, port: 0)
                #expect(Set(server.localAddresses.map(\.host)).isSubset(of: ["::", "0.0.0.0"]))
                #expect(server.localAddresses.last?.host == "0.0.0.0")
                let serving = spawn {
                    try await server.serve { try await $0.write("\($0.remoteAddress?.host ?? "?")\n") }
                }
                for family in server.localAddresses.map(\.family) {
                    let loopback = family == .ipv4 ? "127.0.0.1" : "::1"
                    let client = try await TCPConnection.connect(host: loopback, port: server.port)
                    // Not as an IPv4 address within an IPv6 one.
                    #expect(String(decoding: try await client.readAll(), as: UTF8.self) == "\(loopback)\n")
                    try await client.close()
                }
                server.close()
                try await serving.value
            }
        }

        @Test(arguments: Driver.roomy)
        func `an address that is taken closes the sockets of all`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                let other = try await TCPServer.listen(host: "127.0.0.2", port: 0)
                let error =
                    await failure {
                        _ = try await TCPServer.listen(hosts: ["127.0.0.1", "127.0.0.2"], port: other.port)
                    } as? SystemError
                #expect(error?.code == .addressInUse && error?.address == other.localAddress)
                // What was bound before is free again.
                try await TCPServer.listen(host: "127.0.0.1", port: other.port).close()
                other.close()
            }
        }

        @Test func `a port that is free at the first address and taken at the second is given up for another`()
            async throws
        {
            try await onLoop { loop in
                // The memory network hands out ports in order.
                let next = try await TCPServer.listen(host: "10.0.0.9", port: 0)
                let taken = try await TCPServer.listen(host: "10.0.0.2", port: next.port + 1)
                let server = try await TCPServer.listen(hosts: ["10.0.0.1", "10.0.0.2"], port: 0)
                #expect(server.localAddresses.map(\.port) == [UInt16(next.port + 2), UInt16(next.port + 2)])
                for server in [next, taken, server] { server.close() }
            }
        }

        @Test func `an address that this machine does not have is left out, unless it is the only one`() async throws {
            try await onNetwork(.sockets) { loop in
                let server = try await TCPServer.listen(hosts: ["192.0.2.1", "127.0.0.1"], port: 0)
                #expect(server.localAddresses.map(\.host) == ["127.0.0.1"])
                server.close()
                let error =
                    await failure { _ = try await TCPServer.listen(hosts: ["192.0.2.1"], port: 0) } as? SystemError
                #expect(error?.code == .addressNotAvailable && error?.address?.host == "192.0.2.1")
            }
        }

        @Test(arguments: Driver.roomy)
        func `the limit of connections is that of the server, not of each address`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                var options = ServerOptions()
                options.listener.maxConnections = 2
                let server = try await TCPServer.listen(hosts: ["127.0.0.1", "127.0.0.2"], port: 0, options: options)
                let most = Recorder<Int>()
                let serving = spawn {
                    try await server.serve { connection in
                        most.append(await server.connectionCount)
                        for try await bytes in connection { try await connection.write(bytes) }
                    }
                }
                let first = try await TCPConnection.connect(host: "127.0.0.1", port: server.port)
                let second = try await TCPConnection.connect(host: "127.0.0.2", port: server.port)
                for client in [first, second] {
                    try await client.write("a")
                    #expect(try await client.text(1) == "a")
                }
                let waiting = try await gather(
                    ["127.0.0.1", "127.0.0.2"].map { host in
                        { try await TCPConnection.connect(host: host, port: server.port) }
                    }
                )
                for client in waiting { try await client.write("b") }
                await turns(8, on: loop)
                let full = await server.statistics
                #expect(full.accepted == 2 && full.active == 2 && full.isPaused && full.pauses == 2)
                try await first.close()
                try await second.close()
                // Whoever waits is served, at either address.
                for client in waiting {
                    #expect(try await client.text(1) == "b")
                    try await client.close()
                }
                server.close()
                try await serving.value
                #expect(most.all.max() == 2 && most.count == 4)
                #expect(await !server.statistics.isPaused)
            }
        }

        @Test(arguments: Driver.roomy)
        func `clients can be closed or aborted, and the server goes on`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await serving(on: loop) { connection in
                    try await connection.write("hello")
                    while try await connection.read() != nil {}
                } while: { server in
                    let polite = try await server.client()
                    #expect(try await polite.text(5) == "hello")
                    server.closeClients()
                    #expect(try await polite.readAll() == [])
                    let broken = try await server.client()
                    #expect(try await broken.text(5) == "hello")
                    server.abortClients()
                    #expect(await ending { _ = try await broken.readAll() } == "ECONNRESET")
                    let last = try await server.client()
                    #expect(try await last.text(5) == "hello")
                    #expect(await server.acceptedCount == 3)
                    for client in [polite, broken, last] { try? await client.close() }
                }
            }
        }
    }
}
