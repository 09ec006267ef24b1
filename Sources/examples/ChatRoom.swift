// A chat server: who is in the room is plain shared state. The loop is the main actor, so there is no lock and no race.

import ArgumentParser
import AsyncIO

struct ChatRoom: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "A chat server. Try `nc 127.0.0.1 7778` in two terminals: the first line is your name."
    )

    @Option(help: "The address or host name to listen on.")
    var host = "127.0.0.1"

    @Option(help: "The port to listen on; 0 takes any that is free.")
    var port = 7778

    func run() throws {
        try AsyncIO.run {
            let server = try await TCPServer.listen(host: host, port: port)
            Terminal.writeLine("listening on \(server.localAddress)")
            await Room(Terminal.writeLine).open(server)
        }
    }
}

/// The people in the room, by their names.
///
/// On the main actor, as everything in `AsyncIO.run` is: what happens between two `await`s happens at once.
@MainActor
final class Room {
    /// How long a name and a line may be, in bytes.
    static let longestName = 30, longestLine = 1_000

    private var guests: [String: Guest] = [:]
    private let log: Output

    init(_ log: @escaping Output) { self.log = log }

    /// Serves until the task is cancelled, which Ctrl-C does; then everybody is told, and the room closes.
    func open(_ server: TCPServer) async {
        // In a task of its own: if `serve` itself were cancelled, it would break the connections off.
        let serving = Task { try await server.serve { connection in try await self.welcome(connection) } }
        await withTaskCancellationHandler {
            _ = await serving.result
        } onCancel: {
            Task { await self.close(server) }
        }
        log("closed")
    }

    private func close(_ server: TCPServer) async {
        tellAll("* The room closes.")
        for guest in guests.values { guest.sayGoodbye() }
        // The rest is for those who do not read, and those who have not said their name.
        await server.drain(within: .seconds(1))
    }

    /// Serves one client, from the first line to the last.
    private func welcome(_ connection: TCPConnection) async throws {
        let guest = Guest(connection)
        async let delivery: Void = guest.deliver()
        var lines = LineReader(connection, limit: Self.longestLine)
        switch try await lines.next() {
        case .text(let name)? where (1...Self.longestName).contains(name.utf8.count) && guests[name] == nil:
            try await stay(name, guest, &lines)
        case .text?, .tooLong?:
            guest.tell("* The first line must be a name of 1 to \(Self.longestName) bytes that nobody has here.")
        case nil:
            break
        }
        guest.sayGoodbye()
        try await delivery
    }

    /// Passes on what somebody says, from joining to leaving.
    private func stay(_ name: String, _ guest: Guest, _ lines: inout LineReader) async throws {
        tellAll("* \(name) joined.")
        guests[name] = guest
        guest.tell("* Here: \(guests.keys.sorted().joined(separator: ", ")).")
        log("\(name) joined, \(guests.count) in the room")
        // However it ends: this also runs if the connection breaks, or is broken off.
        defer {
            guests[name] = nil
            tellAll("* \(name) left.")
            log("\(name) left, \(guests.count) in the room")
        }
        while let line = try await lines.next() {
            switch line {
            case .text(let text): tellAll("\(name): \(text)", except: name)
            case .tooLong: guest.tell("* A line can have \(Self.longestLine) bytes; yours was dropped.")
            }
            // Who sends a thousand lines at once takes turns with everybody else.
            await AsyncIO.yield()
        }
    }

    /// Whoever speaks puts lines into the others' outboxes, and never waits for them.
    private func tellAll(_ line: String, except speaker: String? = nil) {
        for (name, guest) in guests where name != speaker { guest.tell(line) }
    }
}

/// A client, and the lines that wait to be sent to it.
@MainActor
private final class Guest {
    /// How many bytes may wait for somebody who does not read, besides what the connection itself takes.
    static let mostWaiting = 1_000_000

    private let connection: TCPConnection
    private let (lines, outbox) = AsyncStream.makeStream(of: String.self)
    private var waiting = 0

    init(_ connection: TCPConnection) { self.connection = connection }

    /// Sends a line when its turn comes.
    ///
    /// A guest for whom too much waits is put out.
    func tell(_ line: String) {
        waiting += line.utf8.count
        guard waiting > Self.mostWaiting else {
            outbox.yield(line)
            return
        }
        // Its task hears of it, and says that it left.
        connection.abort()
    }

    /// Ends the connection, when everything that waits has been sent.
    func sayGoodbye() { outbox.finish() }

    /// Sends what waits, in a task that alone waits for this client's network.
    func deliver() async throws {
        for await line in lines {
            try await connection.write(line + "\n")
            waiting -= line.utf8.count
        }
        try await connection.close()
    }
}
