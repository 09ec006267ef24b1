// The examples of the doc comments that are about Unix sockets, pipes, terminals and descriptors: see Examples.swift.

import AsyncIO
import Reactor

/// `SocketAddress.init(unixPath:)`.
enum UnixAddressExample {
    static func make() throws -> SocketAddress {
        let address = try SocketAddress(unixPath: "/run/app.sock")
        return address
    }
}

/// `UnixServer`.
enum UnixServerExample {
    static func serve() async throws {
        let server = try await UnixServer.listen(path: "/run/app.sock")
        try await server.serve { connection in
            for try await bytes in connection { try await connection.write(bytes) }
        }
    }
}
