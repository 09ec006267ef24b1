// How a server ends: closed, drained, aborted, cancelled, or dropped; and what becomes of its handlers and of the clients
// that still wait. Behaviours 92 to 95 of asyncio. How it ends with its loop is in TCPThreadsTests.swift.

import AsyncIO
import Testing

extension AsyncIOTests {
    @Suite struct TCPServerEndingTests {
        @Test(arguments: Driver.allCases)
        func `closing refuses newcomers, and serving ends with the last handler`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                let log = Recorder<String>()
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                let serving = spawn {
                    try await server.serve { connection in
                        for try await bytes in connection { try await connection.write(bytes) }
                        log.append("handler")
                    }
                    log.append("served")
                }
                let client = try await server.client()
                try await client.write("x")
                #expect(try await client.text(1) == "x")
                server.close()
                server.close()
                #expect(await ending { _ = try await server.client() } == "ECONNREFUSED")
                try await client.write("y")
                #expect(try await client.text(1) == "y")
                await turns(10, on: loop)
                #expect(log.all == [])
                try await client.close()
                try await serving.value
                #expect(log.all == ["handler", "served"])
                #expect(await server.connectionCount == 0)
            }
        }

        @Test(arguments: Driver.allCases)
        func `a server that was closed, drained or aborted before serving serves nobody`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                let ends: [(TCPServer) async -> Void] = [
                    { $0.close() }, { $0.abort() }, { await $0.drain(within: .seconds(1)) },
                ]
                for end in ends {
                    let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                    let client = try await server.client()
                    await end(server)
                    try await server.serve { _ in Issue.record("a handler ran") }
                    #expect(await ending { _ = try await client.read() } == "ECONNRESET")
                    #expect(await server.acceptedCount == 0)
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `clients that wait in the backlog when the server closes are refused`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                var options = ServerOptions()
                options.listener.maxConnections = 1
                try await serving(on: loop, options) { connection in
                    for try await bytes in connection { try await connection.write(bytes) }
                } while: { server in
                    let served = try await server.client()
                    try await served.write("x")
                    #expect(try await served.text(1) == "x")
                    let waiting = [try await server.client(), try await server.client()]
                    await turns(10, on: loop)
                    server.close()
                    for client in waiting { #expect(await ending { _ = try await client.read() } == "ECONNRESET") }
                    try await served.write("y")
                    #expect(try await served.text(1) == "y")
                    try await served.close()
                    #expect(await server.acceptedCount == 1)
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `draining returns when the last handler has ended by itself`(driver: Driver) async throws {
            let log = Recorder<String>()
            // Time must not run out, which a virtual clock lets it do while tasks are on other threads.
            try await onNetwork(driver, configure: { $0.clock = nil }) { loop in
                try await serving(on: loop) { connection in
                    for try await bytes in connection { try await connection.write(bytes) }
                    log.append("handler")
                } while: { server in
                    let client = try await server.client()
                    try await client.write("x")
                    #expect(try await client.text(1) == "x")
                    let draining = spawn {
                        await server.drain(within: .seconds(50))
                        log.append("drained")
                    }
                    await turns(10, on: loop)
                    #expect(log.all == [])
                    try await client.write("y")
                    #expect(try await client.text(1) == "y")
                    try await client.close()
                    try await draining.value
                }
            }
            #expect(log.all == ["handler", "drained"])
        }

        @Test(arguments: Driver.allCases, [Duration.zero, .milliseconds(20)])
        func `draining cancels the handlers that have not ended in time`(driver: Driver, limit: Duration) async throws {
            try await onNetwork(driver) { loop in
                let ends = Recorder<String>()
                let started = Mailbox<Void>(on: loop)
                let never = Latch(on: loop)
                try await serving(on: loop) { connection in
                    let request = try await connection.read(exactly: 1)
                    started.put(())
                    let end = await ending {
                        if request == [1] { _ = try await connection.read() } else { try await never.wait() }
                    }
                    ends.append("\(request[0]) \(end)")
                } while: { server in
                    let clients = [try await server.client(), try await server.client()]
                    try await clients[0].write([1])
                    try await clients[1].write([2])
                    for _ in 0..<2 { try await started.take() }
                    let start = loop.now
                    await server.drain(within: limit)
                    #expect(start.duration(to: loop.now) >= limit)
                    #expect(ends.count == 2)
                    #expect(ends.all.contains("2 CancellationError"))
                    // Whichever came first: its connection was aborted, or it was cancelled.
                    #expect(ends.all.contains("1 closed") || ends.all.contains("1 CancellationError"))
                    for client in clients { #expect(await ending { _ = try await client.read() } == "ECONNRESET") }
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `cancelling those who drain ends their patience at once`(driver: Driver) async throws {
            try await onNetwork(driver, configure: { $0.clock = nil }) { loop in
                try await serving(on: loop) { connection in
                    for try await bytes in connection { try await connection.write(bytes) }
                } while: { server in
                    let client = try await server.client()
                    try await client.write("x")
                    #expect(try await client.text(1) == "x")
                    let patient = spawn { await server.drain(within: .seconds(1_000)) }
                    let other = spawn { await server.drain(within: .seconds(1_000)) }
                    await turns(5, on: loop)
                    patient.cancel()
                    try await patient.value
                    // The handlers are gone, so that nobody has anything left to wait for.
                    try await other.value
                    #expect(await server.connectionCount == 0)
                    #expect(await ending { _ = try await client.read() } == "ECONNRESET")
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `aborting cancels the handlers, and serving ends without an error`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                let ends = Recorder<String>()
                let never = Latch(on: loop)
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                let serving = spawn {
                    try await server.serve { connection in
                        try await connection.write("x")
                        ends.append(await ending { try await never.wait() })
                        // What a handler does then no longer reaches the peer.
                        ends.append(await ending { try await connection.write("late") })
                    }
                }
                let clients = [try await server.client(), try await server.client(), try await server.client()]
                for client in clients { #expect(try await client.text(1) == "x") }
                server.abort()
                server.abort()
                try await serving.value
                #expect(ends.all.filter { $0 == "CancellationError" }.count >= 3 && ends.count == 6)
                for client in clients { #expect(await ending { _ = try await client.read() } == "ECONNRESET") }
            }
        }

        @Test(arguments: Driver.allCases)
        func `cancelling the task that serves cancels the handlers and waits for them`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                let log = Recorder<String>()
                let cleaned = Latch(on: loop)
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                let serving = spawn {
                    let end = await ending {
                        try await server.serve { connection in
                            try await connection.write("x")
                            log.append(await ending { _ = try await connection.read() })
                            await cleaned.waitUncancellable()
                            log.append("handler")
                            throw CancellationError()
                        }
                    }
                    log.append("serve: \(end)")
                }
                let client = try await server.client()
                #expect(try await client.text(1) == "x")
                serving.cancel()
                await turns(10, on: loop)
                #expect(await ending { _ = try await server.client() } == "ECONNREFUSED")
                #expect(log.all == ["CancellationError"])
                cleaned.open()
                try await serving.value
                #expect(log.all == ["CancellationError", "handler", "serve: CancellationError"])
                #expect(await ending { _ = try await client.read() } == "ECONNRESET")
            }
        }

        @Test(arguments: Driver.allCases)
        func `handlers that do not heed their cancellation have their connections aborted`(
            driver: Driver
        ) async throws {
            try await onNetwork(driver) { loop in
                let ends = Recorder<String>()
                var options = ServerOptions()
                options.shutdownTimeout = .milliseconds(50)
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0, options: options)
                let serving = spawn {
                    try await server.serve { connection in
                        try await connection.write("x")
                        // A task of its own, which nobody cancels.
                        let reader = Task { await ending { _ = try await connection.read() } }
                        ends.append(await reader.value)
                    }
                }
                let client = try await server.client()
                #expect(try await client.text(1) == "x")
                let start = loop.now
                serving.cancel()
                #expect(await ending { try await serving.value } == "CancellationError")
                #expect(start.duration(to: loop.now) >= .milliseconds(50))
                #expect(ends.all == ["closed"])
                #expect(await ending { _ = try await client.read() } == "ECONNRESET")
            }
        }

        @Test(arguments: Driver.allCases)
        func `a server that was cancelled leaves nothing behind, however patient it was`(
            driver: Driver
        ) async throws {
            try await onNetwork(driver) { loop in
                var options = ServerOptions()
                options.shutdownTimeout = .seconds(1_000)
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0, options: options)
                let serving = spawn { try await server.serve { _ in } }
                await turns(5, on: loop)
                serving.cancel()
                #expect(await ending { try await serving.value } == "CancellationError")
            }
        }

        @Test(arguments: Driver.allCases)
        func `a server that is dropped without having served is closed`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                let endings = try await endingsWithoutServer()
                #expect(endings == ["ECONNRESET", "ECONNREFUSED"])
            }
        }

        @Test(arguments: Driver.allCases)
        func `serving in a task that is cancelled already serves nobody`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                let client = try await server.client()
                let serving = spawn {
                    await Latch(on: loop).waitUntilCancelled()
                    // A handler may begin, but not without knowing.
                    try await server.serve { _ in #expect(Task.isCancelled) }
                }
                await turns(2, on: loop)
                serving.cancel()
                #expect(await ending { try await serving.value } == "CancellationError")
                #expect(await ending { _ = try await client.read() } == "ECONNRESET")
            }
        }

        @Test(arguments: Driver.allCases)
        func `serving can have a time limit`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                let ends = Recorder<String>()
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                let client = try await server.client()
                let end = await ending {
                    try await withTimeout(.milliseconds(50)) {
                        try await server.serve { connection in
                            ends.append(await ending { _ = try await connection.read() })
                        }
                    }
                }
                #expect(end == "TimeoutError" && ends.all == ["CancellationError"])
                #expect(await ending { _ = try await client.read() } == "ECONNRESET")
            }
        }

        @Test(.testsProcess)
        func `a handler may drain its own server, which ends it too when the time is over`() async throws {
            await #expect(processExitsWith: .success) {
                exitIfStuck()
                try await onNetwork(.sockets) { loop in
                    let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                    let client = try await server.client()
                    try await server.serve { connection in
                        await server.drain(within: .milliseconds(10))
                    }
                    #expect(await ending { _ = try await client.read() } != "CancellationError")
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `at whatever moment a server is ended, everybody hears of it and nothing is left`(
            driver: Driver
        ) async throws {
            // Time must not pass while tasks are on other threads.
            try await onNetwork(driver, configure: { $0.clock = nil }) { loop in
                for round in 0..<48 {
                    let ends = Recorder<String>()
                    let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                    let serving = spawn {
                        try await server.serve { connection in
                            for try await bytes in connection { try await connection.write(bytes) }
                        }
                    }
                    let clients = spawnEach(5, on: loop) { number in
                        for _ in 0..<number { await yield() }
                        ends.append(
                            await ending {
                                let client = try await server.client()
                                while true {
                                    try await client.write("x")
                                    guard try await client.read() != nil else { return }
                                    if round % 4 == 0 { try await client.writeEOF() }
                                }
                            }
                        )
                    }
                    for _ in 0..<(round / 4) { await yield() }
                    switch round % 4 {
                    case 0: server.close()
                    case 1: server.abort()
                    case 2: serving.cancel()
                    default: await server.drain(within: .zero)
                    }
                    let end = await ending { try await serving.value }
                    #expect(end == (round % 4 == 2 ? "CancellationError" : "ok"))
                    for client in clients { try await client.value }
                    // Whoever is served to its end by a server that closes finds that it cannot write after its own.
                    let expected: Set = ["ok", "ECONNREFUSED", "ECONNRESET", "EPIPE", "writeAfterEnd"]
                    #expect(Set(ends.all).isSubset(of: expected), "\(ends.all)")
                }
            }
        }

        @Test(.testsProcess)
        func `serving twice traps and says why`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                try await withEventLoop { loop in
                    let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                    server.close()
                    try await server.serve { _ in }
                    try await server.serve { _ in }
                }
            }
            #expect(says(result, "TCPServer.serve was called twice"))
        }
    }
}

/// What becomes of a client that waited for a server that was dropped, and of one that comes later.
private func endingsWithoutServer() async throws -> [String] {
    let client = try await clientOfDroppedServer()
    let port = Int(client.remoteAddress!.port)
    return await [
        ending { _ = try await client.read() },
        ending { _ = try await TCPConnection.connect(host: "127.0.0.1", port: port) },
    ]
}

private func clientOfDroppedServer() async throws -> TCPConnection {
    let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
    return try await server.client()
}
