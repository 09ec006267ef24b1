// What a seed is for: all runs with it are the same to the last byte, and what fails under it fails again.

import AsyncIO
import AsyncIOTesting
import Testing

@testable import examples

/// A bank that forgets to lock: it reads a balance, thinks, and writes.
@MainActor
private final class Bank {
    private var balance = 0

    func serve() async throws {
        let server = try await TCPServer.listen(host: "0.0.0.0", port: 80)
        try await server.serve { connection in
            let reader = connection.reader
            while let line = try await reader.readTextLine() {
                if line == "add" { try await self.add() }
                try await connection.write("\(self.balance)\n")
            }
        }
    }

    private func add() async throws {
        let read = balance
        // Where another client's command can come between.
        try await AsyncIO.sleep(for: .milliseconds(1))
        balance = read + 1
    }
}

/// Two clients who add to the bank, and what it has then.
@Sendable
private func useBank(_ loop: isolated EventLoop, _ simulation: Simulation) async throws {
    let bank = Bank()
    let server = simulation.host("bank")
    server.start { try await bank.serve() }
    try await simulation.host("guard").run {
        while true {
            do {
                return try await TCPConnection.withConnection(host: "bank", port: 80) { _ in }
            } catch is SystemError { try await AsyncIO.sleep(for: .milliseconds(1)) }
        }
    }
    let clients = (0..<2).map { simulation.host("client\($0)") }
    var generator = simulation.makeGenerator()
    var tasks: [LoopTask<Void>] = []
    for client in clients {
        let pause = Duration.milliseconds(Int.random(in: 0..<100, using: &generator))
        tasks.append(spawn { try await client.run { try await deposit(after: pause) } })
    }
    for task in tasks { try await task.value }
    let total = try await clients[0].run { try await ask("balance") }
    if total != "2" { throw Refusal(name: "the bank has \(total)") }
}

private func deposit(after pause: Duration) async throws {
    try await AsyncIO.sleep(for: pause)
    _ = try await ask("add")
}

private func ask(_ question: String) async throws -> String {
    try await TCPConnection.withConnection(host: "bank", port: 80) { connection in
        try await connection.write(question + "\n")
        return try await connection.reader.readTextLine() ?? "nothing"
    }
}

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct SimulationReplayTests {
        /// The story of an example under a seed.
        private func trace(_ scenario: Scenario, _ seed: UInt64) async throws -> String {
            try await withSimulation(seed: seed, scenario.options) { loop, simulation in
                try await scenario.body(loop, simulation)
                return simulation.trace
            }
        }

        @Test(arguments: ["key-value", "chat-room", "proxy"])
        func `two runs with a seed are the same to the last byte, and those with others are not`(name: String)
            async throws
        {
            let scenario = try #require(Scenario.all.first { $0.name == name })
            var traces: Set<String> = []
            for seed in 0..<8 as Range<UInt64> {
                let (first, second) = (try await trace(scenario, seed), try await trace(scenario, seed))
                #expect(first == second, "seed \(seed)")
                #expect(first.count > 1_000)
                traces.insert(first)
            }
            #expect(traces.count == 8)
        }

        @Test func `a server that forgets to lock fails under some seed, and again in the same way`() async throws {
            let error = await failure { try await withSimulations(seeds: 0..<200) { try await useBank($0, $1) } }
            let found = try #require(error as? SeededFailure)
            #expect(found.error as? Refusal == Refusal(name: "the bank has 1"))
            #expect(found.replays == true)
            #expect(found.description.contains("With the seed \(found.seed): "), "\(found)")
            #expect(found.description.contains("> bank:80 bytes"), "\(found)")
            let again =
                await failure {
                    try await withSimulation(seed: found.seed) { try await useBank($0, $1) }
                } as? SeededFailure
            #expect(again?.error as? Refusal == Refusal(name: "the bank has 1"))
            #expect(again?.trace == found.trace && !found.trace.isEmpty)
        }

        @Test func `a failure that depends on something else is said not to replay`() async throws {
            let runs = Recorder<Int>()
            let error = await failure {
                try await withSimulations(seeds: 0..<10) { loop, simulation in
                    runs.append(0)
                    simulation.note("run \(runs.count)")
                    if runs.count >= 3 { throw Refusal(name: "enough") }
                }
            }
            let found = try #require(error as? SeededFailure)
            #expect(found.seed == 2 && found.replays == false)
            #expect(found.description.contains("0.000000000 run 3\nit did so with:\n  0.000000000 run 4"), "\(found)")
            let once = await failure {
                try await withSimulations(seeds: 0..<10) { loop, simulation in
                    runs.append(0)
                    if runs.count == 5 { throw Refusal(name: "once") }
                }
            }
            #expect((once as? SeededFailure)?.description.hasSuffix("it succeeded") == true)
        }

        @Test func `generators draw the same for the same seed, and each other numbers`() async throws {
            @Sendable func numbers(_ seed: UInt64) async throws -> [UInt64] {
                try await withSimulation(seed: seed) { loop, simulation in
                    var (first, second) = (simulation.makeGenerator(), simulation.makeGenerator())
                    return [first.next(), first.next(), second.next(), second.next()]
                }
            }
            let (one, two) = (try await numbers(1), try await numbers(2))
            #expect(try await numbers(1) == one)
            #expect(Set(one + two).count == 8)
        }
    }
}
