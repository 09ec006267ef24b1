// The proxy in bad weather: both directions full at once, sides that do not read, and ends that come while bytes are on
// their way. And nc, which half-closes.

import AsyncIO
import AsyncIOTesting
import TestSupport
import Testing

@testable import examples

extension AsyncIOTests.ExampleServerTests {
    @Test(.needs("python3"))
    func `both directions are full at once, and each ends by itself`() async throws {
        let script = """
            async def main():
                data = bytes(range(256)) * 20_000
                async def send(writer, pieces):
                    for _ in range(pieces):
                        writer.write(data)
                        await writer.drain()
                    writer.write_eof()
                async def exchange(reader, writer, sent, expected):
                    _, received = await asyncio.wait_for(asyncio.gather(send(writer, sent), reader.read()), 30)
                    assert received == data * expected, len(received)
                # The far side ends first, and the client some megabytes later.
                server, served = await backend(lambda reader, writer: exchange(reader, writer, 1, 2))
                reader, writer = await connect()
                await exchange(reader, writer, 2, 1)
                await served
                writer.close()
                await writer.wait_closed()
                server.close()
                print("ok")
            asyncio.run(main())
            """
        #expect(try await between(script) == Meeting(output: ["ok"]))
    }

    @Test(.needs("python3"))
    func `a client that does not read holds its far side up alone, and takes it along when it vanishes`() async throws {
        let script = """
            async def main():
                async def flood(reader, writer):
                    sent = 0
                    try:
                        while True:
                            writer.write(b"x" * 65_536)
                            # Once the proxy has stopped reading, which it does when the client's buffers are full.
                            await asyncio.wait_for(writer.drain(), 0.2)
                            sent += 65_536
                    except asyncio.TimeoutError:
                        full.set_result(sent)
                    print(await ending(reader))
                full = asyncio.get_running_loop().create_future()
                server, served = await backend(flood)
                reader, writer = await connect()
                writer.transport.pause_reading()
                # What the sockets between them hold, and nothing like all that was offered.
                assert await asyncio.wait_for(full, 30) < 64 << 20
                vanish(writer)
                await served
                server.close()
            asyncio.run(main())
            """
        let meeting = try await between(script)
        #expect(meeting.output == ["reset"])
        #expect(meeting.errors.count == 1 && ["ECONNRESET", "EPIPE"].contains(meeting.errors[0]), "\(meeting.errors)")
    }

    @Test(.needs("python3"))
    func `a far side that vanishes while the client has ended is still told`() async throws {
        let script = """
            async def main():
                async def leave(reader, writer):
                    assert await reader.read() == b"question"
                    writer.write(b"half an ans")
                    await writer.drain()
                    await asked
                    vanish(writer)
                asked = asyncio.get_running_loop().create_future()
                server, served = await backend(leave)
                reader, writer = await connect()
                writer.write(b"question")
                writer.write_eof()
                print((await asyncio.wait_for(reader.readexactly(11), 30)).decode())
                asked.set_result(None)
                print(await ending(reader))
                await served
                writer.close()
                server.close()
            asyncio.run(main())
            """
        let meeting = try await between(script)
        #expect(meeting == Meeting(output: ["half an ans", "reset"], errors: ["ECONNRESET"]))
    }

    @Test(.needs("nc"))
    func `nc gets its answer through the proxy, and through two of them`() async throws {
        try await onNetwork(.sockets) { loop in
            try await serving(on: loop) { connection in
                // Answers when it has seen the end.
                let received = try await connection.reader.readToEnd()
                try await connection.write(received)
                try await connection.write("bye\n")
            } while: { server in
                var (port, proxies) = (server.port, [(TCPServer, LoopTask<Void>)]())
                for _ in 1...2 {
                    let proxy = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                    let target = try #require(Endpoint(argument: "127.0.0.1:\(port)"))
                    proxies.append((proxy, spawn { try await Proxy.serve(proxy, to: target) }))
                    port = proxy.port
                    let nc = try ForeignProgram(["sh", "-c", "printf 'hello\\n' | nc -N 127.0.0.1 \(port)"])
                    let end = try await offload { nc.finish() }
                    #expect(end.status == 0 && end.output == "hello\nbye\n", "\(end)")
                }
                for (proxy, proxying) in proxies {
                    proxy.close()
                    try await proxying.value
                }
            }
        }
    }
}
