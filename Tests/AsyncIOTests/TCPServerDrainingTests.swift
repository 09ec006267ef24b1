// Handlers that drain the server that they belong to: from wherever they do it, and however many of them, nobody waits for
// himself. Draining from outside is in TCPServerEndingTests.swift, on several loops in LoopGroupTests.swift.

import AsyncIO
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(2)))) struct TCPServerDrainingTests {
        /// Where in a handler it is that the server is drained.
        enum Place: CaseIterable, Sendable {
            case handler, timeLimit, gather, child, spawnedTask
        }

        @Test(arguments: Driver.allCases, Place.allCases)
        func `a handler drains its own server, from wherever, when the others have ended`(
            driver: Driver,
            place: Place
        ) async throws {
            let log = Recorder<String>()
            // Time must not run out, which a virtual clock lets it do while tasks are on other threads.
            try await onNetwork(driver, configure: { $0.clock = nil }) { loop in
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                let serving = spawn {
                    try await server.serve { connection in
                        guard try await connection.text(1) == "d" else {
                            while try await connection.read() != nil {}
                            return log.append("other")
                        }
                        try await drain(server, at: place)
                        log.append("drained, cancelled: \(Task.isCancelled)")
                    }
                }
                let clients = [try await server.client(), try await server.client()]
                try await clients[0].write("o")
                try await clients[1].write("d")
                await turns(10, on: loop)
                #expect(log.all == [])
                try await clients[0].close()
                try await serving.value
                #expect(try await clients[1].read() == nil)
            }
            #expect(log.all == ["other", "drained, cancelled: false"])
        }

        @Test(arguments: Driver.allCases, Place.allCases)
        func `a handler that drains hears too that the time is over`(driver: Driver, place: Place) async throws {
            let log = Recorder<String>()
            try await onNetwork(driver) { loop in
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                let serving = spawn {
                    try await server.serve { connection in
                        if try await connection.text(1) == "d" {
                            try? await drain(server, at: place, within: .milliseconds(20))
                            log.append("drained")
                        } else {
                            _ = try? await connection.read()
                            log.append("other")
                        }
                    }
                }
                let clients = [try await server.client(), try await server.client()]
                try await clients[0].write("o")
                try await clients[1].write("d")
                try await serving.value
                for client in clients { client.abort() }
            }
            // A spawned task is awaited no more once its handler is cancelled.
            #expect(log.all.sorted() == ["drained", "other"])
            if place != .spawnedTask { #expect(log.all == ["other", "drained"]) }
        }

        @Test(arguments: Driver.allCases)
        func `handlers that drain do not wait for each other, and who drains from outside waits for all`(
            driver: Driver
        ) async throws {
            let log = Recorder<String>()
            try await onNetwork(driver, configure: { $0.clock = nil }) { loop in
                let drained = Latch(on: loop)
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                let serving = spawn {
                    try await server.serve { connection in
                        guard try await connection.text(1) == "d" else {
                            while try await connection.read() != nil {}
                            return log.append("other")
                        }
                        await server.drain(within: .seconds(1_000))
                        log.append("drained")
                        try await drained.wait()
                        log.append("handler")
                    }
                }
                let clients = [try await server.client(), try await server.client(), try await server.client()]
                for (client, request) in zip(clients, ["d", "o", "d"]) { try await client.write(request) }
                await turns(10, on: loop)
                let outside = spawn {
                    await server.drain(within: .seconds(1_000))
                    log.append("outside")
                }
                await turns(10, on: loop)
                #expect(log.all == [])
                try await clients[1].close()
                while log.count < 3 { await yield() }
                await turns(10, on: loop)
                #expect(log.all == ["other", "drained", "drained"])
                drained.open()
                try await outside.value
                try await serving.value
                for client in clients { client.abort() }
            }
            #expect(log.all == ["other", "drained", "drained", "handler", "handler", "outside"])
        }

        @Test(arguments: Driver.allCases)
        func `one handler that drains twice at once counts once`(driver: Driver) async throws {
            let log = Recorder<String>()
            try await onNetwork(driver, configure: { $0.clock = nil }) { loop in
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                let serving = spawn {
                    try await server.serve { connection in
                        guard try await connection.text(1) == "d" else {
                            while try await connection.read() != nil {}
                            return log.append("other")
                        }
                        async let first: Void = server.drain(within: .seconds(1_000))
                        async let second: Void = server.drain(within: .seconds(1_000))
                        _ = await (first, second)
                        log.append("drained")
                    }
                }
                let clients = [try await server.client(), try await server.client()]
                try await clients[0].write("o")
                try await clients[1].write("d")
                await turns(10, on: loop)
                #expect(log.all == [])
                try await clients[0].close()
                try await serving.value
                clients[1].abort()
            }
            #expect(log.all == ["other", "drained"])
        }

        @Test(arguments: Driver.allCases)
        func `cancelling the task that serves ends handlers that drain`(driver: Driver) async throws {
            try await onNetwork(driver, configure: { $0.clock = nil }) { loop in
                let started = Mailbox<Void>(on: loop)
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                let serving = spawn {
                    try await server.serve { connection in
                        if try await connection.text(1) == "d" {
                            started.put(())
                            await server.drain(within: .seconds(1_000))
                        }
                        while try await connection.read() != nil {}
                    }
                }
                let clients = [try await server.client(), try await server.client(), try await server.client()]
                for (client, request) in zip(clients, ["d", "o", "d"]) { try await client.write(request) }
                for _ in 0..<2 { try await started.take() }
                await turns(5, on: loop)
                serving.cancel()
                #expect(await ending { try await serving.value } == "CancellationError")
                for client in clients { client.abort() }
            }
        }

        @Test(arguments: Driver.allCases)
        func `a handler of a server that is served within a handler drains the outer one`(
            driver: Driver
        ) async throws {
            try await onNetwork(driver, configure: { $0.clock = nil }) { loop in
                let ports = Mailbox<Int>(on: loop)
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                let serving = spawn {
                    try await server.serve { connection in
                        let inner = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                        ports.put(inner.port)
                        try await inner.serve { connection in
                            await server.drain(within: .seconds(1_000))
                            await inner.drain(within: .seconds(1_000))
                        }
                    }
                }
                let outer = try await server.client()
                let port = try await ports.take()
                let inner = try await TCPConnection.connect(host: "127.0.0.1", port: port)
                try await serving.value
                outer.abort()
                inner.abort()
            }
        }
    }
}

private func drain(
    _ server: TCPServer,
    at place: AsyncIOTests.TCPServerDrainingTests.Place,
    within limit: Duration = .seconds(1_000)
) async throws {
    switch place {
    case .handler: await server.drain(within: limit)
    case .timeLimit: try await withTimeout(.seconds(2_000)) { await server.drain(within: limit) }
    case .gather: try await gather({ await server.drain(within: limit) }, { await yield() })
    case .child: await withDiscardingTaskGroup { $0.addTask { await server.drain(within: limit) } }
    case .spawnedTask: try await spawn { await server.drain(within: limit) }.value
    }
}
