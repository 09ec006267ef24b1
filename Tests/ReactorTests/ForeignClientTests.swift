// Clients that share no code with this package, against a server on a loop of this process: what they send comes back
// byte for byte, and how they end is understood.

import Foundation
import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct ForeignClientTests {
        @Test(.enabled(if: ChildProcess.find("python3") != nil, "python3 is not installed"))
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

        @Test(.enabled(if: ChildProcess.find("python3") != nil, "python3 is not installed"))
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

        @Test(.enabled(if: ChildProcess.find("nc") != nil, "nc is not installed"))
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
                let path = try #require(ChildProcess.find(command[0]))
                let client = try ChildProcess([path] + command[1...] + ["\(listener.localAddress.port)"])
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

/// A program that runs beside the tests, with pipes for what it prints. (Foundation's `Process` closes descriptors of
/// its own some time after the end, which other tests would count.)
struct ChildProcess: Sendable {
    private let pid: pid_t
    private let output: CInt
    private let errors: CInt

    init(_ command: [String]) throws {
        var outputPipe: [CInt] = [-1, -1]
        var errorPipe: [CInt] = [-1, -1]
        unsafe pipe(&outputPipe)
        unsafe pipe(&errorPipe)
        for descriptor in outputPipe + errorPipe { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_adddup2(&actions, outputPipe[1], 1)
        unsafe posix_spawn_file_actions_adddup2(&actions, errorPipe[1], 2)
        // Tests run on threads that block signals, which a program would inherit.
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        var noSignals = sigset_t()
        unsafe sigemptyset(&noSignals)
        unsafe posix_spawnattr_setsigmask(&attributes, &noSignals)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var arguments = unsafe command.map { unsafe strdup($0) } + [nil]
        defer { unsafe arguments.forEach { unsafe free($0) } }
        var pid: pid_t = 0
        let status = unsafe posix_spawn(&pid, command[0], &actions, &attributes, &arguments, environ)
        close(outputPipe[1])
        close(errorPipe[1])
        guard status == 0 else {
            close(outputPipe[0])
            close(errorPipe[0])
            throw SystemError(SystemError.Code(rawValue: -status), call: "posix_spawn(\(command[0]))")
        }
        (self.pid, output, errors) = (pid, outputPipe[0], errorPipe[0])
    }

    func send(_ signal: CInt) { kill(pid, signal) }

    /// Waits for a line on its standard output, or for the end of it.
    func readLine() -> String {
        var line: [UInt8] = []
        var byte: UInt8 = 0
        while unsafe read(output, &byte, 1) == 1, byte != UInt8(ascii: "\n") { line.append(byte) }
        return String(decoding: line, as: UTF8.self)
    }

    /// Waits for its end: the exit code, or 128 + the signal's number, and what it printed.
    func finish() -> (status: CInt, output: String, errors: String) {
        let printed = (Self.readAll(output), Self.readAll(errors))
        var status: CInt = 0
        while unsafe waitpid(pid, &status, 0) < 0 && errno == EINTR {}
        let code = status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
        return (code, printed.0, printed.1)
    }

    /// How many descriptors it has open; 0 where the system does not say.
    var descriptorCount: Int { (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").count) ?? 0 }

    private static func readAll(_ descriptor: CInt) -> String {
        defer { close(descriptor) }
        return String(
            decoding: (try? FileHandle(fileDescriptor: descriptor, closeOnDealloc: false).readToEnd()) ?? Data(),
            as: UTF8.self
        )
    }

    /// A program on the search path.
    static func find(_ name: String) -> String? {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        return path.split(separator: ":").map { "\($0)/\(name)" }.first(where: FileManager.default.isExecutableFile)
    }
}
