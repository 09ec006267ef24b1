// Behaviours 100 and 121 of asyncio for tasks: descriptors that the program brings along, pipes, and connections that
// are given away. Whoever gets an error still owns the descriptor; nobody closes one that is another's by now.

import AsyncIO
import AsyncIOTesting
import Foundation
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct AdoptedConnectionTests {
        @Test func `a connected socket becomes a connection`() async throws {
            try await onNetwork(.sockets) { loop in
                let (ours, theirs) = Raw.socketPair()
                let connection = try await TCPConnection.adopt(descriptor: ours)
                #expect(try await connection.withUnsafeFileDescriptor { $0 } == ours)
                try await connection.write("hello")
                #expect(Raw.read(theirs) == "hello")
                Raw.write(theirs, "world")
                Raw.close(theirs)
                #expect(try await connection.readAll() == Array("world".utf8))
                try await connection.close()
                let closed = await failure { try await connection.withUnsafeFileDescriptor { $0 } }
                #expect(closed as? StreamError == .closed)
            }
        }

        @Test func `adopting by a task that is cancelled leaves the descriptor to its owner`() async throws {
            try await onNetwork(.sockets) { loop in
                let (ours, theirs) = Raw.socketPair()
                let task = spawn {
                    cancelThisTask()
                    _ = try await TCPConnection.adopt(descriptor: ours)
                }
                #expect(await isCancelled { try await task.value })
                // Behaviour 100: the number is used again, and nothing of before closes or reads it.
                let (next, other) = Raw.socketPair()
                Raw.duplicate(next, as: ours)
                await turns(10, on: loop)
                Raw.write(other, "mine")
                #expect(Raw.read(ours) == "mine")
                for each in [ours, next, other, theirs] { Raw.close(each) }
            }
        }

        @Test func `what is no stream is refused and stays the caller's`() async throws {
            let (datagrams, other) = Raw.socketPair(ofDatagrams: true)
            defer { for each in [datagrams, other] { Raw.close(each) } }
            try await onNetwork(.sockets) { _ in
                let refusal = await failure { try await TCPConnection.adopt(descriptor: datagrams) }
                #expect(refusal as? DescriptorError == .notAStreamSocket)
                let server = await failure { try await TCPServer.listen(adopting: datagrams) }
                #expect(server as? DescriptorError == .notAStreamSocket)
                #expect(Raw.isOpen(datagrams) && !Raw.isNonBlocking(datagrams))
            }
        }

        @Test func `a server serves on a socket that the program was started with`() async throws {
            try await onNetwork(.sockets) { loop in
                let socket = Raw.tcpSocket(bound: true, listening: true)
                let server = try await TCPServer.listen(adopting: socket)
                #expect(server.port == Raw.port(of: socket))
                let serving = spawn {
                    try await server.serve { connection in
                        for try await bytes in connection { try await connection.write(bytes) }
                    }
                }
                try await TCPConnection.withConnection(host: "127.0.0.1", port: server.port) { client in
                    try await client.write("hello")
                    #expect(try await client.text(5) == "hello")
                }
                server.close()
                try await serving.value
                #expect(!Raw.isOpen(socket))
            }
        }

        // MARK: Pipes

        @Test func `what is written to a pipe is read from it, and then its end`() async throws {
            try await onNetwork(.sockets) { loop in
                let (reader, writer) = try await TCPConnection.makePipe()
                let sent = noise(1 << 20)
                let writing = spawn {
                    try await writer.write(Bytes(sent))
                    try await writer.writeEOF()
                }
                #expect(try await reader.readAll() == sent)
                try await writing.value
                try await writer.close()
                try await reader.close()
            }
        }

        @Test func `each end of a pipe has one direction and says so`() async throws {
            try await onNetwork(.sockets) { _ in
                let (reader, writer) = try await TCPConnection.makePipe()
                let write = await failure { try await reader.write("no") }
                #expect(write as? StreamError == .notWritable)
                #expect(try await writer.read() == nil)
                #expect(reader.localAddress == nil && writer.remoteAddress == nil)
                try await writer.close()
                try await reader.close()
            }
        }

        @Test func `who waits for room in a pipe hears that nobody reads any more`() async throws {
            try await onNetwork(.sockets) { loop in
                let (reader, writer) = try await TCPConnection.makePipe()
                let writing = spawn { try await writer.write(Bytes(noise(1 << 20))) }
                await turns(5, on: loop)
                try await reader.close()
                #expect(await failure { try await writing.value }.map(brief) == "EPIPE")
                #expect(await failure { try await writer.write("more") }.map(brief) == "EPIPE")
                #expect(await failure { try await writer.close() }.map(brief) == "EPIPE")
            }
        }

        @Test func `a pipe that nobody reads from any more closes in order if nothing was lost`() async throws {
            try await onNetwork(.sockets) { loop in
                let (reader, writer) = try await TCPConnection.makePipe()
                try await writer.write("taken")
                #expect(try await reader.text(5) == "taken")
                try await reader.close()
                await turns(5, on: loop)
                #expect(await failure { try await writer.write("more") }.map(brief) == "EPIPE")
                try await writer.close()
                // Nor if the next write is what finds out.
                let (second, other) = try await TCPConnection.makePipe()
                Raw.close(try await second.detach().descriptor)
                await turns(1, on: loop)
                #expect(await failure { try await other.write("more") }.map(brief) == "EPIPE")
                try await other.close()
            }
        }

        @Test func `a reader of a pipe can be cancelled and loses nothing`() async throws {
            try await onNetwork(.sockets) { loop in
                let (reader, writer) = try await TCPConnection.makePipe()
                let reading = spawn { _ = try await reader.read() }
                await turns(3, on: loop)
                reading.cancel()
                #expect(await isCancelled { try await reading.value })
                try await writer.write("hello")
                #expect(try await reader.text(5) == "hello")
                writer.abort()
                #expect(try await reader.read() == nil)
            }
        }

        @Test func `a program's output is read through a FIFO`() async throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            let path = folder.file("fifo")
            Raw.makeFIFO(path)
            try await onNetwork(.sockets) { loop in
                let program = try ForeignProgram(["sh", "-c", "for n in 1 2 3; do echo line $n; done > '\(path)'"])
                // Opening waits for the other end.
                let reader = try await TCPConnection.adopt(descriptor: offload { Raw.open(path) })
                #expect(String(decoding: try await reader.readAll(), as: UTF8.self) == "line 1\nline 2\nline 3\n")
                try await reader.close()
                let end = try await offload { program.finish() }
                #expect(end.status == 0, "\(end.errors)")
            }
        }

        // MARK: Giving away

        @Test func `a connection is given away with what was read and by nobody taken`() async throws {
            try await onNetwork(.sockets) { loop in
                let (ours, theirs) = Raw.socketPair()
                let connection = try await TCPConnection.adopt(descriptor: ours)
                Raw.write(theirs, "first second")
                var room = [UInt8](repeating: 0, count: 6)
                var elements = room.mutableSpan
                // SAFETY: every pattern of bits is a byte.
                var span = unsafe elements.mutableBytes
                #expect(try await connection.read(into: &span) == 6)
                let (descriptor, unread) = try await connection.detach()
                #expect(unread.map { String(decoding: $0, as: UTF8.self) } == "second")
                #expect(await failure { try await connection.read() } as? StreamError == .closed)
                #expect(await failure { try await connection.detach() } as? StreamError == .closed)
                await turns(5, on: loop)
                #expect(!Raw.isOpen(ours) && Raw.isOpen(descriptor))
                Raw.write(theirs, "third")
                let again = try await TCPConnection.adopt(descriptor: descriptor)
                #expect(try await again.text(5) == "third")
                try await again.close()
                #expect(Raw.read(theirs) == "")
                Raw.close(theirs)
            }
        }

        @Test func `a connection that somebody reads from, or with bytes to send, is not given away`() async throws {
            try await onNetwork(.sockets) { loop in
                let (ours, theirs) = Raw.socketPair()
                let connection = try await TCPConnection.adopt(descriptor: ours)
                let reading = spawn { try await connection.read() }
                await turns(2, on: loop)
                #expect(await failure { try await connection.detach() } as? StreamError == .busyReader)
                reading.cancel()
                #expect(await isCancelled { try await reading.value })
                let writing = spawn { try await connection.write(Bytes(noise(4 << 20))) }
                await turns(2, on: loop)
                #expect(await failure { try await connection.detach() } as? StreamError == .unsentBytes)
                connection.abort()
                #expect(await failure { try await writing.value } != nil)
                Raw.close(theirs)
            }
        }

        @Test(arguments: [Driver.memory])
        func `in memory there is no descriptor`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    #expect(await failure { try await client.detach() } as? StreamError == .hasNoDescriptor)
                    try await client.write("still here")
                    #expect(try await accepted.text(10) == "still here")
                }
            }
        }

        @Test func `another thread can set and read options of a socket`() async throws {
            try await onNetwork(.sockets) { loop in
                try await withPair(on: loop) { _, client in
                    // SOL_SOCKET and SO_KEEPALIVE.
                    #if os(Linux)
                    let (level, name): (CInt, CInt) = (1, 9)
                    #else
                    let (level, name): (CInt, CInt) = (0xFFFF, 8)
                    #endif
                    let task = Task.detached {
                        let before = try await client.socketOption(level: level, name: name)
                        try await client.setSocketOption(level: level, name: name, value: 1)
                        return (before, try await client.socketOption(level: level, name: name))
                    }
                    let (before, after) = try await task.value
                    #expect(before == 0 && after != 0)
                }
            }
        }
    }
}
