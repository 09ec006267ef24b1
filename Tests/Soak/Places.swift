// Where the clients find somebody, and where nobody is.

import AsyncIO

@MainActor
struct Places {
    let servers: [TCPServer]
    /// A port on which nobody listens any more.
    private let deserted: Int

    static func open() async throws -> Places {
        var options = ServerOptions()
        options.onError = { _, _ in }
        options.shutdownTimeout = .seconds(1)
        options.listener.connection.closeTimeout = .milliseconds(500)
        let deserted = try await TCPServer.listen(host: "127.0.0.1", port: 0)
        defer { deserted.close() }
        return Places(
            servers: [
                try await TCPServer.listen(host: "127.0.0.1", port: 0, options: options),
                try await TCPServer.listen(host: "::1", port: 0, options: options),
            ],
            deserted: deserted.port
        )
    }

    /// A connection to any of the servers.
    func connect(_ chance: inout Chance) async throws -> TCPConnection {
        let server = servers[chance.below(servers.count)]
        return try await TCPConnection.connect(
            host: server.localAddress.host,
            port: server.port,
            timeout: .seconds(10)
        )
    }

    func connectToNobody() async throws {
        try await TCPConnection.connect(host: "127.0.0.1", port: deserted).close()
    }

    func closeRest() throws {}
}
