// A port scanner: thousands of connections to make, and a semaphore that lets so many be under way at once.

import ArgumentParser
import AsyncIO

struct PortScanner: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Finds the ports of a host on which somebody listens. Scan only what is yours."
    )

    @Argument(help: "An address or a name.")
    var host = "127.0.0.1"

    @Option(help: "The first port.")
    var from = 1

    @Option(help: "The last port.")
    var to = 1_024

    @Option(help: "How many connections may be under way at once.")
    var atOnce = 100

    @Option(help: "How many milliseconds to wait for an answer.")
    var patience = 500

    func validate() throws {
        guard from >= 1 && to <= 65_535 && from <= to else {
            throw ValidationError("Ports are between 1 and 65535, the first one first, and not \(from) to \(to).")
        }
        guard atOnce >= 1 && patience >= 1 else {
            throw ValidationError("--at-once and --patience must be at least 1.")
        }
    }

    func run() throws {
        try AsyncIO.run {
            // Once, and not for every port.
            guard let address = try await SystemResolver.shared.addresses(of: host, port: 0).first else { return }
            let scan = Scan(address.host, atOnce, .milliseconds(patience), on: EventLoop.current!, Terminal.writeLine)
            let open = try await scan.run(over: from...to)
            Terminal.writeLine("\(open.count) of \(to - from + 1) ports of \(address.host) are open")
        }
    }
}

/// Tries ports, and remembers those that are open. An actor, as its tasks share that, and on the loop.
actor Scan: LoopActor {
    let loop: EventLoop
    private let (host, patience, output): (String, Duration, Output)
    private let places: AsyncSemaphore
    private var open: [Int] = []

    init(_ host: String, _ atOnce: Int, _ patience: Duration, on loop: EventLoop, _ output: @escaping Output) {
        (self.host, self.patience, self.loop, self.output) = (host, patience, loop, output)
        places = AsyncSemaphore(permits: atOnce)
    }

    /// Tries all ports, and returns those that are open.
    func run(over ports: some Sequence<Int> & Sendable) async throws -> [Int] {
        try await withErrorCollectingTaskGroup { tasks in
            for port in ports {
                // Before the task is made, so that there are never more tasks than places either.
                try await self.places.acquire()
                tasks.addTask { try await self.look(at: port) }
            }
        }
        return open.sorted()
    }

    private func look(at port: Int) async throws {
        defer { places.release() }
        do {
            let connection = try await TCPConnection.connect(host: host, port: port, timeout: patience)
            connection.abort()
            // On this machine a connection may by chance get the very port that it looks at, and meet itself.
            guard connection.localAddress != connection.remoteAddress else { return }
            open.append(port)
            output("port \(port) is open")
        } catch let error as LoopError {
            // Nobody answers, not even that nobody listens: a firewall.
            guard case .timedOut = error else { throw error }
        } catch let error as SystemError where error.code == .connectionRefused {
            // Nobody listens. All else, such as a host that cannot be reached, is an error of the whole scan.
        }
    }
}
