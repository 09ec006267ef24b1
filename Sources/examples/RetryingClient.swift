// A client that keeps to a rate and tries again: its server is busy at times, breaks off, or does not answer in time.

import ArgumentParser
import AsyncIO

struct RetryingClient: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Asks a server that often fails, at most once a second, until it answers. Takes 8 seconds."
    )

    func run() throws {
        try AsyncIO.run { try await Self.program(on: EventLoop.current!, Terminal.writeLine) }
    }

    /// Serves, asks three questions, and prints what comes of each attempt.
    static func program(on loop: isolated EventLoop, _ output: @escaping Output) async throws {
        let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
        let serving = AsyncIO.spawn { try await server.serve { try await Self.answer($0) } }
        // Two at once after a pause, and then one a second, whichever question they are for.
        let limiter = RateLimiter(rate: 1, per: .seconds(1), burst: 2)
        // A quarter of a second after the first attempt, half a second after the second, without chance.
        let policy = RetryPolicy(maximumAttempts: 3, initialDelay: .milliseconds(250), jitter: 0)
        for question in ["patience", "rudeness", "silence"] {
            var attempt = 0
            do {
                let reply = try await AsyncIO.retry(policy) {
                    try await limiter.acquire()
                    attempt += 1
                    do {
                        return try await withTimeout(.seconds(1)) {
                            try await ask("\(question) \(attempt)", port: server.port)
                        }
                    } catch {
                        output("\(question), attempt \(attempt): \(error)")
                        throw error
                    }
                }
                output("\(question), attempt \(attempt): \(reply)")
            } catch let error as RetryError {
                output("\(question): \(error)")
            }
        }
        // `close()` would wait for the handlers that never answer.
        server.abort()
        try await serving.value
    }

    /// The server has too much to do.
    struct Busy: Error {}

    /// Asks one question on a connection of its own.
    static func ask(_ question: String, port: Int) async throws -> String {
        try await TCPConnection.withConnection(host: "127.0.0.1", port: port) { connection in
            try await connection.write(question + "\n")
            guard let reply = try await connection.reader.readTextLine(), reply != "BUSY" else { throw Busy() }
            return reply
        }
    }

    /// Answers one question, or does not.
    static func answer(_ connection: TCPConnection) async throws {
        switch try await connection.reader.readTextLine() {
        case "patience 1", "patience 2": try await connection.write("BUSY\n")
        case "rudeness 1": connection.abort()
        case let line? where line.hasPrefix("silence"): try await AsyncIO.sleep(for: .seconds(60))
        case let line?: try await connection.write("the answer to '\(line)'\n")
        case nil: break
        }
    }
}
