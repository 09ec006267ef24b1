// The server with a task for each connection: the same flags, the same signals, the same end.

import AsyncIO
import Foundation

/// Serves on the main thread's loop.
struct StreamServer {
    let options: EchoServer

    func run() throws -> String {
        try AsyncIO.run(signals: .none) { try await serve() }
    }

    @MainActor
    private func serve() async throws -> String {
        var serverOptions = ServerOptions()
        serverOptions.listener.maxConnections = options.maxConnections
        // Clients break off connections all the time: for an echo server that is no news.
        serverOptions.onError = { _, _ in }
        let server = try await listen(serverOptions)
        try await endOnSignals(server, on: server.loop)
        try Output.writeLine("listening on \(server.localAddress)", to: .standardOutput)
        if options.loops == 1 {
            try await server.serve { connection in
                while let bytes = try await connection.read() { try await connection.write(bytes) }
            }
        } else {
            try await server.serve { _, connection in
                while let bytes = try await connection.read() { try await connection.write(bytes) }
            }
        }
        var (received, sent): (UInt64, UInt64) = (0, 0)
        for loop in server.loops {
            let statistics = await loop.statistics
            received += statistics.bytesReceived
            sent += statistics.bytesSent
        }
        return "echo-server: \(await server.acceptedCount) connections, \(received) bytes received, \(sent) bytes sent"
    }

    @MainActor
    private func listen(_ serverOptions: ServerOptions) async throws -> TCPServer {
        if let path = options.unix { return try await UnixServer.listen(path: path, options: serverOptions) }
        let (host, port) = options.endpoint
        return try await TCPServer.listen(host: host, port: port, options: serverOptions, loops: options.loops)
    }

    private func endOnSignals(_ server: TCPServer, on loop: isolated EventLoop) throws {
        try loop.endOnSignals { AsyncIO.spawn { await server.drain(within: CallbackServer.drainTime) } }
    }
}
