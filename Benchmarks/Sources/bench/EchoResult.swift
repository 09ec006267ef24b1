// One scenario over all servers and rounds, and what is made of it.
//
// The servers take turns within a round, and another one begins each round. CPU time of the same program differs by a
// third from minute to minute on shared machines, but hardly within a round: so a ratio is only ever taken between two
// figures of one round. The best ratio says what is possible when nothing interferes, the median what to expect.

struct EchoResult: Codable {
    let scenario: String
    let title: String
    /// Bytes for a connection instead of time for a message.
    let isIdle: Bool
    let servers: [ServerResult]

    struct ServerResult: Codable {
        let server: EchoServer
        let rounds: [LoadReport]
        /// Nanoseconds for a message, or bytes for a connection.
        let cost: Spread
        /// The cost divided by the limit's in the same round; nil without the limit, and for memory.
        let ratio: Spread?
        let messagesPerSecond: Spread
        let p50Nanoseconds: Spread
        let p99Nanoseconds: Spread
    }

    /// Runs all rounds of a scenario.
    static func measure(_ scenario: Scenario, _ servers: [EchoServer], rounds: Int) throws -> EchoResult {
        var reports: [EchoServer: [LoadReport]] = [:]
        // Memory hardly differs from round to round.
        let rounds = scenario.isIdle ? min(rounds, 3) : rounds
        for round in 0..<rounds {
            for turn in servers.indices {
                let server = servers[(turn + round) % servers.count]
                let report = try Exchange.run(server, scenario.load(for: server))
                reports[server, default: []].append(report)
                let cost = cost(of: report, isIdle: scenario.isIdle)
                let text = Text.grouped(cost) + (scenario.isIdle ? " bytes" : " ns")
                Terminal.note("\(scenario.name) \(round + 1)/\(rounds) \(server.rawValue): \(text)")
            }
        }
        let limit = reports[EchoServer.limit]
        return EchoResult(
            scenario: scenario.name,
            title: scenario.title,
            isIdle: scenario.isIdle,
            servers: servers.map { server in
                summary(of: server, reports[server] ?? [], limit: limit, isIdle: scenario.isIdle)
            }
        )
    }

    private static func cost(of report: LoadReport, isIdle: Bool) -> Double {
        isIdle ? report.serverBytesPerConnection : report.serverNanosecondsPerMessage
    }

    private static func summary(
        of server: EchoServer,
        _ rounds: [LoadReport],
        limit: [LoadReport]?,
        isIdle: Bool
    ) -> ServerResult {
        let costs = rounds.map { cost(of: $0, isIdle: isIdle) }
        let limits = limit.map { $0.map { cost(of: $0, isIdle: isIdle) } }
        return ServerResult(
            server: server,
            rounds: rounds,
            cost: Spread(costs),
            ratio: isIdle ? nil : limits.map { Spread(zip(costs, $0).map { $0 / $1 }) },
            messagesPerSecond: Spread(rounds.map(\.messagesPerSecond)),
            p50Nanoseconds: Spread(rounds.map { Double($0.p50Nanoseconds) }),
            p99Nanoseconds: Spread(rounds.map { Double($0.p99Nanoseconds) })
        )
    }
}

/// The middle of several figures, and how far they lie apart.
struct Spread: Codable {
    let median: Double
    let least: Double
    let most: Double

    init(_ figures: [Double]) {
        let sorted = figures.sorted()
        let middle = sorted.count / 2
        if let first = sorted.first, let last = sorted.last {
            median = sorted.count.isMultiple(of: 2) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
            least = first
            most = last
        } else {
            median = 0
            least = 0
            most = 0
        }
    }
}
