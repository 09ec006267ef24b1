// Programs that share no code with this package, at the other end of datagrams.

import AsyncIO
import Foundation
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite struct UDPForeignTests {
        @Test(.needs("python3"))
        func `a datagram endpoint of Python's asyncio gets its datagrams back`() async throws {
            let end = try await answering { port in
                try ForeignProgram.python(
                    """
                    import asyncio, os, sys
                    class Client(asyncio.DatagramProtocol):
                        def __init__(self): self.queue = asyncio.Queue()
                        def datagram_received(self, data, address): self.queue.put_nowait(data)
                        def error_received(self, error): self.queue.put_nowait(error)
                    async def main(port):
                        loop = asyncio.get_running_loop()
                        transport, client = await loop.create_datagram_endpoint(Client, remote_addr=("127.0.0.1", port))
                        for size in list(range(1, 300)) + [1400, 1500, 9000, 65507]:
                            sent = os.urandom(size)
                            transport.sendto(sent)
                            assert await asyncio.wait_for(client.queue.get(), 30) == sent, size
                        transport.close()
                    asyncio.run(main(int(sys.argv[1])))
                    print("ok")
                    """,
                    "\(port)"
                )
            }
            #expect(end.status == 0 && end.output == "ok\n", "\(end.errors)")
        }

        @Test(.needs("python3"))
        func `a Python server answers, and refuses when it has gone`() async throws {
            try await onNetwork(.sockets) { loop in
                let program = try ForeignProgram.python(
                    """
                    import socket
                    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                    s.bind(("127.0.0.1", 0))
                    print(s.getsockname()[1], flush=True)
                    while True:
                        data, address = s.recvfrom(70000)
                        s.sendto(data[::-1], address)
                        if data == b"bye": break
                    """
                )
                let port = try #require(Int(try await offload { program.readLine() }))
                try await UDPSocket.withSocket(connectedTo: "localhost", port: port) { client in
                    try await client.send("hello")
                    #expect(try await client.receive().bytes == "olleh")
                    try await client.send("")
                    #expect(try await client.receive().bytes.isEmpty)
                    try await client.send("bye")
                    #expect(try await client.receive().bytes == "eyb")
                    #expect(try await offload { program.finish().status } == 0)
                    try await client.send("still there?")
                    #expect(await errorOf { _ = try await client.receive() } == "ECONNREFUSED")
                }
            }
        }

        @Test(.needs("nc"))
        func `nc gets its line back`() async throws {
            let end = try await answering { port in
                try ForeignProgram(["sh", "-c", "printf 'hello\\n' | nc -u -W 1 127.0.0.1 \(port)"])
            }
            #expect(end.output == "hello\n", "\(end.errors)")
        }

        @Test(.needs("socat"))
        func `socat gets its line back, by IPv6 too`() async throws {
            for host in ["127.0.0.1", "::1"] {
                let end = try await answering(on: host) { port in
                    let address = host.contains(":") ? "UDP6:[::1]:\(port)" : "UDP4:127.0.0.1:\(port)"
                    return try ForeignProgram(["sh", "-c", "printf 'hello\\n' | socat -t 1 - \(address)"])
                }
                #expect(end.status == 0 && end.output == "hello\n", "\(end.errors)")
            }
        }

        /// Answers every datagram with itself for as long as a program runs.
        private func answering(
            on host: String = "127.0.0.1",
            _ start: @escaping @Sendable (_ port: Int) throws -> ForeignProgram
        ) async throws -> (status: CInt, output: String, errors: String) {
            try await onNetwork(.sockets) { loop in
                let socket = try await UDPSocket.bind(host: host, port: 0)
                let echo = spawn {
                    for try await datagram in socket { try await socket.send(datagram.bytes, to: datagram.address) }
                }
                let program = try start(Int(try #require(socket.localAddress).port))
                let end = try await offload { program.finish() }
                try await socket.close()
                try await echo.value
                return end
            }
        }
    }
}
