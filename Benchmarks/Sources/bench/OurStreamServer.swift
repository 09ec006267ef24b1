// Our echo server with a task for each connection, as the README shows it.

internal import AsyncIO

enum OurStreamServer {
    /// Serves until SIGTERM, and returns the exit code.
    ///
    /// `executor` says whether what the loop's thread enqueues for Swift's global executor stays on the loop.
    static func serve(host: String, port: Int, _ executor: EventLoop.GlobalExecutor) throws -> CInt {
        var configuration = EventLoop.Configuration()
        configuration.globalExecutor = executor
        try AsyncIO.run(configuration) {
            var options = ServerOptions()
            options.onError = { _, _ in }
            let server = try await TCPServer.listen(host: host, port: port, options: options)
            try await endOnSignal(server, on: server.loop)
            Terminal.print("listening on \(server.localAddress)")
            try await server.serve { connection in
                while let bytes = try await connection.read() { try await connection.write(bytes) }
            }
        }
        return 0
    }

    private static func endOnSignal(_ server: TCPServer, on loop: isolated EventLoop) throws {
        try loop.onSignal(.terminate) { server.abort() }
    }
}
