// The loads that every echo server is measured under. Counts are chosen so that a round takes about a second of an
// ordinary core, and can be compared from one version to the next because they stay as they are.

struct Scenario {
    let name: String
    let title: String
    let load: Load

    /// What one message is, where that is not plain.
    var isIdle: Bool { load.mode == .idle }

    /// Those of the servers that it is about: who echoes lines cannot echo anything else.
    func servers(among servers: [EchoServer]) -> [EchoServer] { servers.filter { load.isLines || !$0.needsLines } }

    /// What a server gets of it: the same, but for those that would take minutes.
    func load(for server: EchoServer) -> Load {
        var load = load
        if server.isSlow && !isIdle { load.messages = max(load.messages / 5, 1) }
        return load
    }

    /// The same load with a tenth of the messages.
    var quick: Scenario {
        var load = load
        load.messages = max(load.messages / 10, 1)
        load.warmUp /= 10
        if isIdle { load.connections = load.messages }
        return Scenario(name: name, title: title, load: load)
    }

    static let all: [Scenario] = [
        Scenario(
            name: "ping-1x64",
            title: "1 connection × 64 B",
            load: Load(messages: 30_000, warmUp: 1_000)
        ),
        Scenario(
            name: "ping-50x64",
            title: "50 connections × 64 B",
            load: Load(connections: 50, messages: 80_000, warmUp: 5_000)
        ),
        Scenario(
            name: "ping-50x1k",
            title: "50 connections × 1 KiB",
            load: Load(connections: 50, messageSize: 1_024, messages: 80_000, warmUp: 5_000)
        ),
        Scenario(
            name: "ping-500x1k",
            title: "500 connections × 1 KiB",
            load: Load(connections: 500, messageSize: 1_024, messages: 80_000, warmUp: 10_000)
        ),
        Scenario(
            name: "ping-50x16k",
            title: "50 connections × 16 KiB",
            load: Load(connections: 50, messageSize: 16_384, messages: 60_000, warmUp: 5_000)
        ),
        Scenario(
            name: "pipeline-50x64x16",
            title: "50 connections × 64 B, 16 in flight",
            load: Load(connections: 50, inFlight: 16, messages: 1_000_000, warmUp: 50_000)
        ),
        Scenario(
            name: "lines-50x64",
            title: "50 connections × 64 B, by lines",
            load: Load(connections: 50, isLines: true, messages: 80_000, warmUp: 5_000)
        ),
        Scenario(
            name: "churn",
            title: "churn: connect, 64 B, close; 50 at a time",
            load: Load(mode: .churn, connections: 50, messages: 20_000, warmUp: 1_000)
        ),
        Scenario(
            name: "bulk-4",
            title: "bulk: 4 connections both ways, per 64 KiB",
            load: Load(mode: .bulk, connections: 4, messageSize: 65_536, inFlight: 4, messages: 40_000, warmUp: 2_000)
        ),
        Scenario(
            name: "idle-10000",
            title: "10,000 idle connections",
            load: Load(mode: .idle, connections: 10_000, messages: 10_000, warmUp: 200)
        ),
    ]
}
