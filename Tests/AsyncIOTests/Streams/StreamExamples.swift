// The examples in the doc comments of the streams, as code that is compiled: see DocumentationTests.

import AsyncIO
import AsyncIOTesting

/// `StreamReader`, `StreamWriter` and `StreamReader.lines`.
enum StreamExample {
    static func echo(_ connection: TCPConnection) async throws {
        while let line = try await connection.reader.readLine() { connection.writer.write(line) }
    }

    static func answer(_ writer: StreamWriter, _ body: Bytes) async throws {
        writer.write("200 OK\n")
        writer.write(body)
        try await writer.drain()
    }

    static func shout(_ connection: TCPConnection) async throws {
        for try await line in connection.reader.lines { connection.writer.write(line.uppercased() + "\n") }
    }
}

/// `ByteSource`.
enum ByteSourceExample {
    final class Countdown: ByteSource {
        private var next = 3
        func read() async throws -> Bytes? {
            defer { next -= 1 }
            return next > 0 ? Bytes("\(next)\n".utf8) : nil
        }
    }
}

/// `MemoryByteStream`.
enum MemoryByteStreamExample {
    static func talk() async throws -> Bytes? {
        let (server, client) = MemoryByteStream.pair()
        StreamWriter(client).write("hello\n")
        let line = try await StreamReader(server).readLine()
        return line
    }
}
