// What is tortured: programs that use everything once, and small enough to be run a thousand times.

import AsyncIO
import Foundation

struct Scenario {
    /// A peer's failure ended the stream too soon.
    struct EarlyEnd: Error {}

    let name: String
    let body: @MainActor (Findings) async throws -> Void

    static let all = [
        Scenario(name: "echo") { findings in try await echo(findings) },
        Scenario(name: "lines on a Unix socket") { findings in try await lines(findings) },
        Scenario(name: "datagrams") { findings in try await datagrams(findings) },
        Scenario(name: "a pipe") { findings in try await pipe(findings) },
        Scenario(name: "a file") { findings in try await file(findings) },
        Scenario(name: "socket calls and a signal") { findings in try await socketCalls(findings) },
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

    /// A client of a Unix socket that speaks in lines, by reader and writer.
    @MainActor
    private static func lines(_ findings: Findings) async throws {
        let path = NSTemporaryDirectory() + "torture-\(ProcessInfo.processInfo.processIdentifier)"
        let server = try await UnixServer.listen(path: path)
        let serving = AsyncIO.spawn {
            try await server.serve { connection in
                while let line = try await connection.reader.readLine() { connection.writer.write(line) }
            }
        }
        do {
            try await UnixConnection.withConnection(path: path) { connection in
                for number in 0..<20 { connection.writer.write("line \(number)\n") }
                for number in 0..<20 {
                    guard try await connection.reader.readTextLine() == "line \(number)" else { throw EarlyEnd() }
                }
            }
        } catch {
            findings.note(error: error)
        }
        server.close()
        await server.drain(within: .seconds(2))
        try await serving.value
    }

    /// Datagrams there and back; a lost one is no failure of a network.
    @MainActor
    private static func datagrams(_ findings: Findings) async throws {
        let server = try await UDPSocket.bind(host: "127.0.0.1", port: 0)
        let answering = AsyncIO.spawn {
            for try await datagram in server { try await server.send(datagram.bytes, to: datagram.address) }
        }
        do {
            // A socket whose address the system does not tell has none.
            guard let address = server.localAddress else { throw EarlyEnd() }
            try await UDPSocket.withSocket(connectedTo: address.host, port: Int(address.port)) { socket in
                for number in 0..<3 {
                    try await socket.send("datagram \(number)")
                    _ = try? await withTimeout(.milliseconds(100)) { try await socket.receive() }
                }
            }
        } catch {
            findings.note(error: error)
        }
        answering.cancel()
        do { try await answering.value } catch { if !(error is CancellationError) { findings.note(error: error) } }
        try await server.close()
    }

    /// Bytes through a pipe.
    @MainActor
    private static func pipe(_ findings: Findings) async throws {
        let (reader, writer) = try await TCPConnection.makePipe()
        let writing = AsyncIO.spawn {
            try await writer.write([UInt8](repeating: 7, count: 200_000))
            try await writer.close()
        }
        var count = 0
        do {
            while let bytes = try await reader.read() { count += bytes.count }
            if count != 200_000 { throw EarlyEnd() }
        } catch {
            findings.note(error: error)
        }
        reader.abort()
        do { try await writing.value } catch { findings.note(error: error) }
        writer.abort()
    }

    /// A file over a connection, by the system's own call where that works.
    @MainActor
    private static func file(_ findings: Findings) async throws {
        let path = NSTemporaryDirectory() + "torture-\(ProcessInfo.processInfo.processIdentifier).file"
        try Data(repeating: 7, count: 300_000).write(to: URL(filePath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
        let serving = AsyncIO.spawn {
            try await server.serve { connection in
                do { _ = try await connection.sendFile(path: path) } catch { findings.note(error: error) }
            }
        }
        do {
            try await TCPConnection.withConnection(host: "127.0.0.1", port: server.port) { connection in
                var count = 0
                while let bytes = try await connection.read() { count += bytes.count }
                guard count == 300_000 else { throw EarlyEnd() }
            }
        } catch {
            findings.note(error: error)
        }
        server.close()
        await server.drain(within: .seconds(2))
        try await serving.value
    }

    /// A server and a client of socket calls, and a signal that the loop watches.
    @MainActor
    private static func socketCalls(_ findings: Findings) async throws {
        let loop = EventLoop.current!
        let listener = try await socket(on: loop)
        defer { listener.close() }
        try await listener.bind(to: try SocketAddress(host: "127.0.0.1", port: 0))
        try await listener.listen()
        // A socket whose address the system does not tell has none.
        guard let address = await listener.localAddress else { throw EarlyEnd() }
        let serving = AsyncIO.spawn {
            // Who waits to be accepted hears of a failure that way.
            defer { listener.close() }
            let accepted = try await listener.accept()
            defer { accepted.close() }
            while true {
                let bytes = try await accepted.receive()
                if bytes.isEmpty { return }
                try await accepted.sendAll(bytes)
            }
        }
        do {
            let client = try await socket(on: loop)
            defer { client.close() }
            try await client.connect(to: address)
            try await client.sendAll("over there")
            var received = ""
            while received.count < 10 {
                let bytes = try await client.receive()
                if bytes.isEmpty { throw EarlyEnd() }
                received += String(decoding: bytes, as: UTF8.self)
            }
        } catch {
            findings.note(error: error)
            serving.cancel()
        }
        do { try await serving.value } catch { if !(error is CancellationError) { findings.note(error: error) } }

        try await waitForSignal(on: loop)
    }

    private static func socket(on loop: isolated EventLoop) throws -> RawSocket {
        try RawSocket(.ipv4, .stream, on: loop)
    }

    private static func waitForSignal(on loop: isolated EventLoop) async throws {
        let arrived = AsyncEvent()
        let watcher = try loop.onSignal(.user1) { arrived.set() }
        defer { watcher.cancel() }
        raise(SIGUSR1)
        try await arrived.wait()
    }

    /// Wake-ups from other threads, timers, and a loop of its own.
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
