// The chat room and its guests: everybody hears what the others say, in the same order, once, without gaps, and nothing that
// nobody said.

import AsyncIO
import AsyncIOTesting

extension Scenario {
    static let chatRoom = Scenario(name: "chat-room") { loop, simulation in
        var generator = simulation.makeGenerator()
        let weather = simulation.drawWeather(&generator)
        let server = simulation.host("server")
        server.start {
            let listening = try await TCPServer.listen(host: "0.0.0.0", port: 7778)
            await Room { simulation.note($0) }.open(listening)
        }
        let clients = (1...3).map { simulation.host("client\($0)") }
        let minutes = Minutes()
        try await simulation.withFaults(weather, among: [server] + clients, stopping: clients) {
            try await withThrowingDiscardingTaskGroup { group in
                for host in clients {
                    let numbers = simulation.makeGenerator()
                    let guest = await Visitor(host.name, lines: 6, of: clients.count, numbers, minutes)
                    group.addTask { try await simulation.onHost(host) { try await guest.visit(weather.hasFaults) } }
                }
            }
        }
        try await minutes.check()
    }
}

/// Somebody who comes to the chat room.
@MainActor
private final class Visitor {
    private let name: String
    private let lineCount: Int
    private let guestCount: Int
    private var generator: SimulationGenerator
    private let minutes: Minutes
    private var said = 0
    private var visits = 0

    init(_ name: String, lines: Int, of guests: Int, _ generator: SimulationGenerator, _ minutes: Minutes) {
        (self.name, lineCount, guestCount) = (name, lines, guests)
        (self.generator, self.minutes) = (generator, minutes)
    }

    /// Comes, and comes again after a fault, until all is said.
    func visit(_ hasFaults: Bool) async throws {
        repeat {
            visits += 1
            let name = "\(name).\(visits)"
            do {
                try await withTimeout(.seconds(120)) { [self] in
                    try await TCPConnection.withConnection(host: "server", port: 7778, timeout: .seconds(3)) {
                        connection in
                        try await connection.write(name + "\n")
                        _ = try await AsyncIO.gather(
                            { try await self.listen(connection, as: name) },
                            { try await self.talk(connection, as: name, hasFaults) }
                        )
                    }
                }
            } catch let error where hasFaults && !(error is CancellationError) {
                try await AsyncIO.sleep(for: .milliseconds(50))
            }
        } while said < lineCount
    }

    private func listen(_ connection: TCPConnection, as name: String) async throws {
        let reader = connection.reader
        while let line = try await reader.readTextLine() { minutes.heard[name, default: []].append(line) }
    }

    private func talk(_ connection: TCPConnection, as name: String, _ hasFaults: Bool) async throws {
        // Where nothing goes wrong all of them are there, and hear all.
        while !hasFaults && minutes.guestCount < guestCount { try await AsyncIO.sleep(for: .milliseconds(10)) }
        while said < lineCount {
            try await AsyncIO.sleep(for: .milliseconds(Int.random(in: 0..<200, using: &generator)))
            said += 1
            let text = "line \(said)"
            minutes.said[name, default: []].append("\(name): \(text)")
            try await connection.write(text + "\n")
        }
        if hasFaults { try await AsyncIO.sleep(for: .seconds(1)) }
        while !hasFaults && minutes.count(heardBy: name) < (guestCount - 1) * lineCount {
            try await AsyncIO.sleep(for: .milliseconds(10))
        }
        try await connection.writeEOF()
    }
}

/// What was said and heard, by guests' names.
@MainActor
private final class Minutes {
    var said: [String: [String]] = [:]
    var heard: [String: [String]] = [:]

    /// How many have been let in.
    var guestCount: Int { heard.values.count { $0.contains { $0.hasPrefix("* Here: ") } } }

    /// How much somebody has heard of what was said.
    func count(heardBy name: String) -> Int { speech(heard[name] ?? []).count }

    private func speech(_ lines: [String]) -> [String] { lines.filter { !$0.hasPrefix("* ") } }

    /// Throws unless the room has kept its word.
    func check() throws {
        var places: [String: [String: Int]] = [:]
        for name in heard.keys.sorted() {
            let lines = speech(heard[name] ?? [])
            try BrokenPromise.unless(Set(lines).count == lines.count, "\(name) heard something twice: \(lines)")
            places[name] = Dictionary(uniqueKeysWithValues: lines.enumerated().map { ($1, $0) })
            for (speaker, words) in said.sorted(by: { $0.key < $1.key }) {
                let known = lines.filter { $0.hasPrefix("\(speaker): ") }
                try BrokenPromise.unless(speaker != name || known.isEmpty, "\(name) heard itself")
                guard let first = known.first else { continue }
                let rest = words.firstIndex(of: first).map { Array(words[$0...].prefix(known.count)) }
                try BrokenPromise.unless(rest == known, "\(name) heard \(known) of \(words)")
            }
            let all = Set(said.values.joined())
            try BrokenPromise.unless(all.isSuperset(of: lines), "\(name) heard what nobody said: \(lines)")
        }
        for (one, first) in places.sorted(by: { $0.key < $1.key }) {
            for (other, second) in places.sorted(by: { $0.key < $1.key }) where one < other {
                let common = first.keys.filter { second[$0] != nil }
                let orders = [first, second].map { places in common.sorted { (places[$0] ?? 0) < (places[$1] ?? 0) } }
                try BrokenPromise.unless(orders[0] == orders[1], "\(one) and \(other) heard another order: \(orders)")
            }
        }
    }
}
