// Connections and servers across threads, actors and loops, and what becomes of them when their loop ends.

import AsyncIO
import Foundation
import Testing

extension AsyncIOTests {
    @Suite struct TCPThreadsTests {
        @Test(arguments: Driver.allCases)
        func `everything can be done from another thread`(driver: Driver) async throws {
            try await onNetwork(driver, configure: { $0.clock = nil }) { loop in
                let bytes = noise(driver.bulk)
                try await withPair(on: loop) { accepted, client in
                    let echo = spawn {
                        #expect(try await accepted.text(16) == "bytestextspanabc")
                        try await accepted.write(Bytes(bytes))
                        #expect(try await accepted.read() == nil)
                        try await accepted.close()
                    }
                    try await elsewhere {
                        #expect(EventLoop.current == nil)
                        try await client.write(Bytes("bytes".utf8))
                        try await client.write("text")
                        unsafe try await client.write(Array("span".utf8).span.bytes)
                        try await client.write(contentsOf: ["a", "b", "c"])
                        let first = try #require(try await client.read())
                        #expect(EventLoop.current == nil)
                        let second = try await client.read(exactly: 10)
                        var rest: [UInt8] = []
                        while first.count + second.count + rest.count < bytes.count {
                            rest += try await client.read(
                                exactly: min(100_000, bytes.count - first.count - 10 - rest.count)
                            )
                        }
                        #expect(Array(first) + second + rest == bytes)
                        try await client.writeEOF()
                        for try await _ in client { Issue.record("more than was written") }
                        try await client.close()
                        #expect(await ending { try await client.write("x") } == "closed")
                    }
                    try await echo.value
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `tasks on many threads write to one connection, and each call's bytes stay together`(
            driver: Driver
        ) async throws {
            try await onNetwork(driver, configure: { $0.clock = nil }) { loop in
                let size = driver == .narrowMemory ? 20 : 20_000
                try await withPair(on: loop) { accepted, client in
                    let writing = spawn {
                        try await elsewhere {
                            try await withThrowingTaskGroup(of: Void.self) { group in
                                for writer in 0..<8 {
                                    group.addTask {
                                        let bytes = Bytes([UInt8](repeating: UInt8(writer), count: size))
                                        for _ in 0..<20 { try await client.write(bytes) }
                                    }
                                }
                                try await group.waitForAll()
                            }
                        }
                    }
                    var counts = [Int](repeating: 0, count: 8)
                    for _ in 0..<160 {
                        let piece = try await accepted.read(exactly: size)
                        let writer = Int(try #require(piece.first))
                        #expect(piece == [UInt8](repeating: UInt8(writer), count: size))
                        counts[writer] += 1
                    }
                    #expect(counts == [Int](repeating: 20, count: 8))
                    try await writing.value
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `a connection that is aborted or dropped on another thread ends`(driver: Driver) async throws {
            try await onNetwork(driver, configure: { $0.clock = nil }) { loop in
                try await withPair(on: loop) { accepted, client in
                    let reading = spawn { await ending { _ = try await client.read() } }
                    await turns(3, on: loop)
                    onForeignThread { client.abort() }
                    let end = try await reading.value
                    #expect(end == "closed")
                    #expect(await ending { _ = try await accepted.read() } == "ECONNRESET")
                }
                let received = Mailbox<[UInt8]>(on: loop)
                try await serving(on: loop) { connection in
                    received.put(try await connection.readAll())
                } while: { server in
                    let holder = try await lastWords(to: server)
                    onForeignThread { holder.drop() }
                    let words = try await received.take()
                    #expect(words == Array("last words".utf8))
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `a server is asked and ended from another thread`(driver: Driver) async throws {
            try await onNetwork(driver, configure: { $0.clock = nil }) { loop in
                for ending in 0..<3 {
                    let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                    let serving = spawn {
                        try await elsewhere {
                            // The handlers stay on the loop, or come back to it for everything.
                            try await server.serve { connection in
                                for try await bytes in connection { try await connection.write(bytes) }
                            }
                        }
                    }
                    let client = try await server.client()
                    try await client.write("x")
                    #expect(try await client.text(1) == "x")
                    try await elsewhere {
                        #expect(await server.connectionCount == 1)
                        #expect(await server.acceptedCount == 1)
                        switch ending {
                        case 0: server.close()
                        case 1: server.abort()
                        default: await server.drain(within: .milliseconds(10))
                        }
                    }
                    if ending == 0 { try await client.close() }
                    try await serving.value
                    #expect(await server.connectionCount == 0)
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `reads that other threads cancel at any moment lose nothing`(driver: Driver) async throws {
            try await onNetwork(driver, configure: { $0.clock = nil }) { loop in
                try await withPair(on: loop) { accepted, client in
                    let bytes = noise(600)
                    let writing = spawn {
                        for byte in bytes {
                            try await accepted.write([byte])
                            await yield()
                        }
                        try await accepted.close()
                    }
                    let received = Recorder<[UInt8]>()
                    var isAtEnd = false
                    while !isAtEnd {
                        let reading = spawn {
                            guard let bytes = try await client.read() else { return true }
                            received.append(Array(bytes))
                            return false
                        }
                        let cancelling = Task.detached(executorPreference: globalConcurrentExecutor) {
                            reading.cancel()
                        }
                        do { isAtEnd = try await reading.value } catch { #expect(error is CancellationError) }
                        await cancelling.value
                    }
                    #expect(received.all.flatMap { $0 } == bytes)
                    try await writing.value
                }
            }
        }

        @Test func `a loop's connection is used by another loop, and loops talk to each other`() async throws {
            try await onNetwork(.sockets) { loop in
                try await serving(on: loop) { connection in
                    for try await bytes in connection { try await connection.write(bytes) }
                } while: { echo in
                    let port = echo.port
                    let local = try await echo.client()
                    try await withEventLoop { second in
                        #expect(second !== loop && EventLoop.current === second)
                        // The other loop's, from here.
                        try await local.write("from afar")
                        #expect(try await local.text(9) == "from afar")
                        #expect(EventLoop.current === second)
                        // A proxy of this loop's.
                        let proxy = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                        let proxying = spawn {
                            try await proxy.serve { connection in
                                try await TCPConnection.withConnection(host: "127.0.0.1", port: port) { upstream in
                                    async let answers: Void = {
                                        for try await b in upstream { try await connection.write(b) }
                                    }()
                                    for try await bytes in connection { try await upstream.write(bytes) }
                                    try await upstream.writeEOF()
                                    try await answers
                                }
                            }
                        }
                        let client = try await proxy.client()
                        try await client.write("there and back")
                        try await client.writeEOF()
                        #expect(try await client.readAll() == Array("there and back".utf8))
                        proxy.close()
                        try await proxying.value
                    }
                    try await local.close()
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `what belongs to a loop that is closed says so, to whomever`(driver: Driver) async throws {
            let kept = Recorder<TCPConnection>()
            let servers = Recorder<TCPServer>()
            try await onNetwork(driver, leaving: Recorder()) { loop in
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                servers.append(server)
                kept.append(try await server.client())
            }
            let connection = kept.all[0]
            for _ in 0..<2 {
                #expect(await ending { _ = try await connection.read() } == "loopClosed")
                #expect(await ending { try await connection.write("x") } == "loopClosed")
                #expect(await ending { try await connection.writeEOF() } == "loopClosed")
                #expect(await ending { try await connection.close() } == "loopClosed")
                connection.abort()
            }
            let server = servers.all[0]
            #expect(await ending { try await server.serve { _ in } } == "loopClosed")
            #expect(await server.connectionCount == 0)
            await server.drain(within: .seconds(1))
            server.close()
            server.abort()
        }

        @Test(.testsProcess)
        func `listening and connecting where no loop runs traps and says what to do`() async throws {
            let listening = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                _ = try await TCPServer.listen(host: "127.0.0.1", port: 0)
            }
            #expect(says(listening, "TCPServer.listen was called where no event loop runs"))
            let connecting = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                _ = try await TCPConnection.connect(host: "127.0.0.1", port: 1)
            }
            #expect(says(connecting, "TCPConnection.connect was called where no event loop runs"))
        }

        @Test(arguments: Driver.allCases)
        func `with the loop end a server that was spawned, its handlers, and idle clients`(
            driver: Driver
        ) async throws {
            let ends = Recorder<String>()
            try await onNetwork(driver, leaving: Recorder()) { loop in
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                spawn {
                    let end = await ending {
                        try await server.serve { connection in
                            try await connection.write("x")
                            ends.append(await ending { _ = try await connection.read() })
                        }
                    }
                    ends.append("serve: \(end)")
                }
                for _ in 0..<3 {
                    let client = try await server.client()
                    #expect(try await client.text(1) == "x")
                    spawn { ends.append(await ending { _ = try await client.read() }) }
                }
                await turns(5, on: loop)
            }
            #expect(ends.all.last == "serve: CancellationError")
            // The clients may be cancelled first, or hear of the servers' cancellation.
            #expect(ends.all.count == 7 && ends.all.filter { $0 == "CancellationError" }.count >= 3)
        }

        @Test(.testsProcess, arguments: Driver.allCases)
        func `with the loop end also a server and clients of tasks that nobody knows, without an issue`(
            driver: Driver
        ) async throws {
            await #expect(processExitsWith: .success) { [driver] in
                exitIfStuck()
                let ends = Recorder<String>()
                let tasks = Recorder<Task<Void, Never>>()
                try await onNetwork(driver, leaving: Recorder()) { loop in
                    let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                    let serving = Task {
                        _ = loop
                        _ = await ending {
                            try await server.serve { connection in
                                try await connection.write("x")
                                while let bytes = try await connection.read() { try await connection.write(bytes) }
                            }
                        }
                        ends.append("serve")
                    }
                    tasks.append(serving)
                    for _ in 0..<3 {
                        let client = try await server.client()
                        #expect(try await client.text(1) == "x")
                        let reading = Task {
                            _ = await ending { _ = try await client.read() }
                            ends.append("client")
                        }
                        tasks.append(reading)
                    }
                    await turns(5, on: loop)
                }
                for task in tasks.all { await task.value }
                #expect(ends.all.filter { $0 == "client" }.count == 3 && ends.all.contains("serve"))
            }
        }

        @Test(.testsProcess)
        func `a handler that outlasts its loop keeps no processor busy, and ends when it can`() async throws {
            await #expect(processExitsWith: .success) {
                exitIfStuck()
                let (stuck, release) = AsyncStream.makeStream(of: Void.self)
                let ends = Recorder<String>()
                let tasks = Recorder<Task<Void, Never>>()
                try await withEventLoop { loop in
                    let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                    let started = Mailbox<Void>(on: loop)
                    let serving = Task {
                        _ = loop
                        try? await server.serve { connection in
                            started.put(())
                            _ = try? await connection.read()
                            for await _ in stuck {}
                            ends.append("handler")
                        }
                        ends.append("serve")
                    }
                    tasks.append(serving)
                    let client = try await server.client()
                    try await started.take()
                    try? await client.close()
                }
                release.finish()
                for task in tasks.all { await task.value }
                #expect(ends.all == ["handler", "serve"])
            }
        }

        @Test func `what a handler wrote arrives although the loop ends as soon as serving does`() async throws {
            let size = 32 << 20
            let port = Recorder<Int>()
            let (listening, announce) = AsyncStream.makeStream(of: Void.self)
            let received = Task {
                for await _ in listening {}
                return try await withEventLoop { loop in
                    try await TCPConnection.withConnection(host: "127.0.0.1", port: port.all[0]) {
                        try await $0.readAll()
                    }
                }
            }
            try await onNetwork(.sockets) { loop in
                var options = ServerOptions()
                options.listener.connection.writeHighWaterMark = size / 4
                options.listener.connection.writeLowWaterMark = size / 4
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0, options: options)
                port.append(server.port)
                announce.finish()
                try await server.serve { connection in
                    server.close()
                    // Returns when a quarter is left to send.
                    try await connection.write(Bytes(noise(size)))
                }
            }
            let outcome = await received.result.map { $0 == noise(size) ? "all of it" : "\($0.count) bytes" }
            #expect(outcome.text == "all of it")
        }
    }
}

extension Result where Success == String, Failure == any Error {
    /// The text, or the error in one word.
    fileprivate var text: String {
        switch self {
        case .success(let text): text
        case .failure(let error): brief(error)
        }
    }
}

/// Runs `body` on Swift's pool, whatever the caller runs on.
private func elsewhere<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
    try await Task.detached(executorPreference: globalConcurrentExecutor) { try await body() }.value
}

/// The last reference to a connection, which any thread may let go.
private final class Holder: Sendable {
    private let lock = NSLock()
    // SAFETY: under the lock.
    private nonisolated(unsafe) var connection: TCPConnection?

    init(_ connection: TCPConnection) { unsafe self.connection = connection }

    func drop() { lock.withLock { unsafe connection = nil } }
}

/// A connection on which something was said.
private func lastWords(to server: TCPServer) async throws -> Holder {
    let client = try await server.client()
    try await client.write("last words")
    return Holder(client)
}
