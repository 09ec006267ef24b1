// The port scanner and the server of datagrams, over real sockets and with programs that share no code with them.

import AsyncIO
import AsyncIOTesting
import Foundation
import TestSupport
import Testing

@testable import examples

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct ExampleNetworkTests {
        // MARK: Port scanner

        @Test(.needs("python3"))
        func `the ports on which a foreign program listens are found, and no others`() async throws {
            let listeners = try ForeignProgram.python(
                """
                import socket, time
                listening = [socket.create_server(("127.0.0.1", 0)) for _ in range(5)]
                bound = [socket.socket() for _ in range(5)]
                for sock in bound: sock.bind(("127.0.0.1", 0))
                for socks in (listening, bound): print(*sorted(sock.getsockname()[1] for sock in socks), flush=True)
                time.sleep(100)
                """
            )
            let open = listeners.readLine().split(separator: " ").compactMap { Int($0) }
            let closed = listeners.readLine().split(separator: " ").compactMap { Int($0) }
            let lines = Recorder<String>()
            try await onNetwork(.sockets) { loop in
                let scan = Scan("127.0.0.1", 20, .seconds(30), on: loop, lines.output)
                let found = try await scan.run(over: (open.min()! - 20)...(open.max()! + 20))
                // Other programs of this machine may listen as well.
                #expect(Set(found).isSuperset(of: open) && Set(found).isDisjoint(with: closed), "\(found)")
                #expect(lines.all.sorted() == found.map { "port \($0) is open" }.sorted())
                #expect(found == found.sorted())
            }
            listeners.send(SIGKILL)
            _ = listeners.finish()
        }

        #if os(Linux)
        @Test(.needs("python3"))
        func `no more connections than allowed are under way, and who does not answer is not waited for`() async throws
        {
            // Their backlogs are full, in which case Linux says nothing at all.
            let listeners = try ForeignProgram.python(
                """
                import socket, sys, time
                kept = []
                for _ in range(6):
                    full = socket.socket()
                    full.bind(("127.0.0.1", 0))
                    full.listen(0)
                    for _ in range(3):
                        client = socket.socket()
                        client.setblocking(False)
                        client.connect_ex(full.getsockname())
                        kept.append(client)
                    kept.append(full)
                    print(full.getsockname()[1], end=" ")
                print(flush=True)
                time.sleep(100)
                """
            )
            let ports = listeners.readLine().split(separator: " ").compactMap { Int($0) }
            #expect(ports.count == 6)
            try await onNetwork(.sockets) { loop in
                let scan = Scan("127.0.0.1", 2, .milliseconds(40), on: loop, { _ in })
                let start = loop.now
                let found = try await scan.run(over: ports.dropLast())
                #expect(found == [])
                // Five, two at a time.
                #expect(start.duration(to: loop.now) >= .milliseconds(3 * 40))
            }
            listeners.send(SIGKILL)
            _ = listeners.finish()
        }
        #endif

        @Test func `what is no closed port ends the scan with its reason`() async throws {
            try await onNetwork(.sockets) { loop in
                // Nothing leads there: an address for documentation, from the loopback interface.
                let scan = Scan("255.255.255.255", 10, .seconds(30), on: loop, { _ in })
                let error = await failure { try await scan.run(over: 1...100) }
                let group = try #require(error as? TaskGroupError)
                #expect(group.errors.allSatisfy { $0 is SystemError } && group.errors.count <= 10, "\(group)")
            }
        }

        @Test func `an unusable range is refused, and as a program it says what it has found`() async throws {
            let examples = try #require(ForeignProgram.product("examples"))
            let listener = Raw.tcpSocket(bound: true, listening: true)
            defer { Raw.close(listener) }
            let port = "\(Raw.port(of: listener))"
            let end = try ForeignProgram([examples, "port-scanner", "--from", port, "--to", port]).finish()
            #expect(end.status == 0 && end.errors == "")
            #expect(end.output == "port \(port) is open\n1 of 1 ports of 127.0.0.1 are open\n")
            for bad in [["--from", "0"], ["--to", "65536"], ["--from", "9", "--to", "8"], ["--at-once", "0"]] {
                #expect(try ForeignProgram([examples, "port-scanner"] + bad).finish().status == 64)
            }
        }

        // MARK: Datagrams

        @Test(.needs("python3"))
        func `every datagram is sent back, also to many at once, and to who has gone`() async throws {
            let examples = try #require(ForeignProgram.product("examples"))
            let server = try ForeignProgram([examples, "udp-echo", "--port", "0"])
            let line = server.readLine()
            #expect(line.hasPrefix("listening on UDP 127.0.0.1:"), "\(line)")
            let client = try ForeignProgram.python(
                """
                import asyncio, socket, sys
                address = ("127.0.0.1", int(sys.argv[1]))
                for _ in range(20):
                    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone: gone.sendto(b"gone", address)
                class Client(asyncio.DatagramProtocol):
                    def __init__(self): self.queue = asyncio.Queue()
                    def datagram_received(self, data, sender): self.queue.put_nowait(data)
                async def talk(number):
                    loop = asyncio.get_running_loop()
                    transport, client = await loop.create_datagram_endpoint(Client, remote_addr=address)
                    for round in range(10):
                        transport.sendto(b"%d %d" % (number, round))
                        assert await asyncio.wait_for(client.queue.get(), 30) == b"%d %d" % (number, round)
                    transport.close()
                async def main(): await asyncio.gather(*[talk(number) for number in range(20)])
                asyncio.run(main())
                """,
                "\(line.split(separator: ":").last ?? "")"
            )
            let (status, _, errors) = client.finish()
            #expect(status == 0, "\(errors)")
            server.send(SIGINT)
            let end = server.finish()
            #expect(end.output == "" && end.errors == "" && end.status == 128 + SIGINT, "\(end)")
        }

        @Test(arguments: Driver.roomy)
        func `it ends when its socket is closed, or its task is cancelled`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                for isCancelled in [false, true] {
                    let socket = try await UDPSocket.bind(host: "127.0.0.1", port: 0)
                    let answering = spawn { try await UDPEcho.answer(socket, { _ in }) }
                    let port = Int(try #require(socket.localAddress).port)
                    try await UDPSocket.withSocket(connectedTo: "127.0.0.1", port: port) { client in
                        try await client.send("there?")
                        #expect(try await client.receive().bytes == "there?")
                    }
                    if isCancelled { answering.cancel() } else { try await socket.close() }
                    #expect(await ending { try await answering.value } == (isCancelled ? "CancellationError" : "ok"))
                    try await socket.close()
                }
            }
        }
    }
}
