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

/// The people in the room.
///
/// On the main actor, as everything in `AsyncIO.run` is: what happens between two `await`s happens at once.
@MainActor
final class Room {
    /// How long a name and a line may be, in bytes.
    nonisolated static let longestName = 30, longestLine = 1_000

    /// In the order in which they came.
    private var guests: [(name: String, guest: Guest)] = []
    private let log: Output

    init(_ log: @escaping Output) { self.log = log }

    /// Serves until the task is cancelled, which Ctrl-C does; then everybody is told, and the room closes.
    func open(_ server: TCPServer) async {
        // In a task of its own: if `serve` itself were cancelled, it would break the connections off.
        let serving = Task {
            try await server.serve(onEachLoop: { loop, connection in try await self.welcome(connection, on: loop) })
        }
        await withTaskCancellationHandler {
            _ = await serving.result
        } onCancel: {
            Task { await self.close(server) }
        }
        log("closed")
    }

    private func close(_ server: TCPServer) async {
        tellAll("* The room closes.")
        for (_, guest) in guests { guest.sayGoodbye() }
        // The rest is for those who do not read, and those who have not said their name.
        await server.drain(within: .seconds(1))
    }

    /// Serves one client, from the first line to the last.
    ///
    /// Where the connection is, whose reader is the loop's. Within `AsyncIO.run` that is the main actor's as well, so that
    /// speaking to the room is a call.
    private func welcome(_ connection: TCPConnection, on loop: isolated EventLoop) async throws {
        let guest = await Guest(connection)
        async let delivery: Void = guest.deliver()
        let reader = connection.reader
        reader.limit = Self.longestLine
        var name: String? = ""
        do { name = try await reader.readTextLine() } catch StreamError.lineTooLong {}
        if let name, await join(name, guest) {
            do {
                try await listen(to: name, guest, reader, on: loop)
            } catch {
                // The connection broke, or was broken off.
                await leave(name)
                throw error
            }
            await leave(name)
        }
        await guest.sayGoodbye()
        try await delivery
    }

    /// Lets somebody in, if the name is free.
    private func join(_ name: String, _ guest: Guest) -> Bool {
        guard (1...Self.longestName).contains(name.utf8.count) && !guests.contains(where: { $0.name == name }) else {
            guest.tell("* The first line must be a name of 1 to \(Self.longestName) bytes that nobody has here.")
            return false
        }
        tellAll("* \(name) joined.")
        guests.append((name, guest))
        guest.tell("* Here: \(guests.map(\.name).sorted().joined(separator: ", ")).")
        log("\(name) joined, \(guests.count) in the room")
        return true
    }

    private func leave(_ name: String) {
        guests.removeAll { $0.name == name }
        tellAll("* \(name) left.")
        log("\(name) left, \(guests.count) in the room")
    }

    /// Passes on what somebody says.
    private func listen(
        to name: String,
        _ guest: Guest,
        _ reader: StreamReader,
        on loop: isolated EventLoop
    ) async throws {
        while true {
            do {
                guard let text = try await reader.readTextLine() else { return }
                await tellAll("\(name): \(text)", except: name)
            } catch StreamError.lineTooLong {
                await guest.tell("* A line can have \(Self.longestLine) bytes; yours was dropped.")
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
