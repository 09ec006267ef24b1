// Clients that share no code with this package, against a server on a loop of this process: what they send comes back
// byte for byte, and how they end is understood.

import Foundation
import TestSupport
import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct ForeignClientTests {
        @Test(.needs("python3"))
        func `Python's asyncio sends megabytes in odd pieces and gets every byte back`() throws {
            let script = """
                import asyncio, random, sys
                async def main(port, number):
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
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
                async def all(port):
                    await asyncio.gather(*[main(port, number) for number in range(8)])
                asyncio.run(all(int(sys.argv[1])))
                print("ok")
                """
            let outcome = try serve(["python3", "-c", script])
            #expect(outcome.status == 0 && outcome.output == "ok\n", "\(outcome.errors)")
            #expect(outcome.lost == Array(repeating: "lost", count: 8))
            #expect(outcome.received == (0..<8).reduce(0) { $0 + 1_000_000 + $1 })
        }

        @Test(.needs("python3"))
        func `Python clients that reset, vanish, and close with bytes unread harm nobody`() throws {
            let script = """
                import socket, struct, sys
                def connect():
                    return socket.create_connection(("127.0.0.1", int(sys.argv[1])))
                for number in range(30):
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
            let outcome = try serve(["python3", "-c", script])
            #expect(outcome.status == 0 && outcome.output == "ok\n", "\(outcome.errors)")
            #expect(outcome.lost.count == 31)
            #expect(outcome.lost.allSatisfy { ["lost", "lost ECONNRESET", "lost EPIPE"].contains($0) })
            #expect(outcome.lost.last == "lost")
        }

        @Test(.needs("nc"))
        func `nc gets its line back and ends`() throws {
            let outcome = try serve(["sh", "-c", "printf 'hello\\n' | nc -N 127.0.0.1 $0"])
            #expect(outcome.status == 0 && outcome.output == "hello\n", "\(outcome.errors)")
            #expect(outcome.lost == ["lost"] && outcome.received == 6)
        }

        /// What became of the client, and of its connections.
        struct Outcome: Sendable {
            var status: CInt = -1
            var output = ""
            var errors = ""
            var lost: [String] = []
            var received = 0
        }

        /// Runs an echo server on a loop for as long as the command runs, whose last argument is the port.
        private func serve(_ command: [String]) throws -> Outcome {
            let lost = Recorder<String>()
            let received = Recorder<Int>()
            let finished = Recorder<(status: CInt, output: String, errors: String)>()
            try perform(on: .system) { loop in
                var options = ListenerOptions()
                options.connection.writeHighWaterMark = 20_000
                let listener = try loop.listen(on: .anyPort, options: options) {
                    let echo = Probe()
                    echo.onData = { transport, bytes in transport.write(bytes) }
                    echo.onPause = { $0.pauseReading() }
                    echo.onResume = { $0.resumeReading() }
                    echo.whenOver = {
                        lost.append(echo.story.last!)
                        received.append(echo.received.count)
                    }
                    return echo
                }
                let path = try #require(ForeignProgram.find(command[0]))
                let client = try ForeignProgram([path] + command[1...] + ["\(listener.localAddress.port)"])
                // SAFETY: the thread only passes it on, and it is used on the loop.
                nonisolated(unsafe) let unsafeListener = listener
                Thread.detachNewThread {
                    finished.append(client.finish())
                    // Its connections end with the client; the last of them may still be on its way.
                    _ = try? loop.submit { loop in
                        unsafe unsafeListener.drain(within: .seconds(10)) { loop.stop() }
                    }
                }
                return {}
            }
            let end = try #require(finished.all.first)
            return Outcome(
                status: end.status,
                output: end.output,
                errors: end.errors,
                lost: lost.all,
                received: received.all.reduce(0, +)
            )
        }
    }
}
