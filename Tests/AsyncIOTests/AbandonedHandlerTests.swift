// Handlers whose clients go while they wait for something else: cancelled if that is wanted, and as soon as the kernel
// knows. The clock is virtual, so that what does not happen is waited for in no time.

import AsyncIO
import AsyncIOTesting
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct AbandonedHandlerTests {
        /// A server whose handlers read two bytes, then do something else until they are told to go on or are cancelled, and
        /// then read to the end.
        private final class Scene: Sendable {
            let server: TCPServer
            let began: Mailbox<TCPConnection>
            let goOn: Latch
            let endings: Mailbox<String>

            init(_ server: TCPServer, _ began: Mailbox<TCPConnection>, _ goOn: Latch, _ endings: Mailbox<String>) {
                (self.server, self.began, self.goOn, self.endings) = (server, began, goOn, endings)
            }

            /// A client whose handler has begun to do something else.
            func client() async throws -> TCPConnection {
                let client = try await server.client()
                try await client.write("go")
                _ = try await began.take()
                return client
            }

            /// Lets the handler go on, after a time in which it would have been cancelled, and returns how it ended.
            func endingLater() async throws -> String {
                try await AsyncIO.sleep(for: .seconds(1))
                goOn.open()
                return try await endings.take()
            }
        }

        private func withScene(
            _ driver: Driver,
            _ cancels: HandlerCancellation,
            _ body: @escaping @Sendable (isolated EventLoop, Scene) async throws -> Void
        ) async throws {
            try await onNetwork(driver, configure: { $0.clock = VirtualClock() }) { loop in
                let (began, goOn) = (Mailbox<TCPConnection>(on: loop), Latch(on: loop))
                let endings = Mailbox<String>(on: loop)
                var options = ServerOptions()
                options.cancelsHandlers = cancels
                options.onError = { error, _ in if !(error is SystemError) { Issue.record(error) } }
                try await serving(on: loop, options) { connection in
                    do {
                        _ = try await connection.text(2)
                        began.put(connection)
                        try await goOn.wait()
                        endings.put("read \(try await connection.readAll().count)")
                    } catch {
                        endings.put(error is CancellationError ? "cancelled" : brief(error))
                        throw error
                    }
                } while: { server in
                    try await body(loop, Scene(server, began, goOn, endings))
                }
            }
        }

        @Test(arguments: Driver.roomy, [HandlerCancellation.afterReset, .afterEnd])
        func `one whose client resets the connection is cancelled`(
            driver: Driver,
            cancels: HandlerCancellation
        ) async throws {
            try await withScene(driver, cancels) { _, scene in
                let client = try await scene.client()
                client.abort()
                #expect(try await scene.endings.take() == "cancelled")
            }
        }

        @Test(arguments: Driver.roomy)
        func `by default it goes on, and hears of that when it reads`(driver: Driver) async throws {
            try await withScene(driver, .never) { _, scene in
                let client = try await scene.client()
                client.abort()
                #expect(try await scene.endingLater() == "ECONNRESET")
            }
        }

        @Test(arguments: Driver.roomy)
        func `one whose client closes is cancelled if an end counts, whatever is unread`(driver: Driver) async throws {
            try await withScene(driver, .afterEnd) { _, scene in
                let client = try await scene.client()
                try await client.write(noise(1_000))
                try await client.close()
                #expect(try await scene.endings.take() == "cancelled")
            }
        }

        @Test(arguments: Driver.roomy)
        func `one whose client closes goes on if an end does not count, and reads what was unread`(
            driver: Driver
        ) async throws {
            try await withScene(driver, .afterReset) { _, scene in
                let client = try await scene.client()
                try await client.write(noise(1_000))
                try await client.close()
                #expect(try await scene.endingLater() == "read 1000")
            }
        }

        @Test(arguments: Driver.roomy)
        func `a client that is there is no reason, nor is what it sends`(driver: Driver) async throws {
            try await withScene(driver, .afterEnd) { _, scene in
                let client = try await scene.client()
                try await client.write(noise(1_000))
                let ending = spawn { try await scene.endingLater() }
                try await AsyncIO.sleep(for: .seconds(2))
                try await client.close()
                #expect(try await ending.value == "read 1000")
            }
        }

        @Test(arguments: Driver.roomy)
        func `one that reads hears by reading, and goes on when it has read the end`(driver: Driver) async throws {
            try await onNetwork(driver, configure: { $0.clock = VirtualClock() }) { loop in
                let counts = Mailbox<Int>(on: loop)
                var options = ServerOptions()
                options.cancelsHandlers = .afterEnd
                try await serving(on: loop, options) { connection in
                    let count = try await connection.readAll().count
                    try await AsyncIO.sleep(for: .seconds(1))
                    counts.put(count)
                } while: { server in
                    for count in [0, 1, 200_000] {
                        let client = try await server.client()
                        try await client.write(noise(count))
                        try await client.close()
                        #expect(try await counts.take() == count)
                    }
                }
            }
        }

        @Test(arguments: Driver.roomy)
        func `one that has read the end is cancelled when the connection breaks`(driver: Driver) async throws {
            try await onNetwork(driver, configure: { $0.clock = VirtualClock() }) { loop in
                let (ended, never) = (Latch(on: loop), Latch(on: loop))
                let endings = Mailbox<Bool>(on: loop)
                var options = ServerOptions()
                options.cancelsHandlers = .afterReset
                try await serving(on: loop, options) { connection in
                    _ = try await connection.readAll()
                    ended.open()
                    endings.put(await isCancelled { try await never.wait() })
                } while: { server in
                    let client = try await server.client()
                    try await client.writeEOF()
                    try await ended.wait()
                    client.abort()
                    #expect(try await endings.take())
                }
            }
        }

        @Test(arguments: Driver.roomy)
        func `one that was told that the connection broke is not cancelled as well`(driver: Driver) async throws {
            try await onNetwork(driver, configure: { $0.clock = VirtualClock() }) { loop in
                let began = Latch(on: loop)
                let endings = Mailbox<String>(on: loop)
                var options = ServerOptions()
                options.cancelsHandlers = .afterEnd
                try await serving(on: loop, options) { connection in
                    began.open()
                    let heard = await ending { _ = try await connection.readAll() }
                    let cleanUp = await ending { try await AsyncIO.sleep(for: .seconds(1)) }
                    endings.put("\(heard), \(cleanUp)")
                } while: { server in
                    let client = try await server.client()
                    try await began.wait()
                    client.abort()
                    #expect(try await endings.take() == "ECONNRESET, ok")
                }
            }
        }

        @Test(arguments: Driver.roomy)
        func `one that has left bytes to be sent is cancelled when they cannot be`(driver: Driver) async throws {
            try await onNetwork(driver, configure: { $0.clock = VirtualClock() }) { loop in
                let (began, never) = (Latch(on: loop), Latch(on: loop))
                let endings = Mailbox<Bool>(on: loop)
                var options = ServerOptions()
                options.cancelsHandlers = .afterReset
                try await serving(on: loop, options) { connection in
                    connection.writer.write(noise(driver.bulk))
                    began.open()
                    endings.put(await isCancelled { try await never.wait() })
                } while: { server in
                    let client = try await server.client()
                    try await began.wait()
                    client.abort()
                    #expect(try await endings.take())
                }
            }
        }

        @Test(arguments: Driver.roomy)
        func `all of many are cancelled, and their places are free again`(driver: Driver) async throws {
            try await withScene(driver, .afterReset) { loop, scene in
                var clients: [TCPConnection] = []
                for _ in 0..<150 { clients.append(try await scene.client()) }
                #expect(await scene.server.connectionCount == 150)
                for client in clients { client.abort() }
                for _ in clients { #expect(try await scene.endings.take() == "cancelled") }
                await turns(10, on: loop)
                #expect(await scene.server.connectionCount == 0)
            }
        }

        #if os(Linux)
        @Test func `a client of a Unix socket that closes is gone for good`() async throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            try await onNetwork(.sockets, configure: { $0.clock = VirtualClock() }) { loop in
                let (began, never) = (Latch(on: loop), Latch(on: loop))
                let endings = Mailbox<Bool>(on: loop)
                var options = ServerOptions()
                options.cancelsHandlers = .afterReset
                let server = try await TCPServer.listen(path: folder.file("socket"), options: options)
                let serving = spawn {
                    try await server.serve { _ in
                        began.open()
                        endings.put(await isCancelled { try await never.wait() })
                    }
                }
                let client = try await TCPConnection.connect(path: folder.file("socket"))
                try await began.wait()
                try await client.close()
                #expect(try await endings.take())
                server.close()
                try await serving.value
            }
        }
        #endif

        @Test func `a server on several loops cancels on each`() async throws {
            try await onSeveral { loop in
                let (began, endings) = (Mailbox<Int>(on: loop), Mailbox<Bool>(on: loop))
                var options = ServerOptions()
                options.cancelsHandlers = .afterReset
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0, options: options, loops: 2)
                let serving = spawn {
                    try await server.serve(onEachLoop: { handlerLoop, connection in
                        let never = Latch(on: handlerLoop)
                        began.put(1)
                        endings.put(await isCancelled { try await never.wait() })
                    })
                }
                var clients: [TCPConnection] = []
                for _ in 0..<16 {
                    clients.append(try await server.client())
                    _ = try await began.take()
                }
                for client in clients { client.abort() }
                for _ in clients { #expect(try await endings.take()) }
                server.close()
                try await serving.value
            }
        }
    }
}
