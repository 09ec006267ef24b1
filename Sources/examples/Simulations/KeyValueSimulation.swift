// The key-value server and its clients: whatever becomes of connections, the answers are those of one store that did one
// command after the other, each at some instant between its question and its answer.

import AsyncIO
import AsyncIOTesting

extension Scenario {
    static let keyValue = keyValue { try await Store().serve($0) }

    /// The same with another server.
    static func keyValue(_ serve: @escaping @Sendable (TCPServer) async throws -> Void) -> Scenario {
        Scenario(name: "key-value") { loop, simulation in
            var generator = simulation.makeGenerator()
            let weather = simulation.drawWeather(&generator)
            let server = simulation.host("server")
            server.start { try await serve(try await TCPServer.listen(host: "0.0.0.0", port: 7779)) }
            let clients = (1...3).map { simulation.host("client\($0)") }
            let history = History()
            try await simulation.withFaults(weather, among: [server] + clients, stopping: clients) {
                try await withThrowingDiscardingTaskGroup { group in
                    for (number, host) in clients.enumerated() {
                        let workload = Workload(number, 10, &generator)
                        group.addTask {
                            try await simulation.onHost(host) { try await workload.run(history, weather.hasFaults) }
                        }
                    }
                }
            }
            try await history.check(isComplete: !weather.hasFaults)
        }
    }
}

/// What one client asks.
@MainActor
private final class Workload {
    private var questions: ArraySlice<Question>

    nonisolated init(_ client: Int, _ count: Int, _ generator: inout SimulationGenerator) {
        var questions: [Question] = []
        for number in 0..<count {
            let key = "key\(Int.random(in: 0..<2, using: &generator))"
            switch Int.random(in: 0..<5, using: &generator) {
            case 0, 1: questions.append(Question(key: key, kind: .set("value \(client).\(number)")))
            case 2: questions.append(Question(key: key, kind: .delete))
            default: questions.append(Question(key: key, kind: .get))
            }
        }
        self.questions = questions[...]
    }

    /// Asks, over a new connection when the one before has failed; a host that was restarted goes on with the next question.
    func run(_ history: History, _ hasFaults: Bool) async throws {
        while !questions.isEmpty {
            do {
                try await TCPConnection.withConnection(host: "server", port: 7779, timeout: .seconds(3)) { connection in
                    while let question = questions.popFirst() {
                        let number = history.ask(question)
                        let answer = try await withTimeout(.seconds(3)) { try await Self.ask(connection, question) }
                        history.answered(number, answer)
                    }
                }
            } catch let error where hasFaults && !(error is CancellationError) {
                try await AsyncIO.sleep(for: .milliseconds(50))
            }
        }
    }

    private nonisolated static func ask(_ connection: TCPConnection, _ question: Question) async throws -> String {
        try await connection.write(question.line + "\n")
        guard let answer = try await connection.reader.readTextLine() else { throw StreamError.closed }
        return answer
    }
}
