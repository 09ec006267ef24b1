// Where the clients find somebody, and where nobody is.

import AsyncIO
import Foundation

@MainActor
struct Places {
    let servers: [TCPServer]
    /// Sends back the datagrams that it gets.
    private let datagrams: UDPSocket
    private let answering: LoopTask<Void>
    /// The folder of the Unix socket.
    private let folder: String
    /// A port on which nobody listens any more.
    private let deserted: Int

    static func open() async throws -> Places {
        var options = ServerOptions()
        options.onError = { _, _ in }
        options.shutdownTimeout = .seconds(1)
        options.listener.connection.closeTimeout = .milliseconds(500)
        let deserted = try await TCPServer.listen(host: "127.0.0.1", port: 0)
        defer { deserted.close() }
        let folder = NSTemporaryDirectory() + "soak-\(ProcessInfo.processInfo.processIdentifier)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let datagrams = try await UDPSocket.bind(host: "127.0.0.1", port: 0)
        return Places(
            servers: [
                try await TCPServer.listen(host: "127.0.0.1", port: 0, options: options),
                try await TCPServer.listen(host: "::1", port: 0, options: options),
                try await UnixServer.listen(path: folder + "/soak", options: options),
            ],
            datagrams: datagrams,
            answering: AsyncIO.spawn { for try await datagram in datagrams { await answer(datagram, on: datagrams) } },
            folder: folder,
            deserted: deserted.port
        )
    }

    /// A connection to any of the servers.
    func connect(_ chance: inout Chance) async throws -> TCPConnection {
        let server = servers[chance.below(servers.count)]
        if let path = server.localAddress.unixPath {
            return try await UnixConnection.connect(path: path, timeout: .seconds(10))
        }
        return try await TCPConnection.connect(
            host: server.localAddress.host,
            port: server.port,
            timeout: .seconds(10)
        )
    }

    func connectToNobody() async throws {
        try await TCPConnection.connect(host: "127.0.0.1", port: deserted).close()
    }

    /// Datagrams there and back, which may be lost; returns how many bytes came back.
    func exchangeDatagrams(_ count: Int) async throws -> Int {
        guard let port = datagrams.localAddress?.port else { throw StreamError.closed }
        return try await UDPSocket.withSocket(connectedTo: "127.0.0.1", port: Int(port)) { socket in
            var bytes = 0
            for number in 0..<count {
                try await socket.send("datagram \(number)")
                let answer = try? await withTimeout(.milliseconds(50)) { try await socket.receive() }
                bytes += answer?.bytes.count ?? 0
            }
            return bytes
        }
    }

    /// A datagram that finds no room is lost, as on any network.
    private static func answer(_ datagram: Datagram, on socket: UDPSocket) async {
        _ = try? await socket.trySend(datagram.bytes, to: datagram.address)
    }

    func closeRest() async throws {
        answering.cancel()
        _ = try? await answering.value
        try await datagrams.close()
        try FileManager.default.removeItem(atPath: folder)
    }
}
