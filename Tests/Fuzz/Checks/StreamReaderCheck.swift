// Readers: what they return does not depend on the pieces in which it comes, nothing is lost by an error, a limit or a
// cancellation, and what was returned does not change.

import AsyncIO

enum StreamReaderCheck {
    static func run(_ input: inout FuzzInput, on loop: isolated EventLoop) async throws {
        let stretch = [1, 1, 1, 97][input.roll(4)]
        let breaks = input.flip()
        let isConnection = input.roll(4) == 3
        let count = input.roll(64)
        let letters = input.bytes(count).map { StreamModel.letters[Int($0) % StreamModel.letters.count] }
        let data = letters.flatMap { Array(repeating: $0, count: stretch) }
        let model = StreamModel(data, breaks: breaks && !isConnection)
        if isConnection {
            try await ConnectionScript.run(&input, model, stretch, on: loop)
        } else {
            try await SourceScript.run(&input, model, stretch, on: loop)
        }
        model.checkReturned()
        try model.ledger.settle()
    }
}

// MARK: A source that is fed by the script

/// Delivers what it is fed, piece by piece, and then the end or an error.
private final class FedSource: ByteSource {
    private let line = WaitQueue("a fuzzed source")
    private var pieces: [Bytes] = []
    private var hasEnded = false
    private let breaks: Bool
    /// How many bytes the reader has been given.
    private(set) var delivered = 0

    init(breaks: Bool) { self.breaks = breaks }

    func feed(_ piece: Bytes) {
        pieces.append(piece)
        line.wakeFirst()
    }

    func end() {
        hasEnded = true
        line.wakeFirst()
    }

    func read() async throws -> Bytes? {
        while pieces.isEmpty && !hasEnded { try await line.wait() }
        guard !pieces.isEmpty else {
            if breaks { throw Breakage() }
            return nil
        }
        let piece = pieces.removeFirst()
        delivered += piece.count
        return piece
    }
}

/// Reads one after the other, each in a task that can be cancelled, while the script feeds the source.
private final class SourceScript {
    private let model: StreamModel
    private let source: FedSource
    private let reader: StreamReader
    private let stretch: Int
    private let data: Bytes
    private var fed = 0

    private init(_ model: StreamModel, _ stretch: Int) {
        self.model = model
        self.stretch = stretch
        source = FedSource(breaks: model.breaks)
        reader = StreamReader(source)
        data = Bytes(model.data)
    }

    static func run(
        _ input: inout FuzzInput,
        _ model: StreamModel,
        _ stretch: Int,
        on loop: isolated EventLoop
    ) async throws {
        let script = Transfer(SourceScript(model, stretch))
        var reads = 0
        while let step = input.step(8), reads < 40 {
            switch step {
            case 0: script.value.feed(&input)
            case 1:
                script.value.model.limit = 1 + input.roll(32) * stretch
                script.value.reader.limit = script.value.model.limit
            default:
                reads += 1
                await script.value.read(ReadOperation(&input, stretch: stretch), &input, script, on: loop)
            }
            script.value.check()
            try model.ledger.settle()
        }
        // What is left is all that was not read.
        input = FuzzInput([])
        await script.value.read(.toEnd(limit: 1 << 20), &input, script, on: loop)
        model.ledger.expect(model.breaks || model.place == model.data.count, "bytes are lost")
        model.ledger.expect(model.breaks || script.value.reader.isAtEnd, "it is not at the end")
        script.value.check()
    }

    /// Feeds the next piece, or the end.
    private func feed(_ input: inout FuzzInput) {
        let count = min(data.count - fed, input.roll(12) * max(1, stretch / 2))
        if fed == data.count { return source.end() }
        source.feed(data[(data.startIndex + fed)..<(data.startIndex + fed + count)])
        fed += count
    }

    private func feedAll() {
        if fed < data.count { source.feed(data[(data.startIndex + fed)...]) }
        fed = data.count
        source.end()
    }

    private func read(
        _ operation: ReadOperation,
        _ input: inout FuzzInput,
        _ script: Transfer<SourceScript>,
        on loop: isolated EventLoop
    ) async {
        let task = spawn(eager: true) {
            _ = loop
            let result: Result<Bytes?, any Error>
            do {
                result = .success(try await operation.perform(script.value.reader))
            } catch {
                result = .failure(error)
            }
            script.value.checkRead(operation, result)
        }
        var isCancelled = false
        while !task.isDone {
            switch input.step(8) {
            case nil: feedAll()
            case .some(0...3): feed(&input)
            case .some(4):
                task.cancel()
                isCancelled = true
            case .some(5): await checkBusy()
            case .some: await letRun(1)
            }
            if input.isAtEnd { await letRun(2) }
        }
        if case .failure? = task.result { model.ledger.expect(isCancelled, "the task failed") }
    }

    private func checkRead(_ operation: ReadOperation, _ result: Result<Bytes?, any Error>) {
        model.check(operation, result, taken: source.delivered - reader.buffered.count)
    }

    /// A second read is refused as long as there is one.
    private func checkBusy() async {
        do {
            _ = try await reader.read()
            model.ledger.expect(false, "two reads at a time")
        } catch {
            model.ledger.expect(error as? StreamError == .busyReader, "a second read: \(error)")
        }
    }

    private func check() {
        let place = model.place
        let expected = model.data[place..<max(place, source.delivered)]
        model.ledger.expect(reader.buffered.elementsEqual(expected), "what is buffered is not what comes next")
        model.ledger.expect(!reader.isAtEnd || place == model.data.count, "at the end too early")
    }
}

// MARK: A connection

/// Reads in a connection's handler, which is the fast way, while the other end writes.
private enum ConnectionScript {
    static func run(
        _ input: inout FuzzInput,
        _ model: StreamModel,
        _ stretch: Int,
        on loop: isolated EventLoop
    ) async throws {
        let operations = (0..<1 + input.roll(12)).map { _ in
            (ReadOperation(&input, stretch: stretch), limit: 1 + input.roll(32) * stretch)
        }
        let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
        let reads = Transfer(model)
        let serving = spawn {
            try await server.serve { connection in
                _ = loop
                for (operation, limit) in operations {
                    await read(operation, limit, connection.reader, reads.value)
                }
                await read(.toEnd(limit: 1 << 20), 1, connection.reader, reads.value)
                connection.abort()
                server.close()
            }
        }
        let client = try await TCPConnection.connect(host: "127.0.0.1", port: server.port)
        let data = Bytes(model.data)
        var fed = data.startIndex
        while fed < data.endIndex {
            let end = input.isAtEnd ? data.endIndex : min(data.endIndex, fed + 1 + input.roll(12) * stretch)
            try await client.write(data[fed..<end])
            fed = end
            await letRun(input.roll(6))
        }
        client.writer.writeEOF()
        try await serving.value
        client.abort()
        await letRun(3)
        model.ledger.expect(model.place == model.data.count, "bytes are lost")
    }

    private static func read(
        _ operation: ReadOperation,
        _ limit: Int,
        _ reader: StreamReader,
        _ model: StreamModel
    ) async {
        // How much of a long line is dropped depends on the pieces: here nobody knows which have come.
        if case .until = operation { model.limit = limit } else { model.limit = StreamReader.defaultLimit }
        reader.limit = model.limit
        let result: Result<Bytes?, any Error>
        do { result = .success(try await operation.perform(reader)) } catch { result = .failure(error) }
        model.check(operation, result, taken: nil)
    }
}
