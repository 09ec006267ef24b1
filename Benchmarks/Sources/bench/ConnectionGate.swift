// What one connection costs from its beginning to its end, with one message of 64 B between them: `bench gate`'s figures for
// connections, as those of GateCommand.swift are for messages.

/// The costs of a connection.
enum ConnectionGate {
    private static let few = 2_000, many = 8_000

    private static func load(_ connections: Int) -> Load {
        Load(mode: .churn, connections: 10, messageSize: 64, messages: connections)
    }

    /// The costs of one connection, by totals that a whole run has; the least of several runs, as for messages.
    private static func perConnection(runs: Int = 3, _ totals: (_ load: Load) throws -> Int) throws -> Double {
        func least(_ connections: Int) throws -> Int {
            try (0..<runs).map { _ in try totals(load(connections)) }.min() ?? 0
        }
        return try Double(least(many) - least(few)) / Double(many - few)
    }

    static func instructions() throws -> [Verdict] {
        func figure(_ server: EchoServer) throws -> Double {
            Terminal.note("gate: instructions of a connection to \(server.rawValue)")
            return try GateTools.withStrippedProgram { program in
                try perConnection { try GateTools.instructions(server, $0, program: program) }
            }
        }
        let libuv = try figure(.libuv)
        return [
            Verdict("a connection: user instructions", ours: try figure(.ours), libuv: libuv, limit: 7_200, places: 0),
            Verdict(
                "a connection of streams: user instructions",
                ours: try figure(.streams),
                libuv: libuv,
                limit: 22_000,
                places: 0
            ),
        ]
    }

    static func systemCalls() throws -> [Verdict] {
        func figure(_ server: EchoServer) throws -> Double {
            Terminal.note("gate: system calls of a connection to \(server.rawValue)")
            return try perConnection { try GateTools.systemCalls(server, $0).all }
        }
        // How many polls and accepts that find nobody there are depends on how the clients come.
        let libuv = try figure(.libuv), limit = libuv + 0.5
        return [
            Verdict("a connection: system calls", ours: try figure(.ours), libuv: libuv, limit: limit, places: 2),
            Verdict(
                "a connection of streams: system calls",
                ours: try figure(.streams),
                libuv: libuv,
                limit: limit,
                places: 2
            ),
        ]
    }

    static func allocations() throws -> [Verdict] {
        func figure(_ server: EchoServer) throws -> Double {
            Terminal.note("gate: allocations of a connection to \(server.rawValue)")
            let counted = try GateTools.AllocationCount(server)
            // What a server keeps for later is there after the first.
            _ = try counted.allocations(load(500))
            let figure = try perConnection { try counted.allocations($0) }
            try counted.end()
            return figure
        }
        let libuv = try figure(.libuv)
        return [
            Verdict("a connection: heap allocations", ours: try figure(.ours), libuv: libuv, limit: 9, places: 2),
            Verdict(
                "a connection of streams: heap allocations",
                ours: try figure(.streams),
                libuv: libuv,
                limit: 16,
                places: 2
            ),
        ]
    }
}
