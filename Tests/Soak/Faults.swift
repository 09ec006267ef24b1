// The clients' side: one exchange of each kind, in order or broken off at a random place.

import AsyncIO

/// The wrong bytes came back, or too few.
struct WrongEcho: Error, CustomStringConvertible {
    let description: String
}

@MainActor
enum Fault: String, CaseIterable {
    case echo, halfClose, reset, leave, cancelRead, cancelWrite, cancelConnect, neverRead, handlerFails, silent,
        refused,
        lines, cancelLines, datagrams

    static func drawn(by chance: inout Chance) -> Fault { allCases[chance.below(allCases.count)] }

    /// Does it once, and returns how many bytes came back.
    func run(_ places: Places, _ chance: inout Chance) async throws -> Int {
        switch self {
        case .echo: return try await echo(places, &chance)
        case .halfClose: return try await halfClose(places, &chance)
        case .reset:
            let connection = try await places.connect(&chance)
            try await connection.write(request(.echo, random(&chance, 1 + chance.below(100_000))))
            for _ in 0..<chance.below(4) { await AsyncIO.yield() }
            connection.abort()
        case .leave:
            // Dropped, which closes it.
            _ = try await places.connect(&chance).write(request(.echo, [1]))
        case .cancelRead:
            let connection = try await places.connect(&chance)
            try await connection.write(request(.echo, []))
            try await cancelled(&chance) { _ = try await connection.read() }
            connection.abort()
        case .cancelWrite:
            let connection = try await places.connect(&chance)
            let block = Bytes(request(.wait, [UInt8](repeating: 1, count: 400_000)))
            try await cancelled(&chance) { for _ in 0..<20 { try await connection.write(block) } }
            connection.abort()
        case .cancelConnect:
            var draw = chance
            try await cancelled(&chance) { try await places.connect(&draw).close() }
        case .neverRead:
            let connection = try await places.connect(&chance)
            try await connection.write(request(.flood, []))
            try await AsyncIO.sleep(for: .milliseconds(chance.below(40)))
            try await connection.close()
        case .handlerFails:
            let connection = try await places.connect(&chance)
            try await connection.write(request(.fail, []))
            while try await connection.read() != nil {}
            try await connection.close()
        case .silent:
            let connection = try await places.connect(&chance)
            if chance.below(2) == 0 { try await connection.write(request(.wait, [])) }
            connection.abort()
        case .refused: try await places.connectToNobody()
        case .lines: return try await exchangeLines(places, &chance)
        case .cancelLines:
            let connection = try await places.connect(&chance)
            connection.writer.write(request(.echo, Array("no line end".utf8)))
            try await cancelled(&chance) { _ = try await connection.reader.readLine() }
            connection.abort()
        case .datagrams: return try await places.exchangeDatagrams(1 + chance.below(5))
        }
        return 0
    }

    /// Some bytes there and back, in pieces.
    private func echo(_ places: Places, _ chance: inout Chance) async throws -> Int {
        let connection = try await places.connect(&chance)
        let sent = random(&chance, 1 + chance.below(chance.below(8) == 0 ? 300_000 : 2_000))
        let piece = 1 + chance.below(40_000)
        let writing = AsyncIO.spawn {
            try await connection.write(Bytes(request(.echo, [])))
            var rest = sent[...]
            while !rest.isEmpty {
                try await connection.write(Bytes(rest.prefix(piece)))
                rest = rest.dropFirst(piece)
            }
        }
        var received: [UInt8] = []
        while received.count < sent.count, let bytes = try await connection.read() { received += bytes }
        try await writing.value
        guard received == sent else { throw WrongEcho(description: "\(sent.count) bytes, \(received.count) back") }
        try await connection.close()
        return received.count
    }

    /// Lines there and back, by reader and writer.
    private func exchangeLines(_ places: Places, _ chance: inout Chance) async throws -> Int {
        let connection = try await places.connect(&chance)
        let lines = (0..<(1 + chance.below(20))).map { String(repeating: "x", count: chance.below(500) + $0) }
        connection.writer.write(request(.echo, []))
        for line in lines { connection.writer.write(line + "\n") }
        var count = 0
        for line in lines {
            let answer = try await connection.reader.readTextLine()
            guard answer == line else { throw WrongEcho(description: "a line of \(line.count) came back otherwise") }
            count += line.count
        }
        try await connection.close()
        return count
    }

    private func halfClose(_ places: Places, _ chance: inout Chance) async throws -> Int {
        let connection = try await places.connect(&chance)
        let sent = random(&chance, chance.below(60_000))
        try await connection.write(request(.gather, sent))
        try await connection.writeEOF()
        var received: [UInt8] = []
        while let bytes = try await connection.read() { received += bytes }
        guard received == sent else { throw WrongEcho(description: "\(sent.count) bytes, \(received.count) back") }
        try await connection.close()
        return received.count
    }

    /// Begins something, and cancels it after a few turns or milliseconds.
    private func cancelled(_ chance: inout Chance, _ body: @escaping @MainActor () async throws -> Void) async throws {
        let task = AsyncIO.spawn { try await body() }
        if chance.below(2) == 0 {
            for _ in 0..<chance.below(6) { await AsyncIO.yield() }
        } else {
            try await AsyncIO.sleep(for: .microseconds(chance.below(3_000)))
        }
        task.cancel()
        _ = try? await task.value
    }

    private func request(_ kind: Handler.Request, _ bytes: [UInt8]) -> [UInt8] { [kind.rawValue] + bytes }

    private func random(_ chance: inout Chance, _ count: Int) -> [UInt8] {
        let start = chance.next()
        return (0..<count).map { UInt8(truncatingIfNeeded: start &+ UInt64($0) &* 31) }
    }
}
