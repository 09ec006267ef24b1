// Terminals, as the two ends of a pseudo-terminal: one is the program's, the other the one who types.

import AsyncIO
import AsyncIOTesting
import Foundation
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct TerminalTests {
        @Test func `a line is read when it has ended, and what is written is shown`() async throws {
            try await onNetwork(.sockets) { loop in
                let (person, program) = Raw.terminalPair()
                let terminal = try await Terminal.open(descriptor: program)
                #expect(Raw.lineMode(of: program) == (true, true))
                let reading = spawn { try await terminal.connection.read() }
                Raw.write(person, "hello")
                await turns(3, on: loop)
                Raw.write(person, "\n")
                #expect(try await reading.value.map { String(decoding: $0, as: UTF8.self) } == "hello\n")
                #expect(Raw.read(person) == "hello\r\n")
                try await terminal.connection.write("you said hello\n")
                #expect(Raw.read(person) == "you said hello\r\n")
                try await terminal.close()
                #expect(Raw.isOpen(program) && !Raw.isNonBlocking(program))
                for each in [person, program] { Raw.close(each) }
            }
        }

        @Test func `in raw mode each key is read at once, and the mode is as before when it is closed`() async throws {
            try await onNetwork(.sockets) { loop in
                let (person, program) = Raw.terminalPair()
                let terminal = try await Terminal.open(descriptor: program)
                try await terminal.setMode(.raw)
                #expect(Raw.lineMode(of: program) == (false, false))
                Raw.write(person, "x")
                #expect(try await terminal.connection.text(1) == "x")
                // Control-C is a byte like others.
                Raw.write(person, "\u{3}")
                #expect(try await terminal.connection.text(1) == "\u{3}")
                try await terminal.setMode(.normal)
                #expect(Raw.lineMode(of: program) == (true, true))
                try await terminal.setMode(.io)
                #expect(Raw.lineMode(of: program) == (false, false))
                try await terminal.close()
                #expect(Raw.lineMode(of: program) == (true, true))
                #expect(await failure { try await terminal.setMode(.raw) } as? StreamError == .closed)
                for each in [person, program] { Raw.close(each) }
            }
        }

        @Test func `its size is what it is at the moment`() async throws {
            try await onNetwork(.sockets) { loop in
                let (person, program) = Raw.terminalPair()
                let terminal = try await Terminal.open(descriptor: program)
                #expect(try await terminal.size() == (80, 24))
                Raw.resize(person, columns: 132, rows: 50)
                #expect(try await terminal.size() == (132, 50))
                try await terminal.close()
                for each in [person, program] { Raw.close(each) }
            }
        }

        @Test func `a program's output goes through a terminal like any stream's`() async throws {
            let sent = String(repeating: "0123456789abcdef", count: 4_000)
            try await onNetwork(.sockets) { loop in
                let (person, program) = Raw.terminalPair()
                // The other end, which is a device like others, is a connection too.
                let watcher = try await TCPConnection.adopt(descriptor: person)
                let terminal = try await Terminal.open(descriptor: program)
                let writing = spawn { try await terminal.connection.write(sent) }
                #expect(try await watcher.text(sent.utf8.count) == sent)
                try await writing.value
                try await terminal.close()
                try await watcher.close()
                Raw.close(program)
            }
        }

        @Test func `what is no terminal is refused, and has no modes`() async throws {
            try await onNetwork(.sockets) { loop in
                let pipe = Raw.pipe()
                let refusal = await failure { try await Terminal.open(descriptor: pipe.reading) }
                #expect(refusal as? DescriptorError == .notATerminal)
                #expect(Raw.isOpen(pipe.reading))
                Raw.close(pipe.reading)
                Raw.close(pipe.writing)
            }
        }

        @Test func `standard input may be a terminal, which others go on sharing`() async throws {
            try await onNetwork(.sockets) { loop in
                let (person, program) = Raw.terminalPair()
                let input = try await StandardInput.open(descriptor: program)
                let output = try await StandardOutput.open(descriptor: program)
                #expect(!Raw.isNonBlocking(program))
                try await output.write("name? ")
                #expect(Raw.read(person) == "name? ")
                Raw.write(person, "me\n")
                #expect(try await input.read().map { String(decoding: $0, as: UTF8.self) } == "me\n")
                try await input.close()
                try await output.close()
                for each in [person, program] { Raw.close(each) }
            }
        }

        @Test(.needs("python3"))
        func `a terminal is as it was when the program has ended`() async throws {
            let fixture = try #require(ForeignProgram.product("run-fixture"))
            let script = """
                import os, pty, subprocess, sys, termios, fcntl, struct
                person, program = pty.openpty()
                fcntl.ioctl(program, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
                before = termios.tcgetattr(program)
                child = subprocess.Popen([sys.argv[1], "raw terminal"], stdin=program, stdout=subprocess.PIPE)
                shown = b""
                while b"key" not in shown: shown += os.read(person, 1000)
                assert b"99 x 33" in shown, shown
                assert termios.tcgetattr(program)[3] & (termios.ICANON | termios.ECHO) == 0
                os.write(person, b"q")
                shown = b""
                while b"]" not in shown: shown += os.read(person, 1000)
                assert b"[113]" in shown, shown
                assert child.wait() == 0
                after = termios.tcgetattr(program)
                assert after[:4] == before[:4], (before, after)
                print("ok")
                """
            let program = try ForeignProgram.python(script, fixture)
            let end = await Task.detached { program.finish() }.value
            #expect(end.status == 0 && end.output == "ok\n", "\(end.errors)")
        }
    }
}
