// `bench chart`: draws what an earlier run has measured.

internal import ArgumentParser
#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

struct ChartCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "chart",
        abstract: "Draws the echo figures of a results file as an SVG picture."
    )

    @Argument(help: "The results, as a run of `bench` has written them.")
    var results = Results.defaultPath

    @Option(name: .shortAndLong, help: "The picture.")
    var output = "Benchmarks/chart.svg"

    func run() throws {
        let results = try JSONDecoder().decode(Results.self, from: Data(contentsOf: URL(filePath: results)))
        guard !results.echo.isEmpty else { throw BenchError("no echo figures are in \(self.results)") }
        try Data(Chart(results).svg.utf8).write(to: URL(filePath: output))
        Terminal.note("the chart is in \(output)")
    }
}
