// The example program where it does not speak TCP: on a Unix socket, whose file is there for as long as it runs, and
// with datagrams. The lines, the exit codes and the signals are the same ones.

import Foundation
import TestSupport
import Testing

@testable import Reactor

extension ReactorTests {
    @Suite(.needs(product: "echo-server"))
    struct EchoServerPlaceTests {
        // MARK: Unix sockets

        @Test(arguments: ["streams", "callbacks"], [SIGTERM, SIGINT])
        func `at a path it serves, and the file is gone at the end`(api: String, signal: CInt) throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            let server = try EchoServer("--unix", folder.file("echo"), "--api", api)
            #expect(server.address.unixPath == folder.file("echo"))
            #expect(folder.files == ["echo"])
            let clients = try talk(to: server.address, saying: ["hello\n", "", "you\n"])
            #expect(
                clients == [
                    ["made", "data hello\n", "eof", "lost"], ["made", "eof", "lost"],
                    ["made", "data you\n", "eof", "lost"],
                ]
            )
            let (status, output, errors) = server.end(by: signal)
            #expect(status == 0 && output == "")
            #expect(errors == "echo-server: 3 connections, 10 bytes received, 10 bytes sent\n")
            #expect(folder.files == [])
        }

        @Test(arguments: ["streams", "callbacks"])
        func `at its connection limit it serves one after the other, at a path too`(api: String) throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            let server = try EchoServer("--unix", folder.file("s"), "--max-connections", "2", "--api", api)
            let texts = (0..<20).map { "client \($0)" }
            #expect(try talk(to: server.address, saying: texts) == texts.map { ["made", "data \($0)", "eof", "lost"] })
            #expect(server.end().errors.contains(" 20 connections"))
        }

        @Test func `a socket that was left behind is replaced, and one that is killed leaves its own`() throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            let first = try EchoServer("--unix", folder.file("s"))
            #expect(first.end(by: SIGKILL).status == 128 + SIGKILL)
            #expect(folder.files == ["s"])
            let second = try EchoServer("--unix", folder.file("s"))
            #expect(try talk(to: second.address, saying: ["x"]) == [["made", "data x", "eof", "lost"]])
            #expect(second.end().status == 0)
            #expect(folder.files == [])
        }

        @Test(arguments: ["streams", "callbacks"])
        func `a path that cannot be had is exit code 1 and one line with the path and the reason`(api: String) throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            Raw.close(Raw.open(folder.file("file"), writing: true))
            let reasons = [
                folder.file("file"): "already in use", folder.file("none/s"): "no such file or directory",
                folder.file(String(repeating: "long", count: 40)): "bytes; the path of a Unix socket may have",
            ]
            for (path, reason) in reasons {
                let program = try ForeignProgram([EchoServer.path!, "--unix", path, "--api", api])
                let (status, output, errors) = program.finish()
                #expect(status == 1 && output == "")
                #expect(errors.contains(path) && errors.contains(reason), "\(errors)")
                #expect(errors.count { $0 == "\n" } == 1)
            }
            #expect(folder.files == ["file"])
        }

        // MARK: Datagrams

        @Test(
            .needs("python3"),
            arguments: ["streams", "callbacks"]
        )
        func `every datagram goes back to its sender, whatever its size`(api: String) throws {
            let server = try EchoServer("--udp", "--port", "0", "--api", api)
            let client = try ForeignProgram.python(
                """
                import os, socket, sys
                socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(5)]
                for sock in socks:
                    sock.settimeout(30)
                    sock.connect(("127.0.0.1", int(sys.argv[1])))
                for size in [0, 1, 2, 508, 1472, 1500, 9000, 65507]:
                    for sock in socks:
                        data = os.urandom(size)
                        sock.send(data)
                        assert sock.recv(70000) == data, size
                print("ok")
                """,
                "\(server.address.port)"
            )
            let (status, output, errors) = client.finish()
            #expect(status == 0 && output == "ok\n", "\(errors)")
            let end = server.end()
            let bytes = 5 * (1 + 2 + 508 + 1_472 + 1_500 + 9_000 + 65_507)
            #expect(end.status == 0 && end.output == "")
            #expect(end.errors == "echo-server: 40 datagrams, \(bytes) bytes received, \(bytes) bytes sent\n")
        }

        @Test(arguments: ["streams", "callbacks"])
        func `a sender that has gone does not keep the others from their answers`(api: String) throws {
            let server = try EchoServer("--udp", "--port", "0", "--api", api)
            let outcome = Recorder<String>()
            try perform(on: .system) { loop in
                // Each sends and closes at once: nobody is there for the answer, which the kernel then refuses.
                for _ in 0..<20 {
                    let gone = try loop.bindDatagram(to: .anyPort, DatagramProbe())
                    try gone.send("anybody?", to: server.address)
                    gone.close()
                }
                let client = DatagramProbe()
                client.onDatagram = { transport, datagram in
                    outcome.append(String(decoding: datagram.bytes, as: UTF8.self))
                    transport.close()
                    loop.stop()
                }
                try loop.connectDatagram(to: server.address, client).send("still there?")
                return {}
            }
            #expect(outcome.all == ["still there?"])
            let (status, _, errors) = server.end(by: SIGINT)
            #expect(status == 0 && errors == "echo-server: 21 datagrams, 172 bytes received, 172 bytes sent\n")
        }

        @Test(arguments: ["streams", "callbacks"])
        func `a port of datagrams that is in use is exit code 1 and one line`(api: String) throws {
            let server = try EchoServer("--udp", "--port", "0")
            let port = String(server.address.port)
            let (status, output, errors) = try ForeignProgram(
                [EchoServer.path!, "--udp", "--port", port, "--api", api]
            ).finish()
            #expect(status == 1 && output == "")
            #expect(errors.contains("127.0.0.1:\(port)") && errors.contains("already in use"))
            #expect(errors.count { $0 == "\n" } == 1)
            #expect(server.end().errors == "echo-server: 0 datagrams, 0 bytes received, 0 bytes sent\n")
        }
    }
}
