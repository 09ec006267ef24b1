// A load, what came of it, and the role that produces it: a client in a process of its own, on the last core.
//
// The client itself reads what its server has cost, right before and right after the messages, while nothing is on the
// way: then the server sleeps, and the kernel's account of its CPU time is exact.

internal import ArgumentParser
internal import CLoad
internal import CMeasure
#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// What a client does.
struct Load: Codable {
    enum Mode: String, Codable, ExpressibleByArgument {
        case pingPong = "ping-pong"
        case churn
        case bulk
        case idle
    }

    var mode = Mode.pingPong
    var connections = 1
    var messageSize = 64
    var inFlight = 1
    var isLines = false
    var messages = 1
    var warmUp = 0

    /// How the role below is told.
    var arguments: [String] {
        [
            "--mode", mode.rawValue, "--connections", "\(connections)", "--message-size", "\(messageSize)",
            "--in-flight", "\(inFlight)", "--messages", "\(messages)", "--warm-up", "\(warmUp)",
        ] + (isLines ? ["--lines"] : [])
    }
}

/// What a client found.
struct LoadReport: Codable {
    let messages: Int
    let elapsedNanoseconds: Int
    let serverNanoseconds: Int
    let serverBytes: Int
    let p50Nanoseconds: Int
    let p99Nanoseconds: Int

    /// CPU time of the server for one message.
    var serverNanosecondsPerMessage: Double { Double(serverNanoseconds) / Double(messages) }

    /// Memory of the server for one connection, after `Load.Mode.idle`.
    var serverBytesPerConnection: Double { Double(serverBytes) / Double(messages) }

    var messagesPerSecond: Double { Double(messages) / Double(elapsedNanoseconds) * 1e9 }
}

/// `bench load`: becomes a client, and prints its report as JSON.
struct LoadRole: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load",
        abstract: "Sends a load to an echo server, checks every byte of the answers, and prints a report.",
        shouldDisplay: false
    )

    @Option(help: "ping-pong, churn, bulk or idle.")
    var mode = Load.Mode.pingPong

    @Option(help: "The server's IPv4 address.")
    var host = "127.0.0.1"

    @Option(help: "The server's port.")
    var port: Int

    @Option(help: "The server's process, to measure it; 0 measures nothing of it.")
    var server: Int32 = 0

    @Option(help: "Connections at a time.")
    var connections = 50

    @Option(help: "Bytes in a message.")
    var messageSize = 64

    @Option(help: "Messages on the way at most, for each connection.")
    var inFlight = 1

    @Flag(help: "Whether each message is a line.")
    var lines = false

    @Option(help: "Messages over all connections.")
    var messages = 100_000

    @Option(help: "Messages before anything is measured.")
    var warmUp = 0

    @Option(help: "Seconds after which the run has failed.")
    var limit = 60

    @Flag(help: "End when the process that started this one ends.")
    var endWithParent = false

    func run() throws {
        if endWithParent { try check(measure_end_with_parent(), "prctl") }
        try check(measure_pin(MEASURE_LAST_CORE), "sched_setaffinity")
        var report = load_report()
        let status = unsafe host.withCString { host in
            var options = unsafe options(host: host)
            return unsafe load_run(&options, &report)
        }
        if status < 0 { throw BenchError(unsafe String(cString: load_failure())) }
        let summary = LoadReport(
            messages: Int(report.messages),
            elapsedNanoseconds: Int(report.elapsed_ns),
            serverNanoseconds: Int(report.server_cpu_ns),
            serverBytes: Int(report.server_memory_bytes),
            p50Nanoseconds: Int(report.p50_ns),
            p99Nanoseconds: Int(report.p99_ns)
        )
        Terminal.print(String(decoding: try JSONEncoder().encode(summary), as: UTF8.self))
    }

    private func options(host: UnsafePointer<CChar>) -> load_options {
        let kind =
            switch mode {
            case .pingPong: LOAD_PING_PONG
            case .churn: LOAD_CHURN
            case .bulk: LOAD_BULK
            case .idle: LOAD_IDLE
            }
        return unsafe load_options(
            mode: kind,
            host: host,
            port: CInt(port),
            server: server,
            connections: CInt(connections),
            message_size: CInt(messageSize),
            in_flight: CInt(inFlight),
            lines: lines ? 1 : 0,
            messages: Int64(messages),
            warm_up: Int64(warmUp),
            limit_milliseconds: Int64(limit) * 1_000
        )
    }
}
