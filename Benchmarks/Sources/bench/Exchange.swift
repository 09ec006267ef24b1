// One server, one client, one report: a fresh pair of processes for every round, so that the luck of one start (where
// memory lies, which pages are huge) is a part of the spread and not of the result.

internal import CMeasure
#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// A server that runs in a process of its own.
struct RunningServer {
    let process: ChildProcess
    let port: Int

    /// Starts a server and waits until it accepts.
    ///
    /// `tool` is a program to run it under, with its options, and `program` a copy of this one to be used instead.
    init(
        _ server: EchoServer,
        under tool: [String] = [],
        program: String? = nil,
        countingAllocations: Bool = false
    ) throws {
        let program = try program ?? ChildProcess.ownPath()
        var arguments = tool + [program, "serve", server.rawValue, "--end-with-parent"]
        if countingAllocations { arguments.append("--count-allocations") }
        process = try ChildProcess("the \(server.rawValue) server", arguments, capturingErrors: countingAllocations)
        // A tool such as valgrind needs seconds to start a Swift program.
        guard let line = try process.readLine(within: .seconds(60)) else {
            try process.waitForEnd(within: .seconds(10))
            throw BenchError("\(process.name) ended before it listened")
        }
        guard line.hasPrefix("listening on "), let colon = line.lastIndex(of: ":"),
            let port = Int(line[line.index(after: colon)...])
        else { throw BenchError("\(process.name) said \"\(line)\" instead of where it listens") }
        self.port = port
    }

    /// Sends it a load from another process.
    func receive(_ load: Load, within limit: Duration = .seconds(60)) throws -> LoadReport {
        let client = try ChildProcess(
            "the client",
            [
                try ChildProcess.ownPath(), "load", "--end-with-parent", "--port", "\(port)",
                "--server", "\(process.processID)", "--limit", "\(limit.components.seconds)",
            ] + load.arguments
        )
        // Twice the limit: the client has one for the warm-up and one for the rest.
        let line = try client.readLine(within: limit * 2 + .seconds(5))
        try client.waitForEnd(within: .seconds(10))
        guard let line else { throw BenchError("the client ended without a report") }
        return try JSONDecoder().decode(LoadReport.self, from: Data(line.utf8))
    }
}

enum Exchange {
    /// Starts a server, sends it a load, ends it.
    static func run(_ server: EchoServer, _ load: Load) throws -> LoadReport {
        let running = try RunningServer(server)
        let report = try running.receive(load)
        try running.process.end()
        return report
    }
}
