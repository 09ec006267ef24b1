// The server's side: what the first byte of a connection asks for.

import AsyncIO

enum Handler {
    /// What a client can ask for.
    enum Request: UInt8 {
        /// Sends back what comes.
        case echo = 0x65
        /// Sends without end, to a client that may not read.
        case flood = 0x66
        /// Throws.
        case fail = 0x78
        /// Sends back what has come once the client has sent its end.
        case gather = 0x67
        /// Waits for a client that says nothing.
        case wait = 0x77
    }

    struct Failure: Error {}

    @MainActor
    static func serve(_ connection: TCPConnection) async throws {
        guard let first = try await connection.read(), let request = first.first.flatMap(Request.init) else { return }
        let rest = first.dropFirst()
        switch request {
        case .echo:
            try await connection.write(Bytes(rest))
            while let bytes = try await connection.read() { try await connection.write(bytes) }
        case .flood:
            let block = Bytes([UInt8](repeating: 7, count: 16_384))
            for _ in 0..<64 { try await withTimeout(.milliseconds(20)) { try await connection.write(block) } }
        case .fail: throw Failure()
        case .gather:
            var all = [UInt8](rest)
            while let bytes = try await connection.read() { all += bytes }
            try await connection.write(all)
        case .wait: try await withTimeout(.milliseconds(5)) { _ = try await connection.read() }
        }
    }
}
