// Our echo server with a task for each connection, as the README shows it.

internal import AsyncIO

enum OurStreamServer {
    /// What a handler reads and writes with.
    enum Way {
        /// The connection itself.
        case connection
        /// The same, on two loops.
        case twoLoops
        /// The connection's reader and writer: whatever has come, or a line at a time.
        case chunks
        case lines
    }

    /// Serves until SIGTERM, and returns the exit code.
    ///
    /// `executor` says whether what the loop's thread enqueues for Swift's global executor stays on the loop.
    static func serve(host: String, port: Int, _ executor: EventLoop.GlobalExecutor, by way: Way) throws -> CInt {
        var configuration = EventLoop.Configuration()
        configuration.globalExecutor = executor
        try AsyncIO.run(configuration) {
            var options = ServerOptions()
            options.onError = { _, _ in }
            let loops = way == .twoLoops ? 2 : 1
            let server = try await TCPServer.listen(host: host, port: port, options: options, loops: loops)
            try await endOnSignal(server, on: server.loop)
            Terminal.print("listening on \(server.localAddress)")
            switch way {
            case .connection:
                try await server.serve { connection in
                    while let bytes = try await connection.read() { try await connection.write(bytes) }
                }
            case .twoLoops:
                try await server.serve(onEachLoop: { _, connection in
                    while let bytes = try await connection.read() { try await connection.write(bytes) }
                })
            case .chunks:
                try await server.serve { connection in
                    let (reader, writer) = (connection.reader, connection.writer)
                    while let bytes = try await reader.read() {
                        writer.write(bytes)
                        try await writer.drain()
                    }
                }
            case .lines:
                try await server.serve { connection in
                    let (reader, writer) = (connection.reader, connection.writer)
                    while let line = try await reader.readLine() {
                        writer.write(line)
                        try await writer.drain()
                    }
                }
            }
        }
        return 0
    }

    private static func endOnSignal(_ server: TCPServer, on loop: isolated EventLoop) throws {
        try loop.onSignal(.terminate) { server.abort() }
    }
}
