// The key-value server and the proxy, over real sockets, with clients in Python: what they answer, how either side ends,
// and that a client that vanishes harms nobody.

import AsyncIO
import AsyncIOTesting
import Foundation
import TestSupport
import Testing

@testable import examples

extension AsyncIOTests {
    @Suite struct ExampleServerTests {
        // MARK: Key-value server

        @Test(.needs("python3"))
        func `values are set, read and deleted by all clients`() async throws {
            let script = """
                import asyncio, socket, struct, sys
                async def connect():
                    return await asyncio.open_connection("127.0.0.1", int(sys.argv[1]))
                async def ask(connection, *questions):
                    reader, writer = connection
                    for question in questions:
                        writer.write(question.encode() + b"\\n")
                        answer = (await asyncio.wait_for(reader.readline(), 30)).decode().rstrip("\\n")
                        print(question[:20], "->", answer)
                async def end(connection):
                    assert await asyncio.wait_for(connection[0].read(), 30) == b""
                    connection[1].close()
                    await connection[1].wait_closed()
                async def main():
                    first, second = await connect(), await connect()
                    await ask(first, "GET colour", "SET colour dark green", "GET colour", "SET n 1", "SET n 2")
                    await ask(second, "GET colour", "GET n", "DEL n", "DEL n")
                    await ask(first, "GET n", "", "SET x", "GET", "GET a b", "get colour", "SET " + "k" * 10_000)
                    # Many commands in one piece, one command in many, and one without an end.
                    first[1].write(b"".join(b"SET %d value %d\\nGET %d\\n" % (n, n, n) for n in range(5_000)))
                    for n in range(5_000):
                        answers = [await asyncio.wait_for(first[0].readline(), 30) for _ in range(2)]
                        assert answers == [b"OK\\n", b"VALUE value %d\\n" % n], answers
                    for byte in "SET f\u{fc}r \u{1F642}\\r\\n".encode():
                        first[1].write(bytes([byte]))
                        await first[1].drain()
                    assert await first[0].readline() == b"OK\\n"
                    second[1].write("GET f\u{fc}r".encode())
                    second[1].write_eof()
                    print((await second[0].readline()).decode().rstrip())
                    await end(second)
                    await ask(first, "QUIT")
                    await end(first)
                asyncio.run(main())
                """
            let meeting = try await meet(script) { server, _ in try await Store().serve(server) }
            let usage = "ERROR Commands are SET key value, GET key, DEL key, QUIT."
            #expect(
                meeting.output == [
                    "GET colour -> NONE", "SET colour dark gree -> OK", "GET colour -> VALUE dark green",
                    "SET n 1 -> OK", "SET n 2 -> OK",
                    "GET colour -> VALUE dark green", "GET n -> VALUE 2", "DEL n -> OK", "DEL n -> NONE",
                    "GET n -> NONE", " -> \(usage)", "SET x -> \(usage)", "GET -> \(usage)", "GET a b -> \(usage)",
                    "get colour -> \(usage)", "SET kkkkkkkkkkkkkkkk -> ERROR A command can have 10000 bytes.",
                    "VALUE \u{1F642}",
                    "QUIT -> BYE",
                ]
            )
            #expect(meeting.errors == [])
        }

        @Test(.needs("python3"))
        func `clients of the store that vanish or never read harm nobody`() async throws {
            let script = """
                import socket, struct, sys
                def connect():
                    return socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=30)
                def reset(sock):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    sock.close()
                for number in range(30):
                    sock = connect()
                    sock.sendall([b"", b"SET half", b"SET a b\\nGET a\\n"][number % 3])
                    reset(sock) if number % 2 else sock.close()
                stuck = connect()
                stuck.sendall(b"SET big " + b"x" * 9_000 + b"\\n")
                stuck.setblocking(False)
                try:
                    while True: stuck.send(b"GET big\\n" * 1000)
                except BlockingIOError:
                    pass
                good = connect()
                good.sendall(b"GET a\\nQUIT\\n")
                answer = b""
                while data := good.recv(1000): answer += data
                assert answer == b"VALUE b\\nBYE\\n", answer
                reset(stuck)
                """
            let meeting = try await meet(script) { server, _ in try await Store().serve(server) }
            #expect(meeting.output == [])
            #expect(Set(meeting.errors).isSubset(of: ["ECONNRESET", "EPIPE"]), "\(meeting.errors)")
        }

        @Test func `a store whose task is cancelled ends, and breaks its connections off`() async throws {
            let reports = Recorder<CloseReport>()
            let errors = Recorder<String>()
            try await onLoop(.real, leaving: reports) { loop in
                var options = ServerOptions()
                options.onError = { error, _ in errors.append(brief(error)) }
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0, options: options)
                let serving = AsyncIO.spawn { try await Store().serve(server) }
                let client = try await TCPConnection.connect(host: "127.0.0.1", port: server.port)
                try await client.write("GET a\n")
                #expect(try await client.text(5) == "NONE\n")
                serving.cancel()
                #expect(await ending { try await serving.value } == "CancellationError")
                #expect(await ending { _ = try await client.read() } == "ECONNRESET")
            }
            #expect(errors.all == [])
            #expect(reports.all.map(\.description) == ["nothing left open"])
        }

        // MARK: Proxy

        @Test func `an endpoint is a host and a port`() {
            #expect(Endpoint(argument: "example.org:80").map { "\($0.host) \($0.port)" } == "example.org 80")
            #expect(Endpoint(argument: "127.0.0.1:65535").map { "\($0.host) \($0.port)" } == "127.0.0.1 65535")
            #expect(Endpoint(argument: "[::1]:1").map { "\($0.host) \($0.port)" } == "::1 1")
            for text in ["", ":", "a", "a:", ":80", "a:b", "a:0", "a:65536", "::1:80", "a:-1", "[]:"] {
                #expect(Endpoint(argument: text) == nil, "\(text)")
            }
        }

        /// Tools for what is on both sides of the proxy; the first line says where it is to lead.
        static let bothSides = """
            import asyncio, socket, struct, sys
            async def connect():
                return await asyncio.open_connection("127.0.0.1", int(sys.argv[1]))
            async def backend(handler):
                async def handle(reader, writer):
                    try:
                        await handler(reader, writer)
                        served.set_result(None)
                    except BaseException as error:
                        served.set_exception(error)
                    finally:
                        writer.close()
                served = asyncio.get_running_loop().create_future()
                server = await asyncio.start_server(handle, "127.0.0.1", 0)
                print(server.sockets[0].getsockname()[1], flush=True)
                return server, asyncio.wait_for(served, 30)
            def vanish(writer):
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            async def ending(reader):
                try:
                    while await asyncio.wait_for(reader.read(100_000), 30): pass
                    return "end"
                except ConnectionError:
                    return "reset"

            """

        /// Runs a script with the proxy between its two sides.
        func between(_ script: String) async throws -> Meeting {
            var meeting = try await meet(Self.bothSides + script) { server, port in
                let target = try #require(Endpoint(argument: "127.0.0.1:\(try await port.value)"))
                try await Proxy.serve(server, to: target)
            }
            meeting.output.removeFirst()
            return meeting
        }

        @Test(.needs("python3"))
        func `the proxy passes on an end, and what the other side says after it`() async throws {
            let script = """
                async def main():
                    data = bytes(range(256)) * 20_000
                    # The client ends first: the answer depends on having seen its end.
                    async def answer(reader, writer):
                        received = await reader.read()
                        assert received == data, len(received)
                        writer.write(received[::-1])
                        await writer.drain()
                    server, served = await backend(answer)
                    reader, writer = await connect()
                    writer.write(data)
                    await writer.drain()
                    writer.write_eof()
                    received = await asyncio.wait_for(reader.read(), 30)
                    assert received == data[::-1], len(received)
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
        func `the proxy passes on the end of the far side first`() async throws {
            let script = """
                async def main():
                    data = bytes(range(256)) * 20_000
                    async def greet(reader, writer):
                        writer.write(b"that is all")
                        writer.write_eof()
                        received = await reader.read()
                        assert received == data, len(received)
                    server, served = await backend(greet)
                    reader, writer = await connect()
                    assert await asyncio.wait_for(reader.read(), 30) == b"that is all"
                    writer.write(data)
                    await writer.drain()
                    writer.write_eof()
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
        func `a client that vanishes takes the far side with it`() async throws {
            let script = """
                async def main():
                    async def wait(reader, writer):
                        writer.write(b"hello")
                        print(await ending(reader))
                    server, served = await backend(wait)
                    reader, writer = await connect()
                    await asyncio.wait_for(reader.readexactly(5), 30)
                    vanish(writer)
                    await served
                    server.close()
                asyncio.run(main())
                """
            #expect(try await between(script) == Meeting(output: ["reset"], errors: ["ECONNRESET"]))
        }

        @Test(.needs("python3"))
        func `a far side that vanishes takes the client with it`() async throws {
            let script = """
                async def main():
                    async def leave(reader, writer):
                        await reader.readexactly(5)
                        vanish(writer)
                    server, served = await backend(leave)
                    reader, writer = await connect()
                    writer.write(b"hello")
                    print(await ending(reader))
                    await served
                    writer.close()
                    server.close()
                asyncio.run(main())
                """
            #expect(try await between(script) == Meeting(output: ["reset"], errors: ["ECONNRESET"]))
        }

        @Test(.needs("python3"))
        func `where nobody listens clients are turned away, one by one`() async throws {
            let script = """
                async def main():
                    server, served = await backend(None)
                    served.close()
                    server.close()
                    await server.wait_closed()
                    for _ in range(3):
                        try:
                            reader, writer = await connect()
                        except ConnectionError:
                            # As fast as that.
                            print("reset")
                            continue
                        print(await ending(reader))
                        writer.close()
                asyncio.run(main())
                """
            let meeting = try await between(script)
            #expect(meeting.output == ["reset", "reset", "reset"])
            #expect(meeting.errors == ["ECONNREFUSED", "ECONNREFUSED", "ECONNREFUSED"])
        }
    }
}
