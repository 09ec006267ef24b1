// Bad weather on the side of the servers: a client of ours meets one that is silent, slow, cut off, endless or deaf, over
// TCP and Unix sockets. Each wait ends with a reason, and what had come before is not lost.

import AsyncIO
import AsyncIOTesting
import Foundation
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite(.needs("python3"), .timeLimit(.minutes(Seeds.minutes(1))))
    struct HostileServerTests {
        @Test(arguments: SocketKind.allCases)
        func `a server that never answers is given up in time, and may answer later`(place: SocketKind) async throws {
            try await meeting(place, "silent") { connection, reader, loop in
                let error = await failure { try await withTimeout(.milliseconds(30)) { try await connection.read() } }
                #expect("\(error!)".hasPrefix("The operation did not end within 0.03"))
                // Nothing is lost by having given up.
                try await connection.write("go on\n")
                #expect(try await reader.readTextLine() == "here it is")
            }
        }

        @Test(arguments: SocketKind.allCases)
        func `a server that sends byte by byte is understood`(place: SocketKind) async throws {
            try await meeting(place, "slow") { connection, reader, loop in
                let line = try await reader.readTextLine()
                let (five, until) = (try await reader.read(exactly: 5), try await reader.readUntil(";;"))
                let rest = try await reader.readToEnd()
                #expect(line == "a line" && five == "12345" && until == "until;;" && rest == "the end")
            }
        }

        @Test(arguments: SocketKind.allCases)
        func `a server that stops in the middle leaves what there was`(place: SocketKind) async throws {
            try await meeting(place, "cut") { connection, reader, loop in
                let error = await failure { try await reader.read(exactly: 100) }
                guard case StreamError.incompleteRead(let partial, 100)? = error else {
                    Issue.record("\(String(describing: error))")
                    return
                }
                #expect(partial == "half a line")
                let next = try await reader.readLine()
                #expect(next == nil)
            }
            try await meeting(place, "cut") { connection, reader, loop in
                let (line, next) = (try await reader.readTextLine(), try await reader.readTextLine())
                #expect(line == "half a line" && next == nil)
            }
        }

        @Test func `a server that resets is an error, after what had come`() async throws {
            try await meeting(.tcp, "reset") { connection, reader, loop in
                let line = try await reader.readTextLine()
                #expect(line == "before")
                for _ in 0..<2 {
                    let end = await ending { while try await reader.read() != nil {} }
                    #expect(end == "ECONNRESET")
                }
                #expect(await ending { try await connection.write("more") } == "ECONNRESET")
            }
        }

        @Test(arguments: SocketKind.allCases)
        func `a server that never ends a line, or anything, is refused at the limit`(place: SocketKind) async throws {
            try await meeting(place, "endless") { connection, reader, loop in
                reader.limit = 1_000
                let line = await failure { try await reader.readLine() }
                #expect(line as? StreamError == .lineTooLong(limit: 1_000))
                guard case StreamError.limitExceeded? = await failure({ try await reader.readToEnd(limit: 50_000) })
                else {
                    Issue.record("it has no end")
                    return
                }
                connection.abort()
            }
        }

        @Test(arguments: SocketKind.allCases)
        func `a server that never reads makes who writes wait, and closing ends in time`(place: SocketKind) async throws
        {
            try await meeting(place, "deaf") { connection, reader, loop in
                let bytes = Bytes(noise(16 << 20))
                let error = await failure {
                    try await withTimeout(.milliseconds(50)) { try await connection.write(bytes) }
                }
                #expect(error is TimeoutError)
                // What waits is still sent, or would be.
                #expect(await ending { try await connection.close() } == "timedOut")
            }
        }

        /// Connects to a server that behaves in a way of its own, and says which.
        private func meeting(
            _ place: SocketKind,
            _ manner: String,
            _ body: @escaping @Sendable (TCPConnection, StreamReader, isolated EventLoop) async throws -> Void
        ) async throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            let server = try ForeignProgram.python(manners, place == .tcp ? "tcp" : folder.file("s"))
            defer {
                server.send(SIGKILL)
                _ = server.finish()
            }
            let port = server.readLine().lastNumber
            try await onNetwork(.sockets) { loop in
                var options = StreamOptions()
                options.closeTimeout = .milliseconds(50)
                let connection =
                    switch place {
                    case .tcp: try await TCPConnection.connect(host: "127.0.0.1", port: port, options: options)
                    case .unix: try await UnixConnection.connect(path: folder.file("s"), options: options)
                    }
                try await connection.write("\(manner)\n")
                try await body(connection, connection.reader, loop)
                connection.abort()
            }
        }
    }
}

/// The manners of the server, by the first line that it gets.
private let manners = """
    import asyncio, socket, struct, sys
    async def handle(reader, writer):
        manner = (await reader.readline()).decode().strip()
        try:
            if manner == "silent":
                await reader.readline()
                writer.write(b"here it is\\n")
            elif manner == "slow":
                for byte in b"a line\\n12345until;;the end":
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(0.001)
            elif manner == "cut":
                writer.write(b"half a line")
            elif manner == "reset":
                writer.write(b"before\\n")
                await asyncio.sleep(0.01)
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            elif manner == "endless":
                while True:
                    writer.write(b"x" * 10_000)
                    await writer.drain()
            elif manner == "deaf":
                writer.transport.pause_reading()
                await asyncio.sleep(60)
            writer.close()
            await writer.wait_closed()
        except ConnectionError:
            pass
    async def main():
        if sys.argv[1] == "tcp":
            server = await asyncio.start_server(handle, "127.0.0.1", 0)
            print(server.sockets[0].getsockname()[1], flush=True)
        else:
            server = await asyncio.start_unix_server(handle, sys.argv[1])
            print("ready", flush=True)
        await server.serve_forever()
    asyncio.run(main())
    """
