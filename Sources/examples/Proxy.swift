// A TCP proxy: what one side sends the other gets, an end in one direction leaves the other open, and an error ends both.

import ArgumentParser
import AsyncIO

struct Proxy: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "A TCP proxy. Try it in front of `examples key-value`: `examples proxy --to 127.0.0.1:7779`."
    )

    @Option(help: "The port to listen on; 0 takes any that is free.")
    var port = 7780

    @Option(help: "Where connections lead, as host:port.")
    var to: Endpoint

    func run() throws {
        try AsyncIO.run {
            let server = try await TCPServer.listen(host: "127.0.0.1", port: port)
            Terminal.writeLine("listening on \(server.localAddress)")
            try await Self.serve(server, to: to)
        }
    }

    /// Leads each connection to a connection of its own.
    static func serve(_ server: TCPServer, to target: Endpoint) async throws {
        try await server.serve { client in
            // Closes the connection when the closure returns, and aborts it when the closure throws.
            try await TCPConnection.withConnection(host: target.host, port: target.port) { upstream in
                // If one direction throws, the other is cancelled.
                _ = try await AsyncIO.gather(
                    { try await forward(from: client, to: upstream) },
                    { try await forward(from: upstream, to: client) }
                )
            }
        }
    }

    /// Passes on what comes, and then the end.
    ///
    /// `write` returns when the kernel has taken the bytes, so a receiver that is slow slows its sender down, and little
    /// waits here.
    static func forward(from source: TCPConnection, to sink: TCPConnection) async throws {
        for try await bytes in source { try await sink.write(bytes) }
        try await sink.writeEOF()
    }
}

/// A host and a port, as people write them: `example.org:80`, `127.0.0.1:80`, `[::1]:80`.
struct Endpoint: ExpressibleByArgument {
    let host: String
    let port: Int

    init?(argument: String) {
        guard let colon = argument.lastIndex(of: ":") else { return nil }
        let host = argument[..<colon]
        guard let port = Int(argument[argument.index(after: colon)...]), (1...65_535).contains(port) else { return nil }
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        guard !host.isEmpty, isBracketed || !host.contains(":") else { return nil }
        self.host = String(isBracketed ? host.dropFirst().dropLast() : host)
        self.port = port
    }
}
