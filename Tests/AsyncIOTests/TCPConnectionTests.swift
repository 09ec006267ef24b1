// How a connection ends: half-closed, closed, aborted, dropped, by this side or the other; and many of them.
// Behaviours 93, 103, 107, 113 and 118 of asyncio.

import AsyncIO
import Testing

extension AsyncIOTests {
    @Suite struct TCPConnectionTests {
        @Test(arguments: Driver.allCases)
        func `after the end of what the client sends the server still answers`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    try await client.write("question")
                    try await client.writeEOF()
                    try await client.writeEOF()
                    #expect(try await accepted.readAll() == Array("question".utf8))
                    try await accepted.write("answer")
                    try await accepted.close()
                    #expect(try await client.readAll() == Array("answer".utf8))
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `after the end of what the server sends the client still talks, until both have ended`(
            driver: Driver
        ) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    try await accepted.write("welcome")
                    try await accepted.writeEOF()
                    #expect(try await client.readAll() == Array("welcome".utf8))
                    try await client.write("more")
                    #expect(try await accepted.text(4) == "more")
                    try await client.write("and more")
                    try await client.writeEOF()
                    #expect(try await accepted.readAll() == Array("and more".utf8))
                    // Both directions are over; the connection is there until it is closed.
                    #expect(try await accepted.read() == nil)
                    #expect(try await client.read() == nil)
                    try await accepted.close()
                    try await client.close()
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `the end of the stream comes after everything that waits to be sent`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                let bytes = noise(driver.bulk)
                try await withPair(on: loop) { accepted, client in
                    let writing = spawn { try await client.write(Bytes(bytes)) }
                    await turns(3, on: loop)
                    try await client.writeEOF()
                    #expect(try await accepted.readAll() == bytes)
                    try await writing.value
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `closing sends what waits first, and returns when that is done`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                let bytes = noise(driver.bulk)
                let log = Recorder<String>()
                try await withPair(on: loop, client: .returning(whenLeft: driver.bulk / 2)) { accepted, client in
                    let closing = spawn {
                        try await client.write(Bytes(bytes))
                        log.append("written")
                        try await client.close()
                        log.append("closed")
                    }
                    await turns(10, on: loop)
                    #expect(!log.all.contains("closed"))
                    #expect(try await accepted.readAll() == bytes)
                    try await closing.value
                    #expect(log.all == ["written", "closed"])
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `what a handler wrote is sent after it has ended, then comes the end`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                let bytes = noise(driver.bulk)
                let kept = Recorder<TCPConnection>()
                var options = ServerOptions()
                options.listener.connection = .returning(whenLeft: driver.bulk / 2)
                try await serving(on: loop, options) { connection in
                    kept.append(connection)
                    try await connection.write(Bytes(bytes))
                } while: { server in
                    let client = try await server.client()
                    #expect(try await client.readAll() == bytes)
                    // The connection goes no further than its handler.
                    let connection = kept.all[0]
                    #expect(await ending { _ = try await connection.read() } == "closed")
                    #expect(await ending { try await connection.write("x") } == "closed")
                    try await client.close()
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `closing ends after a while if the peer does not read the rest`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                var options = StreamOptions()
                options.closeTimeout = .milliseconds(50)
                try await withPair(on: loop, client: options) { accepted, client in
                    let writing = spawn { try await client.write(Bytes(noise(2 * driver.bulk))) }
                    await turns(5, on: loop)
                    let start = loop.now
                    #expect(await ending { try await client.close() } == "timedOut")
                    #expect(start.duration(to: loop.now) >= .milliseconds(50))
                    #expect(await ending { try await client.close() } == "timedOut")
                    #expect(await ending { try await writing.value } == "timedOut")
                    // The peer gets some of it and then, instead of an end, a reset.
                    #expect(await ending { _ = try await accepted.readAll() } == "ECONNRESET")
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `what a handler left to a peer that does not read is given up in time`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                var options = ServerOptions()
                options.listener.maxConnections = 1
                options.listener.connection.closeTimeout = .milliseconds(50)
                try await serving(on: loop, options) { connection in
                    let bytes = Bytes(noise(2 * driver.bulk))
                    // A write that is cancelled leaves its bytes to be sent.
                    let writing = spawn { try await connection.write(bytes) }
                    await turns(5, on: loop)
                    writing.cancel()
                    // Or its connection is aborted first, at the end of the test.
                    let end = await ending { try await writing.value }
                    #expect(["CancellationError", "closed"].contains(end))
                } while: { server in
                    let client = try await server.client()
                    // There is room for the second when the first is gone.
                    let next = try await server.client()
                    #expect(try await next.read(exactly: 10).count == 10)
                    #expect(await ending { _ = try await client.readAll() } == "ECONNRESET")
                    server.abort()
                    #expect(await ending { _ = try await next.readAll() } == "ECONNRESET")
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `closing may be repeated, by several tasks, and after an abort`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    let closers = spawnEach(3, on: loop) { _ in try await client.close() }
                    for closer in closers { try await closer.value }
                    try await client.close()
                    client.abort()
                    #expect(try await accepted.read() == nil)
                    accepted.abort()
                    accepted.abort()
                    try await accepted.close()
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `a connection that this side closed refuses everything`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                for aborts in [false, true] {
                    try await withPair(on: loop) { accepted, client in
                        let pending = spawn { _ = try await client.read() }
                        await turns(3, on: loop)
                        if aborts { client.abort() } else { try await client.close() }
                        #expect(await ending { try await pending.value } == "closed")
                        #expect(await ending { _ = try await client.read() } == "closed")
                        #expect(await ending { try await client.write("x") } == "closed")
                        #expect(await ending { try await client.write(contentsOf: ["x"]) } == "closed")
                        #expect(await ending { try await client.writeEOF() } == "closed")
                        let end = await ending { _ = try await accepted.readAll() }
                        #expect(end == (aborts ? "ECONNRESET" : "ok"))
                    }
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `bytes that nobody read make a close a reset`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    try await accepted.write("unread")
                    await turns(3, on: loop)
                    try await client.close()
                    #expect(await ending { _ = try await accepted.read() } == "ECONNRESET")
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `a connection that is dropped is closed, after what waits was sent`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                let bytes = noise(driver.bulk)
                let received = Mailbox<[UInt8]>(on: loop)
                try await serving(on: loop) { connection in
                    received.put(try await connection.readAll())
                } while: { server in
                    try await writeAndDrop(bytes, server, .returning(whenLeft: driver.bulk / 2))
                    #expect(try await received.take() == bytes)
                    try await writeAndDrop([], server, StreamOptions())
                    #expect(try await received.take() == [])
                }
            }
        }

        @Test(arguments: Driver.allCases, 0..<8)
        func `whatever two ends do to each other, all of it ends`(driver: Driver, seed: Int) async throws {
            try await onNetwork(driver, configure: { $0.clock = nil }) { loop in
                for round in 0..<10 {
                    var options = ServerOptions()
                    options.listener.connection.closeTimeout = .milliseconds(20)
                    try await withPair(on: loop, server: options, client: options.listener.connection) {
                        accepted,
                        client in
                        let tasks = spawnEach(6, on: loop) { number in
                            var random = Dice(seed: UInt64(seed * 1_000 + round * 10 + number))
                            let connection = number % 2 == 0 ? accepted : client
                            for _ in 0..<6 {
                                await ending { try await act(on: connection, &random, bulk: driver.bulk / 16) }
                                await yield()
                            }
                        }
                        for _ in 0..<20 { await yield() }
                        for task in tasks.prefix(2) { task.cancel() }
                        for _ in 0..<200 { await yield() }
                        // Whoever still waits waits for a peer that has nothing more to say.
                        if round % 2 == 0 { client.abort() } else { accepted.abort() }
                        for task in tasks { _ = await ending { try await task.value } }
                    }
                }
            }
        }

        @Test(arguments: Driver.roomy)
        func `a client that floods its server does not keep others waiting`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                let flooded = Recorder<Int>()
                try await serving(on: loop) { connection in
                    var count = 0
                    for try await bytes in connection {
                        count += bytes.count
                        // The flood is swallowed, everything else comes back.
                        if bytes[bytes.startIndex] != 0 { try await connection.write(bytes) }
                    }
                    flooded.append(count)
                } while: { server in
                    let flood = spawn {
                        let client = try await server.client()
                        let bytes = Bytes([UInt8](repeating: 0, count: 1_000_000))
                        while !Task.isCancelled { try await client.write(bytes) }
                    }
                    let polite = try await server.client()
                    for number in 1...200 {
                        try await polite.write([UInt8(number)])
                        #expect(try await polite.read(exactly: 1) == [UInt8(number)])
                    }
                    try await polite.close()
                    flood.cancel()
                    _ = await ending { try await flood.value }
                }
                #expect(flooded.all.contains { $0 > 100_000 } && flooded.all.contains(200))
            }
        }

        @Test(arguments: Driver.roomy)
        func `a thousand connections at once`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await serving(on: loop) { connection in
                    for try await bytes in connection { try await connection.write(bytes) }
                } while: { server in
                    var clients: [TCPConnection] = []
                    for _ in 0..<1_000 { clients.append(try await server.client()) }
                    for (index, client) in clients.enumerated() { try await client.write("\(10_000 + index)") }
                    for (index, client) in clients.enumerated() {
                        #expect(try await client.text(5) == "\(10_000 + index)")
                    }
                    #expect(await server.connectionCount == 1_000)
                    for client in clients { try await client.close() }
                }
            }
        }

        @Test(arguments: Driver.roomy)
        func `five thousand short connections, one after the other and a few at a time`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                let served = Recorder<UInt64>()
                try await serving(on: loop) { connection in
                    for try await bytes in connection { try await connection.write(bytes) }
                    served.append(connection.number)
                } while: { server in
                    let workers = spawnEach(5, on: loop) { worker in
                        for number in 0..<1_000 {
                            let text = "\(worker) \(number)"
                            let client = try await server.client()
                            try await client.write(text)
                            try await client.writeEOF()
                            let answer = try await client.readAll()
                            #expect(answer == Array(text.utf8))
                            // Some close, the others are dropped.
                            if number % 2 == 0 { try await client.close() }
                        }
                    }
                    for worker in workers { try await worker.value }
                    #expect(await server.acceptedCount == 5_000)
                }
                #expect(Set(served.all).count == 5_000)
                // Those that were dropped may not be gone yet.
                await turns(5, on: loop)
            }
        }
    }
}

extension StreamOptions {
    /// Options with which a write of more than `count` bytes returns as soon as that many are left to send.
    static func returning(whenLeft count: Int) -> StreamOptions {
        var options = StreamOptions()
        options.writeHighWaterMark = count
        options.writeLowWaterMark = count
        return options
    }
}

/// Connects, writes, and lets go of the connection.
private func writeAndDrop(_ bytes: [UInt8], _ server: TCPServer, _ options: StreamOptions) async throws {
    let client = try await server.client(options)
    try await client.write(Bytes(bytes))
}

/// Does something at random with a connection.
private func act(on connection: TCPConnection, _ random: inout Dice, bulk: Int) async throws {
    switch random.roll(16) {
    case 0...4: _ = try await connection.read()
    case 5: _ = try await withTimeout(.milliseconds(1)) { try await connection.read() }
    case 6...9: try await connection.write(Bytes(noise(1 + random.roll(100))))
    case 10: try await connection.write(Bytes(noise(bulk)))
    case 11: try await withTimeout(.milliseconds(1)) { try await connection.write(Bytes(noise(bulk))) }
    case 12: try await connection.writeEOF()
    case 13: try await connection.close()
    case 14: try await withTimeout(.milliseconds(1)) { try await connection.close() }
    default: if random.roll(4) == 0 { connection.abort() }
    }
}

/// Numbers that look random and are the same in every run.
private struct Dice {
    private var state: UInt64
    init(seed: UInt64) { state = seed &+ 0x9E37_79B9_7F4A_7C15 }

    mutating func roll(_ count: UInt64) -> Int {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return Int((mixed ^ (mixed >> 31)) % count)
    }
}
