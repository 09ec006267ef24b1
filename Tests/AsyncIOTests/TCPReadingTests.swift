// Reading: what a read brings, in which order, at the end, after the loss of the connection, and to whom.
// Behaviours 103, 110 and 115 of asyncio.

import AsyncIO
import Testing

extension AsyncIOTests {
    @Suite struct TCPReadingTests {
        @Test(arguments: Driver.allCases)
        func `a read brings what has arrived, in order, and waits if nothing has`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    let reading = spawn { try await client.read() }
                    await turns(3, on: loop)
                    try await accepted.write("abc")
                    let first = try #require(try await reading.value)
                    #expect(!first.isEmpty && "abc".utf8.starts(with: first))
                    let rest = try await client.read(exactly: 3 - first.count)
                    #expect(Array(first) + rest == Array("abc".utf8))
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `the end is nil, again and again`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    try await accepted.write("last")
                    try await accepted.close()
                    #expect(try await client.text(4) == "last")
                    for _ in 0..<3 { #expect(try await client.read() == nil) }
                    var room = [UInt8](repeating: 1, count: 8)
                    #expect(try await read(client, into: &room) == 0)
                    for try await _ in client { Issue.record("bytes after the end") }
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `reading into memory takes what fits, and the rest stays in order`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    let bytes = noise(1_000)
                    let writing = spawn {
                        try await accepted.write(Bytes(bytes))
                        try await accepted.writeEOF()
                    }
                    var received: [UInt8] = []
                    var sizes = [1, 2, 5, 0, 3, 100].makeIterator()
                    while received.count < 500 {
                        var room = [UInt8](repeating: 0, count: sizes.next() ?? 7)
                        let count = try await read(client, into: &room)
                        #expect(count <= room.count && (count > 0 || room.isEmpty))
                        received += room[..<count]
                    }
                    // Other ways to read go on where this one stopped.
                    received += Array(try #require(try await client.read()))
                    for try await slice in client { received += Array(slice) }
                    #expect(received == bytes)
                    try await writing.value
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `reading into no memory returns at once and takes nothing`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    var nothing: [UInt8] = []
                    #expect(try await read(client, into: &nothing) == 0)
                    try await accepted.write("x")
                    #expect(try await read(client, into: &nothing) == 0)
                    #expect(try await client.text(1) == "x")
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `iterating can stop and begin again, and loses nothing`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    let bytes = noise(driver == .narrowMemory ? 200 : 300_000)
                    let writing = spawn {
                        try await accepted.write(Bytes(bytes))
                        try await accepted.close()
                    }
                    var received: [UInt8] = []
                    var rounds = 0
                    while received.count < bytes.count {
                        rounds += 1
                        for try await slice in client {
                            received.append(bytes: slice)
                            if rounds < 10 { break }
                        }
                    }
                    #expect(received == bytes && rounds > 1)
                    try await writing.value
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `a second reader is refused, and the first gets the bytes`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    let first = spawn { try await client.read(exactly: 3) }
                    await turns(3, on: loop)
                    #expect(await ending { _ = try await client.read() } == "busyReader")
                    #expect(await ending { for try await _ in client {} } == "busyReader")
                    var room = [UInt8](repeating: 0, count: 8)
                    #expect(await ending { _ = try await read(client, into: &room) } == "busyReader")
                    try await accepted.write("abc")
                    #expect(try await first.value == Array("abc".utf8))
                    try await accepted.write("d")
                    #expect(try await client.text(1) == "d")
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `a handler's own task and others are refused while one of them reads`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                let ends = Recorder<String>()
                try await serving(on: loop) { connection in
                    let first = spawn { try await connection.text(3) }
                    await turns(3, on: loop)
                    ends.append(await ending { _ = try await connection.read() })
                    try await connection.write("1")
                    ends.append(try await first.value)
                    let other = spawn {
                        await turns(3, on: loop)
                        ends.append(await ending { _ = try await connection.read() })
                        try await connection.write("2")
                    }
                    ends.append(try await connection.text(3))
                    try await other.value
                    // Whoever closes ends the other's read.
                    let closer = spawn {
                        await turns(3, on: loop)
                        try await connection.close()
                    }
                    ends.append(await ending { _ = try await connection.read() })
                    try await closer.value
                } while: { server in
                    let client = try await server.client()
                    #expect(try await client.text(1) == "1")
                    try await client.write("abc")
                    #expect(try await client.text(1) == "2")
                    try await client.write("def")
                    #expect(try await client.read() == nil)
                    try await client.close()
                }
                #expect(ends.all == ["busyReader", "abc", "busyReader", "def", "closed"])
            }
        }

        @Test(arguments: Driver.allCases)
        func `what came before the end is read although the end is there`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    try await accepted.write("0123456789")
                    try await accepted.close()
                    await turns(10, on: loop)
                    #expect(try await client.readAll() == Array("0123456789".utf8))
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `what was taken from the system before a reset is read before the reset is heard of`(
            driver: Driver
        ) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    try await accepted.write("abc")
                    var room: [UInt8] = [0]
                    #expect(try await read(client, into: &room) == 1)
                    accepted.abort()
                    try await accepted.close()
                    await turns(5, on: loop)
                    // Writing finds out about it first.
                    for _ in 0..<5 where await ending({ try await client.write("x") }) == "ok" {
                        await turns(2, on: loop)
                    }
                    #expect(try await client.text(2) == "bc")
                    for _ in 0..<3 { #expect(await ending { _ = try await client.read() } == "ECONNRESET") }
                    #expect(await ending { try await client.write("x") } == "ECONNRESET")
                    #expect(await ending { try await client.close() } == "ECONNRESET")
                }
            }
        }

        @Test func `what the kernel had before a reset is read before the reset is heard of`() async throws {
            try await onNetwork(.sockets) { loop in
                try await withPair(on: loop) { accepted, client in
                    let bytes = noise(20_000)
                    try await accepted.write(Bytes(bytes))
                    accepted.abort()
                    try await accepted.close()
                    #expect(try await client.read(exactly: bytes.count) == bytes)
                    #expect(await ending { _ = try await client.read() } == "ECONNRESET")
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `a reader that waits hears of a reset`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    let reading = spawn { try await client.read() }
                    await turns(3, on: loop)
                    accepted.abort()
                    #expect(await ending { _ = try await reading.value } == "ECONNRESET")
                    let error = await #expect(throws: SystemError.self) { try await client.read() }
                    #expect(error?.address == client.remoteAddress)
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `slices that are kept keep their bytes, however much arrives after them`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    let bytes = noise(driver.bulk)
                    let writing = spawn {
                        try await accepted.write(Bytes(bytes))
                        try await accepted.close()
                    }
                    var kept: [Bytes] = []
                    for try await slice in client { kept.append(slice) }
                    var received: [UInt8] = []
                    for slice in kept { received.append(bytes: slice) }
                    #expect(received == bytes)
                    try await writing.value
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `bytes outlast their connection and their loop`(driver: Driver) async throws {
            let kept = try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    var kept: [Bytes] = []
                    for number in 0..<20 {
                        try await accepted.write(Bytes(noise(10, seed: UInt8(number))))
                        var count = 0
                        while count < 10 {
                            let bytes = try #require(try await client.read())
                            count += bytes.count
                            kept.append(bytes)
                        }
                    }
                    return kept
                }
            }
            #expect(kept.flatMap { $0 } == (0..<20).flatMap { noise(10, seed: UInt8($0)) })
        }

        @Test(arguments: Driver.allCases)
        func `nothing is taken from the system before somebody reads`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    let before = loop.statistics.bytesReceived
                    try await accepted.write("0123456789")
                    await turns(10, on: loop)
                    #expect(loop.statistics.bytesReceived == before)
                    #expect(try await client.text(10) == "0123456789")
                    #expect(loop.statistics.bytesReceived == before + 10)
                }
            }
        }
    }
}

/// Reads into an array.
private func read(_ connection: TCPConnection, into room: inout [UInt8]) async throws -> Int {
    var elements = room.mutableSpan
    // SAFETY: every pattern of bits is a byte.
    var span = unsafe elements.mutableBytes
    return try await connection.read(into: &span)
}
