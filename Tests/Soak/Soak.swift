// A soak: one process that is a server and its clients for as long as one likes, with everything that goes wrong on a
// network drawn at random, and descriptors, memory and throughput told as it goes. It ends with 1 if anything grew, was
// wrong, or hung.
//
//     swift run -c release soak --minutes 10

import ArgumentParser
import AsyncIO
import Foundation

@main
struct Soak: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serves clients that connect, break off, half-close, cancel and refuse to read, all at random.",
        discussion: """
            Prints a line every so many seconds, taken when nothing is under way. Exit 1 if descriptors, handles or memory \
            have grown since the warm-up, if a byte came back wrong, or if something hung.
            """
    )

    @Option(help: "How long, in minutes; fractions are allowed.")
    var minutes = 10.0

    @Option(help: "How many clients at a time.")
    var clients = 64

    @Option(help: "What the faults are drawn from.")
    var seed: UInt64 = 1

    @Option(help: "Seconds between two lines.")
    var every = 10.0

    @Option(help: "How much memory may grow after the warm-up, in KiB.")
    var allowedGrowth = 1_024

    func validate() throws {
        if minutes <= 0 || clients < 1 || every <= 0 {
            throw ValidationError("--minutes, --clients and --every must be positive.")
        }
    }

    func run() throws {
        DescriptorLimit.raiseToHardLimit()
        var configuration = EventLoop.Configuration()
        let issues = Issues()
        configuration.onIssue = { issues.note($0) }
        let options = self
        let failures = try AsyncIO.run(configuration) { try await SoakRun(options, issues).run() }
        for failure in failures { say("FAILED: \(failure)") }
        if !failures.isEmpty { throw ExitCode(1) }
        say("ok")
    }
}

/// What the loop reported and nobody should have to hear of.
final class Issues: Sendable {
    private let channel = Channel<String>(capacity: 100)

    func note(_ issue: LoopIssue) { _ = try? channel.trySend("\(issue)") }

    var all: [String] {
        var found: [String] = []
        while let next = try? channel.tryReceive() { found.append(next) }
        return found
    }
}

/// Prints a line that is there at once, also in a file.
func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }
