// The examples of the doc comments of simulations, as code that is compiled; DocumentationTests looks for them here.

import AsyncIO
import AsyncIOTesting

struct WrongAnswer: Error {}

enum SimulationExamples {
    private static func work() async throws {}
    private static func ask(_ host: String, port: Int) async throws -> String { host }

    static func serve(port: Int) async throws {
        let server = try await TCPServer.listen(host: "0.0.0.0", port: port)
        try await server.serve { connection in
            while let bytes = try await connection.read() { try await connection.write(bytes) }
        }
    }

    static func whole() async throws {
        try await withSimulation(seed: 7) { loop, simulation in
            let server = simulation.host("server"), client = simulation.host("client")
            server.start { try await serve(port: 80) }
            try await client.run {
                try await TCPConnection.withConnection(host: "server", port: 80) { connection in
                    try await connection.write("hello\n")
                    if try await connection.reader.readLine() != "hello\n" { throw WrongAnswer() }
                }
            }
        }
    }

    static func anEchoSurvives(seed: UInt64) async throws {
        try await withSimulation(seed: seed) { loop, simulation in
            let server = simulation.host("server"), client = simulation.host("client")
            server.start { try await serve(port: 80) }
            try await client.run {
                try await TCPConnection.withConnection(host: "server", port: 80) { connection in
                    try await connection.write("hello\n")
                    if try await connection.reader.readLine() != "hello\n" { throw WrongAnswer() }
                }
            }
        }
    }

    static func host(_ simulation: Simulation) async throws -> String {
        let server = simulation.host("server")
        server.start { try await serve(port: 80) }
        let client = simulation.host("client")
        let answer = try await client.run { try await ask("server", port: 80) }
        return answer
    }

    static func links(_ simulation: Simulation, _ client: SimulatedHost, _ server: SimulatedHost) {
        var bad = LinkConditions()
        bad.latency = .milliseconds(20)...(.milliseconds(200))
        bad.loss = 0.1
        bad.resets = 0.001
        simulation.setConditions(bad, between: client, and: server)
    }

    static func numbers(_ simulation: Simulation) -> Int {
        var generator = simulation.makeGenerator()
        let key = Int.random(in: 0..<10, using: &generator)
        return key
    }

    static func chaos(_ simulation: Simulation, _ server: SimulatedHost, _ clients: [SimulatedHost]) async throws {
        var chaos = Chaos()
        chaos.pause = .milliseconds(50)...(.seconds(2))
        try await simulation.withChaos(chaos, among: [server] + clients, stopping: clients) {
            try await work()
        }
    }
}
