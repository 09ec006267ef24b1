// Standard input and output, whatever they are: files and devices that nothing can wait for, pipes, sockets and
// terminals. The descriptors are others' as well: they stay open and go on blocking.

import AsyncIO
import AsyncIOTesting
import Foundation
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct StandardStreamTests {
        @Test func `a pipe is read while it goes on blocking for others, and stays open`() async throws {
            try await onNetwork(.sockets) { loop in
                let pipe = Raw.pipe()
                let input = try await StandardInput.open(descriptor: pipe.reading)
                let reading = spawn { try await input.read() }
                await turns(3, on: loop)
                #expect(!Raw.isNonBlocking(pipe.reading))
                Raw.write(pipe.writing, "hello")
                #expect(try await reading.value.map { String(decoding: $0, as: UTF8.self) } == "hello")
                try await input.close()
                #expect(await failure { try await input.read() } as? StreamError == .closed)
                // What comes after the close is for others.
                Raw.write(pipe.writing, "rest")
                #expect(Raw.read(pipe.reading) == "rest" && !Raw.isNonBlocking(pipe.reading))
                Raw.close(pipe.writing)
                Raw.close(pipe.reading)
            }
        }

        @Test func `the end of a pipe's writers is the end of the input`() async throws {
            try await onNetwork(.sockets) { loop in
                let pipe = Raw.pipe()
                Raw.write(pipe.writing, "all of it")
                let before = try await StandardInput.open(descriptor: pipe.reading)
                Raw.close(pipe.writing)
                #expect(try await text(before) == "all of it")
                try await before.close()
                // Also if they had gone before.
                let after = try await StandardInput.open(descriptor: pipe.reading)
                #expect(try await text(after) == "")
                try await after.close()
                Raw.close(pipe.reading)
            }
        }

        @Test func `a FIFO with a name ends too, and blocks again when it is closed`() async throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            Raw.makeFIFO(folder.file("fifo"))
            try await onNetwork(.sockets) { loop in
                let keeper = Raw.open(folder.file("fifo"), readingToo: true)
                let reading = Raw.open(folder.file("fifo"))
                Raw.write(keeper, "hello")
                Raw.close(keeper)
                let input = try await StandardInput.open(descriptor: reading)
                #expect(try await text(input) == "hello")
                try await input.close()
                #expect(!Raw.isNonBlocking(reading) && Raw.isOpen(reading))
                Raw.close(reading)
            }
        }

        @Test func `a socket blocks again when it is closed`() async throws {
            try await onNetwork(.sockets) { loop in
                let (ours, theirs) = Raw.socketPair()
                let input = try await StandardInput.open(descriptor: ours)
                let output = try await StandardOutput.open(descriptor: theirs)
                #expect(Raw.isNonBlocking(ours))
                try await output.write("hello")
                #expect(try await input.read().map { String(decoding: $0, as: UTF8.self) } == "hello")
                try await input.close()
                try await output.close()
                #expect(!Raw.isNonBlocking(ours) && !Raw.isNonBlocking(theirs))
                Raw.write(theirs, "still open")
                #expect(Raw.read(ours) == "still open")
                Raw.close(ours)
                Raw.close(theirs)
            }
        }

        @Test func `a file is read to its end and written from its position`() async throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            let sent = noise(300_000)
            _ = FileManager.default.createFile(atPath: folder.file("in"), contents: Data(sent))
            try await onNetwork(.sockets) { loop in
                let (reading, writing) = (Raw.open(folder.file("in")), Raw.open(folder.file("out"), writing: true))
                let input = try await StandardInput.open(descriptor: reading)
                let output = try await StandardOutput.open(descriptor: writing)
                for try await bytes in input { try await output.write(bytes) }
                #expect(try await input.read() == nil)
                try await input.close()
                try await output.write("the end")
                try await output.close()
                #expect(await failure { try await output.write("late") } as? StreamError == .closed)
                #expect(await failure { try await input.read() } as? StreamError == .closed)
                Raw.close(reading)
                Raw.close(writing)
            }
            let copy = FileManager.default.contents(atPath: folder.file("out")).map(Array.init)
            #expect(copy == sent + Array("the end".utf8))
        }

        @Test func `the null device is empty and takes everything`() async throws {
            try await onNetwork(.sockets) { loop in
                let null = Raw.open("/dev/null", readingToo: true)
                let input = try await StandardInput.open(descriptor: null)
                let output = try await StandardOutput.open(descriptor: null)
                try await output.write("anything")
                #expect(try await input.read() == nil)
                try await output.close()
                Raw.close(null)
            }
        }

        @Test func `a read of a file that is cancelled loses nothing, and one at a time reads`() async throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            let sent = noise(200_000)
            _ = FileManager.default.createFile(atPath: folder.file("in"), contents: Data(sent))
            try await onNetwork(.sockets) { loop in
                let descriptor = Raw.open(folder.file("in"))
                let input = try await StandardInput.open(descriptor: descriptor)
                let reading = spawn(eager: true) { try await input.read() }
                #expect(await failure { try await input.read() } as? StreamError == .busyReader)
                reading.cancel()
                // Unless it was there already.
                let first = try? await reading.value
                var received = first.map { Array($0) } ?? []
                for try await bytes in input { received += Array(bytes) }
                #expect(received == sent)
                Raw.close(descriptor)
            }
        }

        @Test func `writes to a file by several tasks stay together and in order`() async throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            try await onNetwork(.sockets) { loop in
                let descriptor = Raw.open(folder.file("out"), writing: true)
                let output = try await StandardOutput.open(descriptor: descriptor)
                let writers = spawnEach(20, on: loop, eager: true) { number in
                    try await output.write("line \(number)\n")
                }
                for writer in writers { try await writer.value }
                try await output.close()
                Raw.close(descriptor)
            }
            let text = FileManager.default.contents(atPath: folder.file("out")).map {
                String(decoding: $0, as: UTF8.self)
            }
            #expect(text == (0..<20).map { "line \($0)\n" }.joined())
        }

        @Test func `a write to a file outlives the deadline of who began it, in its place`() async throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            try await onNetwork(.sockets) { loop in
                let descriptor = Raw.open(folder.file("out"), writing: true)
                let output = try await StandardOutput.open(descriptor: descriptor)
                let gate = Gate()
                let busy = try await keepPoolBusy(gate, on: loop)
                let error = await failure {
                    try await withDeadline(loop.now.advanced(by: .milliseconds(1))) { _ in
                        try await output.write("first\n")
                    }
                }
                #expect(error is DeadlineError)
                let second = spawn { try await output.write("second\n") }
                await turns(5, on: loop)
                gate.open(times: busy.count)
                try await second.value
                try await output.close()
                for task in busy { try await task.value }
                Raw.close(descriptor)
            }
            let text = FileManager.default.contents(atPath: folder.file("out")).map {
                String(decoding: $0, as: UTF8.self)
            }
            #expect(text == "first\nsecond\n")
        }

        @Test func `a read of a file outlives the deadline of who began it, and the next gets its bytes`() async throws
        {
            let folder = ScratchFolder()
            defer { folder.remove() }
            let sent = noise(200_000)
            _ = FileManager.default.createFile(atPath: folder.file("in"), contents: Data(sent))
            try await onNetwork(.sockets) { loop in
                let descriptor = Raw.open(folder.file("in"))
                let input = try await StandardInput.open(descriptor: descriptor)
                let gate = Gate()
                let busy = try await keepPoolBusy(gate, on: loop)
                let error = await failure {
                    try await withDeadline(loop.now.advanced(by: .milliseconds(1))) { _ in try await input.read() }
                }
                #expect(error is DeadlineError)
                gate.open(times: busy.count)
                var received: [UInt8] = []
                for try await bytes in input { received += Array(bytes) }
                #expect(received == sent)
                for task in busy { try await task.value }
                Raw.close(descriptor)
            }
        }

        /// Keeps all threads of the pool, so that work waits for as long as the gate is closed.
        private func keepPoolBusy(_ gate: Gate, on loop: isolated EventLoop) async throws -> [LoopTask<Void>] {
            let tasks = spawnEach(OffloadPool.shared.threadLimit, on: loop) { _ in
                try await AsyncIO.offload { _ = gate.pass() }
            }
            await turns(3, on: loop)
            return tasks
        }

        @Test func `what cannot be read or written is an error`() async throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            try await onNetwork(.sockets) { loop in
                #expect(await failure { try await StandardInput.open(descriptor: 9_999) }.map(brief) == "EBADF")
                let directory = Raw.open(folder.path)
                let input = try await StandardInput.open(descriptor: directory)
                #expect(await failure { try await input.read() }.map(brief) == "EISDIR")
                Raw.close(directory)
                let pipe = Raw.pipe()
                let output = try await StandardOutput.open(descriptor: pipe.writing)
                Raw.close(pipe.reading)
                await turns(10, on: loop)
                #expect(await failure { try await output.write("nobody reads") }.map(brief) == "EPIPE")
                Raw.close(pipe.writing)
            }
        }

        private func text(_ input: StandardInput) async throws -> String {
            var received: [UInt8] = []
            for try await bytes in input { received += Array(bytes) }
            return String(decoding: received, as: UTF8.self)
        }

        // MARK: As the shell makes them

        @Test(arguments: [
            #""$0" copy < "$1""#, #"cat "$1" | "$0" copy"#, #"cat "$1" | "$0" copy | cat"#,
            #""$0" copy < "$1" > "$2"; cat "$2""#,
        ])
        func `a program copies its input to its output however it is called`(command: String) async throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            let sent = String(repeating: "all that there is\n", count: 20_000)
            _ = FileManager.default.createFile(atPath: folder.file("in"), contents: Data(sent.utf8))
            let fixture = try #require(ForeignProgram.product("run-fixture"))
            let program = try ForeignProgram(["sh", "-c", command, fixture, folder.file("in"), folder.file("out")])
            let end = await Task.detached { program.finish() }.value
            #expect(end.status == 0 && end.errors == "", "\(end.errors)")
            #expect(end.output == sent + "end\n")
        }

        @Test func `a program that reads a little leaves standard error and its input as they were`() async throws {
            let fixture = try #require(ForeignProgram.product("run-fixture"))
            let program = try ForeignProgram(["sh", "-c", "echo hello world | '\(fixture)' 'first bytes'"])
            let end = await Task.detached { program.finish() }.value
            #expect(end.output == "first hello\nend\n")
            #expect(end.errors == "to standard error\n")
        }
    }
}
