// Making a connection: refused, too late, cancelled, by name, for the length of a scope; and nothing is left of an
// attempt that fails. Behaviours 98 and 100 of asyncio.

import AsyncIO
import AsyncIOTesting
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

extension AsyncIOTests {
    @Suite struct TCPConnectTests {
        @Test(arguments: Driver.allCases)
        func `a port that nobody listens on is an error that names the address`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                server.close()
                await turns(2, on: loop)
                let error = await failure { _ = try await server.client() } as? SystemError
                #expect(error?.code == .connectionRefused && error?.address == server.localAddress)
                #expect(error.map { "\($0)" }?.contains("127.0.0.1:\(server.port)") == true)
            }
        }

        @Test(arguments: Driver.allCases)
        func `a connection can be made before anybody serves, and waits`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                let client = try await server.client()
                try await client.write("early")
                await turns(5, on: loop)
                #expect(await server.acceptedCount == 0)
                let serving = spawn {
                    try await server.serve { connection in
                        try await connection.write(Bytes(try await connection.read(exactly: 5)))
                        server.close()
                    }
                }
                #expect(try await client.readAll() == Array("early".utf8))
                try await serving.value
            }
        }

        @Test func `a name is looked up, and the address that answers counts`() async throws {
            try await onNetwork(.sockets) { loop in
                try await serving(on: loop) { connection in
                    for try await bytes in connection { try await connection.write(bytes) }
                } while: { server in
                    let client = try await TCPConnection.connect(host: "localhost", port: server.port)
                    #expect(client.remoteAddress == server.localAddress)
                    try await client.write("x")
                    #expect(try await client.text(1) == "x")
                    try await client.close()
                }
                let named = try await TCPServer.listen(host: "localhost", port: 0)
                #expect(Set(named.localAddresses.map(\.port)) == [UInt16(named.port)] && named.port > 0)
                for address in named.localAddresses {
                    try await TCPConnection.connect(host: address.host, port: named.port).close()
                }
            }
        }

        @Test func `what is neither an address nor a name is an error`() async throws {
            try await onNetwork(.sockets) { loop in
                for (host, port) in [("127.0.0.1", 70_000), ("127.0.0.1", -1), ("a\0b", 80)] {
                    #expect(await ending { _ = try await TCPConnection.connect(host: host, port: port) } != "ok")
                    #expect(await ending { _ = try await TCPServer.listen(host: host, port: port) } != "ok")
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `an address that is taken cannot be listened on, which is an error that names it`(
            driver: Driver
        ) async throws {
            try await onNetwork(driver) { loop in
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                let error =
                    await failure {
                        _ = try await TCPServer.listen(host: "127.0.0.1", port: server.port)
                    } as? SystemError
                #expect(error?.code == .addressInUse && error?.address == server.localAddress)
                server.close()
                // The port is free again at once.
                try await TCPServer.listen(host: "127.0.0.1", port: server.port).close()
            }
        }

        @Test func `a peer that does not answer is given up in time`() async throws {
            let silent = try SilentSocket()
            defer { silent.close() }
            // The virtual clock does the waiting.
            try await onNetwork(.sockets, configure: { $0.clock = VirtualClock() }) { loop in
                let start = loop.now
                let error =
                    await failure {
                        _ = try await TCPConnection.connect(host: "127.0.0.1", port: silent.port, timeout: .seconds(3))
                    } as? LoopError
                #expect(error.map { brief($0) } == "timedOut")
                #expect(error.map { "\($0)" }?.contains("127.0.0.1:\(silent.port)") == true)
                #expect(start.duration(to: loop.now) >= .seconds(3))
                let never = await ending {
                    _ = try await TCPConnection.connect(host: "127.0.0.1", port: silent.port, timeout: .zero)
                }
                #expect(never == "timedOut")
                let outer = await ending {
                    try await withTimeout(.seconds(1)) {
                        _ = try await TCPConnection.connect(host: "127.0.0.1", port: silent.port, timeout: nil)
                    }
                }
                #expect(outer == "TimeoutError")
            }
        }

        @Test func `an attempt that waits for an answer can be cancelled`() async throws {
            let silent = try SilentSocket()
            defer { silent.close() }
            try await onNetwork(.sockets) { loop in
                for _ in 0..<3 {
                    let connecting = spawn {
                        _ = try await TCPConnection.connect(host: "127.0.0.1", port: silent.port, timeout: nil)
                    }
                    await turns(5, on: loop)
                    connecting.cancel()
                    #expect(await ending { try await connecting.value } == "CancellationError")
                }
                await turns(5, on: loop)
            }
        }

        @Test(arguments: Driver.allCases)
        func `whenever an attempt is cancelled, it gives a connection or an error, and leaves nothing`(
            driver: Driver
        ) async throws {
            try await onNetwork(driver) { loop in
                try await serving(on: loop) { connection in
                    _ = try? await connection.read()
                } while: { server in
                    var ends: [String: Int] = [:]
                    for round in 0..<60 {
                        let connecting = spawn { try await server.client().close() }
                        for _ in 0..<(round % 12) { await yield() }
                        connecting.cancel()
                        ends[await ending { try await connecting.value }, default: 0] += 1
                    }
                    #expect(Set(ends.keys).isSubset(of: ["ok", "CancellationError"]))
                    #expect(ends["CancellationError", default: 0] > 0)
                    await turns(10, on: loop)
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `a scope gives its value and closes its connection after what it wrote`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                let received = Mailbox<[UInt8]>(on: loop)
                try await serving(on: loop) { connection in
                    received.put(try await connection.readAll())
                } while: { server in
                    let bytes = noise(driver.bulk)
                    let kept = try await TCPConnection.withConnection(
                        host: "127.0.0.1",
                        port: server.port,
                        options: .returning(whenLeft: driver.bulk / 2)
                    ) { connection in
                        try await connection.write(Bytes(bytes))
                        return connection
                    }
                    #expect(try await received.take() == bytes)
                    #expect(await ending { try await kept.write("x") } == "closed")
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `a scope that throws aborts its connection, and so does one that is cancelled`(
            driver: Driver
        ) async throws {
            try await onNetwork(driver) { loop in
                let ends = Mailbox<String>(on: loop)
                try await serving(on: loop) { connection in
                    ends.put(await ending { _ = try await connection.readAll() })
                } while: { server in
                    let refused = await ending {
                        try await TCPConnection.withConnection(host: "127.0.0.1", port: server.port) { _ in
                            throw Refusal()
                        }
                    }
                    let afterRefusal = try await ends.take()
                    #expect(refused == "Refusal" && afterRefusal == "ECONNRESET")
                    let scope = spawn {
                        try await TCPConnection.withConnection(host: "127.0.0.1", port: server.port) {
                            _ = try await $0.read()
                        }
                    }
                    await turns(10, on: loop)
                    scope.cancel()
                    #expect(await ending { try await scope.value } == "CancellationError")
                    let afterCancellation = try await ends.take()
                    #expect(afterCancellation == "ECONNRESET")
                }
            }
        }

        @Test func `options are those of the socket`() async throws {
            try await onNetwork(.sockets) { loop in
                var options = StreamOptions()
                options.noDelay = false
                options.keepAlive = .seconds(30)
                var serverOptions = ServerOptions()
                serverOptions.listener.connection = options
                try await withPair(on: loop, server: serverOptions, client: options) { accepted, client in
                    try await client.write("x")
                    #expect(try await accepted.text(1) == "x")
                }
            }
        }
    }
}

/// A listening socket whose queue is full: it answers nobody.
struct SilentSocket {
    let port: Int
    private let descriptors: [CInt]

    init() throws {
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        #if canImport(Darwin)
        let kind = SOCK_STREAM
        #else
        let kind = CInt(SOCK_STREAM.rawValue)
        #endif
        var descriptors = [socket(AF_INET, kind, 0)]
        let size = length
        unsafe withUnsafeMutablePointer(to: &name) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { name in
                _ = unsafe bind(descriptors[0], name, size)
                _ = listen(descriptors[0], 0)
                _ = unsafe getsockname(descriptors[0], name, &length)
                for _ in 0..<4 {
                    let client = socket(AF_INET, kind, 0)
                    _ = fcntl(client, F_SETFL, O_NONBLOCK)
                    _ = unsafe connect(client, name, size)
                    descriptors.append(client)
                }
            }
        }
        port = Int(UInt16(bigEndian: name.sin_port))
        self.descriptors = descriptors
    }

    func close() {
        #if canImport(Glibc)
        for descriptor in descriptors { _ = Glibc.close(descriptor) }
        #elseif canImport(Musl)
        for descriptor in descriptors { _ = Musl.close(descriptor) }
        #elseif canImport(Darwin)
        for descriptor in descriptors { _ = Darwin.close(descriptor) }
        #endif
    }
}
