// Writing: in every form, more than the network holds, by several tasks at once, and to a connection that has ended or
// ends meanwhile. Behaviours 105 to 111 and 118 of asyncio.

import AsyncIO
import Testing

extension AsyncIOTests {
    @Suite struct TCPWritingTests {
        @Test(arguments: Driver.allCases)
        func `bytes, texts, spans and pieces arrive in the order of the calls, and nothing is nothing`(
            driver: Driver
        ) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    let writing = spawn {
                        try await client.write(Bytes([1, 2, 3]))
                        try await client.write("grüße, 🌍!")
                        unsafe try await client.write([4, 5, 6].span.bytes)
                        try await client.write(contentsOf: ["a", Bytes(), Bytes([7, 8]), "bcd"])
                        try await client.write(Bytes())
                        try await client.write("")
                        unsafe try await client.write([UInt8]().span.bytes)
                        try await client.write(contentsOf: [])
                        try await client.write(contentsOf: [Bytes(), Bytes()])
                        try await client.close()
                    }
                    let expected = [1, 2, 3] + Array("grüße, 🌍!".utf8) + words([4, 5, 6]) + Array("a".utf8) + [7, 8]
                    #expect(try await accepted.readAll() == expected + Array("bcd".utf8))
                    try await writing.value
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `a write of more than the network holds waits for the reader, and all of it arrives`(
            driver: Driver
        ) async throws {
            try await onNetwork(driver) { loop in
                let bytes = noise(2 * driver.bulk)
                let log = Recorder<String>()
                try await withPair(on: loop) { accepted, client in
                    let writing = spawn {
                        try await client.write(Bytes(bytes))
                        log.append("written")
                        try await client.close()
                    }
                    await turns(20, on: loop)
                    #expect(log.all == [])
                    #expect(try await accepted.readAll() == bytes)
                    try await writing.value
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `what waits to be sent to a slow reader is bounded by the mark and one write`(
            driver: Driver
        ) async throws {
            try await onNetwork(driver) { loop in
                let size = driver == .narrowMemory ? 100 : 50_000
                let count = 3 * driver.bulk / size
                var options = StreamOptions()
                options.writeHighWaterMark = 2 * size
                try await withPair(on: loop, client: options) { accepted, client in
                    let writing = spawn {
                        for number in 0..<count {
                            try await client.write(Bytes(noise(size, seed: UInt8(number % 256))))
                        }
                        try await client.close()
                    }
                    await turns(20, on: loop)
                    var largest = loop.bytesToSend
                    #expect(largest > 0)
                    for number in 0..<count {
                        let piece = try await accepted.read(exactly: size)
                        if piece != noise(size, seed: UInt8(number % 256)) { Issue.record("piece \(number) differs") }
                        if number % 16 == 0 { largest = max(largest, loop.bytesToSend) }
                    }
                    #expect(try await accepted.read() == nil)
                    try await writing.value
                    #expect(largest <= 3 * size)
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `several tasks write at once, and the bytes of each call stay together`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                let largest = driver == .narrowMemory ? 40 : 40_000
                try await withPair(on: loop) { accepted, client in
                    let writers = spawnEach(8, on: loop) { writer in
                        let writer = writer + 1
                        for number in 1...20 {
                            let body = [UInt8](repeating: UInt8(writer), count: largest * number / 20 / writer + 1)
                            let head = Bytes([UInt8(writer), UInt8(number)] + length(body))
                            if number % 2 == 0 {
                                try await client.write(contentsOf: [head, Bytes(body)])
                            } else {
                                try await client.write(Bytes(Array(head) + body))
                            }
                        }
                    }
                    var last = [UInt8](repeating: 0, count: 9)
                    for _ in 0..<160 {
                        let head = try await accepted.read(exactly: 5)
                        try #require(head.count == 5 && (1...8).contains(head[0]))
                        let count = Int(head[2]) << 16 | Int(head[3]) << 8 | Int(head[4])
                        let body = try await accepted.read(exactly: count)
                        #expect(body == [UInt8](repeating: head[0], count: count))
                        // One task's writes are in its order.
                        #expect(head[1] == last[Int(head[0])] + 1)
                        last[Int(head[0])] = head[1]
                    }
                    for writer in writers { try await writer.value }
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `both directions are full at once, and both get through`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                let there = noise(driver.bulk, seed: 1)
                let back = noise(driver.bulk, seed: 2)
                try await withPair(on: loop) { accepted, client in
                    let writing = [
                        spawn {
                            try await client.write(Bytes(there))
                            try await client.writeEOF()
                        },
                        spawn {
                            try await accepted.write(Bytes(back))
                            try await accepted.writeEOF()
                        },
                    ]
                    await turns(5, on: loop)
                    async let answer = client.readAll()
                    #expect(try await accepted.readAll() == there)
                    let received = try await answer
                    #expect(received == back)
                    for task in writing { try await task.value }
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `after its end was sent a stream takes nothing more`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    try await client.writeEOF()
                    #expect(await ending { try await client.write("x") } == "writeAfterEnd")
                    #expect(await ending { try await client.write(Bytes()) } == "writeAfterEnd")
                    let end = await ending { unsafe try await client.write([1].span.bytes) }
                    #expect(end == "writeAfterEnd")
                    #expect(await ending { try await client.write(contentsOf: ["x"]) } == "writeAfterEnd")
                    #expect(try await accepted.read() == nil)
                    try await accepted.write("still here")
                    #expect(try await client.text(10) == "still here")
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `writing to a peer that is gone is an error before long`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    try await accepted.close()
                    var end = "ok"
                    for _ in 0..<10 where end == "ok" {
                        await turns(2, on: loop)
                        end = await ending { try await client.write("anybody?") }
                    }
                    #expect(["EPIPE", "ECONNRESET"].contains(end))
                    let error = await #expect(throws: SystemError.self) { try await client.write("x") }
                    #expect(error?.address == client.remoteAddress)
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `a write that waits ends with an error when its connection is aborted`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                for abortsPeer in [false, true] {
                    try await withPair(on: loop) { accepted, client in
                        let bytes = Bytes(noise(2 * driver.bulk))
                        let writers = spawnEach(3, on: loop) { _ in try await client.write(bytes) }
                        await turns(5, on: loop)
                        if abortsPeer { accepted.abort() } else { client.abort() }
                        for writer in writers {
                            let end = await ending { try await writer.value }
                            #expect(abortsPeer ? ["ECONNRESET", "EPIPE"].contains(end) : end == "closed")
                        }
                    }
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `a write that waits ends with an error when its server is aborted`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                let ends = Recorder<String>()
                let bytes = Bytes(noise(2 * driver.bulk))
                try await serving(on: loop) { connection in
                    async let other = ending { try await connection.write(bytes) }
                    let own = await ending { try await connection.write(bytes) }
                    ends.append(own)
                    ends.append(await other)
                } while: { server in
                    let client = try await server.client()
                    await turns(10, on: loop)
                    server.abort()
                    #expect(await ending { _ = try await client.readAll() } == "ECONNRESET")
                }
                #expect(ends.count == 2 && ends.all.allSatisfy { ["closed", "CancellationError"].contains($0) })
            }
        }

        @Test(arguments: Driver.allCases)
        func `a write that waits succeeds although its connection is being closed`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                let bytes = noise(2 * driver.bulk)
                try await withPair(on: loop) { accepted, client in
                    let writing = spawn { try await client.write(Bytes(bytes)) }
                    await turns(5, on: loop)
                    let closing = spawn { try await client.close() }
                    #expect(try await accepted.readAll() == bytes)
                    try await writing.value
                    try await closing.value
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `a span is the caller's again when the write returns`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                let bytes = noise(driver.bulk)
                try await withPair(on: loop, client: .returning(whenLeft: driver.bulk / 2)) { accepted, client in
                    let writing = spawn {
                        var mine = bytes
                        unsafe try await client.write(mine.span.bytes)
                        for index in mine.indices { mine[index] = 0 }
                        try await client.close()
                    }
                    #expect(try await accepted.readAll() == bytes)
                    try await writing.value
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `with a mark of zero a write returns when nothing is left`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                let bytes = noise(driver.bulk)
                try await withPair(on: loop, client: .returning(whenLeft: 0)) { accepted, client in
                    let writing = spawn {
                        try await client.write(Bytes(bytes))
                        #expect(loop.bytesToSend == 0)
                        try await client.close()
                    }
                    #expect(try await accepted.readAll() == bytes)
                    try await writing.value
                }
            }
        }

        @Test(arguments: Driver.roomy)
        func `ten thousand small writes arrive as they were written`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    let writing = spawn {
                        for number in 0..<10_000 { try await client.write("\(number) ") }
                        try await client.close()
                    }
                    let expected = (0..<10_000).map { "\($0) " }.joined()
                    #expect(String(decoding: try await accepted.readAll(), as: UTF8.self) == expected)
                    try await writing.value
                }
            }
        }
    }
}

extension EventLoop {
    /// How many bytes wait to be sent on all connections, as the loop tells people.
    fileprivate var bytesToSend: Int {
        dump().split(separator: "\n").compactMap { $0.firstMatch(of: /([0-9]+) B to send/) }.reduce(0) {
            $0 + Int($1.1)!
        }
    }
}

/// The bytes of numbers in memory.
private func words(_ numbers: [Int]) -> [UInt8] {
    numbers.flatMap { number in (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) } }
}

/// A count in three bytes.
private func length(_ bytes: [UInt8]) -> [UInt8] {
    [16, 8, 0].map { UInt8(truncatingIfNeeded: bytes.count >> $0) }
}
