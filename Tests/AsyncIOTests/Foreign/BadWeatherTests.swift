// Bad weather on the side of the clients: slow ones, silent ones, too many at once, and those that never read, over TCP
// and Unix sockets. In all of it the server serves the rest, recovers, and says in figures what was.

import AsyncIO
import AsyncIOTesting
import Foundation
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite(.needs("python3"), .timeLimit(.minutes(Seeds.minutes(1))))
    struct BadWeatherTests {
        // MARK: Slow

        @Test(arguments: SocketKind.allCases)
        func `who sends a byte at a time gets each one back, and keeps nobody waiting`(place: SocketKind) async throws {
            let visit = try await visiting(
                place,
                """
                slow = [connect() for _ in range(20)]
                text = b"slow and steady"
                for number in range(len(text)):
                    for sock in slow: sock.sendall(text[number:number + 1])
                    served()
                    for sock in slow: assert receive(sock, 1) == text[number:number + 1]
                for sock in slow:
                    sock.shutdown(socket.SHUT_WR)
                    assert rest(sock) == b""
                """
            )
            #expect(visit.statistics.accepted == 20 + 15 && visit.statistics.failedAccepts == 0)
            #expect(visit.errors == [])
        }

        @Test(arguments: SocketKind.allCases)
        func `a line that comes byte by byte is one line, and one that never ends is refused`(place: SocketKind)
            async throws
        {
            let lines = Recorder<String>()
            let visit = try await visiting(
                place,
                """
                slow = connect()
                for byte in "erst gr\u{FC}ßen, dann fragen\\r\\nzwei".encode():
                    slow.sendall(bytes([byte]))
                    time.sleep(0.001)
                endless = connect()
                try:
                    while True: endless.sendall(b"x" * 10_000)
                except OSError:
                    pass
                slow.sendall(b"\\n")
                slow.shutdown(socket.SHUT_WR)
                assert rest(slow) == b""
                """
            ) { loop, connection in
                while let line = try await connection.reader.readLine() {
                    lines.append(String(decoding: line.withoutLineEnd, as: UTF8.self))
                }
            }
            #expect(lines.all == ["erst gr\u{FC}ßen, dann fragen", "zwei"])
            #expect(visit.statistics.accepted == 2 && visit.errors == ["StreamError"])
        }

        @Test(arguments: SocketKind.allCases)
        func `who never reads is waited for alone, costs little, and loses nothing`(place: SocketKind) async throws {
            var options = ServerOptions()
            options.countsBytes = true
            let visit = try await visiting(
                place,
                options: options,
                """
                stuck, sent = [connect() for _ in range(4)], []
                for sock in stuck:
                    count = 0
                    sock.setblocking(False)
                    # Full, and full for good: the server neither reads nor writes any more.
                    while select.select([], [sock], [], 0.1)[1]: count += sock.send(b"z" * 65536)
                    sent.append(count)
                    served()
                pause("stuck")
                for sock in stuck[:2]: reset(sock)
                for sock, count in list(zip(stuck, sent))[2:]:
                    sock.settimeout(30)
                    sock.shutdown(socket.SHUT_WR)
                    assert rest(sock) == b"z" * count
                served()
                """,
                meanwhile: { server, client, loop in
                    try await client.whenPaused(at: "stuck") {
                        while await server.connectionCount > 4 { await yield() }
                        let statistics = await server.statistics
                        #expect(statistics.active == 4 && statistics.accepted == 8, "\(statistics)")
                        // Of each no more than a read or two have brought.
                        let kept = statistics.bytesReceived - statistics.bytesSent
                        #expect(kept > 0 && kept <= 4 * 131_072, "\(kept)")
                    }
                }
            )
            #expect(visit.statistics.accepted == 9 && visit.statistics.expired == 0)
            #expect(
                visit.errors.count == 2 && Set(visit.errors).isSubset(of: ["ECONNRESET", "EPIPE"]),
                "\(visit.errors)"
            )
        }

        // MARK: Silent

        @Test(arguments: SocketKind.allCases)
        func `who says nothing is put out, and gives its place to who waits`(place: SocketKind) async throws {
            var options = ServerOptions()
            options.listener.maxConnections = 4
            options.firstByteTimeout = .milliseconds(50)
            let visit = try await visiting(
                place,
                options: options,
                """
                silent = [connect() for _ in range(10)]
                served()
                for sock in silent: assert sock.recv(1) == b""
                """
            )
            #expect(visit.statistics.accepted == 11 && visit.statistics.expired == 10, "\(visit.statistics)")
            #expect(visit.statistics.pauses > 0 && visit.statistics.failedAccepts == 0)
            #expect(visit.errors == Array(repeating: "timedOut", count: 10))
        }

        // MARK: Too many

        @Test(arguments: SocketKind.allCases)
        func `a flood beyond the limit waits in the kernel, and everybody is served in the end`(
            place: SocketKind
        ) async throws {
            var options = ServerOptions()
            options.listener.maxConnections = 8
            let peak = Peak()
            let visit = try await visiting(
                place,
                options: options,
                """
                socks = {connect(): b"%03d" % number for number in range(100)}
                for sock, text in socks.items(): sock.sendall(text)
                pause("flooded")
                while socks:
                    ready = select.select(list(socks), [], [], 30)[0]
                    assert ready, len(socks)
                    for sock in ready:
                        text = socks.pop(sock)
                        assert receive(sock, 3) == text
                        sock.close()
                served()
                """
            ) { loop, connection in
                peak.up()
                defer { peak.down() }
                try await echo(loop, connection)
            } meanwhile: { server, client, loop in
                try await client.whenPaused(at: "flooded") {
                    while await server.connectionCount < 8 { await yield() }
                    await turns(20, on: loop)
                    let statistics = await server.statistics
                    #expect(statistics.active == 8 && statistics.accepted == 8, "\(statistics)")
                    #expect(statistics.isPaused && statistics.pauses >= 1, "\(statistics)")
                }
            }
            #expect(visit.statistics.accepted == 101 && visit.statistics.failedAccepts == 0, "\(visit.statistics)")
            #expect(peak.most == 8 && !visit.statistics.isPaused)
            #expect(visit.errors.allSatisfy { ["ECONNRESET", "EPIPE"].contains($0) }, "\(visit.errors)")
        }

        @Test(arguments: SocketKind.allCases, [false, true])
        func `when descriptors run out clients wait, and are served as there are some again`(
            place: SocketKind,
            recovers: Bool
        ) async {
            await #expect(processExitsWith: .success) { [place, recovers] in
                exitIfStuck()
                let issues = Recorder<LoopIssue>()
                let visit = try await visiting(
                    place,
                    collecting: issues,
                    """
                    pause("alone")
                    socks = {connect(): b"%03d" % number for number in range(30)}
                    for sock, text in socks.items(): sock.sendall(text)
                    pause("flooded")
                    while socks:
                        ready = select.select(list(socks), [], [], 30)[0]
                        assert ready, len(socks)
                        for sock in ready:
                            text = socks.pop(sock)
                            assert receive(sock, 3) == text
                            sock.close()
                    served()
                    """,
                    meanwhile: { server, client, loop in
                        let limit = Recorder<UInt>()
                        try await client.whenPaused(at: "alone") {
                            limit.append(limitDescriptors(to: UInt(openDescriptors() + 10)))
                        }
                        try await client.whenPaused(at: "flooded") {
                            while await server.statistics.failedAccepts < 3 { await yield() }
                            let statistics = await server.statistics
                            #expect((5...15).contains(statistics.active), "\(statistics)")
                            #expect(statistics.accepted == UInt64(statistics.active))
                            // Either there are some again, or there are those of the clients that leave.
                            if recovers { limitDescriptors(to: limit.all[0]) }
                        }
                    }
                )
                #expect(visit.statistics.accepted == 31 && visit.statistics.failedAccepts >= 3, "\(visit.statistics)")
                #expect(visit.errors.allSatisfy { ["ECONNRESET", "EPIPE"].contains($0) }, "\(visit.errors)")
                let failures = issues.all.filter { if case .acceptFailed = $0.kind { true } else { false } }
                #expect(failures.count == issues.all.count && issues.count >= 3, "\(issues.all)")
            }
        }

        // MARK: Datagrams

        @Test func `a flood of datagrams that nobody receives is dropped, and then the rest are answered`() async throws
        {
            try await onNetwork(.sockets) { loop in
                var options = DatagramOptions()
                options.receiveBufferSize = 20_000
                let socket = try await UDPSocket.bind(host: "127.0.0.1", port: 0, options: options)
                let port = try #require(socket.localAddress).port
                let flood = try ForeignProgram.python(
                    """
                    import socket, sys
                    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                        for number in range(5_000): sock.sendto(b"f" * 1_000, ("127.0.0.1", int(sys.argv[1])))
                    """,
                    "\(port)"
                )
                #expect(try await offload { flood.finish().status } == 0)
                let client = try await UDPSocket.connect(host: "127.0.0.1", port: Int(port))
                var left = 0
                // What the kernel has kept, and then what it has room for again.
                while true {
                    try await client.send("question")
                    let datagram = try await socket.receive()
                    if datagram.bytes == "question" {
                        try await socket.send("answer", to: datagram.address)
                        break
                    }
                    left += 1
                }
                #expect(try await client.receive().bytes == "answer")
                #expect((1..<1_000).contains(left), "\(left)")
                try await client.close()
                try await socket.close()
            }
        }
    }
}
