// Connections, pipes and files.

import AsyncIO
import CTorture
import Foundation

extension Scenario {
    /// Three clients of one server: a few bytes, more than the kernel takes at once, and a half-close.
    @MainActor
    static func echo(_ findings: Findings) async throws {
        let server = try await TCPServer.listen(host: "127.0.0.1", port: 0, options: telling(findings))
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

    /// Made once, as that takes longer than all else.
    private static let noise = Data((0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })

    /// Sends so much and its end, and gets all of it back.
    @MainActor
    static func client(of server: TCPServer, _ count: Int) async throws {
        try await TCPConnection.withConnection(host: "127.0.0.1", port: server.port) { connection in
            let sent = noise[..<count]
            let writing = AsyncIO.spawn {
                try await connection.write(contentsOf: [Bytes(sent.prefix(5)), Bytes(sent.dropFirst(5))])
                try await connection.writeEOF()
            }
            var received = Data()
            do {
                while let bytes = try await connection.read() { received.append(contentsOf: bytes) }
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
    static func lines(_ findings: Findings) async throws {
        let path = Scenario.path()
        let server = try await UnixServer.listen(path: path, options: telling(findings))
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

    /// Bytes through a pipe.
    @MainActor
    static func pipe(_ findings: Findings) async throws {
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
    static func file(_ findings: Findings) async throws {
        let path = Scenario.path(".file")
        try Data(repeating: 7, count: 300_000).write(to: URL(filePath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        let server = try await TCPServer.listen(host: "127.0.0.1", port: 0, options: telling(findings))
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

    /// A file into something that the system's own call does not send to.
    @MainActor
    static func fileIntoPipe(_ findings: Findings) async throws {
        let path = Scenario.path(".file")
        try Data(repeating: 7, count: 300_000).write(to: URL(filePath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        let (reader, writer) = try await TCPConnection.makePipe()
        let sending = AsyncIO.spawn {
            defer { writer.abort() }
            guard try await writer.sendFile(path: path) == 300_000 else { throw EarlyEnd() }
            try await writer.close()
        }
        var count = 0
        do {
            while let bytes = try await reader.read() { count += bytes.count }
            if count != 300_000 { throw EarlyEnd() }
        } catch {
            findings.note(error: error)
        }
        reader.abort()
        do { try await sending.value } catch { findings.note(error: error) }
    }

    /// A server and a client with every setting that a socket has, and a client that says from where it comes.
    @MainActor
    static func settings(_ findings: Findings) async throws {
        var options = StreamOptions()
        options.keepAlive = .seconds(60)
        options.keepAliveInterval = .seconds(10)
        options.keepAliveCount = 3
        options.userTimeout = .seconds(60)
        options.sendBufferSize = 100_000
        options.receiveBufferSize = 100_000
        var serverOptions = telling(findings)
        serverOptions.listener.connection = options
        serverOptions.listener.reusePort = true
        let server = try await TCPServer.listen(host: "::1", port: 0, options: serverOptions)
        let serving = AsyncIO.spawn {
            try await server.serve { connection in
                try await read(5, from: connection)
                try await connection.write("hello")
            }
        }
        do {
            var connecting = ConnectOptions()
            connecting.localAddresses = [try SocketAddress(host: "::1", port: 0)]
            let connection = try await TCPConnection.connect(
                host: "::1",
                port: server.port,
                options: options,
                connecting: connecting
            )
            try await connection.write("hello")
            try await read(5, from: connection)
            // Which resets it.
            connection.abort()
        } catch {
            findings.note(error: error)
        }
        server.close()
        await server.drain(within: .seconds(2))
        try await serving.value
    }

    /// A server at a place where another has left its socket, which only its user may use, and which is gone at the end.
    @MainActor
    static func place(_ findings: Findings) async throws {
        let path = Scenario.path(".place")
        remove(path)
        close(unsafe path.withCString { unsafe torture_bound_socket($0) })
        defer { remove(path) }
        var options = ServerOptions()
        options.listener.unix.permissions = 0o600
        do {
            let server = try await UnixServer.listen(path: path, options: options)
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            if mode != 0o600 { findings.note(error: EarlyEnd()) }
            server.close()
            try await server.serve { _ in }
            if FileManager.default.fileExists(atPath: path) { findings.noteFile(path) }
        } catch {
            findings.note(error: error)
        }
    }

    /// Names that become addresses and back, on threads.
    @MainActor
    static func names(_ findings: Findings) async throws {
        let resolver = SystemResolver(concurrency: 1)
        let server = try await TCPServer.listen(host: "127.0.0.1", port: 0, options: telling(findings))
        let serving = AsyncIO.spawn {
            try await server.serve { connection in _ = try await connection.read() }
        }
        do {
            var connecting = ConnectOptions()
            connecting.resolver = resolver
            connecting.family = .ipv4
            try await TCPConnection.withConnection(host: "localhost", port: server.port, connecting: connecting) { _ in
            }
            guard try await !resolver.name(of: server.localAddress).isEmpty else { throw EarlyEnd() }
        } catch {
            findings.note(error: error)
        }
        server.close()
        await server.drain(within: .seconds(2))
        try await serving.value
    }
}
