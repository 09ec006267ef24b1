// Several loops, and a server on them: every connection lives on the loop that accepted it, what ends the server ends it on
// all of them, and at the end no thread and no descriptor is left.

import AsyncIO
import AsyncIOTesting
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(2)))) struct LoopGroupTests {
        @Test func `a group's loops run on threads of their own, and end together`() async throws {
            let threads = Recorder<String>()
            let ends = Recorder<String>()
            let count = try await onSeveral { loop in
                try await withLoops(3) { loops in
                    for other in loops {
                        try await other.run { loop in
                            #expect(loop.isCurrent)
                            threads.append(loop.configuration.name)
                            // What still runs at the end is cancelled and awaited.
                            spawn(eager: true) {
                                ends.append(await ending { try await AsyncIO.sleep(for: .seconds(3_600)) })
                            }
                        }
                    }
                    return loops.count
                }
            }
            #expect(count == 3 && threads.all == ["loop-1", "loop-2", "loop-3"])
            #expect(ends.all == Array(repeating: "CancellationError", count: 3))
        }

        @Test func `a group ends once, whoever asks, and by itself when it is dropped`() async throws {
            try await onSeveral { loop in
                let group = try await LoopGroup.start(2)
                let enders = spawnEach(3, on: loop) { _ in await group.end() }
                for ender in enders { try await ender.value }
                await group.end()
                #expect(throws: LoopError.loopClosed) { try group.loops[0].submit { _ in } }
                #expect(try await LoopGroup.start(0).loops.isEmpty)
                _ = try await LoopGroup.start(2)
            }
        }

        @Test(arguments: [false, true])
        func `each connection of a server on several loops lives on the loop that got it`(handsOver: Bool) async throws
        {
            let names = Recorder<String>()
            try await onSeveral { loop in
                var options = ServerOptions()
                options.handsOver = handsOver
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0, options: options, loops: 3)
                #expect(server.loops.count == 3 && server.loop === loop)
                let serving = spawn {
                    try await server.serve { loop, connection in
                        names.append(loop.configuration.name)
                        while let bytes = try await connection.read() {
                            #expect(loop.isCurrent && connection.loop === loop)
                            try await connection.write(bytes)
                        }
                    }
                }
                let clients = spawnEach(60, on: loop) { number in
                    try await TCPConnection.withConnection(host: "127.0.0.1", port: server.port) { client in
                        for _ in 0..<5 {
                            try await client.write("\(number % 10)")
                            #expect(try await client.text(1) == "\(number % 10)")
                        }
                    }
                }
                for client in clients { try await client.value }
                #expect(await server.acceptedCount == 60)
                server.close()
                try await serving.value
                // The loops that it made are closed, and can still be asked.
                #expect(await server.statistics.accepted == 60)
                #expect(await ending { _ = try await server.client() } == "ECONNREFUSED")
            }
            // Shared by the system all are on one loop by chance less than once in ten to the tenth.
            #expect(names.count == 60 && Set(names.all).count > 1)
            if handsOver { for name in Set(names.all) { #expect(names.all.count { $0 == name } == 20) } }
        }

        @Test func `a handler that is isolated to an actor serves the connections of all loops`() async throws {
            let counter = Total()
            let issues = Recorder<LoopIssue>()
            try await onSeveral(collecting: issues) { loop in
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0, loops: 2)
                let serving = spawn { try await counter.serve(server) }
                let clients = spawnEach(20, on: loop) { _ in
                    try await TCPConnection.withConnection(host: "127.0.0.1", port: server.port) { client in
                        try await client.write("abc")
                        #expect(try await client.text(3) == "abc")
                    }
                }
                for client in clients { try await client.value }
                server.close()
                try await serving.value
            }
            #expect(await counter.bytes == 60)
            // Once, not for each loop or connection.
            #expect(issues.count == 1)
            #expect("\(issues.all)".contains("handler of a TCPServer on 2 loops is isolated to an actor"))
        }

        enum Ending: CaseIterable { case abort, drain, cancel, stop }

        @Test(arguments: Ending.allCases)
        func `what ends a server ends it on all its loops`(way: Ending) async throws {
            let ends = Recorder<String>()
            try await onSeveral { loop in
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0, loops: 3)
                let begun = Mailbox<Bool>(on: loop)
                let serving = spawn {
                    try await server.serve { _, connection in
                        begun.put(true)
                        ends.append(await ending { _ = try await connection.read() })
                    }
                }
                var clients: [TCPConnection] = []
                for _ in 0..<24 {
                    clients.append(try await server.client())
                    _ = try await begun.take()
                }
                #expect(await server.connectionCount == 24)
                switch way {
                case .abort: server.abort()
                case .drain: await server.drain(within: .milliseconds(10))
                case .cancel: serving.cancel()
                case .stop: for client in clients { try await client.close() }
                }
                if way == .stop { server.close() }
                let end = await ending { try await serving.value }
                #expect(end == (way == .cancel ? "CancellationError" : "ok"))
                for client in clients { try? await client.close() }
            }
            #expect(ends.count == 24)
            #expect(Set(ends.all).isSubset(of: way == .stop ? ["ok"] : ["CancellationError", "closed"]))
        }

        @Test func `handlers on several loops drain their server at once`() async throws {
            let ends = Recorder<String>()
            try await onSeveral { loop in
                var options = ServerOptions()
                // So that each loop has a client.
                options.handsOver = true
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0, options: options, loops: 2)
                let serving = spawn {
                    try await server.serve { _, connection in
                        while try await connection.text(1) != "d" { try await connection.write("x") }
                        try await withTimeout(.seconds(2_000)) { await server.drain(within: .seconds(1_000)) }
                        ends.append("cancelled: \(Task.isCancelled)")
                    }
                }
                let clients = [try await server.client(), try await server.client(), try await server.client()]
                for client in clients {
                    try await client.write("o")
                    #expect(try await client.text(1) == "x")
                }
                for client in clients { try await client.write("d") }
                try await serving.value
                for client in clients { client.abort() }
            }
            #expect(ends.all == Array(repeating: "cancelled: false", count: 3))
        }

        @Test(arguments: [false, true])
        func `a server on several loops has one limit of connections`(handsOver: Bool) async throws {
            let most = Recorder<Int>()
            try await onSeveral { loop in
                var options = ServerOptions()
                options.listener.maxConnections = 3
                options.handsOver = handsOver
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0, options: options, loops: 2)
                let serving = spawn {
                    try await server.serve { _, connection in
                        most.append(await server.connectionCount)
                        while let bytes = try await connection.read() { try await connection.write(bytes) }
                    }
                }
                let clients = spawnEach(30, on: loop) { _ in
                    try await TCPConnection.withConnection(host: "127.0.0.1", port: server.port) { client in
                        try await client.write("x")
                        #expect(try await client.text(1) == "x")
                    }
                }
                for client in clients { try await client.value }
                server.close()
                try await serving.value
                #expect(await server.statistics.pauses > 0)
            }
            #expect(most.count == 30 && (most.all.max() ?? 0) <= 3)
        }

        @Test func `a server that cannot listen, or never serves, leaves nothing`() async throws {
            try await onSeveral { loop in
                let other = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                let end = await ending {
                    _ = try await TCPServer.listen(host: "127.0.0.1", port: other.port, loops: 3)
                }
                #expect(end == "EADDRINUSE")
                other.close()
                let unused = try await TCPServer.listen(host: "127.0.0.1", port: 0, loops: 3)
                unused.close()
                _ = try await TCPServer.listen(host: "127.0.0.1", port: 0, loops: 2)
            }
        }
    }
}

/// Runs `body` on a loop with the system's sockets, of which there may be several more before it ends: every one must close
/// with nothing left.
func onSeveral<Value: Sendable>(
    collecting expected: Recorder<LoopIssue>? = nil,
    sourceLocation: SourceLocation = #_sourceLocation,
    _ body: @Sendable (isolated EventLoop) async throws -> sending Value
) async throws -> Value {
    try await withEventLoop { _ in }
    let descriptors = openDescriptors()
    let (issues, reports) = (expected ?? Recorder<LoopIssue>(), Recorder<CloseReport>())
    var configuration = testConfiguration()
    configuration.onIssue = { issues.append($0) }
    configuration.onClose = { reports.append($0) }
    let value = try await withEventLoop(configuration, body)
    await expectDescriptors(descriptors, sourceLocation)
    if expected == nil { #expect(issues.all.isEmpty, "\(issues.all)", sourceLocation: sourceLocation) }
    #expect(reports.all.allSatisfy { $0.isClean }, "\(reports.all)", sourceLocation: sourceLocation)
    return value
}

private actor Total {
    private(set) var bytes = 0

    func serve(_ server: TCPServer) async throws {
        try await server.serve { connection in
            while let arrived = try await connection.read() {
                self.bytes += arrived.count
                try await connection.write(arrived)
            }
        }
    }
}
