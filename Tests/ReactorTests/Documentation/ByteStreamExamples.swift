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

/// `StandardInput` and `StandardOutput`.
enum StandardStreamsExample {
    static func copy(to output: StandardOutput) async throws {
        let input = try await StandardInput.open()
        for try await bytes in input { try await output.write(bytes) }
    }

    static func ask() async throws {
        let output = try await StandardOutput.open()
        try await output.write("What is your name? ")
    }
}

/// `Terminal`.
enum TerminalExample {
    static func key() async throws -> Bytes? {
        let terminal = try await Terminal.open()
        try await terminal.setMode(.raw)
        let key = try await terminal.connection.read()
        return key
    }
}
