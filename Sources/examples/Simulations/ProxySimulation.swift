// The proxy between clients and a server: either side gets what the other has sent, in order, and a beginning of it if
// something breaks; it gets an end only when it has got all.

import AsyncIO
import AsyncIOTesting

extension Scenario {
    static let proxy = proxy { try await Proxy.serve($0, to: $1) }

    /// The same with another proxy.
    static func proxy(_ serve: @escaping @Sendable (TCPServer, Endpoint) async throws -> Void) -> Scenario {
        Scenario(name: "proxy") { loop, simulation in
            var generator = simulation.makeGenerator()
            let weather = simulation.drawWeather(&generator)
            let ledger = Ledger()
            let (backend, proxy) = (simulation.host("backend"), simulation.host("proxy"))
            let answersAtEnd = Bool.random(using: &generator)
            backend.start {
                let server = try await TCPServer.listen(host: nil, port: 9000)
                try await server.serve { try await ledger.answer($0, atEnd: answersAtEnd) }
            }
            guard let target = Endpoint(argument: "backend:9000") else {
                throw BrokenPromise(description: "no endpoint")
            }
            proxy.start { try await serve(try await TCPServer.listen(host: "0.0.0.0", port: 7780), target) }
            let clients = (1...2).map { simulation.host("client\($0)") }
            let hosts = [backend, proxy] + clients
            // Not a kill, after which the system sends an end that nobody meant.
            let faults: [Chaos.Fault] = [.partition, .oneWayPartition, .reset, .crash]
            try await simulation.withFaults(weather, among: hosts, stopping: hosts, faults) {
                try await withThrowingDiscardingTaskGroup { group in
                    for (number, host) in clients.enumerated() {
                        let streams = (0..<2).map { Stream(UInt8(number * 2 + $0), weather, &generator) }
                        group.addTask {
                            for stream in streams {
                                try await simulation.onHost(host) { try await ledger.send(stream, weather.hasFaults) }
                            }
                        }
                    }
                }
            }
            try await ledger.check()
        }
    }
}

/// What a client sends: bytes that tell whose they are, and where they belong.
private struct Stream: Sendable {
    let number: UInt8
    let bytes: [UInt8]
    /// How many of them are sent at once.
    let pieces: [Int]

    init(_ number: UInt8, _ weather: Weather, _ generator: inout SimulationGenerator) {
        self.number = number
        // Some pieces, or very many if they are as small as that.
        let count = [1, 100, min(4_000, 50 * weather.largestPiece)].randomElement(using: &generator) ?? 1
        bytes = (0..<count).map { place in
            place == 0 ? number : UInt8(truncatingIfNeeded: place &* 31 &+ (place >> 8) &* 7 &+ Int(number))
        }
        pieces = (0..<8).map { _ in Int.random(in: 1...2_000, using: &generator) }
    }

    /// What the server answers.
    var answer: [UInt8] { bytes.map { ~$0 } }
}

/// What should arrive, and what did.
@MainActor
private final class Ledger {
    private var streams: [UInt8: Stream] = [:]
    private var problem: String?

    func check() throws { try BrokenPromise.unless(problem == nil, problem ?? "") }

    /// Sends a stream through the proxy, and compares what comes back.
    func send(_ stream: Stream, _ hasFaults: Bool) async throws {
        streams[stream.number] = stream
        do {
            try await withTimeout(.seconds(600)) { [self] in
                try await TCPConnection.withConnection(host: "proxy", port: 7780, timeout: .seconds(5)) { connection in
                    _ = try await AsyncIO.gather(
                        { try await Self.write(stream, to: connection) },
                        { try await self.readAnswer(to: stream, connection) }
                    )
                }
            }
        } catch let error where hasFaults && !(error is CancellationError) {
            // What broke may break.
        }
    }

    private nonisolated static func write(_ stream: Stream, to connection: TCPConnection) async throws {
        var rest = stream.bytes[...]
        var turn = 0
        while !rest.isEmpty {
            let piece = rest.prefix(stream.pieces[turn % stream.pieces.count])
            rest = rest.dropFirst(piece.count)
            turn += 1
            try await connection.write(Bytes(piece))
        }
        try await connection.writeEOF()
    }

    private func readAnswer(to stream: Stream, _ connection: TCPConnection) async throws {
        var received: [UInt8] = []
        let answer = stream.answer
        for try await bytes in connection {
            compare(bytes, to: answer, at: received.count, "client \(stream.number)")
            received += bytes
        }
        noteEnd(received.count, of: stream.bytes.count, "client \(stream.number)")
    }

    /// Answers one connection of the proxy's.
    func answer(_ connection: TCPConnection, atEnd: Bool) async throws {
        var received: [UInt8] = []
        for try await bytes in connection {
            let whose = received.first ?? bytes[bytes.startIndex]
            compare(bytes, to: streams[whose]?.bytes ?? [], at: received.count, "server")
            received += bytes
            if !atEnd { try await connection.write(Bytes(bytes.map { ~$0 })) }
        }
        let whole = received.first.flatMap { streams[$0]?.bytes.count } ?? 0
        noteEnd(received.count, of: whole, "server")
        if atEnd { try await connection.write(Bytes(received.map { ~$0 })) }
        try await connection.writeEOF()
    }

    private func compare(_ bytes: Bytes, to sent: [UInt8], at offset: Int, _ whose: String) {
        guard problem == nil, !sent.dropFirst(offset).starts(with: bytes) else { return }
        problem = "The \(whose) got \(bytes.count) bytes at \(offset) that are not those which were sent."
    }

    private func noteEnd(_ count: Int, of whole: Int, _ whose: String) {
        guard problem == nil, count != whole else { return }
        problem = "The \(whose) got an end after \(count) bytes of \(whole)."
    }
}
