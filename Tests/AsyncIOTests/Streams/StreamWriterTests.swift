// Writers: what is written in a turn goes out in one call and in order with everything else, and whoever drains hears of
// what there is to hear.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite struct StreamWriterTests {
        @Test(arguments: Driver.roomy)
        func `16 small writes in one turn are exactly one system call`(_ driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    let before = loop.statistics
                    let writer = client.writer
                    for number in 0..<4 {
                        writer.write("text \(number);")
                        writer.write(Bytes("bytes \(number);".utf8))
                        writer.write(Array("array \(number);".utf8))
                        writer.write(Bytes("span \(number);".utf8).span)
                    }
                    #expect(loop.statistics.bytesSent == before.bytesSent, "nothing goes out before the turn ends")
                    let count = writer.queuedCount
                    await turns(2, on: loop)
                    #expect(loop.statistics.flushes == before.flushes + 1)
                    #expect(loop.statistics.bytesSent == before.bytesSent + UInt64(count))
                    #expect(writer.queuedCount == 0)
                    let received = try await accepted.reader.read(exactly: count)
                    let expected = (0..<4).map { "text \($0);bytes \($0);array \($0);span \($0);" }.joined()
                    #expect(received.text == expected)
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `writes of every kind go out in the order in which they were made`(_ driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    let large = noise(5_000)
                    let sender = spawn {
                        _ = loop
                        let writer = client.writer
                        writer.write("1")
                        writer.write(contentsOf: ["2", Bytes(large), "3"])
                        try await client.write("4")
                        writer.write("5")
                        try await client.write(contentsOf: ["6", "7"])
                        writer.write("8")
                        try await client.write(Bytes("9".utf8).span)
                        writer.write(large)
                        writer.write("end")
                        try await client.writeEOF()
                    }
                    let received = try await accepted.reader.readToEnd()
                    let (start, middle, end) = (Array("12".utf8), Array("3456789".utf8), Array("end".utf8))
                    #expect(Array(received) == start + large + middle + large + end)
                    try await sender.value
                }
            }
        }

        @Test(arguments: Driver.roomy)
        func `much goes out before the turn ends`(_ driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    let before = loop.statistics
                    for _ in 0..<20 { client.writer.write(noise(1_000)) }
                    #expect(loop.statistics.flushes == before.flushes + 1)
                    #expect(client.writer.queuedCount == 3_000)
                    let all = try await accepted.reader.read(exactly: 20_000)
                    #expect(all.count == 20_000)
                }
            }
        }

        @Test(arguments: Driver.roomy, ["drain", "close", "handler", "failing handler", "loop"])
        func `what was written goes out by draining, closing, and the end of the handler and of the run`(
            _ driver: Driver,
            _ way: String
        ) async throws {
            try await onNetwork(driver) { loop in
                let received = Mailbox<String>(on: loop)
                var options = ServerOptions()
                options.onError = { error, _ in #expect(error is Refusal) }
                try await serving(on: loop, options) { connection in
                    if way.contains("handler") {
                        connection.writer.write("answer\n")
                        if way == "failing handler" { throw Refusal() }
                    } else {
                        received.put((try? await connection.reader.readLine())?.text ?? "nothing")
                    }
                } while: { server in
                    let client = try await server.client()
                    if way.contains("handler") {
                        received.put(await Self.line(client) ?? "nothing")
                    } else {
                        client.writer.write("answer\n")
                        if way == "drain" { try await client.writer.drain() }
                        if way == "close" {
                            client.writer.close()
                            try await client.writer.waitClosed()
                        }
                    }
                    let line = try await received.take()
                    // A reset overtakes what was sent before it in memory, and may do so on the way.
                    #expect(line == "answer\n" || way == "failing handler")
                    client.abort()
                }
            }
        }

        private static func line(_ connection: TCPConnection) async -> String? {
            (try? await connection.reader.readLine())?.text
        }

        @Test(arguments: Driver.roomy)
        func `many tasks drain, above the high mark until below the low one, behaviour 118`(
            _ driver: Driver
        ) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    client.writer.write("little")
                    try await client.writer.drain()
                    client.writer.write(noise(driver.bulk * 2))
                    let drainers = spawnEach(5, on: loop) { _ in try await client.writer.drain() }
                    await turns(20, on: loop)
                    #expect(drainers.allSatisfy { !$0.isDone })
                    let cancelled = drainers[4]
                    cancelled.cancel()
                    await letAllRun()
                    #expect(cancelled.isDone && !drainers[0].isDone)
                    let all = try await accepted.reader.read(exactly: driver.bulk * 2 + 6)
                    #expect(all.count == driver.bulk * 2 + 6)
                    for drainer in drainers.dropLast() { try await drainer.value }
                    #expect(client.writer.queuedCount <= 16_384)
                }
            }
        }

        @Test(arguments: Driver.roomy)
        func `a loop that writes and drains ends when the peer has gone, behaviour 118`(
            _ driver: Driver
        ) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    accepted.abort()
                    let error = await ending {
                        while true {
                            client.writer.write("again and again")
                            try await client.writer.drain()
                            await AsyncIO.yield()
                        }
                    }
                    #expect(["ECONNRESET", "EPIPE"].contains(error), "\(error)")
                    let again = await ending { try await client.writer.drain() }
                    #expect(again == error)
                    let closed = await ending { try await client.writer.waitClosed() }
                    #expect(closed == error)
                }
            }
        }

        @Test(arguments: Driver.roomy)
        func `draining a connection that is closing lets a turn pass, behaviour 118`(_ driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    client.writer.close()
                    let error = await ending {
                        while true {
                            client.writer.write("x")
                            try await client.writer.drain()
                        }
                    }
                    #expect(error == "closed" && client.writer.isClosing)
                    try await client.writer.waitClosed()
                }
            }
        }

        @Test(arguments: Driver.roomy)
        func `what is written after the end is dropped, and draining says so`(_ driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    client.writer.write("last")
                    client.writer.writeEOF()
                    client.writer.writeEOF()
                    try await client.writer.drain()
                    client.writer.write("more")
                    for _ in 0..<2 {
                        let error = await ending { try await client.writer.drain() }
                        #expect(error == "writeAfterEnd")
                    }
                    let all = try await accepted.reader.readToEnd()
                    #expect(all == "last")
                    // The other direction is open.
                    try await accepted.write("answer\n")
                    let answer = try await client.reader.readLine()
                    #expect(answer == "answer\n")
                }
            }
        }

        @Test(arguments: Driver.roomy)
        func `who aborts drops what was gathered`(_ driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    client.writer.write("never")
                    client.writer.abort()
                    #expect(client.writer.queuedCount == 0)
                    let error = await ending { _ = try await accepted.read() }
                    #expect(error == "ECONNRESET")
                }
            }
        }

        @Test func `connections that take turns share the loop's blocks, and keep none`() async throws {
            try await onNetwork(.memory) { loop in
                try await serving(on: loop) { connection in
                    for try await line in connection.reader.lines { connection.writer.write(line + "\n") }
                } while: { server in
                    var clients: [TCPConnection] = []
                    for _ in 0..<40 { clients.append(try await server.client()) }
                    for round in 0..<20 {
                        for (number, client) in clients.enumerated() { client.writer.write("\(round) \(number)\n") }
                        for (number, client) in clients.enumerated() {
                            let line = try await client.reader.readTextLine()
                            #expect(line == "\(round) \(number)")
                        }
                    }
                    for client in clients { try await client.close() }
                }
            }
        }
    }
}
