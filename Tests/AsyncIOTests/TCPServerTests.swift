// How a server serves: a task for each connection, where that task runs and what it shares, limits, and what becomes of
// a handler's error. Behaviours 91, 95, 96 and 119 of asyncio. How a server ends is in TCPServerEndingTests.swift.

import AsyncIO
import Testing

extension AsyncIOTests {
    @Suite struct TCPServerTests {
        @Test(arguments: Driver.allCases)
        func `a handler runs for every connection, and what it writes comes back`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await serving(on: loop) { connection in
                    for try await bytes in connection { try await connection.write(bytes) }
                } while: { server in
                    let first = try await server.client()
                    let second = try await server.client()
                    try await second.write("second")
                    try await first.write("first")
                    #expect(try await first.text(5) == "first")
                    #expect(try await second.text(6) == "second")
                    try await first.close()
                    try await second.writeEOF()
                    #expect(try await second.read() == nil)
                    try await second.close()
                    #expect(await server.acceptedCount == 2)
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `a server serves from when it is told to until it is closed, behaviour 91`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                #expect(await !server.isServing)
                let serving = spawn { try await server.serve { _ = try await $0.read() } }
                let client = try await server.client()
                while await server.connectionCount == 0 { await yield() }
                #expect(await server.isServing)
                server.close()
                #expect(await !server.isServing)
                #expect(await server.connectionCount == 1)
                try await client.close()
                try await serving.value
                #expect(await !server.isServing)
            }
        }

        @Test(arguments: Driver.allCases)
        func `handlers share the state of the actor that they are written in, without locks`(
            driver: Driver
        ) async throws {
            try await onNetwork(driver) { loop in
                let chat = Chat(on: loop)
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                let serving = spawn { try await chat.serve(server) }
                let clients = spawnEach(50, on: loop) { number in
                    let client = try await server.client()
                    for _ in 0..<4 {
                        try await client.write("\(number % 10)")
                        _ = try await client.read(exactly: 1)
                    }
                    try await client.close()
                }
                for client in clients { try await client.value }
                server.close()
                try await serving.value
                #expect(await chat.sum == 4 * 5 * 45)
                #expect(await chat.strangers == 0)
            }
        }

        @Test(arguments: Driver.roomy)
        func `a handler for each loop is isolated to the loop that accepted`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                let serving = spawn {
                    try await server.serve { loop, connection in
                        // Synchronous methods of the loop, before and after a wait.
                        let before = loop.statistics.turns
                        let bytes = try await connection.read()
                        #expect(loop.isCurrent && loop.statistics.turns >= before)
                        loop.schedule { server.close() }
                        try await connection.write(bytes ?? "")
                    }
                }
                let client = try await server.client()
                try await client.write("x")
                #expect(try await client.text(1) == "x")
                try await client.close()
                try await serving.value
            }
        }

        @Test(arguments: Driver.allCases)
        func `a handler that is isolated to nothing stays on the loop`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await serving(on: loop, handler: strayEcho) { server in
                    let client = try await server.client()
                    try await client.write("abc")
                    #expect(try await client.text(3) == "abc")
                    try await client.writeEOF()
                    #expect(String(decoding: try await client.readAll(), as: UTF8.self) == "on the loop")
                    try await client.close()
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `a handler may be isolated to an actor of the user's, which other threads use at the same time`(
            driver: Driver
        ) async throws {
            let counter = Counter()
            try await onNetwork(driver, configure: { $0.clock = nil }) { loop in
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                let serving = spawn { try await counter.serve(server) }
                let others = (0..<2).map { _ in
                    Task.detached(executorPreference: globalConcurrentExecutor) {
                        // Without pauses Swift's actors let nobody else in.
                        for _ in 0..<2_000 {
                            await counter.poke()
                            await Task.yield()
                        }
                    }
                }
                let clients = spawnEach(5, on: loop) { _ in
                    let client = try await server.client()
                    for _ in 0..<20 {
                        try await client.write("abcd")
                        #expect(try await client.text(4) == "abcd")
                    }
                    try await client.close()
                }
                for client in clients { try await client.value }
                for other in others { await other.value }
                server.close()
                try await serving.value
            }
            #expect(await counter.bytes == 400)
        }

        @Test(arguments: Driver.allCases)
        func `a handler is a child of the task that serves, with its task-local values, behaviour 49`(driver: Driver)
            async throws
        {
            try await onNetwork(driver) { loop in
                let seen = Recorder<String>()
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                let serving = Tag.$text.withValue("serving") {
                    // Mentioned, the loop isolates this closure and those in it.
                    _ = loop
                    return spawn {
                        try await server.serve { connection in
                            seen.append(Tag.text)
                            _ = try await connection.read()
                            seen.append(Tag.text)
                        }
                    }
                }
                let client = try await server.client()
                try await client.write("x")
                #expect(try await client.read() == nil)
                try await client.close()
                server.close()
                try await serving.value
                #expect(seen.all == ["serving", "serving"])
            }
        }

        @Test(arguments: Driver.allCases)
        func `numbers and addresses are known before the first read`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                var numbers: [UInt64] = []
                for _ in 0..<3 {
                    numbers += try await withPair(on: loop) { accepted, client in
                        #expect(accepted.remoteAddress != nil && accepted.remoteAddress == client.localAddress)
                        #expect(accepted.localAddress != nil && accepted.localAddress == client.remoteAddress)
                        #expect(accepted.loop === loop && client.loop === loop)
                        let text = "connection #\(accepted.number) \(accepted.localAddress!) - \(client.localAddress!)"
                        #expect("\(accepted)" == text)
                        return [client.number, accepted.number].sorted()
                    }
                }
                #expect(numbers == Array(Set(numbers)).sorted())
            }
        }

        @Test(arguments: Driver.allCases)
        func `at the limit further clients wait, and all are served in the end`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                let active = Level()
                var options = ServerOptions()
                options.listener.maxConnections = 3
                try await serving(on: loop, options) { connection in
                    await active.enter()
                    for try await bytes in connection { try await connection.write(bytes) }
                    await active.leave()
                } while: { server in
                    var clients: [TCPConnection] = []
                    for _ in 0..<12 { clients.append(try await server.client()) }
                    for client in clients { try await client.write("x") }
                    for _ in 0..<4 {
                        // Those who are served are the three that came first.
                        for client in clients.prefix(3) { #expect(try await client.text(1) == "x") }
                        await turns(10, on: loop)
                        #expect(await server.connectionCount == 3)
                        for client in clients.prefix(3) { try await client.close() }
                        clients.removeFirst(3)
                    }
                    #expect(await server.acceptedCount == 12)
                }
                #expect(await active.highest == 3)
            }
        }

        @Test(arguments: Driver.allCases)
        func `a handler's error reaches onError after its connection was closed, and the server goes on`(
            driver: Driver
        ) async throws {
            try await onNetwork(driver) { loop in
                let errors = Recorder<String>()
                var options = ServerOptions()
                options.onError = { error, connection in
                    // On the loop, where the connection is known to be closed.
                    #expect(connection.loop.isCurrent)
                    errors.append("\(brief(error)) of \(connection.number)")
                }
                try await serving(on: loop, options) { connection in
                    let bytes = try await connection.read()
                    if bytes == "bad" { throw Refusal() }
                    try await connection.write("fine")
                } while: { server in
                    let good = try await server.client()
                    let bad = try await server.client()
                    try await bad.write("bad")
                    // The connection of a handler that threw is aborted: the peer sees a reset.
                    #expect(await ending { _ = try await bad.read() } == "ECONNRESET")
                    try await good.write("yes")
                    #expect(try await good.text(4) == "fine")
                    #expect(errors.count == 1 && errors.all[0].hasPrefix("Refusal of "))
                    try? await bad.close()
                    try await good.close()
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `without onError a handler's error is an issue of the loop`(driver: Driver) async throws {
            let issues = Recorder<LoopIssue>()
            try await onNetwork(driver, collecting: issues) { loop in
                try await serving(on: loop) { connection in
                    _ = try await connection.read()
                    throw Refusal()
                } while: { server in
                    let client = try await server.client()
                    try await client.write("x")
                    #expect(await ending { _ = try await client.read() } == "ECONNRESET")
                    try? await client.close()
                }
            }
            let issue = try #require(issues.all.first)
            #expect(issues.count == 1)
            guard case .handlerError(let error) = issue.kind else { return #expect(Bool(false), "\(issue)") }
            #expect(error is Refusal && issue.subject.hasPrefix("the handler of connection #"))
        }

        @Test(arguments: Driver.allCases)
        func `without onError the loss of the connection itself is no issue`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                let ends = Recorder<String>()
                try await serving(on: loop) { connection in
                    do {
                        for try await bytes in connection { try await connection.write(bytes) }
                    } catch {
                        ends.append(brief(error))
                        throw error
                    }
                } while: { server in
                    let client = try await server.client()
                    try await client.write("x")
                    #expect(try await client.text(1) == "x")
                    client.abort()
                    try await client.close()
                }
                #expect(ends.all == ["ECONNRESET"])
            }
        }

        @Test func `an error of another connection, and a cancellation that nobody asked for, are issues`() async throws
        {
            let issues = Recorder<LoopIssue>()
            try await onNetwork(.memory, collecting: issues) { loop in
                try await serving(on: loop) { connection in
                    if try await connection.read(exactly: 3) == Array("own".utf8) { throw CancellationError() }
                    throw SystemError(.connectionReset, call: "read")
                } while: { server in
                    for text in ["own", "all"] {
                        let client = try await server.client()
                        try await client.write(text)
                        #expect(await ending { _ = try await client.read() } == "ECONNRESET")
                        try? await client.close()
                    }
                }
            }
            #expect(issues.all.map { "\($0)" }.filter { $0.contains("CancellationError") }.count == 1)
            #expect(issues.all.map { "\($0)" }.filter { $0.contains("ECONNRESET") }.count == 1)
            #expect(issues.count == 2)
        }
    }
}

/// An actor that lives on a loop and serves there.
private actor Chat {
    nonisolated let loop: EventLoop
    private(set) var sum = 0
    private(set) var strangers = 0

    init(on loop: EventLoop) { self.loop = loop }

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.unownedExecutor }

    func serve(_ server: TCPServer) async throws {
        try await server.serve { [self] connection in
            for try await bytes in connection {
                for byte in bytes { sum += Int(byte - 48) }
                if !loop.isCurrent { strangers += 1 }
                // Others run while this one waits; what it has counted stays.
                let now = sum
                await Task.yield()
                if sum < now { strangers += 1 }
                try await connection.write(bytes)
            }
        }
    }
}

/// An actor on Swift's pool.
private actor Counter {
    private(set) var bytes = 0
    private var pokes = 0

    func poke() { pokes += 1 }

    func serve(_ server: TCPServer) async throws {
        try await server.serve { [self] connection in
            for try await slice in connection {
                bytes += slice.count
                try await connection.write(slice)
            }
        }
    }
}

/// How many are inside, at most.
private actor Level {
    private var inside = 0
    private(set) var highest = 0

    func enter() {
        inside += 1
        highest = max(highest, inside)
    }

    func leave() { inside -= 1 }
}

/// Isolated to nothing.
@concurrent
private func strayEcho(_ connection: TCPConnection) async throws {
    var wasElsewhere = EventLoop.current !== connection.loop
    for try await bytes in connection {
        try await connection.write(bytes)
        await yield()
        if EventLoop.current !== connection.loop { wasElsewhere = true }
    }
    try await connection.write(wasElsewhere ? "elsewhere" : "on the loop")
}

private enum Tag {
    @TaskLocal static var text = "nobody"
}
