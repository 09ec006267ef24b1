// The example program as its users meet it: its flags, its one line, its exit codes, what signals do to it, and that
// it serves everybody when it has far fewer descriptors than clients.

import Foundation
import TestSupport
import Testing

@testable import Reactor

extension ReactorTests {
    @Suite(.needs(product: "echo-server"))
    struct EchoServerTests {
        @Test func `it says where it listens in one line, echoes, and reports figures at the end`() throws {
            let server = try EchoServer("--port", "0")
            let client = try talk(to: server.address, saying: ["hello\n"])
            #expect(client == [["made", "data hello\n", "eof", "lost"]])
            server.process.send(SIGTERM)
            let (status, output, errors) = server.process.finish()
            #expect(status == 0)
            #expect(output == "")
            #expect(errors == "echo-server: 1 connections, 6 bytes received, 6 bytes sent\n")
        }

        @Test func `on several loops it serves everybody, and the figures are those of all`() throws {
            let server = try EchoServer("--port", "0", "--loops", "3")
            let clients = try talk(to: server.address, saying: Array(repeating: "hello\n", count: 20))
            #expect(clients == Array(repeating: ["made", "data hello\n", "eof", "lost"], count: 20))
            server.process.send(SIGTERM)
            let (status, output, errors) = server.process.finish()
            #expect(status == 0 && output == "")
            #expect(errors == "echo-server: 20 connections, 120 bytes received, 120 bytes sent\n")
        }

        @Test func `quiet prints no figures, and Ctrl-C ends it as well`() throws {
            let server = try EchoServer("--port", "0", "--quiet", "--host", "localhost")
            server.process.send(SIGINT)
            let (status, output, errors) = server.process.finish()
            #expect(status == 0 && output == "" && errors == "")
        }

        @Test(arguments: [
            ["--port", "70000"], ["--port", "-1"], ["--port", "http"], ["--max-connections", "0"], ["--loops", "0"],
            ["--loops", "2", "--api", "callbacks"], ["--unix", "/tmp/x", "--udp"],
            ["--unix", "/tmp/x", "--port", "0"], ["--unix", "/tmp/x", "--host", "::1"],
            ["--unix", "/tmp/x", "--loops", "2"], ["--udp", "--loops", "2"], ["--udp", "--max-connections", "9"],
            ["--api", "telepathy"], ["--nonsense"], ["surplus"],
        ])
        func `a bad flag or value is exit code 64 and usage`(arguments: [String]) throws {
            let (status, output, errors) = try ForeignProgram([EchoServer.path!] + arguments).finish()
            #expect(status == 64)
            #expect(output == "")
            #expect(errors.contains("Usage: echo-server"))
        }

        @Test func `help is exit code 0 and names every flag`() throws {
            let (status, output, _) = try ForeignProgram([EchoServer.path!, "--help"]).finish()
            #expect(status == 0)
            for flag in ["--host", "--port", "--unix", "--udp", "--api", "--max-connections", "--loops", "--quiet"] {
                #expect(output.contains(flag))
            }
        }

        @Test func `a port in use is exit code 1 and one line with the address and the reason`() throws {
            let server = try EchoServer("--port", "0")
            let port = String(server.address.port)
            let (status, output, errors) = try ForeignProgram([EchoServer.path!, "--port", port]).finish()
            #expect(status == 1 && output == "")
            #expect(errors.contains("127.0.0.1:\(port)") && errors.contains("already in use"))
            #expect(errors.count { $0 == "\n" } == 1)
            server.process.send(SIGTERM)
            #expect(server.process.finish().status == 0)
        }

        @Test(arguments: [SIGTERM, SIGINT])
        func `the first signal drains, the second ends it at once`(signal: CInt) throws {
            let server = try EchoServer("--port", "0")
            let log = Recorder<String>()
            try perform(on: .system) { loop in
                let client = Probe()
                client.onMade = { $0.write("one") }
                client.onData = { transport, _ in
                    if client.received.count == 3 {
                        server.process.send(SIGTERM)
                        untilRefused(server.address, on: loop) { transport.write("two") }
                    } else if client.received.count == 6 {
                        log.append("served after the first signal")
                        server.process.send(signal)
                    }
                }
                client.whenOver = {
                    log.append(client.story.last!.hasPrefix("lost") ? "lost" : "?")
                    loop.stop()
                }
                try loop.connect(to: server.address, { client }, onFailure: { Issue.record("\($0)") })
                return {}
            }
            #expect(log.all == ["served after the first signal", "lost"])
            #expect(server.process.finish().status == 128 + signal)
        }

        @Test func `after a signal open connections are served until they end`() throws {
            let server = try EchoServer("--port", "0")
            let story = Recorder<String>()
            try perform(on: .system) { loop in
                let client = Probe()
                client.onMade = { $0.write("before ") }
                client.onData = { transport, _ in
                    guard client.received.count == 7 else { return }
                    server.process.send(SIGTERM)
                    untilRefused(server.address, on: loop) {
                        transport.write("after")
                        transport.writeEOF()
                    }
                }
                client.whenOver = { loop.stop() }
                try loop.connect(to: server.address, { client }, onFailure: { Issue.record("\($0)") })
                return { for entry in client.story { story.append(entry) } }
            }
            #expect(story.all == ["made", "data before after", "eof", "lost"])
            #expect(server.process.finish().status == 0)
        }

        @Test func `at its connection limit it serves one after the other`() throws {
            let server = try EchoServer("--port", "0", "--max-connections", "2")
            let texts = (0..<20).map { "client \($0)" }
            #expect(try talk(to: server.address, saying: texts) == texts.map { ["made", "data \($0)", "eof", "lost"] })
            server.process.send(SIGTERM)
            #expect(server.process.finish().errors.contains(" 20 connections"))
        }

        @Test func `with 64 descriptors it serves 150 clients, twice, and is none the worse`() throws {
            let server = try EchoServer(limit: 64, "--port", "0")
            let texts = (0..<150).map { "client \($0)" }
            var descriptors: [Int] = []
            for _ in 0..<2 {
                let stories = try talk(to: server.address, saying: texts)
                #expect(stories == texts.map { ["made", "data \($0)", "eof", "lost"] })
                descriptors.append(server.process.descriptorCount)
            }
            #expect(descriptors[0] == descriptors[1])
            server.process.send(SIGTERM)
            let (status, _, errors) = server.process.finish()
            #expect(status == 0 && errors.contains(" 300 connections") && errors.count { $0 == "\n" } == 1)
        }
    }
}

/// Connects a client for each text at the same time; each sends its text and its end, and tells its story.
func talk(to address: SocketAddress, saying texts: [String]) throws -> [[String]] {
    let stories = Recorder<[String]>()
    try perform(on: .system) { loop in
        var open = texts.count
        let clients = try texts.map { text in
            let client = Probe()
            client.onMade = { transport in
                transport.write(Bytes(text.utf8))
                transport.writeEOF()
            }
            client.whenOver = {
                open -= 1
                if open == 0 { loop.stop() }
            }
            try loop.connect(to: address, { client }, onFailure: { Issue.record("\($0)") })
            return client
        }
        return { for client in clients { stories.append(client.story) } }
    }
    return stories.all
}

/// Tries to connect until nobody listens any more.
private func untilRefused(_ address: SocketAddress, on loop: isolated EventLoop, _ body: @escaping () -> Void) {
    func attempt() {
        let probe = Probe()
        probe.onMade = { $0.abort() }
        probe.whenOver = { attempt() }
        _ = try? loop.connect(to: address, { probe }, onFailure: { _ in body() })
    }
    attempt()
}

/// The program, listening.
struct EchoServer {
    let process: ForeignProgram
    let address: SocketAddress

    init(limit: Int? = nil, _ arguments: String...) throws { try self.init(limit: limit, arguments) }

    init(limit: Int? = nil, _ arguments: [String]) throws {
        let command = [EchoServer.path!] + arguments
        if let limit {
            process = try ForeignProgram(["/bin/sh", "-c", "ulimit -n \(limit); exec \"$0\" \"$@\""] + command)
        } else {
            process = try ForeignProgram(command)
        }
        let line = process.readLine()
        if line.hasPrefix("listening on unix:") {
            address = try SocketAddress(unixPath: String(line.dropFirst(18)))
        } else {
            let prefix = "listening on 127.0.0.1:"
            try #require(line.hasPrefix(prefix), "\(line)")
            address = try SocketAddress(host: "127.0.0.1", port: Int(line.dropFirst(prefix.count)) ?? -1)
        }
    }

    /// Ends it, and returns its exit code and what it printed besides its first line.
    func end(by signal: CInt = SIGTERM) -> (status: CInt, output: String, errors: String) {
        process.send(signal)
        return process.finish()
    }

    static let path = ForeignProgram.product("echo-server")
}
