// Readers and writers over what a program brings itself, and the pair in memory that tests use.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite struct ByteStreamTests {
        @Test func `what is written in a turn reaches the sink in one call, one after the other`() async throws {
            try await onLoop { _ in
                let basin = Basin(isOpen: false)
                let writer = StreamWriter(basin)
                for text in ["a", "b", "c"] { writer.write(text) }
                await letAllRun()
                for text in ["d", "e"] { writer.write(text) }
                #expect(writer.queuedCount == 5 && basin.calls.isEmpty)
                basin.open()
                try await writer.drain()
                #expect(basin.calls == ["a|b|c", "d|e"] && writer.queuedCount == 0)
                writer.write("f")
                writer.writeEOF()
                writer.write("g")
                let error = await failure { try await writer.drain() }
                #expect(error as? StreamError == .writeAfterEnd)
                writer.close()
                writer.close()
                try await writer.waitClosed()
                #expect(basin.calls == ["a|b|c", "d|e", "f", "EOF", "close"])
                #expect(writer.isClosing)
            }
        }

        @Test func `a sink that fails is aborted, and everybody hears why`() async throws {
            try await onLoop { loop in
                let basin = Basin(isOpen: false)
                basin.error = Refusal(name: "full")
                let writer = Transfer(StreamWriter(basin))
                writer.value.write("x")
                let drainers = spawnEach(3, on: loop) { _ in try await writer.value.drain() }
                await letAllRun()
                basin.open()
                for drainer in drainers {
                    let error = await failure { try await drainer.value }
                    #expect(error as? Refusal == Refusal(name: "full"))
                }
                writer.value.write("y")
                let error = await failure { try await writer.value.drain() }
                let closed = await failure { try await writer.value.waitClosed() }
                #expect(error is Refusal && closed is Refusal)
                #expect(basin.calls == ["abort"])
            }
        }

        @Test func `who drains may be cancelled, and the bytes go out all the same`() async throws {
            try await onLoop { loop in
                let basin = Basin(isOpen: false)
                let writer = Transfer(StreamWriter(basin))
                writer.value.write("x")
                let task = spawn { await isCancelled { try await writer.value.drain() } }
                await letAllRun()
                task.cancel()
                let wasCancelled = try await task.value
                #expect(wasCancelled && basin.calls.isEmpty)
                basin.open()
                try await writer.value.drain()
                #expect(basin.calls == ["x"])
            }
        }

        @Test func `what was written within a deadline goes out after it, and the writer lives on`() async throws {
            try await onLoop(.paced) { loop in
                let basin = Basin(isOpen: false)
                let writer = Transfer(StreamWriter(basin))
                try await withDeadline(loop.now.advanced(by: ticks(1))) { _ in writer.value.write("x") }
                try await AsyncIO.sleep(for: ticks(5))
                basin.open()
                try await writer.value.drain()
                writer.value.write("y")
                writer.value.close()
                try await writer.value.waitClosed()
                #expect(basin.calls == ["x", "y", "close"])
            }
        }

        @Test func `a pair in memory is a connection: lines, ends, and room that runs out`() async throws {
            try await onLoop { loop in
                let (server, client) = MemoryByteStream.pair(capacity: 10)
                let boxed = Transfer(client)
                let echo = spawn {
                    let (reader, writer) = (StreamReader(boxed.value), StreamWriter(boxed.value))
                    while let line = try await reader.readLine() {
                        writer.write(line)
                        try await writer.drain()
                    }
                    writer.close()
                    try await writer.waitClosed()
                }
                let reader = StreamReader(server)
                for length in [1, 9, 10, 11, 100] {
                    let line = String(repeating: "x", count: length) + "\n"
                    let writer = StreamWriter(server)
                    writer.write(line)
                    let answer = try await reader.readLine()
                    #expect(answer?.text == line)
                }
                try await server.writeEOF()
                let end = try await reader.readLine()
                #expect(end == nil)
                try await echo.value
            }
        }

        @Test func `a write to a full end waits until something was read, if its task may`() async throws {
            try await onLoop { loop in
                let (here, there) = MemoryByteStream.pair(capacity: 4)
                let boxed = Transfer(here)
                let task = spawn { try await boxed.value.write("1234567") }
                await letAllRun()
                #expect(there.unreadCount == 4 && !task.isDone)
                let first = try await there.read()
                try await task.value
                let second = try await there.read()
                #expect(first == "1234" && second == "567")
                let stuck = spawn { await isCancelled { try await boxed.value.write("12345") } }
                await letAllRun()
                stuck.cancel()
                let wasCancelled = try await stuck.value
                #expect(wasCancelled)
            }
        }

        @Test func `the other end's close, drop and abort are an end, an end and a reset`() async throws {
            try await onLoop { _ in
                let (one, other) = MemoryByteStream.pair()
                try await one.write("x")
                try await one.close()
                let x = try await other.read()
                let end = try await other.read()
                #expect(x == "x" && end == nil)
                let broken = await ending { try await other.write("y") }
                #expect(broken == "EPIPE")
                let closed = await ending { _ = try await one.read() }
                #expect(closed == "closed")

                let (third, fourth) = MemoryByteStream.pair()
                fourth.abort()
                for _ in 0..<2 {
                    let reset = await ending { _ = try await third.read() }
                    #expect(reset == "ECONNRESET")
                }
                let alsoReset = await ending { try await third.write("y") }
                #expect(alsoReset == "ECONNRESET")

                let (fifth, dropped) = Self.halfPair()
                #expect(dropped == nil)
                let over = try await fifth.read()
                #expect(over == nil)
                let gone = await ending { try await fifth.write("y") }
                #expect(gone == "EPIPE")
                try await fifth.writeEOF()
                let late = await ending { try await fifth.write("y") }
                #expect(late == "writeAfterEnd")
            }
        }

        private static func halfPair() -> (MemoryByteStream, Int?) {
            let (kept, _) = MemoryByteStream.pair()
            return (kept, nil)
        }

        @Test func `a reader over a connection with a limit of its own shares what was received`() async throws {
            try await onNetwork(.memory) { loop in
                try await withPair(on: loop) { accepted, client in
                    try await client.write("12345\n12345\n")
                    let strict = StreamReader(accepted, limit: 4)
                    let error = await failure { try await strict.readUntil("\n") }
                    #expect(error as? StreamError == .limitExceeded(consumed: 5))
                    let line = try await accepted.reader.readLine()
                    #expect(line == "12345\n" && strict.buffered == "12345\n")
                    let writer = StreamWriter(accepted)
                    writer.write("a")
                    accepted.writer.write("b\n")
                    let answer = try await client.reader.readLine()
                    #expect(answer == "ab\n")
                }
            }
        }
    }
}
