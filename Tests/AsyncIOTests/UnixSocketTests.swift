// Unix sockets for tasks: the same connections and servers as over TCP, at a path.

import AsyncIO
import AsyncIOTesting
import Foundation
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct UnixSocketTests {
        @Test(arguments: Driver.allCases)
        func `a server serves clients at a path`(driver: Driver) async throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            let path = folder.file("socket")
            try await onNetwork(driver) { loop in
                try await servingUnix(path, on: loop) { connection in
                    #expect(connection.localAddress?.unixPath == path)
                    for try await bytes in connection { try await connection.write(bytes) }
                } while: { server in
                    #expect(server.localAddress.description == "unix:\(path)" && server.port == 0)
                    let texts = spawnEach(10, on: loop) { number in
                        try await UnixConnection.withConnection(path: path) { connection in
                            #expect(connection.remoteAddress?.unixPath == path)
                            try await connection.write("hello \(number)")
                            try await connection.writeEOF()
                            return String(decoding: try await connection.readAll(), as: UTF8.self)
                        }
                    }
                    for (number, task) in texts.enumerated() {
                        let text = try await task.value
                        #expect(text == "hello \(number)")
                    }
                }
            }
            #expect(folder.files == [])
        }

        @Test(arguments: Driver.allCases)
        func `bulk goes both ways at once, and nothing is lost`(driver: Driver) async throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            let sent = noise(driver.bulk / 4)
            try await onNetwork(driver) { loop in
                try await servingUnix(folder.file("s"), on: loop) { connection in
                    for try await bytes in connection { try await connection.write(bytes) }
                } while: { server in
                    let client = try await UnixConnection.connect(path: folder.file("s"))
                    let writing = spawn {
                        try await client.write(Bytes(sent))
                        try await client.writeEOF()
                    }
                    #expect(try await client.readAll() == sent)
                    try await writing.value
                    try await client.close()
                }
            }
        }

        @Test func `what cannot be connected to says why, with its path`() async throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            Raw.close(Raw.unixSocket(boundTo: folder.file("old"), backlog: 1))
            try await onNetwork(.sockets) { loop in
                let none = await failure { try await UnixConnection.connect(path: folder.file("none")) }
                #expect(none.map(brief) == "ENOENT" && "\(none!)".contains(folder.file("none")))
                let old = await failure { try await UnixConnection.connect(path: folder.file("old")) }
                #expect(old as? SystemError == SystemError(.connectionRefused, call: ""))
                let long = await failure {
                    try await UnixConnection.connect(path: String(repeating: "a", count: 200))
                }
                #expect("\(long!)".contains("has 200 bytes"))
                let empty = await failure { try await UnixServer.listen(path: "") }
                #expect(empty as? LoopError == .notAUnixPath(""))
            }
        }

        #if os(Linux)
        @Test func `connecting while the backlog is full can be cancelled and leaves nothing`() async throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            let path = folder.file("full")
            let listening = Raw.unixSocket(boundTo: path, backlog: 0)
            var clients: [CInt] = []
            repeat { clients.append(Raw.unixSocket()) } while Raw.connectNow(clients.last!, to: path) == 0
            defer { for each in clients + [listening] { Raw.close(each) } }
            try await onNetwork(.sockets) { loop in
                let task = spawn { _ = try await UnixConnection.connect(path: path) }
                await turns(5, on: loop)
                task.cancel()
                #expect(await isCancelled { try await task.value })
                let late = await failure {
                    try await UnixConnection.connect(path: path, timeout: .milliseconds(20))
                }
                #expect(late.map(brief) == "timedOut")
            }
        }
        #endif

        @Test(arguments: Driver.allCases)
        func `cancelling the server removes the file and ends its handlers`(driver: Driver) async throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            try await onNetwork(driver) { loop in
                let server = try await UnixServer.listen(path: folder.file("s"))
                let serving = spawn { try await server.serve { connection in _ = try await connection.read() } }
                let client = try await UnixConnection.connect(path: folder.file("s"))
                await turns(20, on: loop)
                serving.cancel()
                #expect(await isCancelled { try await serving.value })
                #expect(folder.files == [])
                // A Unix socket has no reset: the end, or an error in memory.
                #expect(["ok", "ECONNRESET"].contains(await ending { _ = try await client.readAll() }))
            }
        }

        // MARK: Programs that share no code with this package

        @Test(.needs("python3"))
        func `Python's asyncio sends megabytes over a Unix socket and gets every byte back`() async throws {
            let script = """
                import asyncio, random, sys
                async def main(number):
                    reader, writer = await asyncio.open_unix_connection(sys.argv[1])
                    random.seed(number)
                    sent = random.randbytes(500_000 + number)
                    async def send():
                        position = 0
                        while position < len(sent):
                            size = random.choice([1, 7, 1000, 4097, 65537, 200_001])
                            writer.write(sent[position:position + size])
                            position += size
                            await writer.drain()
                        writer.write_eof()
                    task = asyncio.create_task(send())
                    received = await reader.read(-1)
                    await task
                    writer.close()
                    await writer.wait_closed()
                    assert received == sent, (len(received), len(sent))
                async def all():
                    await asyncio.gather(*[main(number) for number in range(4)])
                asyncio.run(all())
                print("ok")
                """
            let folder = ScratchFolder()
            defer { folder.remove() }
            let end = try await onNetwork(.sockets) { loop in
                try await servingUnix(folder.file("s"), on: loop) { connection in
                    for try await bytes in connection { try await connection.write(bytes) }
                } while: { server in
                    let program = try ForeignProgram.python(script, folder.file("s"))
                    return try await offload { program.finish() }
                }
            }
            #expect(end.status == 0 && end.output == "ok\n", "\(end.errors)")
        }

        @Test(.needs("python3"))
        func `a Python server at a path and at an abstract name is talked to`() async throws {
            let script = """
                import asyncio, sys
                async def main():
                    async def handle(reader, writer):
                        writer.write((await reader.read(-1))[::-1])
                        writer.close()
                    servers = [await asyncio.start_unix_server(handle, path) for path in (sys.argv[1], "\\0" + sys.argv[1])]
                    print("ready", flush=True)
                    await asyncio.gather(*[server.serve_forever() for server in servers])
                asyncio.run(main())
                """
            let folder = ScratchFolder()
            defer { folder.remove() }
            let program = try ForeignProgram.python(script, folder.file("s"))
            #expect(program.readLine() == "ready")
            try await onNetwork(.sockets) { loop in
                for path in [folder.file("s"), "\0" + folder.file("s")] {
                    let bytes = noise(300_000)
                    let reply = try await UnixConnection.withConnection(path: path) { connection in
                        try await connection.write(Bytes(bytes))
                        try await connection.writeEOF()
                        return try await connection.readAll()
                    }
                    #expect(reply == bytes.reversed())
                }
            }
            program.send(SIGKILL)
            _ = program.finish()
        }

        @Test(.needs("nc"))
        func `nc gets its line back over a Unix socket and ends`() async throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            let end = try await onNetwork(.sockets) { loop in
                try await servingUnix(folder.file("s"), on: loop) { connection in
                    for try await bytes in connection { try await connection.write(bytes) }
                } while: { server in
                    let command = "printf 'hello\\n' | nc -N -U \(folder.file("s"))"
                    let program = try ForeignProgram(["sh", "-c", command])
                    return try await offload { program.finish() }
                }
            }
            #expect(end.status == 0 && end.output == "hello\n", "\(end.errors)")
        }
    }
}

/// Serves at a path with `handler` for as long as `body` runs, closes the server, and waits for its last handler.
private func servingUnix<Value>(
    _ path: String,
    on loop: isolated EventLoop,
    @_inheritActorContext(always) handler: @escaping @Sendable @isolated(any) (TCPConnection) async throws -> Void,
    while body: (TCPServer) async throws -> Value
) async throws -> Value {
    let server = try await UnixServer.listen(path: path)
    let serving = spawn(name: "serve") { try await server.serve(handler) }
    do {
        let value = try await body(server)
        server.close()
        try await serving.value
        return value
    } catch {
        server.abort()
        try? await serving.value
        throw error
    }
}
