// The servers of this folder on a simulated network, with everything that goes wrong there, once for each of many seeds.
//
//     swift run -c release examples simulate --seeds '0..<100000'

import ArgumentParser
import AsyncIO
import AsyncIOTesting
import Dispatch

struct Simulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs the chat room, the key-value server and the proxy in simulations of many hosts.",
        discussion: "Ends with 1 at the first seed under which a server does not keep its word, and says what happened."
    )

    @Option(help: "The seeds: 17, or 0..<1000.")
    var seeds: Seeds = Seeds(0..<1_000)

    @Option(help: "Which of \(Scenario.all.map(\.name).joined(separator: ", ")); all of them by default.")
    var only: String?

    func run() throws {
        let scenarios = Scenario.all.filter { only == nil || $0.name == only }
        if scenarios.isEmpty { throw ValidationError("There is no \(only ?? "").") }
        let seeds = seeds.range
        // Simulations are the main actor in turn, which somebody must serve.
        Task {
            for scenario in scenarios {
                let start = ContinuousClock.now
                do {
                    try await withSimulations(seeds: seeds, scenario.options, scenario.body)
                } catch {
                    Terminal.writeLine("\(scenario.name): \(error)")
                    Self.exit(withError: ExitCode(1))
                }
                Terminal.writeLine("\(scenario.name): \(seeds.count) seeds in \(start.duration(to: .now))")
            }
            Self.exit()
        }
        dispatchMain()
    }
}

/// Seeds as people write them.
struct Seeds: ExpressibleByArgument {
    let range: Range<UInt64>

    init(_ range: Range<UInt64>) { self.range = range }

    init?(argument: String) {
        let ends = argument.split(separator: "..<", omittingEmptySubsequences: false).map { UInt64($0) }
        guard let first = ends[0], ends.count < 3 else { return nil }
        guard ends.count == 2 else {
            range = first..<first + 1
            return
        }
        guard let last = ends[1], first < last else { return nil }
        range = first..<last
    }

    var defaultValueDescription: String { "\(range.lowerBound)..<\(range.upperBound)" }
}
