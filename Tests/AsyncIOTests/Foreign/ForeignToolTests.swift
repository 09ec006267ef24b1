// nc and socat at the other end, as clients and as servers, over TCP, Unix sockets and UDP: what people try a program with.

import AsyncIO
import AsyncIOTesting
import Foundation
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct ForeignToolTests {
        // MARK: As clients

        @Test(.needs("python3", "socat"), arguments: SocketKind.allCases)
        func `socat sends a megabyte and gets every byte back`(place: SocketKind) async throws {
            let visit = try await visiting(
                place,
                """
                import subprocess
                address = ("UNIX-CONNECT:" if sys.argv[1].startswith("/") else "TCP:127.0.0.1:") + sys.argv[1]
                sent = os.urandom(1_000_000)
                # -t: how long to wait for the rest after one side has ended; it ends with the other side's end.
                outcome = subprocess.run(["socat", "-t", "30", "-", address], input=sent, stdout=subprocess.PIPE)
                assert outcome.returncode == 0 and outcome.stdout == sent, len(outcome.stdout)
                """
            )
            #expect(visit.statistics.accepted == 1 && visit.errors == [])
        }

        @Test(.needs("python3", "nc"), arguments: SocketKind.allCases)
        func `nc sends its lines, ends, and gets all of them back`(place: SocketKind) async throws {
            let visit = try await visiting(
                place,
                """
                import subprocess
                address = ["-U", sys.argv[1]] if sys.argv[1].startswith("/") else ["127.0.0.1", sys.argv[1]]
                sent = b"line\\n" * 20_000
                outcome = subprocess.run(["nc", "-N", *address], input=sent, stdout=subprocess.PIPE)
                assert outcome.returncode == 0 and outcome.stdout == sent, len(outcome.stdout)
                """
            ) { loop, connection in
                while let line = try await connection.reader.readLine() { try await connection.write(line) }
            }
            #expect(visit.statistics.accepted == 1 && visit.errors == [])
        }

        // MARK: As servers

        @Test(.needs("socat"))
        func `socat as a server over TCP`() async throws {
            try await asking("exec socat -d -d TCP-LISTEN:0,bind=127.0.0.1,fork EXEC:cat 2>&1") { line, loop in
                for _ in 0..<3 {
                    let back = try await TCPConnection.withConnection(
                        host: "127.0.0.1",
                        port: line.lastNumber,
                        halfClosing
                    )
                    #expect(back == noise(100_000))
                }
            }
        }

        @Test(.needs("socat"))
        func `socat as a server at a path`() async throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            try await asking("exec socat -d -d UNIX-LISTEN:\(folder.file("s")),fork EXEC:cat 2>&1") { _, loop in
                for _ in 0..<3 {
                    let back = try await UnixConnection.withConnection(path: folder.file("s"), halfClosing)
                    #expect(back == noise(100_000))
                }
            }
        }

        @Test(.needs("socat"))
        func `socat as a server of datagrams`() async throws {
            try await asking("exec socat -d -d UDP-LISTEN:0,bind=127.0.0.1 EXEC:cat 2>&1") { line, loop in
                try await UDPSocket.withSocket(connectedTo: "127.0.0.1", port: line.lastNumber) { socket in
                    for size in [1, 100, 1_400, 8_000] {
                        try await socket.send(Bytes(noise(size)))
                        #expect(Array(try await socket.receive().bytes) == noise(size))
                    }
                }
            }
        }

        @Test(.needs("nc"))
        func `nc as a server over TCP and at a path`() async throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            let overTCP = try await asking("printf 'from nc\\n' | nc -lvN 127.0.0.1 0 2>&1", endsByItself: true) {
                line,
                loop in
                try await TCPConnection.withConnection(host: "127.0.0.1", port: line.lastNumber, talk)
            }
            #expect(overTCP.status == 0 && overTCP.output.contains("to nc\n"), "\(overTCP)")
            let atPath = try await asking(
                "printf 'from nc\\n' | nc -lvNU \(folder.file("s")) 2>&1",
                endsByItself: true
            ) { line, loop in
                try await UnixConnection.withConnection(path: folder.file("s"), talk)
            }
            #expect(atPath.status == 0 && atPath.output.contains("to nc\n"), "\(atPath)")
        }

        @Test(.needs("nc"))
        func `nc as a server of datagrams`() async throws {
            // It answers the first who sends, with its input.
            let command = "exec nc -luv 127.0.0.1 0 2>&1 <<END\nfrom nc\nEND\n"
            try await asking(command, whose: { $0.contains("ound on") }) { line, loop in
                try await UDPSocket.withSocket(connectedTo: "127.0.0.1", port: line.lastNumber) { socket in
                    try await socket.send("to nc\n")
                    #expect(try await socket.receive().bytes == "from nc\n")
                }
            }
        }
    }
}

/// Sends, ends, and reads all that comes back.
private func halfClosing(_ connection: TCPConnection) async throws -> [UInt8] {
    try await connection.write(Bytes(noise(100_000)))
    try await connection.writeEOF()
    return try await connection.readAll()
}

/// Hears the other end out, and answers.
private func talk(_ connection: TCPConnection) async throws {
    #expect(try await connection.reader.readTextLine() == "from nc")
    #expect(try await connection.read() == nil)
    try await connection.write("to nc\n")
}
