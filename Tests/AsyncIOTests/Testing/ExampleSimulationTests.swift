// The servers of the examples on simulated networks with everything that goes wrong there, once for each of some seeds; and
// servers that do not keep their word, which must be found out.
//
//     ASYNCIO_SIMULATION_SEEDS=1000 swift test --filter ExampleSimulationTests
//     ASYNCIO_SIMULATION_SEEDS='17,2000..<3000' swift test --filter ExampleSimulationTests

import AsyncIO
import AsyncIOTesting
import Foundation
import Testing

@testable import examples

/// A store that says OK first, and stores then.
@MainActor
private final class HastyStore {
    private var values: [String: String] = [:]

    func serve(_ server: TCPServer) async throws {
        try await server.serve { connection in
            while let command = try await connection.reader.readTextLine() {
                let words = command.split(separator: " ", maxSplits: 2).map(String.init)
                switch words[0] {
                case "SET":
                    try await connection.write("OK\n")
                    try await AsyncIO.sleep(for: .milliseconds(20))
                    self.values[words[1]] = words[2]
                case "GET": try await connection.write(self.values[words[1]].map { "VALUE \($0)\n" } ?? "NONE\n")
                default:
                    let isThere = self.values.removeValue(forKey: words[1]) != nil
                    try await connection.write(isThere ? "OK\n" : "NONE\n")
                }
            }
        }
    }
}

/// A proxy that takes an error for an end.
private func smoothOver(_ server: TCPServer, _ target: Endpoint) async throws {
    try await server.serve { client in
        try await TCPConnection.withConnection(host: target.host, port: target.port) { upstream in
            _ = try await AsyncIO.gather({ try await pass(client, upstream) }, { try await pass(upstream, client) })
        }
    }
}

private func pass(_ source: TCPConnection, _ sink: TCPConnection) async throws {
    do {
        for try await bytes in source { try await sink.write(bytes) }
    } catch is SystemError {}
    try await sink.writeEOF()
}

extension AsyncIOTests {
    @Suite struct ExampleSimulationTests {
        /// The seeds that the environment names: so many, or these.
        private static let seeds: [UInt64] = {
            let text = ProcessInfo.processInfo.environment["ASYNCIO_SIMULATION_SEEDS"] ?? "20"
            return if let count = UInt64(text) { Array(0..<count) } else { Seeds.parse(text) }
        }()

        @Test(arguments: ["key-value", "chat-room", "proxy"])
        func `the server keeps its word under every seed`(name: String) async throws {
            let scenario = try #require(Scenario.all.first { $0.name == name })
            try await withSimulations(seeds: Self.seeds, scenario.options, scenario.body)
        }

        @Test func `a store that answers before it has stored is found out`() async throws {
            let store = Scenario.keyValue { try await HastyStore().serve($0) }
            let error =
                await failure { try await withSimulations(seeds: 0..<50, .init(), store.body) } as? SeededFailure
            #expect((error?.error as? BrokenPromise)?.description.hasPrefix("No order of the commands") == true)
            #expect(error?.replays == true)
        }

        @Test func `a proxy that takes an error for an end is found out`() async throws {
            let proxy = Scenario.proxy(smoothOver)
            let error =
                await failure { try await withSimulations(seeds: 0..<200, .init(), proxy.body) } as? SeededFailure
            #expect(
                (error?.error as? BrokenPromise)?.description.contains(" got an end after ") == true,
                "\(error as Any)"
            )
            #expect(error?.replays == true)
        }
    }
}
