// Connections and servers across threads, actors and loops, and what becomes of them when their loop ends.

import AsyncIO
import Foundation
import Testing

extension AsyncIOTests {
    @Suite struct TCPThreadsTests {
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

        @Test(arguments: Driver.allCases)
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

        @Test func `a handler that outlasts its loop keeps no processor busy, and ends when it can`() async throws {
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
