// The example that the README runs: an echo server as one would put it into production. Flags, one line when it
// accepts, an orderly end on the first signal and an immediate one on the second, and figures when it is over.

import ArgumentParser
import AsyncIO
import Foundation

@main
struct EchoServer: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "echo-server",
        abstract: "Sends back whatever it receives: on every connection over TCP or a Unix socket, or in datagrams.",
        discussion: """
            Prints one line to standard output once clients can come. SIGINT or SIGTERM stops accepting and gives open \
            connections 5 seconds; a second signal ends the program at once.
            """
    )

    /// The programming interface that serves the connections.
    enum API: String, ExpressibleByArgument, CaseIterable {
        case callbacks
        case streams
    }

    @Option(help: "The address or host name to listen on. Default: 127.0.0.1.")
    var host: String?

    @Option(help: "The port to listen on; 0 takes any that is free. Default: 7777.")
    var port: Int?

    @Option(
        help: ArgumentHelp(
            "Listen on a Unix socket at this path instead, in place of one that is there. It is removed at the end.",
            valueName: "path"
        )
    )
    var unix: String?

    @Flag(help: "Send back datagrams instead of serving connections.")
    var udp = false

    @Option(help: "How to serve: a task for each connection, or transports and protocols.")
    var api = API.streams

    @Option(help: "How many connections may be open at once; further clients wait. Default: what descriptors allow.")
    var maxConnections: Int?

    @Option(help: "How many loops to serve on, each on a thread of its own. Needs TCP and --api streams.")
    var loops = 1

    @Flag(help: "Print no figures at the end.")
    var quiet = false

    func validate() throws {
        if let port, !(0...65_535).contains(port) {
            throw ValidationError("The port must be between 0 and 65535, not \(port).")
        }
        if let maxConnections, maxConnections < 1 {
            throw ValidationError("--max-connections must be at least 1, not \(maxConnections).")
        }
        guard loops >= 1 else { throw ValidationError("--loops must be at least 1, not \(loops).") }
        guard loops == 1 || api == .streams else { throw ValidationError("Several --loops need --api streams.") }
        if unix != nil {
            guard !udp else { throw ValidationError("--unix is for connections and --udp for datagrams: take one.") }
            guard host == nil && port == nil else {
                throw ValidationError("A Unix socket has a path and neither --host nor --port.")
            }
            guard loops == 1 else { throw ValidationError("A Unix socket is served on one loop: leave --loops out.") }
        }
        if udp {
            guard loops == 1 else { throw ValidationError("Datagrams are served on one loop: leave --loops out.") }
            guard maxConnections == nil else {
                throw ValidationError("Datagrams have no connections that --max-connections could limit.")
            }
        }
    }

    /// Where to listen, if not on a Unix socket.
    var endpoint: (host: String, port: Int) { (host ?? "127.0.0.1", port ?? 7_777) }

    func run() throws {
        DescriptorLimit.raiseToHardLimit()
        do {
            let summary =
                switch api {
                case _ where udp: try DatagramServer(options: self).run()
                case .streams: try StreamServer(options: self).run()
                case .callbacks: try CallbackServer(options: self).run()
                }
            if !quiet { try Output.writeLine(summary, to: .standardError) }
        } catch {
            try Output.writeLine("echo-server: \(error)", to: .standardError)
            throw ExitCode(1)
        }
    }
}
