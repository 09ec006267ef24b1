// Descriptors that the program brings along, gives away, or shares: terminals, standard input and output, and sockets.

import AsyncIO
import CTorture
import Foundation

extension Scenario {
    /// Descriptors of the scenario's own, closed at its end unless something has taken them.
    private struct Pair: ~Copyable {
        var ends: (CInt, CInt) = (-1, -1)

        enum Kind { case pipe, sockets, terminal }

        init(_ kind: Kind) throws {
            let status =
                switch kind {
                case .pipe: unsafe torture_pipe(&ends.0, &ends.1)
                case .sockets: unsafe torture_socket_pair(&ends.0, &ends.1)
                case .terminal: unsafe torture_terminal_pair(&ends.0, &ends.1)
                }
            guard status == 0 else { throw EarlyEnd() }
        }

        deinit {
            for each in [ends.0, ends.1] where each >= 0 { close(each) }
        }
    }

    /// Somebody types, and sees what the program shows.
    @MainActor
    static func terminal(_ findings: Findings) async throws {
        let pair = try Pair(.terminal)
        let terminal = try await Terminal.open(descriptor: pair.ends.1)
        do {
            try await terminal.setMode(.raw)
            guard try await terminal.size().columns == 0 else { throw EarlyEnd() }
            type("x", on: pair.ends.0)
            guard try await terminal.connection.read() == "x" else { throw EarlyEnd() }
            try await terminal.connection.write("seen")
            guard shown(on: pair.ends.0, 4) == "seen" else { throw EarlyEnd() }
            try await terminal.setMode(.normal)
        } catch {
            findings.note(error: error)
        }
        try await terminal.close()
    }

    private static func type(_ text: String, on descriptor: CInt) {
        // By Foundation, whose calls do not count.
        FileHandle(fileDescriptor: descriptor).write(Data(text.utf8))
    }

    private static func shown(on descriptor: CInt, _ count: Int) -> String {
        let bytes = try? FileHandle(fileDescriptor: descriptor).read(upToCount: count)
        return String(decoding: bytes ?? Data(), as: UTF8.self)
    }

    /// Standard input and output that are files, which threads read and write.
    @MainActor
    static func standardFiles(_ findings: Findings) async throws {
        let sent = Data(repeating: 7, count: 70_000)
        let (source, target) = (path(".in"), path(".out"))
        try sent.write(to: URL(filePath: source))
        try Data().write(to: URL(filePath: target))
        defer { for each in [source, target] { try? FileManager.default.removeItem(atPath: each) } }
        guard let reading = FileHandle(forReadingAtPath: source), let writing = FileHandle(forWritingAtPath: target)
        else {
            throw EarlyEnd()
        }
        let input = try await StandardInput.open(descriptor: reading.fileDescriptor)
        let output = try await StandardOutput.open(descriptor: writing.fileDescriptor)
        while let bytes = try await input.read() { try await output.write(bytes) }
        try await output.close()
        try await input.close()
        guard try Data(contentsOf: URL(filePath: target)) == sent else { throw EarlyEnd() }
    }

    /// Standard input and output that are a pipe, a socket and a terminal, which others share.
    @MainActor
    static func standardStreams(_ findings: Findings) async throws {
        try await shared(Pair(.pipe), findings)
        try await shared(Pair(.sockets), findings)
        let terminal = try Pair(.terminal)
        type("a line\n", on: terminal.ends.0)
        try await shared(terminal, inputs: terminal.ends.1, findings)
    }

    @MainActor
    private static func shared(_ pair: borrowing Pair, inputs: CInt? = nil, _ findings: Findings) async throws {
        do {
            let input = try await StandardInput.open(descriptor: inputs ?? pair.ends.0)
            let output = try await StandardOutput.open(descriptor: pair.ends.1)
            let reading = AsyncIO.spawn { try await input.read() }
            do { try await output.write("a line\n") } catch {
                findings.note(error: error)
                reading.cancel()
            }
            do {
                guard try await reading.value?.first == UInt8(ascii: "a") else { throw EarlyEnd() }
            } catch {
                if !(error is CancellationError) { findings.note(error: error) }
            }
            try await output.close()
            try await input.close()
        } catch {
            findings.note(error: error)
        }
    }

    /// A listening socket and both ends of a connection that were made elsewhere, and one that is given away.
    @MainActor
    static func givenAndTaken(_ findings: Findings) async throws {
        let file = path(".given")
        remove(file)
        let listening = unsafe file.withCString { unsafe torture_bound_socket($0) }
        guard listening >= 0 else { throw EarlyEnd() }
        defer { remove(file) }
        let server: TCPServer
        do { server = try await TCPServer.listen(adopting: listening, options: telling(findings)) } catch {
            close(listening)
            throw error
        }
        let serving = AsyncIO.spawn {
            try await server.serve { connection in
                while let bytes = try await connection.read() { try await connection.write(bytes) }
            }
        }
        do { try await handOn(to: file) } catch { findings.note(error: error) }
        do { try await adoptPair() } catch { findings.note(error: error) }
        server.close()
        await server.drain(within: .seconds(2))
        try await serving.value
    }

    /// Connects, gives the connection away and takes it back, and goes on with it.
    @MainActor
    private static func handOn(to file: String) async throws {
        let first = try await UnixConnection.connect(path: file)
        try await first.write("one")
        try await read(3, from: first)
        let (descriptor, _) = try await first.detach()
        let second: TCPConnection
        do { second = try await TCPConnection.adopt(descriptor: descriptor) } catch {
            close(descriptor)
            throw error
        }
        try await second.write("two")
        try await read(3, from: second)
        try await second.setSocketOption(level: SOL_SOCKET, name: SO_RCVBUF, value: 100_000)
        guard try await second.socketOption(level: SOL_SOCKET, name: SO_RCVBUF) > 0 else { throw EarlyEnd() }
        try await second.close()
    }

    /// Takes both ends of a connection, and sends across.
    @MainActor
    private static func adoptPair() async throws {
        var pair = try Pair(.sockets)
        let left = try await TCPConnection.adopt(descriptor: pair.ends.0)
        pair.ends.0 = -1
        let right = try await TCPConnection.adopt(descriptor: pair.ends.1)
        pair.ends.1 = -1
        try await left.write("across")
        try await left.writeEOF()
        var received: [UInt8] = []
        while let bytes = try await right.read() { received += bytes }
        guard received == Array("across".utf8) else { throw EarlyEnd() }
        try await right.close()
        try await left.close()
    }
}
