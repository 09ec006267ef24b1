// The example that the README runs: an echo server as one would put it into production. Flags, one line when it
// accepts, an orderly end on the first signal and an immediate one on the second, and figures when it is over.

import ArgumentParser
import AsyncIO
import Foundation

@main
struct EchoServer: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "echo-server",
        abstract: "Sends back whatever it receives, on every connection.",
        discussion: """
            Prints one line to standard output once it accepts connections. SIGINT or SIGTERM stops accepting and gives \
            open connections 5 seconds; a second signal ends the program at once.
            """
    )

    /// The programming interface that serves the connections.
    enum API: String, ExpressibleByArgument, CaseIterable {
        case callbacks
        case streams
    }

    @Option(help: "The address or host name to listen on.")
    var host = "127.0.0.1"

    @Option(help: "The port to listen on; 0 takes any that is free.")
    var port = 7777

    @Option(help: "How to serve: a task for each connection, or transports and protocols.")
    var api = API.streams

    @Option(help: "How many connections may be open at once; further clients wait. Default: what descriptors allow.")
    var maxConnections: Int?

    @Option(help: "How many loops to serve on, each on a thread of its own. Needs --api streams.")
    var loops = 1

    @Flag(help: "Print no figures at the end.")
    var quiet = false

    func validate() throws {
        guard (0...65_535).contains(port) else {
            throw ValidationError("The port must be between 0 and 65535, not \(port).")
        }
        if let maxConnections, maxConnections < 1 {
            throw ValidationError("--max-connections must be at least 1, not \(maxConnections).")
        }
        guard loops >= 1 else { throw ValidationError("--loops must be at least 1, not \(loops).") }
        guard loops == 1 || api == .streams else { throw ValidationError("Several --loops need --api streams.") }
    }

    func run() throws {
        DescriptorLimit.raiseToHardLimit()
        do {
            let summary = try api == .streams ? StreamServer(options: self).run() : CallbackServer(options: self).run()
            if !quiet { try Output.writeLine(summary, to: .standardError) }
        } catch {
            try Output.writeLine("echo-server: \(error)", to: .standardError)
            throw ExitCode(1)
        }
    }
}
