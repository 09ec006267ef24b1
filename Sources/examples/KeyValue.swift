// A key-value server with a protocol of lines: SET, GET, DEL and QUIT, on a dictionary that all clients share.

import ArgumentParser
import AsyncIO

struct KeyValue: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "A key-value server. Try `nc 127.0.0.1 7779`, and then `SET colour dark green`, `GET colour`."
    )

    @Option(help: "The port to listen on; 0 takes any that is free.")
    var port = 7779

    func run() throws {
        try AsyncIO.run {
            let server = try await TCPServer.listen(host: "127.0.0.1", port: port)
            Terminal.writeLine("listening on \(server.localAddress)")
            try await Store().serve(server)
        }
    }
}

/// The values, and the answers to what clients ask.
@MainActor
final class Store {
    /// How long a command may be, in bytes.
    nonisolated static let longestCommand = 10_000
    /// How many keys there may be.
    static let mostKeys = 100_000

    private var values: [String: String] = [:]

    /// Answers all clients until the server ends.
    func serve(_ server: TCPServer) async throws {
        try await server.serve(onEachLoop: { loop, connection in try await self.talk(connection, on: loop) })
    }

    /// Answers one client, command by command, until it has enough.
    ///
    /// Where the connection is, whose reader and writer are the loop's. Within `AsyncIO.run` that is the main actor's as
    /// well, so that asking the store is a call.
    ///
    /// A client that does not read its answers waits for itself alone: `drain` returns when few of them are left.
    private func talk(_ connection: TCPConnection, on loop: isolated EventLoop) async throws {
        let (reader, writer) = (connection.reader, connection.writer)
        reader.limit = Self.longestCommand
        while true {
            do {
                guard let command = try await reader.readTextLine() else { return }
                if command == "QUIT" { return writer.write("BYE\n") }
                writer.write(await answer(command) + "\n")
            } catch StreamError.lineTooLong {
                writer.write("ERROR A command can have \(Self.longestCommand) bytes.\n")
            }
            try await writer.drain()
        }
    }

    /// Does what a command says.
    ///
    /// Not `async`: no other client's command can come between its steps.
    private func answer(_ command: String) -> String {
        let words = command.split(separator: " ", maxSplits: 2).map(String.init)
        switch (words.first, words.count) {
        case ("SET", 3):
            guard values[words[1]] != nil || values.count < Self.mostKeys else { return "ERROR The store is full." }
            values[words[1]] = words[2]
            return "OK"
        case ("GET", 2):
            return values[words[1]].map { "VALUE \($0)" } ?? "NONE"
        case ("DEL", 2):
            return values.removeValue(forKey: words[1]) == nil ? "NONE" : "OK"
        default:
            return "ERROR Commands are SET key value, GET key, DEL key, QUIT."
        }
    }
}
