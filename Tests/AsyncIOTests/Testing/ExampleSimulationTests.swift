// The servers of the examples on simulated networks with everything that goes wrong there, once for each of some seeds.
//
//     ASYNCIO_SIMULATION_SEEDS=1000 swift test --filter ExampleSimulationTests
//     ASYNCIO_SIMULATION_SEEDS='17,2000..<3000' swift test --filter ExampleSimulationTests

import AsyncIOTesting
import Foundation
import Testing

@testable import examples

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
    }
}
