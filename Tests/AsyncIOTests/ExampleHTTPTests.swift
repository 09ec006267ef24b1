// The HTTP client against servers in Python: the one of its standard library, and one that answers each path with bytes
// of its own choice, in pieces of one byte or all at once. And its deadline, in virtual time.

import AsyncIO
import AsyncIOTesting
import Foundation
import TestSupport
import Testing

@testable import examples

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct ExampleHTTPTests {
        @Test(.needs("python3"))
        func `Python's own HTTP server gives its files, its errors and its redirects`() async throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            let large = noise(300_000)
            try Data(large).write(to: URL(fileURLWithPath: folder.file("large")))
            try Data().write(to: URL(fileURLWithPath: folder.file("empty")))
            try FileManager.default.createDirectory(atPath: folder.file("sub"), withIntermediateDirectories: false)
            let script = """
                import http.server, os, sys
                os.chdir(sys.argv[1])
                class Handler(http.server.SimpleHTTPRequestHandler):
                    protocol_version = "HTTP/1.1"
                    def log_message(self, *_): pass
                server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
                print(server.server_port, flush=True)
                server.serve_forever()
                """
            try await asking(ForeignProgram.python(script, folder.path)) { base in
                let file = try await fetch("\(base)/large")
                #expect(file.status == 200 && file.reason == "OK" && file.body == large)
                #expect(file.headers["content-length"] == "300000")
                #expect(try await fetch("\(base)/empty").body == [])
                let listing = try await fetch(base)
                #expect(String(decoding: listing.body, as: UTF8.self).contains("<a href=\"large\">"))
                let missing = try await fetch("\(base)/none?a=b#c")
                #expect(missing.status == 404 && missing.reason == "File not found")
                await refused("301: the page is at '/sub/'. Redirects are not followed.") {
                    try await fetch("\(base)/sub")
                }
                // As a program, whose output is a line of its own and the page.
                let examples = try #require(ForeignProgram.product("examples"))
                let ends = try await offload {
                    try ["\(base)/empty", "\(base)/sub"].map {
                        try ForeignProgram([examples, "http-get", $0]).finish()
                    }
                }
                #expect(ends[0].status == 0 && ends[0].output == "200 OK, 0 bytes\n\n" && ends[0].errors == "")
                #expect(ends[1].status == 1 && ends[1].output == "")
                #expect(ends[1].errors == "Error: 301: the page is at '/sub/'. Redirects are not followed.\n")
            }
        }

        @Test(.needs("python3"), arguments: [1, 7, 1 << 20])
        func `bodies end by their length, with the last chunk, or with the connection`(piece: Int) async throws {
            let good: [String: (answer: String, body: String)] = [
                "/length": ("HTTP/1.1 200 OK\r\ncontent-LENGTH:  5 \r\n\r\nhello and more", "hello"),
                "/chunks": (
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nContent-Length: 1\r\n\r\n"
                        + "6;part=1\r\nhello \r\n0C\r\nworld\r\nagain\r\n0\r\nTrailer: yes\r\n\r\n",
                    "hello world\r\nagain"
                ),
                "/close": ("HTTP/1.0 200\r\nA: 1\r\na: 2\r\n\r\nall of it", "all of it"),
                "/lf": ("HTTP/1.1 200 OK\n\nbare line feeds", "bare line feeds"),
                "/hints": ("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\nthen", "then"),
                "/nothing": ("HTTP/1.1 204 No Content\r\n\r\nno body", ""),
            ]
            try await asking(answers(good.mapValues(\.answer), in: piece)) { base in
                for (path, (_, body)) in good {
                    let response = try await fetch(base + path)
                    #expect(String(decoding: response.body, as: UTF8.self) == body, "\(path)")
                    if path == "/close" { #expect(response.headers == ["a": "1, 2"] && response.reason == "") }
                }
            }
        }

        @Test(.needs("python3"))
        func `what is no answer, or too much of one, is refused with a reason`() async throws {
            let ok = "HTTP/1.1 200 OK\r\n"
            let bad: [String: (answer: String, reason: String)] = [
                "/silence": ("", "The answer ends too early."),
                "/ssh": ("SSH-2.0-OpenSSH_9.6\r\n\r\n", "That is no HTTP/1.1: 'SSH-2.0-OpenSSH_9.6'."),
                "/status": ("HTTP/1.1 9999 Yes\r\n\r\n", "That is no HTTP/1.1: 'HTTP/1.1 9999 Yes'."),
                "/head": (ok + "Content-Length: 1", "The answer ends too early."),
                "/header": (ok + "no colon\r\n\r\n", "That is no header: 'no colon'."),
                "/fold": (ok + "A: b\r\n c: d\r\n\r\n", "That is no header: ' c: d'."),
                "/headers": (
                    ok + String(repeating: "A: b\r\n", count: 101) + "\r\n", "There are more than 100 headers."
                ),
                "/line": (
                    ok + "A: " + String(repeating: "b", count: 9_000),
                    "The line is longer than the reader's limit of 8192 bytes."
                ),
                "/short": (
                    ok + "Content-Length: 10\r\n\r\nhello",
                    "The stream ended after 5 of the 10 bytes that were to be read."
                ),
                "/minus": (ok + "Content-Length: -1\r\n\r\n", "'-1' is no size."),
                "/two": (ok + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "'5, 6' is no size."),
                "/huge": (ok + "Content-Length: 16777217\r\n\r\n", "A body of more than 16777216 bytes is refused."),
                "/chunk": (
                    ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello you\r\n", "A chunk is longer than it says."
                ),
                "/hex": (ok + "Transfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n", "'+5' is no size."),
                "/chunky": (
                    ok + "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n1000000\r\n",
                    "A body of more than 16777216 bytes is refused."
                ),
                "/last": (ok + "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n", "The answer ends too early."),
                "/gzip": (
                    ok + "Transfer-Encoding: gzip, chunked\r\n\r\n", "The transfer coding 'gzip, chunked' is unknown."
                ),
            ]
            try await asking(answers(bad.mapValues(\.answer), in: 1 << 20)) { base in
                for (path, (_, reason)) in bad { await refused(reason) { try await fetch(base + path) } }
            }
        }

        @Test func `addresses are taken apart, and what cannot be fetched is refused before anything is sent`() throws {
            let good = [
                "http://a": "a a 80 /", "HTTP://a:81": "a:81 a 81 /", "http://a/b/c?d=e#f": "a a 80 /b/c?d=e",
                "http://[::1]:8000/x": "[::1]:8000 ::1 8000 /x", "http://[::1]": "[::1] ::1 80 /",
                "http://a?b": "a a 80 /?b",
            ]
            for (text, parts) in good {
                let page = try HTTPAddress(text)
                #expect("\(page.authority) \(page.endpoint.host) \(page.endpoint.port) \(page.path)" == parts)
            }
            for text in [
                "", "a", "ftp://a", "http://", "http:///x", "http://a:b", "http://me@a", "http://a/ b", "http://a/\n",
                "http://ä",
            ] {
                #expect(throws: HTTPError.self, "\(text)") { try HTTPAddress(text) }
            }
            #expect {
                try HTTPAddress("https://example.org")
            } throws: {
                "\($0)".contains("does not encrypt")
            }
        }

        @Test func `a server that never ends its answer is given up when the time is over`() async throws {
            try await onNetwork(.memory) { loop in
                try await serving(on: loop) { connection in
                    _ = try await connection.read()
                    // A header now and then: each read gets something, and the answer is still never there.
                    try await connection.write("HTTP/1.1 200 OK\r\n")
                    for _ in 0..<50 {
                        try await AsyncIO.sleep(for: .seconds(9))
                        try await connection.write("A: b\r\n")
                    }
                    // Not so many, however far time runs ahead, that the client refuses them.
                    _ = try await connection.read()
                } while: { server in
                    let start = loop.now
                    let page = try HTTPAddress("http://127.0.0.1:\(server.port)/")
                    let error = await failure { try await HTTPGet.fetch(page, within: .seconds(30)) }
                    #expect("\(error!)" == "The operation did not end within 30.0 seconds.")
                    // Without the hooks a step of it is on another thread for a moment, in which virtual time goes on to the
                    // next header, and to as many more as there are until the thread has had its turn.
                    let elapsed = start.duration(to: loop.now)
                    #expect(elapsed >= .seconds(30) && (elapsed < .seconds(39) || !keepsJobs), "\(elapsed)")
                    // The handler hears of it with its next header but one.
                }
            }
        }
    }
}

/// Fetches a page, as the program does.
private func fetch(_ page: String) async throws -> HTTPResponse {
    try await HTTPGet.fetch(HTTPAddress(page), within: .seconds(30))
}

/// Expects an error with this sentence.
private func refused(
    _ reason: String,
    sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () async throws -> HTTPResponse
) async {
    do {
        let response = try await body()
        Issue.record("\(response.status) and not: \(reason)", sourceLocation: sourceLocation)
    } catch {
        #expect("\(error)" == reason, sourceLocation: sourceLocation)
    }
}

/// Asks a server that says its port in its first line, and ends it.
private func asking(
    _ server: ForeignProgram,
    _ body: @escaping @Sendable (_ base: String) async throws -> Void
) async throws {
    defer {
        server.send(SIGKILL)
        _ = server.finish()
    }
    let port = server.readLine()
    try await onNetwork(.sockets) { loop in try await body("http://127.0.0.1:\(port)") }
}

/// A server in Python that answers each path with bytes of its own, in pieces of a size, and closes.
private func answers(_ answers: [String: String], in piece: Int) throws -> ForeignProgram {
    let script = """
        import asyncio, json, sys
        answers, piece = json.loads(sys.argv[1]), int(sys.argv[2])
        async def answer(reader, writer):
            head = (await reader.readuntil(b"\\r\\n\\r\\n")).decode().split("\\r\\n")
            method, path, version = head[0].split(" ")
            assert (method, version) == ("GET", "HTTP/1.1") and head[1].startswith("Host: 127.0.0.1:"), head
            data = answers[path].encode()
            try:
                for start in range(0, len(data), piece):
                    writer.write(data[start:start + piece])
                    await writer.drain()
                    # Lets what was written go out before the next piece is there.
                    await asyncio.sleep(0)
                writer.close()
                await writer.wait_closed()
            except ConnectionError:
                pass
        async def main():
            server = await asyncio.start_server(answer, "127.0.0.1", 0)
            print(server.sockets[0].getsockname()[1], flush=True)
            await server.serve_forever()
        asyncio.run(main())
        """
    let json = String(decoding: try JSONEncoder().encode(answers), as: UTF8.self)
    return try ForeignProgram.python(script, json, "\(piece)")
}
