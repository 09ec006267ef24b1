// Everything that a run found, and the two forms it is handed out in: tables to be read, JSON to be compared.

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

struct Results: Codable {
    let machine: Machine
    var echo: [EchoResult] = []
    var micro: [MicroResult] = []

    /// In the folder of the benchmarks, when started from above it; else where we are.
    static var defaultPath: String {
        FileManager.default.fileExists(atPath: "Benchmarks/Package.swift") ? "Benchmarks/results.json" : "results.json"
    }

    func write(to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try encoder.encode(self).write(to: URL(filePath: path))
    }

    var markdown: String {
        let timed = echo.filter { !$0.isIdle }
        let idle = echo.filter(\.isIdle)
        var parts = [machine.sentence]
        if !timed.isEmpty { parts.append(Self.table(ofEchoes: timed)) }
        if !idle.isEmpty { parts.append(Self.table(ofIdle: idle)) }
        if !micro.isEmpty { parts.append(Self.table(ofMicro: micro)) }
        return parts.joined(separator: "\n\n")
    }

    private static func table(ofEchoes results: [EchoResult]) -> String {
        var table = MarkdownTable(
            [
                "echo", "server", "server CPU, ns per message", "least to most", "to libuv in C: best", "median",
                "messages per second", "p50, µs", "p99, µs",
            ],
            textColumns: 2
        )
        for result in results {
            for (index, server) in result.servers.enumerated() {
                table.append([
                    index == 0 ? result.title : "",
                    server.server.title,
                    Text.grouped(server.cost.median),
                    "\(Text.grouped(server.cost.least)) to \(Text.grouped(server.cost.most))",
                    server.ratio.map { Text.decimal($0.least, places: 2) } ?? "",
                    server.ratio.map { Text.decimal($0.median, places: 2) } ?? "",
                    Text.grouped(server.messagesPerSecond.median),
                    microseconds(server.p50Nanoseconds),
                    microseconds(server.p99Nanoseconds),
                ])
            }
        }
        return table.description
    }

    /// A latency; nothing for bulk, which has no messages to be answered.
    private static func microseconds(_ nanoseconds: Spread) -> String {
        nanoseconds.most == 0 ? "" : Text.decimal(nanoseconds.median / 1e3, places: 1)
    }

    private static func table(ofIdle results: [EchoResult]) -> String {
        var table = MarkdownTable(["memory", "server", "bytes per connection", "least to most"], textColumns: 2)
        for result in results {
            for (index, server) in result.servers.enumerated() {
                table.append([
                    index == 0 ? result.title : "",
                    server.server.title,
                    Text.grouped(server.cost.median),
                    "\(Text.grouped(server.cost.least)) to \(Text.grouped(server.cost.most))",
                ])
            }
        }
        return table.description
    }

    private static func table(ofMicro results: [MicroResult]) -> String {
        var table = MarkdownTable(
            ["micro-benchmark", "peer", "ns", "least to most", "swift-asyncio to it: best", "median"],
            textColumns: 2
        )
        for result in results {
            for (index, peer) in result.peers.enumerated() {
                table.append([
                    index == 0 ? result.title : "",
                    peer.peer.title,
                    Text.decimal(peer.nanoseconds.median, places: 0),
                    "\(Text.grouped(peer.nanoseconds.least)) to \(Text.grouped(peer.nanoseconds.most))",
                    peer.oursToIt.map { Text.decimal($0.least, places: 2) } ?? "",
                    peer.oursToIt.map { Text.decimal($0.median, places: 2) } ?? "",
                ])
            }
        }
        return table.description
    }
}
