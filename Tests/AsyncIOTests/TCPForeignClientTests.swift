// Programs that share no code with this package as clients and as servers: what is sent comes back byte for byte, and
// how they end is understood.

import AsyncIO
import Foundation
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite struct TCPForeignClientTests {
        @Test(.needs("python3"))
        func `Python's asyncio sends megabytes in odd pieces and gets every byte back`() async throws {
            let outcome = try await serve(
                """
                import asyncio, random, sys
                async def main(number):
                    reader, writer = await asyncio.open_connection("127.0.0.1", int(sys.argv[1]))
                    random.seed(number)
                    sent = random.randbytes(1_000_000 + number)
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
                    await asyncio.gather(*[main(number) for number in range(8)])
                asyncio.run(all())
                print("ok")
                """
            )
            #expect(outcome.status == 0 && outcome.output == "ok\n", "\(outcome.errors)")
            #expect(outcome.ends == Array(repeating: "ok", count: 8))
            #expect(outcome.echoed == (0..<8).reduce(0) { $0 + 1_000_000 + $1 })
        }

        @Test(.needs("python3"))
        func `Python clients that reset, vanish, and close with bytes unread harm nobody`() async throws {
            let outcome = try await serve(
                """
                import socket, struct, sys
                def connect():
                    return socket.create_connection(("127.0.0.1", int(sys.argv[1])))
                for number in range(60):
                    s = connect()
                    if number % 3 == 0:
                        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    if number % 3 == 1:
                        s.sendall(b"x" * 10000)
                    s.close()
                good = connect()
                good.sendall(b"hello")
                good.shutdown(socket.SHUT_WR)
                received = b""
                while True:
                    data = good.recv(100)
                    if not data: break
                    received += data
                assert received == b"hello", received
                print("ok")
                """
            )
            #expect(outcome.status == 0 && outcome.output == "ok\n", "\(outcome.errors)")
            // Who resets in the backlog may never have been a connection.
            #expect(outcome.ends.count > 40 && outcome.ends.count <= 61)
            #expect(outcome.ends.allSatisfy { ["ok", "ECONNRESET", "EPIPE"].contains($0) })
        }

        @Test(.needs("python3"))
        func `a slow Python reader gets everything that was written before the close`() async throws {
            let script = """
                import socket, sys, hashlib
                s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
                total, digest = 0, 0
                while True:
                    data = s.recv(3000)
                    if not data: break
                    total += len(data)
                    digest = (digest + sum(data)) % 1000000007
                print(total, digest)
                """
            let bytes = noise(4 << 20)
            let sum = bytes.reduce(0) { ($0 + Int($1)) % 1_000_000_007 }
            let end = try await onNetwork(.sockets) { loop in
                try await serving(on: loop) { connection in
                    try await connection.write(Bytes(bytes))
                } while: { server in
                    let program = try ForeignProgram(["python3", "-c", script, "\(server.port)"])
                    return try await offload { program.finish() }
                }
            }
            #expect(end.status == 0 && end.output == "\(bytes.count) \(sum)\n", "\(end.errors)")
        }

        @Test(.needs("python3"))
        func `a Python server is talked to, half-closed, and understood when it resets`() async throws {
            let script = """
                import asyncio
                async def main():
                    async def handle(reader, writer):
                        data = await reader.read(-1)
                        if data == b"reset":
                            writer.transport.abort()
                        else:
                            writer.write(data[::-1])
                            writer.close()
                    server = await asyncio.start_server(handle, "127.0.0.1", 0)
                    print(server.sockets[0].getsockname()[1], flush=True)
                    await server.serve_forever()
                asyncio.run(main())
                """
            let bytes = noise(1_000_000)
            let program = try ForeignProgram(["python3", "-c", script])
            let port = try #require(Int(program.readLine()))
            try await onNetwork(.sockets) { loop in
                let clients = spawnEach(5, on: loop) { _ in
                    try await TCPConnection.withConnection(host: "127.0.0.1", port: port) { connection in
                        try await connection.write(Bytes(bytes))
                        try await connection.writeEOF()
                        return try await connection.readAll() == bytes.reversed()
                    }
                }
                for client in clients { #expect(try await client.value) }
                let client = try await TCPConnection.connect(host: "127.0.0.1", port: port)
                try await client.write("reset")
                try await client.writeEOF()
                // Python closes without a reset when it has nothing to send; either way the connection is over.
                #expect(["ok", "ECONNRESET"].contains(await ending { _ = try await client.readAll() }))
            }
            program.send(SIGKILL)
            _ = program.finish()
        }

        @Test(.needs("nc"))
        func `nc gets its line back and ends`() async throws {
            let outcome = try await serve(command: ["sh", "-c", "printf 'hello\\n' | nc -N 127.0.0.1 $0"])
            #expect(outcome.status == 0 && outcome.output == "hello\n", "\(outcome.errors)")
            #expect(outcome.ends == ["ok"] && outcome.echoed == 6)
        }

        /// What became of the client, and of the handlers.
        struct Outcome: Sendable {
            var status: CInt
            var output: String
            var errors: String
            var ends: [String]
            var echoed: Int
        }

        private func serve(_ script: String) async throws -> Outcome {
            try await serve(command: ["python3", "-c", script])
        }

        /// Runs an echo server for as long as the command runs, whose last argument is the port.
        private func serve(command: [String]) async throws -> Outcome {
            let ends = Recorder<String>()
            let echoed = Recorder<Int>()
            let end = try await onNetwork(.sockets) { loop in
                try await serving(on: loop) { connection in
                    var count = 0
                    let end = await ending {
                        for try await bytes in connection {
                            try await connection.write(bytes)
                            count += bytes.count
                        }
                    }
                    ends.append(end)
                    echoed.append(count)
                } while: { server in
                    let program = try ForeignProgram(command + ["\(server.port)"])
                    return try await offload { program.finish() }
                }
            }
            return Outcome(
                status: end.status,
                output: end.output,
                errors: end.errors,
                ends: ends.all,
                echoed: echoed.all.reduce(0, +)
            )
        }
    }
}
