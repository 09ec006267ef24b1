// What is tortured: programs that use everything once, and small enough to be run a thousand times.

import AsyncIO
import CTorture
import Foundation

struct Scenario {
    /// A peer's failure ended the stream too soon.
    struct EarlyEnd: Error {}

    let name: String
    let body: @MainActor (Findings) async throws -> Void

    static let all = [
        Scenario(name: "echo") { findings in try await echo(findings) },
        Scenario(name: "settings of sockets") { findings in try await settings(findings) },
        Scenario(name: "lines on a Unix socket") { findings in try await lines(findings) },
        Scenario(name: "a place for a Unix socket") { findings in try await place(findings) },
        Scenario(name: "names") { findings in try await names(findings) },
        Scenario(name: "datagrams") { findings in try await datagrams(findings) },
        Scenario(name: "batches of datagrams") { findings in try await batches(findings) },
        Scenario(name: "datagrams that wait") { findings in try await waitingDatagrams(findings) },
        Scenario(name: "groups") { findings in try await groups(findings) },
        Scenario(name: "a pipe") { findings in try await pipe(findings) },
        Scenario(name: "a file") { findings in try await file(findings) },
        Scenario(name: "a file into a pipe") { findings in try await fileIntoPipe(findings) },
        Scenario(name: "a terminal") { findings in try await terminal(findings) },
        Scenario(name: "standard files") { findings in try await standardFiles(findings) },
        Scenario(name: "standard streams") { findings in try await standardStreams(findings) },
        Scenario(name: "descriptors given and taken") { findings in try await givenAndTaken(findings) },
        Scenario(name: "socket calls and a signal") { findings in try await socketCalls(findings) },
        Scenario(name: "datagrams by socket calls") { findings in try await datagramCalls(findings) },
        Scenario(name: "closing that waits") { findings in try await lingering(findings) },
        Scenario(name: "clients that go") { findings in try await goingClients(findings) },
        Scenario(name: "datagram sockets taken over") { findings in try await takenDatagrams(findings) },
        Scenario(name: "several loops") { findings in try await severalLoops(findings) },
        Scenario(name: "threads and timers") { findings in try await threadsAndTimers(findings) },
    ]

    /// Servers tell of every connection that is lost, and not of faults alone.
    static func telling(_ findings: Findings) -> ServerOptions {
        var options = ServerOptions()
        options.onError = { error, _ in findings.note(error: error) }
        return options
    }

    /// A path in the temporary folder that only this process uses.
    static func path(_ suffix: String = "") -> String {
        "/tmp/torture-\(ProcessInfo.processInfo.processIdentifier)\(suffix)"
    }

    /// Removes a file, if it is there.
    static func remove(_ path: String) { try? FileManager.default.removeItem(atPath: path) }

    /// Reads so many bytes: who closes with bytes unread breaks the connection.
    @MainActor
    static func read(_ count: Int, from connection: TCPConnection) async throws {
        var left = count
        while left > 0 {
            guard let bytes = try await connection.read() else { throw EarlyEnd() }
            left -= bytes.count
        }
    }

    /// What is received in time; nil if that is nothing.
    ///
    /// Datagrams may get lost, but not where nobody is to hear of the failure.
    @MainActor
    static func unlessLost<Value: Sendable>(
        _ findings: Findings,
        _ receive: @escaping @MainActor () async throws -> Value
    ) async throws -> Value? {
        do {
            return try await withTimeout(findings.patience) { try await receive() }
        } catch is TimeoutError {
            findings.note(error: EarlyEnd())
            return nil
        }
    }

    /// One exchange in which nothing fails.
    @MainActor
    static func check() async throws {
        let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
        let serving = AsyncIO.spawn {
            try await server.serve { connection in
                if let bytes = try await connection.read() { try await connection.write(bytes) }
            }
        }
        try await TCPConnection.withConnection(host: "127.0.0.1", port: server.port) { connection in
            try await connection.write("still there")
            guard try await connection.read() == "still there" else { throw EarlyEnd() }
        }
        server.close()
        try await serving.value
    }
}
