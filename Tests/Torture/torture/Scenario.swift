// What is tortured: programs that use everything once, and small enough to be run a thousand times.

import AsyncIO

struct Scenario {
    /// A peer's failure ended the stream too soon.
    struct EarlyEnd: Error {}

    let name: String
    let body: @MainActor (Findings) async throws -> Void

    static let all = [
        Scenario(name: "echo") { findings in try await echo(findings) },
        Scenario(name: "threads and timers") { findings in try await threadsAndTimers(findings) },
    ]

    /// Three clients of one server: a few bytes, more than the kernel takes at once, and a half-close.
    @MainActor
    private static func echo(_ findings: Findings) async throws {
        let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
        let serving = AsyncIO.spawn {
            try await server.serve { connection in
                while let bytes = try await connection.read() { try await connection.write(bytes) }
            }
        }
        let clients = [
            AsyncIO.spawn { try await client(of: server, 10) },
            AsyncIO.spawn { try await client(of: server, 300_000) },
            AsyncIO.spawn { try await client(of: server, 70_000) },
        ]
        for client in clients {
            do { try await client.value } catch { findings.note(error: error) }
        }
        server.close()
        await server.drain(within: .seconds(2))
        try await serving.value
    }

    /// Sends so much and its end, and gets all of it back.
    @MainActor
    private static func client(of server: TCPServer, _ count: Int) async throws {
        try await TCPConnection.withConnection(host: "127.0.0.1", port: server.port) { connection in
            let sent = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            let writing = AsyncIO.spawn {
                try await connection.write(contentsOf: [Bytes(sent.prefix(5)), Bytes(sent.dropFirst(5))])
                try await connection.writeEOF()
            }
            var received: [UInt8] = []
            do {
                while let bytes = try await connection.read() { received += bytes }
            } catch {
                writing.cancel()
                _ = try? await writing.value
                throw error
            }
            try await writing.value
            guard received == sent else { throw EarlyEnd() }
        }
    }

    /// Wake-ups from other threads, timers, signals, and a connection that nobody answers.
    @MainActor
    private static func threadsAndTimers(_ findings: Findings) async throws {
        let loop = EventLoop.current!
        let number = try await AsyncIO.offload { 7 }
        guard number == 7 else { throw EarlyEnd() }
        let submitted = try loop.submitTask { _ in 8 }
        guard try await submitted.value == 8 else { throw EarlyEnd() }
        try await AsyncIO.sleep(for: .milliseconds(2))
        let other = try await withEventLoop { _ in
            try await AsyncIO.sleep(for: .milliseconds(1))
            return 9
        }
        guard other == 9 else { throw EarlyEnd() }
    }

    /// One exchange in which nothing fails.
    @MainActor
    static func check() async throws {
        let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
        let serving = AsyncIO.spawn {
            try await server.serve { connection in
                if let bytes = try await connection.read() { try await connection.write(bytes) }
            }
        }
        try await TCPConnection.withConnection(host: "127.0.0.1", port: server.port) { connection in
            try await connection.write("still there")
            guard try await connection.read() == "still there" else { throw EarlyEnd() }
        }
        server.close()
        try await serving.value
    }
}
