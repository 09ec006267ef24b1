// `bench gate`: the figures that hardly depend on the machine or on what else it does, for continuous integration.
//
// Each is taken twice, with fewer and with more messages on the same number of connections, and the difference is
// divided by the difference in messages: what starting, connecting and ending costs drops out. What a connection costs
// from its beginning to its end is taken the same way, with fewer and with more connections: see ConnectionGate.swift.

internal import ArgumentParser

struct GateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gate",
        abstract: "Compares instructions, system calls and allocations with limits; exit 1 above them."
    )

    @Flag(help: "Leave out what needs valgrind or strace where they are not installed, instead of failing.")
    var allowMissingTools = false

    func run() throws {
        var verdicts: [Verdict] = []
        try collect(&verdicts) { try Self.instructions() }
        try collect(&verdicts) { try Self.systemCalls() }
        try collect(&verdicts) { try Self.allocations() }
        try collect(&verdicts) { try ConnectionGate.instructions() }
        try collect(&verdicts) { try ConnectionGate.systemCalls() }
        try collect(&verdicts) { try ConnectionGate.allocations() }
        try collect(&verdicts) { try PrimitiveAllocations.verdicts() }

        var table = MarkdownTable(
            ["per message, 50 × 64 B, or as said", "swift-asyncio", "libuv in C", "limit", ""],
            textColumns: 1
        )
        for verdict in verdicts { table.append(verdict.row) }
        Terminal.print(table.description)

        let failures = verdicts.filter { !$0.passes }
        for failure in failures { Terminal.note("gate: \(failure.sentence)") }
        if !failures.isEmpty { throw ExitCode.failure }
    }

    private func collect(_ verdicts: inout [Verdict], _ figures: () throws -> [Verdict]) throws {
        do {
            verdicts += try figures()
        } catch let missing as MissingProgram where allowMissingTools {
            Terminal.note("gate: \(missing): left out")
        }
    }

    /// The costs of one message, by totals that a whole run has.
    ///
    /// The least of several runs counts: a server that is disturbed finds fewer messages each time it polls, so it polls
    /// more often, never less.
    private static func perMessage(
        runs: Int = 3,
        many: Int = 40_000,
        _ totals: (_ messages: Int) throws -> [Int]
    ) throws -> [Double] {
        func least(_ messages: Int) throws -> [Int] {
            let runs = try (0..<runs).map { _ in try totals(messages) }
            return runs[0].indices.map { index in runs.map { $0[index] }.min() ?? 0 }
        }
        let few = 10_000
        return zip(try least(many), try least(few)).map { Double($0 - $1) / Double(many - few) }
    }

    private static func instructions() throws -> [Verdict] {
        func figure(_ server: EchoServer) throws -> Double {
            Terminal.note("gate: instructions of \(server.rawValue)")
            return try GateTools.withStrippedProgram { program in
                try perMessage(runs: 2) { [try GateTools.instructions(server, load($0), program: program)] }[0]
            }
        }
        let libuv = try figure(.libuv)
        let streams = try figure(.streams)
        let chunks = try figure(.chunks)
        return [
            Verdict("user instructions", ours: try figure(.ours), libuv: libuv, limit: 500, places: 1),
            Verdict("streams: user instructions", ours: streams, libuv: libuv, limit: 2_060, places: 1),
            Verdict(
                "streams on two loops: user instructions",
                ours: try figure(.twoLoops),
                libuv: libuv,
                limit: streams * 1.02,
                places: 1
            ),
            Verdict("readers and writers: user instructions", ours: chunks, libuv: libuv, limit: 3_060, places: 1),
        ]
    }

    private static func systemCalls() throws -> [Verdict] {
        func figures(_ server: EchoServer) throws -> (all: Double, futex: Double) {
            Terminal.note("gate: system calls of \(server.rawValue)")
            let figures = try perMessage { messages in
                let calls = try GateTools.systemCalls(server, load(messages))
                return [calls.all, calls.futex]
            }
            return (figures[0], figures[1])
        }
        let ours = try figures(.ours), streams = try figures(.streams), libuv = try figures(.libuv)
        return [
            Verdict("system calls", ours: ours.all, libuv: libuv.all, limit: libuv.all + 0.01, places: 4),
            Verdict("futex calls", ours: ours.futex, libuv: libuv.futex, limit: 0.001, places: 4),
            Verdict("streams: system calls", ours: streams.all, libuv: libuv.all, limit: libuv.all + 0.01, places: 4),
            Verdict("streams: futex calls", ours: streams.futex, libuv: libuv.futex, limit: 0.001, places: 4),
        ]
    }

    private static func allocations() throws -> [Verdict] {
        func figure(_ server: EchoServer) throws -> Double {
            Terminal.note("gate: allocations of \(server.rawValue)")
            let counted = try GateTools.AllocationCount(server)
            // What a server keeps for later is there after the first.
            _ = try counted.allocations(load(1_000))
            // More of both, as how a connection begins and ends costs one allocation or two more or less.
            let figure = try perMessage(runs: 6, many: 160_000) { [try counted.allocations(load($0))] }[0]
            try counted.end()
            return figure
        }
        let libuv = try figure(.libuv)
        return [
            Verdict("heap allocations", ours: try figure(.ours), libuv: libuv, limit: 0.001, places: 4),
            Verdict("streams: heap allocations", ours: try figure(.streams), libuv: libuv, limit: 0.001, places: 4),
            Verdict(
                "readers and writers: heap allocations",
                ours: try figure(.chunks),
                libuv: libuv,
                limit: 0.001,
                places: 4
            ),
        ]
    }

    private static func load(_ messages: Int) -> Load {
        Load(connections: 50, messageSize: 64, messages: messages)
    }
}

/// One figure held against its limit.
struct Verdict {
    let name: String
    let ours: Double
    /// Nil for what libuv does not have.
    let libuv: Double?
    let limit: Double
    let places: Int

    init(_ name: String, ours: Double, libuv: Double?, limit: Double, places: Int) {
        self.name = name
        self.ours = ours
        self.libuv = libuv
        self.limit = limit
        self.places = places
    }

    var passes: Bool { ours <= limit }

    var row: [String] {
        let figures = [ours, libuv, limit].map { figure in figure.map { Text.decimal($0, places: places) } ?? "" }
        return [name] + figures + [passes ? "passes" : "FAILS"]
    }

    var sentence: String {
        "\(Text.decimal(ours, places: places)) \(name); at most \(Text.decimal(limit, places: places))"
    }
}
