// A crawler: three workers share a queue of pages, and what one of them finds another may fetch. Each page comes once.

import ArgumentParser
import AsyncIO

struct Crawler: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serves a small site and visits all its pages, three at a time. Takes 4 seconds."
    )

    func run() throws {
        try AsyncIO.run { try await Self.program(on: EventLoop.current!, Terminal.writeLine) }
    }

    /// Serves the site, and crawls it from its first page.
    static func program(on loop: isolated EventLoop, _ output: @escaping Output) async throws {
        let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
        let serving = AsyncIO.spawn { try await server.serve { try await answer($0) } }
        let count = try await Crawl(on: loop).visitAll { path in
            do {
                let links = try await withTimeout(.seconds(2)) { try await fetch(path, port: server.port) }
                output("\(path) has \(links.count) links")
                return links
            } catch {
                output("\(path): \(error)")
                return []
            }
        }
        output("visited \(count) pages")
        server.abort()  // `close()` would wait for the handler that never answers.
        try await serving.value
    }

    /// Reads what a page links to, one path a line.
    static func fetch(_ path: String, port: Int) async throws -> [String] {
        try await TCPConnection.withConnection(host: "127.0.0.1", port: port) { connection in
            try await connection.write("GET \(path)\n")
            var links: [String] = []
            for try await link in connection.reader.lines { links.append(link) }
            return links
        }
    }

    /// Answers one request after a second, and one that is stuck after an hour.
    static func answer(_ connection: TCPConnection) async throws {
        let site = [
            "GET /": "/news\n/people\n/stuck\n", "GET /news": "/\n/news/1\n/news/2\n", "GET /news/1": "/people/ann\n",
            "GET /people": "/\n/people/ann\n/people/bob\n", "GET /people/bob": "/people\n/people/ann\n/news\n",
        ]
        guard let request = try await connection.reader.readTextLine() else { return }
        try await AsyncIO.sleep(for: .seconds(request == "GET /stuck" ? 3_600 : 1))
        try await connection.write(site[request] ?? "")
    }
}

/// The pages that were found. An actor, as the workers share it, and on the loop.
private actor Crawl: LoopActor {
    let loop: EventLoop
    private let found = AsyncQueue<String>(capacity: .max)
    private var seen: Set = ["/"]

    init(on loop: EventLoop) { self.loop = loop }

    /// Visits every page that is found, once, and returns how many there were.
    func visitAll(_ links: @escaping @Sendable (_ path: String) async -> [String]) async throws -> Int {
        try await found.put("/")
        for _ in 1...3 { AsyncIO.spawn { for try await path in self.found { try self.follow(await links(path)) } } }
        // Until each page that was put in was reported as done.
        try await found.join()
        found.finish()
        return seen.count
    }

    private func follow(_ links: [String]) throws {
        for link in links where seen.insert(link).inserted { _ = try found.tryPut(link) }
        found.taskDone()
    }
}
