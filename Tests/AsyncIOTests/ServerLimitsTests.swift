// What a server allows its connections, kept by a look now and then: in virtual time to the second, and with a real client
// that is slow. And what it counts.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite struct ServerLimitsTests {
        @Test(arguments: [Driver.memory, .narrowMemory])
        func `a connection on which nothing happens is closed, and one on which something does is not`(
            driver: Driver
        ) async throws {
            try await onNetwork(driver) { loop in
                var options = ServerOptions()
                options.idleTimeout = .seconds(40)
                let ends = Mailbox<String>(on: loop)
                try await serving(on: loop, options) { connection in
                    do { for try await bytes in connection { try await connection.write(bytes) } } catch {
                        ends.put("\(error)")
                        throw error
                    }
                } while: { server in
                    let client = try await server.client()
                    // Busy, though never for long at a time.
                    for _ in 0..<10 {
                        try await AsyncIO.sleep(for: .seconds(30))
                        try await client.write("tick")
                        #expect(try await client.text(4) == "tick")
                    }
                    let last = loop.now
                    #expect(try await client.readAll() == [])
                    let waited = last.duration(to: loop.now)
                    #expect(waited >= .seconds(40) && waited <= .seconds(60), "\(waited)")
                    let end = try await ends.take()
                    #expect(end == "A connection on which nothing happened for 40.0 seconds timed out.")
                    // Of the server's own doing, so no issue was reported.
                    #expect(await server.statistics.expired == 1)
                    try await client.close()
                }
            }
        }

        @Test(arguments: [Driver.memory, .narrowMemory])
        func `a server that only writes is not idle`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                var options = ServerOptions()
                options.idleTimeout = .seconds(4)
                try await serving(on: loop, options) { connection in
                    for _ in 0..<20 {
                        try await connection.write("news")
                        try await AsyncIO.sleep(for: .seconds(3))
                    }
                } while: { server in
                    let client = try await server.client()
                    #expect(try await client.readAll().count == 80)
                    try await client.close()
                    #expect(await server.statistics.expired == 0)
                }
            }
        }

        @Test func `who says nothing at the beginning is closed, and who has spoken once may be silent`() async throws {
            try await onLoop { loop in
                var options = ServerOptions()
                options.firstByteTimeout = .seconds(30)
                try await serving(on: loop, options) { connection in
                    for try await bytes in connection { try await connection.write(bytes) }
                } while: { server in
                    let (silent, spoken) = (try await server.client(), try await server.client())
                    try await spoken.write("x")
                    #expect(try await spoken.text(1) == "x")
                    let start = loop.now
                    #expect(try await silent.readAll() == [])
                    let waited = start.duration(to: loop.now)
                    #expect(waited >= .seconds(30) && waited <= .seconds(45), "\(waited)")
                    try await AsyncIO.sleep(for: .seconds(3_600))
                    try await spoken.write("y")
                    #expect(try await spoken.text(1) == "y")
                    try await spoken.close()
                    try await silent.close()
                }
            }
        }

        @Test func `a server without connections has no timer, and one without limits never has`() async throws {
            try await onLoop { loop in
                for limit in [Duration?.none, .seconds(60)] {
                    var options = ServerOptions()
                    options.idleTimeout = limit
                    try await serving(on: loop, options) {
                        _ = try await $0.read()
                    } while: { server in
                        await turns(4, on: loop)
                        #expect(loop.timers == 0)
                        let client = try await server.client()
                        await turns(4, on: loop)
                        #expect(loop.timers == (limit == nil ? 0 : 1))
                        try await client.close()
                        await turns(4, on: loop)
                    }
                    #expect(loop.timers == 0)
                }
            }
        }

        @Test func `a real client that dawdles is closed`() async throws {
            try await onNetwork(.sockets) { loop in
                var options = ServerOptions()
                options.idleTimeout = .milliseconds(40)
                try await serving(on: loop, options) { connection in
                    for try await bytes in connection { try await connection.write(bytes) }
                } while: { server in
                    let client = try await server.client()
                    for _ in 0..<5 {
                        try await client.write("tick")
                        #expect(try await client.text(4) == "tick")
                    }
                    let start = loop.now
                    #expect(try await client.readAll() == [])
                    #expect(start.duration(to: loop.now) >= .milliseconds(30))
                    try await client.close()
                }
            }
        }

        @Test func `a client that takes nothing more is aborted with what waits for it`() async throws {
            try await onLoop { loop in
                var options = ServerOptions()
                options.idleTimeout = .seconds(40)
                try await serving(on: loop, options) { connection in
                    try await connection.write(Bytes(noise(1 << 20)))
                } while: { server in
                    let client = try await server.client()
                    _ = try await client.read()
                    let start = loop.now
                    while await server.connectionCount > 0 { try await AsyncIO.sleep(for: .seconds(1)) }
                    let waited = start.duration(to: loop.now)
                    #expect(waited >= .seconds(40) && waited <= .seconds(61), "\(waited)")
                    #expect(await ending { _ = try await client.readAll() } == "ECONNRESET")
                    try? await client.close()
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `bytes are counted if that is asked for, of each connection and of the server`(driver: Driver) async throws
        {
            try await onNetwork(driver) { loop in
                var options = ServerOptions()
                options.countsBytes = true
                let seen = Mailbox<ConnectionStatistics?>(on: loop)
                try await serving(on: loop, options) { connection in
                    for try await bytes in connection {
                        try await connection.write(bytes)
                        try await connection.write("!")
                    }
                    seen.put(await connection.statistics)
                } while: { server in
                    let size = driver == .narrowMemory ? 12 : 5_000
                    for round in 1...2 {
                        let client = try await server.client()
                        #expect(await client.statistics == nil)
                        try await client.write(Bytes(noise(size)))
                        try await client.writeEOF()
                        let received = try await client.readAll().count
                        let statistics = try await seen.take()
                        #expect(statistics?.bytesReceived == UInt64(size))
                        #expect(statistics?.bytesSent == UInt64(received))
                        #expect(statistics.map { $0.openedAt <= loop.now } == true)
                        try await client.close()
                        #expect(await server.statistics.bytesReceived == UInt64(round * size))
                    }
                    let all = await server.statistics
                    #expect(all.accepted == 2 && all.failedAccepts == 0 && all.bytesSent > all.bytesReceived)
                    #expect("\(all)".contains("accepted 2, active"))
                }
            }
        }
    }
}
