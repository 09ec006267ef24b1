// `bench [filter]`: runs what the filter chooses, says on stderr how far it is, and ends with Markdown tables on stdout
// and all figures of all rounds as JSON.

internal import ArgumentParser

struct MeasureCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "measure",
        abstract: "Measures, and prints a table. What `bench` does if not told otherwise."
    )

    @Argument(help: "Run only what has this in its name; the names are \(names).")
    var filter: String?

    @Option(help: "How often each figure is taken.")
    var rounds = 10

    @Option(help: "Which echo servers, separated by commas.")
    var servers = ServerList(servers: EchoServer.allCases)

    @Flag(help: "Two rounds with a tenth of the messages: whether it works, not what it costs.")
    var quick = false

    @Option(help: "Where the JSON goes; if not said, into the folder Benchmarks where there is one.")
    var json: String?

    private static let names = (Scenario.all.map(\.name) + MicroCase.allCases.map(\.rawValue)).joined(separator: ", ")

    func validate() throws {
        if rounds < 1 { throw ValidationError("There must be at least one round.") }
        if scenarios.isEmpty && cases.isEmpty { throw ValidationError("Nothing has \"\(filter ?? "")\" in its name.") }
    }

    private var scenarios: [Scenario] {
        Scenario.all.filter { isChosen($0.name) }.map { quick ? $0.quick : $0 }
    }

    private var cases: [MicroCase] {
        MicroCase.allCases.filter { isChosen($0.rawValue) }
    }

    private func isChosen(_ name: String) -> Bool {
        filter.map { name.contains($0) } ?? true
    }

    func run() throws {
        let rounds = quick ? min(rounds, 2) : rounds
        var results = Results(machine: try Machine.current())
        var failures: [String] = []
        // A figure that cannot be taken costs the run its success, not its other figures.
        func attempt(_ name: String, _ body: () throws -> Void) {
            do {
                try body()
            } catch {
                failures.append("\(name): \(error)")
                Terminal.note("\(name): \(error)")
            }
        }
        let servers = scenarios.isEmpty ? [] : try PeerPrograms.available(servers.servers)
        for scenario in scenarios {
            attempt(scenario.name) {
                let servers = scenario.servers(among: servers)
                results.echo.append(try EchoResult.measure(scenario, servers, rounds: rounds))
            }
        }
        if !cases.isEmpty {
            let runner = try MicroRunner(quick: quick)
            for micro in cases {
                attempt(micro.rawValue) { results.micro.append(try runner.measure(micro, rounds: rounds)) }
            }
        }
        Terminal.print(results.markdown)
        let path = json ?? Results.defaultPath
        try results.write(to: path)
        Terminal.note("all figures are in \(path)")
        if !failures.isEmpty { throw BenchError("not measured: " + failures.joined(separator: "; ")) }
    }
}

/// Servers as they are given on the command line.
struct ServerList: ExpressibleByArgument {
    let servers: [EchoServer]

    init(servers: [EchoServer]) {
        self.servers = servers
    }

    init?(argument: String) {
        let chosen = argument.split(separator: ",").map { EchoServer(rawValue: String($0)) }
        guard !chosen.isEmpty, !chosen.contains(nil) else { return nil }
        servers = chosen.compactMap(\.self)
    }

    var defaultValueDescription: String { servers.map(\.rawValue).joined(separator: ",") }
}
