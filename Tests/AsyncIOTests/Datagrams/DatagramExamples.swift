// The examples of the doc comments of datagrams, as code that is compiled; DocumentationTests looks for them here.

import AsyncIO

/// `UDPSocket`.
@MainActor enum DatagramExamples {
    private static func echo() async throws {
        let socket = try await UDPSocket.bind(host: "127.0.0.1", port: 9999)
        for try await datagram in socket {
            try await socket.send(datagram.bytes, to: datagram.address)
        }
    }
}
