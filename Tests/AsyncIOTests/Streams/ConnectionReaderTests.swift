// The reader of a connection, over both networks: both share what was received, whatever the pieces are.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite struct ConnectionReaderTests {
        @Test(arguments: Driver.allCases)
        func `a connection has one reader and one writer, also when it is closed`(_ driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    let (reader, writer) = (client.reader, client.writer)
                    #expect(reader === client.reader && writer === client.writer && reader !== accepted.reader)
                    try await client.close()
                    #expect(reader === client.reader && writer === client.writer)
                    #expect(writer.isClosing)
                    let error = await ending { _ = try await reader.readLine() }
                    #expect(error == "closed")
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `lines, blocks, records and the rest come out of one stream`(_ driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    client.writer.write("one\ntwo\r\n12345key=value;")
                    client.writer.write(noise(3_000))
                    client.writer.writeEOF()
                    let reader = accepted.reader
                    let one = try await reader.readLine()
                    let two = try await reader.readTextLine()
                    let block = try await reader.read(exactly: 5)
                    let key = try await reader.readUntil(anyOf: ["=", ";"])
                    let value = try await reader.readUntil(";")
                    #expect(one == "one\n" && two == "two" && block == "12345" && key == "key=" && value == "value;")
                    let rest = try await reader.readToEnd()
                    #expect(Array(rest) == noise(3_000))
                    #expect(reader.isAtEnd)
                    let end = try await accepted.read()
                    #expect(end == nil)
                }
            }
        }

        @Test(arguments: Driver.roomy)
        func `what the reader left is what the connection reads first, and the other way round`(
            _ driver: Driver
        ) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    try await client.write("one\ntwo\nthree")
                    let one = try await accepted.reader.readLine()
                    #expect(one == "one\n" && accepted.reader.buffered == "two\nthree")
                    var room = [UInt8](repeating: 0, count: 2)
                    var elements = room.mutableSpan
                    // SAFETY: every pattern of bits is a byte.
                    var span = unsafe elements.mutableBytes
                    let count = try await accepted.read(into: &span)
                    #expect(count == 2 && room == Array("tw".utf8))
                    let o = try await accepted.reader.readLine()
                    let three = try await accepted.read()
                    #expect(o == "o\n" && three == "three")
                    try await client.write("four\nfive")
                    let four = try await accepted.reader.readLine()
                    #expect(four == "four\n")
                    for try await five in accepted {
                        #expect(five == "five")
                        break
                    }
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `a read that is cancelled half-way leaves everything to the next, whoever that is`(
            _ driver: Driver
        ) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    try await client.write("half ")
                    let reader = Transfer(accepted.reader)
                    let task = spawn { try await reader.value.readLine()?.text }
                    await turns(20, on: loop)
                    #expect(reader.value.buffered.isEmpty, "it is being put together")
                    let busy = await ending { _ = try await accepted.read() }
                    #expect(busy == "busyReader")
                    task.cancel()
                    await letAllRun()
                    #expect(reader.value.buffered == "half ")
                    try await client.write("and half\nnext\n")
                    let line = try await reader.value.readLine()
                    let next = try await reader.value.readLine()
                    #expect(line == "half and half\n" && next == "next\n")
                }
            }
        }

        @Test(arguments: Driver.roomy)
        func `what came before a reset is read before the reset is heard of, behaviour 110`(
            _ driver: Driver
        ) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    let reader = accepted.reader
                    try await client.write("line\nrest")
                    let line = try await reader.readLine()
                    client.abort()
                    await turns(3, on: loop)
                    let error = await ending { _ = try await reader.readLine() }
                    let rest = try await reader.read()
                    let again = await ending { _ = try await reader.read() }
                    #expect(line == "line\n" && rest == "rest")
                    #expect(error == "ECONNRESET" && again == "ECONNRESET")
                }
            }
        }

        @Test(arguments: Driver.roomy)
        func `a handler echoes lines by its own task's short way`(_ driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await serving(on: loop) { connection in
                    let (reader, writer) = (connection.reader, connection.writer)
                    while let line = try await reader.readLine() {
                        writer.write(line)
                        try await writer.drain()
                    }
                } while: { server in
                    let client = try await server.client()
                    for number in 0..<300 {
                        // Whole, in two, and several at a time.
                        let lines = (0..<1 + number % 4).map { "line \(number) \($0)\n" }
                        let text = lines.joined()
                        if number % 3 == 0 {
                            try await client.write(String(text.prefix(4)))
                            await turns(2, on: loop)
                            try await client.write(String(text.dropFirst(4)))
                        } else {
                            try await client.write(text)
                        }
                        for line in lines {
                            let answer = try await client.reader.readLine()
                            #expect(answer == Bytes(line.utf8))
                        }
                    }
                    try await client.close()
                }
            }
        }

        @Test(arguments: Driver.roomy)
        func `blocks of a size that the peer announces arrive whole`(_ driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await serving(on: loop) { connection in
                    let reader = connection.reader
                    while let header = try await reader.readTextLine(), let count = Int(header) {
                        let body = try await reader.read(exactly: count)
                        connection.writer.write(body)
                    }
                } while: { server in
                    let client = try await server.client()
                    for count in [0, 1, 5, 64, 4_095, 4_096, 16_384, 100_000, 1_000_000, 3] {
                        let body = noise(count)
                        let sender = spawn {
                            _ = loop
                            client.writer.write("\(body.count)\n")
                            client.writer.write(body)
                            try await client.writer.drain()
                        }
                        let echo = try await client.reader.read(exactly: count)
                        #expect(Array(echo) == body)
                        try await sender.value
                    }
                    try await client.close()
                }
            }
        }

        @Test func `a cancelled handler's reader hears of it, and so does one that has a time limit`() async throws {
            try await onNetwork(.memory) { loop in
                try await withPair(on: loop) { accepted, client in
                    try await client.write("not a line")
                    let reader = Transfer(accepted.reader)
                    let error = await failure {
                        try await withTimeout(ticks(1)) { _ = try await reader.value.readLine() }
                    }
                    #expect(error is TimeoutError)
                    let rest = try await reader.value.read()
                    #expect(rest == "not a line")
                }
                let outcome = Mailbox<String>(on: loop)
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                let serving = spawn {
                    try await server.serve { connection in
                        outcome.put(await ending { _ = try await connection.reader.readLine() })
                    }
                }
                let client = try await server.client()
                try await client.write("x")
                await turns(10, on: loop)
                serving.cancel()
                let ended = try await outcome.take()
                #expect(ended == "CancellationError")
                try? await serving.value
                client.abort()
            }
        }
    }
}
