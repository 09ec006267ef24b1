// Ends that are waited for, and those that nobody announces: closing that waits for acknowledgements, and handlers that are
// cancelled as their clients go.

import AsyncIO
import CTorture
import Foundation

extension Scenario {
    /// Both ends close when the other has acknowledged all.
    @MainActor
    static func lingering(_ findings: Findings) async throws {
        var options = telling(findings)
        options.listener.connection.linger = .seconds(5)
        let server = try await TCPServer.listen(host: "127.0.0.1", port: 0, options: options)
        let serving = AsyncIO.spawn {
            try await server.serve { connection in
                while let bytes = try await connection.read() { try await connection.write(bytes) }
            }
        }
        do {
            var options = StreamOptions()
            options.linger = .seconds(5)
            let connection = try await TCPConnection.connect(host: "127.0.0.1", port: server.port, options: options)
            do {
                try await connection.write("hello")
                try await read(5, from: connection)
            } catch {
                findings.note(error: error)
            }
            try await connection.close()
        } catch {
            findings.note(error: error)
        }
        server.close()
        await server.drain(within: .seconds(2))
        try await serving.value
    }

    /// A handler that does something else is cancelled when its client goes.
    @MainActor
    static func goingClients(_ findings: Findings) async throws {
        var options = telling(findings)
        options.cancelsHandlers = .afterEnd
        let server = try await TCPServer.listen(host: "127.0.0.1", port: 0, options: options)
        let ended = AsyncEvent()
        let serving = AsyncIO.spawn {
            try await server.serve { connection in
                defer { ended.set() }
                try await read(2, from: connection)
                do {
                    try await AsyncIO.sleep(for: findings.patience)
                    // The client has gone, and nobody said so.
                    findings.note(error: EarlyEnd())
                } catch is CancellationError {}
            }
        }
        do {
            try await TCPConnection.withConnection(host: "127.0.0.1", port: server.port) { try await $0.write("go") }
            _ = try await unlessLost(findings) { try await ended.wait() }
        } catch {
            findings.note(error: error)
        }
        server.close()
        await server.drain(within: .seconds(2))
        do { try await serving.value } catch { findings.note(error: error) }
    }

    /// Sockets that the program has made send datagrams to one another.
    @MainActor
    static func takenDatagrams(_ findings: Findings) async throws {
        let receiver = try await taken()
        do {
            // A socket whose address the system does not tell has none.
            let sender = try await UDPSocket.bind(host: "127.0.0.1", port: 0)
            guard let address = sender.localAddress else { throw EarlyEnd() }
            try await receiver.send("one", to: address)
            let datagram = try await unlessLost(findings) { try await sender.receive() }
            if let datagram {
                try await sender.send("two", to: datagram.address)
                _ = try await unlessLost(findings) { try await receiver.receive() }
            }
            try await sender.close()
        } catch {
            findings.note(error: error)
        }
        try await receiver.close()
    }

    private static func taken() async throws -> UDPSocket {
        let descriptor = torture_datagram_socket()
        guard descriptor >= 0 else { throw EarlyEnd() }
        do {
            return try await UDPSocket.adopt(descriptor: descriptor, options: .init())
        } catch {
            // What is refused stays its owner's.
            close(descriptor)
            throw error
        }
    }
}
