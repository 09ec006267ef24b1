// Several addresses, one connection: which are tried, in what order and when, that the first to answer counts, and what is
// said if none does. Behaviours 98 and 99 of asyncio; RFC 8305. In memory all of it takes place in virtual time.

import AsyncIO
import AsyncIOTesting
import Foundation
import Testing

extension AsyncIOTests {
    @Suite struct ConnectOrderTests {
        @Test func `families take turns, beginning with the resolver's first`() throws {
            let addresses = try ["::1", "::2", "::3", "10.0.0.1", "10.0.0.2"].map {
                try SocketAddress(host: $0, port: 1)
            }
            func order(_ firstFamilyCount: Int) -> String {
                var options = ConnectOptions()
                options.firstFamilyCount = firstFamilyCount
                return options.order(addresses).map(\.host).joined(separator: " ")
            }
            #expect(order(1) == "::1 10.0.0.1 ::2 10.0.0.2 ::3")
            #expect(order(2) == "::1 ::2 10.0.0.1 ::3 10.0.0.2")
            #expect(order(9) == "::1 ::2 ::3 10.0.0.1 10.0.0.2")
            #expect(order(0) == "::1 ::2 ::3 10.0.0.1 10.0.0.2")
            #expect(ConnectOptions().order([]) == [])
        }

        @Test func `an address that never answers costs a quarter of a second, and its attempt is closed`() async throws
        {
            try await onLoop { loop in
                let names = Names(["black.example": ["10.0.0.1", "127.0.0.1"]])
                loop.makeSilent(try SocketAddress(host: "10.0.0.1", port: 0))
                try await serving(on: loop) {
                    _ = try await $0.read()
                } while: { server in
                    let start = loop.now
                    let client = try await TCPConnection.connect(
                        host: "black.example",
                        port: server.port,
                        connecting: names.options
                    )
                    #expect(start.duration(to: loop.now) == .milliseconds(250))
                    #expect(client.remoteAddress == server.localAddress)
                    #expect(loop.census().waits.allSatisfy { !$0.contains("connect") })
                    try await client.close()
                }
            }
        }

        @Test func `an address that fails costs nothing, and the next but one waits for the delay anew`() async throws {
            try await onLoop { loop in
                let names = Names(["mixed.example": ["10.0.0.1", "10.0.0.2", "10.0.0.3", "127.0.0.1"]])
                // Silent, refused, silent, answering: tried after 0, 100, 100 and 200 ms.
                for host in ["10.0.0.1", "10.0.0.3"] { loop.makeSilent(try SocketAddress(host: host, port: 0)) }
                var options = names.options
                options.attemptDelay = .milliseconds(100)
                try await serving(on: loop) {
                    _ = try await $0.read()
                } while: { server in
                    let start = loop.now
                    let client = try await TCPConnection.connect(
                        host: "mixed.example",
                        port: server.port,
                        connecting: options
                    )
                    #expect(start.duration(to: loop.now) == .milliseconds(200))
                    try await client.close()
                }
            }
        }

        @Test func `an address that answers late still wins if none is faster`() async throws {
            try await onLoop { loop in
                let names = Names(["slow.example": ["10.0.0.1", "10.0.0.2"]])
                for host in ["10.0.0.1", "10.0.0.2"] { loop.makeSilent(try SocketAddress(host: host, port: 0)) }
                let start = loop.now
                let error = await failure {
                    _ = try await TCPConnection.connect(
                        host: "slow.example",
                        port: 80,
                        connecting: names.options,
                        timeout: .seconds(3)
                    )
                }
                #expect(error.map { brief($0) } == "timedOut" && start.duration(to: loop.now) == .seconds(3))
                #expect(error.map { "\($0)" }?.contains("slow.example:80") == true)
            }
        }

        @Test func `without the delay the next is tried when the one before has failed, and not earlier`() async throws
        {
            try await onLoop { loop in
                let names = Names(["two.example": ["10.0.0.1", "127.0.0.1"]])
                var options = names.options
                options.attemptDelay = nil
                try await serving(on: loop) {
                    _ = try await $0.read()
                } while: { server in
                    try await TCPConnection.connect(host: "two.example", port: server.port, connecting: options).close()
                    loop.makeSilent(try SocketAddress(host: "10.0.0.1", port: 0))
                    let end = await ending {
                        _ = try await TCPConnection.connect(host: "two.example", port: server.port, connecting: options)
                    }
                    #expect(end == "timedOut")
                }
            }
        }

        @Test(arguments: Driver.roomy)
        func `cancelling closes every attempt that is under way`(driver: Driver) async throws {
            let silent = try SilentSocket()
            defer { silent.close() }
            try await onNetwork(driver) { loop in
                let hosts = driver == .memory ? ["10.0.0.1", "10.0.0.2"] : ["127.0.0.1"]
                let names = Names(["never.example": hosts])
                if driver == .memory {
                    for host in hosts { loop.makeSilent(try SocketAddress(host: host, port: 0)) }
                }
                try await expectNoLeaks(on: loop) { loop in
                    let connecting = spawn {
                        _ = try await TCPConnection.connect(
                            host: "never.example",
                            port: silent.port,
                            connecting: names.options,
                            timeout: nil
                        )
                    }
                    if driver == .memory { try await sleep(for: .seconds(1)) } else { await turns(5, on: loop) }
                    connecting.cancel()
                    #expect(await ending { try await connecting.value } == "CancellationError")
                }
            }
        }

        @Test(arguments: Driver.roomy)
        func `when all fail the error tells each, in order, and identical failures once`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                let gone = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                gone.close()
                await turns(2, on: loop)
                let names = Names(["gone.example": ["127.0.0.1", "127.0.0.2", "127.0.0.3"]])
                let error =
                    await failure {
                        _ = try await TCPConnection.connect(
                            host: "gone.example",
                            port: gone.port,
                            connecting: names.options
                        )
                    } as? ConnectError
                #expect(error?.attempts.map(\.address.host) == ["127.0.0.1", "127.0.0.2", "127.0.0.3"])
                #expect(error?.attempts.allSatisfy { $0.error.code == .connectionRefused } == true)
                let text = error.map { "\($0)" } ?? ""
                #expect(text.contains("gone.example:\(gone.port) failed at all 3 addresses"))
                #expect(text.components(separatedBy: "ECONNREFUSED").count == 2, "\(text)")
                #expect(text.contains("127.0.0.2:\(gone.port)"))
            }
        }

        @Test(arguments: Driver.roomy)
        func `a family can be asked for, and a host without it is an error that says so`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                let names = Names(["both.example": ["::1", "127.0.0.1"], "four.example": ["127.0.0.1"]])
                var options = names.options
                try await serving(on: loop) {
                    _ = try await $0.read()
                } while: { server in
                    options.family = .ipv4
                    let client = try await TCPConnection.connect(
                        host: "both.example",
                        port: server.port,
                        connecting: options
                    )
                    #expect(client.remoteAddress?.family == .ipv4)
                    try await client.close()
                    options.family = .ipv6
                    for host in ["four.example", "127.0.0.1"] {
                        let error =
                            await failure {
                                _ = try await TCPConnection.connect(host: host, port: server.port, connecting: options)
                            } as? ResolverError
                        #expect(error == .noAddressOfFamily(.ipv6, host: host))
                        #expect(error?.description == "'\(host)' has no ipv6 address.")
                    }
                }
            }
        }

        @Test(arguments: Driver.roomy)
        func `a connection comes from the local address that was asked for`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                let seen = Mailbox<SocketAddress?>(on: loop)
                try await serving(on: loop) { connection in
                    seen.put(connection.remoteAddress)
                    _ = try await connection.read()
                } while: { server in
                    let names = Names(["both.example": ["::1", "127.0.0.1"]])
                    var options = names.options
                    // Addresses of other families are not tried.
                    options.localAddresses = [try SocketAddress(host: "127.0.0.9", port: 0)]
                    let client = try await TCPConnection.connect(
                        host: "both.example",
                        port: server.port,
                        connecting: options
                    )
                    let peer = try await seen.take()
                    #expect(client.localAddress?.host == "127.0.0.9" && client.localAddress == peer)
                    #expect(client.localAddress?.port != 0)
                    try await client.close()
                }
            }
        }

        @Test(arguments: Driver.roomy)
        func `a local address that is taken is named, unless another can be had`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await serving(on: loop) {
                    _ = try await $0.read()
                } while: { server in
                    var options = ConnectOptions()
                    options.localAddresses = [server.localAddress]
                    let error =
                        await failure {
                            _ = try await TCPConnection.connect(
                                host: "127.0.0.1",
                                port: server.port,
                                connecting: options
                            )
                        } as? SystemError
                    #expect(error?.code == .addressInUse && error?.call == "bind")
                    #expect(error?.address == server.localAddress)
                    options.localAddresses.append(try SocketAddress(host: "127.0.0.8", port: 0))
                    let client = try await TCPConnection.connect(
                        host: "127.0.0.1",
                        port: server.port,
                        connecting: options
                    )
                    #expect(client.localAddress?.host == "127.0.0.8")
                    try await client.close()
                    options.localAddresses = [try SocketAddress(host: "::1", port: 0)]
                    let none =
                        await failure {
                            _ = try await TCPConnection.connect(
                                host: "127.0.0.1",
                                port: server.port,
                                connecting: options
                            )
                        } as? ResolverError
                    #expect(none?.description.contains("no address of the family of a local address: ::1") == true)
                }
            }
        }

        @Test func `a black hole is overtaken on sockets too, and no descriptor is left of it`() async throws {
            let silent = try SilentSocket()
            defer { silent.close() }
            try await onNetwork(.sockets) { loop in
                // The same port at another address, which accepts.
                var options = ServerOptions()
                options.listener.backlog = 8
                let server = try await TCPServer.listen(host: "127.0.0.2", port: silent.port, options: options)
                let names = Names(["black.example": ["127.0.0.1", "127.0.0.2"]])
                var connecting = names.options
                connecting.attemptDelay = .milliseconds(20)
                let serving = spawn { try await server.serve { _ = try await $0.read() } }
                let client = try await TCPConnection.connect(
                    host: "black.example",
                    port: silent.port,
                    connecting: connecting
                )
                #expect(client.remoteAddress?.host == "127.0.0.2")
                #expect(loop.census().handles.count { $0.contains("being made") } == 0)
                try await client.close()
                server.close()
                try await serving.value
            }
        }

        @Test func `whenever connecting to several addresses is cancelled, nothing is left`() async throws {
            try await onLoop { loop in
                let names = Names(["many.example": ["10.0.0.1", "10.0.0.2", "127.0.0.1", "::1"]])
                loop.makeSilent(try SocketAddress(host: "10.0.0.1", port: 0))
                var options = names.options
                options.attemptDelay = .milliseconds(1)
                try await serving(on: loop) {
                    _ = try await $0.read()
                } while: { [options] server in
                    var ends: [String: Int] = [:]
                    for round in 0..<60 {
                        let connecting = spawn {
                            try await TCPConnection.connect(
                                host: "many.example",
                                port: server.port,
                                connecting: options
                            ).close()
                        }
                        for _ in 0..<(round % 6) { await yield() }
                        if round % 2 == 0 { try await sleep(for: .microseconds(300 * round)) }
                        connecting.cancel()
                        ends[await ending { try await connecting.value }, default: 0] += 1
                    }
                    #expect(Set(ends.keys).isSubset(of: ["ok", "CancellationError"]))
                    #expect(ends["CancellationError", default: 0] > 0)
                    await turns(10, on: loop)
                }
            }
        }
    }
}

/// Names as a test would have them.
struct Names: Resolver {
    private let hosts: [String: [String]]

    init(_ hosts: [String: [String]]) { self.hosts = hosts }

    func addresses(of host: String, port: Int, family: SocketAddress.Family?) async throws -> [SocketAddress] {
        guard let known = hosts[host] else { throw SystemError(.nameNotKnown, call: "a test's look-up of \(host)") }
        return try known.map { try SocketAddress(host: $0, port: port) }
    }

    /// Settings with these names.
    var options: ConnectOptions {
        var options = ConnectOptions()
        options.resolver = self
        return options
    }
}
