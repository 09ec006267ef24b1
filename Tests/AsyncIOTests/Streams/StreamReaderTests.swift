// Readers over sources of their own: what the differential tests do not show.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite struct StreamReaderTests {
        @Test func `a line that came whole is a slice of what came, which is read when asked for`() async throws {
            try await onLoop { _ in
                let pieces = Pieces(["one\ntwo\nthr", "ee\n"])
                let reader = StreamReader(pieces)
                #expect(pieces.reads == 0)
                let one = try await reader.readLine()
                let two = try await reader.readLine()
                #expect(one == "one\n" && two == "two\n")
                #expect(two?.retainedCapacity == 11, "all lines of a piece share its memory")
                #expect(pieces.reads == 1)
                #expect(reader.buffered == "thr")
                let three = try await reader.readLine()
                #expect(three == "three\n")
                let nothing = try await reader.readLine()
                #expect(nothing == nil && reader.isAtEnd)
            }
        }

        @Test func `the end is found once, and a source that has ended is not asked again`() async throws {
            try await onLoop { _ in
                let pieces = Pieces(["x"])
                let reader = StreamReader(pieces)
                for _ in 0..<3 { _ = try await reader.read() }
                _ = try await reader.readToEnd()
                let lines = await failure { try await reader.readUntil("\n") }
                #expect(lines as? StreamError == .incompleteRead(partial: Bytes(), expected: nil))
                #expect(pieces.reads == 2)
            }
        }

        @Test func `an error is for all who wait and who come later, after what came before it`() async throws {
            try await onLoop { _ in
                let pieces = Pieces(["half a line"], thenThrow: Refusal(name: "broken"))
                let reader = StreamReader(pieces)
                for _ in 0..<2 {
                    let error = await failure { try await reader.readLine() }
                    #expect(error as? Refusal == Refusal(name: "broken"))
                }
                #expect(reader.buffered == "half a line")
                let rest = try await reader.read()
                #expect(rest == "half a line")
                let error = await failure { try await reader.read() }
                #expect(error is Refusal)
                #expect(pieces.reads == 2)
                #expect(!reader.isAtEnd)
            }
        }

        @Test func `one task reads at a time`() async throws {
            try await onLoop { loop in
                let (sender, receiver) = MemoryByteStream.pair()
                let reader = Transfer(StreamReader(receiver))
                let first = spawn { try await reader.value.readLine()?.text }
                await letAllRun()
                let busy = await failure { try await reader.value.read() }
                #expect(busy as? StreamError == .busyReader)
                try await sender.write("half")
                await letAllRun()
                let stillBusy = await failure { try await reader.value.readLine() }
                #expect(stillBusy as? StreamError == .busyReader)
                try await sender.write(" and half\n")
                let line = try await first.value
                #expect(line == "half and half\n")
            }
        }

        @Test func `a task that was cancelled reads nothing, not even what is there`() async throws {
            try await onLoop { loop in
                let reader = Transfer(StreamReader(Pieces(["one\ntwo\n"])))
                _ = try await reader.value.readLine()
                let task = spawn {
                    cancelThisTask()
                    return await isCancelled { try await reader.value.readLine() }
                }
                let wasCancelled = try await task.value
                #expect(wasCancelled)
                let two = try await reader.value.readLine()
                #expect(two == "two\n")
            }
        }

        @Test(arguments: [1, 3, 64])
        func `the limit is exact, and what was too long stays until it is read, behaviour 116`(
            _ largest: Int
        ) async throws {
            let pieces = "1234567;12345678;rest;".utf8.chunks(largest)
            try await onLoop { _ in
                let reader = StreamReader(Pieces(pieces), limit: 7)
                let fits = try await reader.readUntil(";")
                #expect(fits == "1234567;")
                for _ in 0..<2 {
                    let error = await failure { try await reader.readUntil(";") }
                    guard case .limitExceeded(let consumed)? = error as? StreamError else {
                        Issue.record("\(String(describing: error))")
                        return
                    }
                    // As far as it had looked: what lies before the separator, or as much as had come without one.
                    #expect(consumed == 8)
                }
                let long = try await reader.read(exactly: 9)
                #expect(long == "12345678;")
                let rest = try await reader.readUntil(";")
                #expect(rest == "rest;")
            }
        }

        @Test func `a limit can be changed, and what was too long then read`() async throws {
            try await onLoop { _ in
                let reader = StreamReader(Pieces(["123456;"]), limit: 3)
                let error = await failure { try await reader.readUntil(";") }
                #expect(error as? StreamError == .limitExceeded(consumed: 6))
                reader.limit = 6
                let record = try await reader.readUntil(";")
                #expect(record == "123456;")
            }
        }

        @Test func `the whole stream has a limit of its own, beyond which all of it stays`() async throws {
            try await onLoop { _ in
                let reader = StreamReader(Pieces(["1234", "5678"]))
                let error = await failure { try await reader.readToEnd(limit: 7) }
                #expect(error as? StreamError == .limitExceeded(consumed: 8))
                let all = try await reader.readToEnd(limit: 8)
                #expect(all == "12345678")
            }
        }

        // MARK: Lines as text

        @Test(arguments: [1, 2, 7, 65_536])
        func `lines of text come without their ends, and one that is too long is dropped to its end`(
            _ largest: Int
        ) async throws {
            let long = String(repeating: "x", count: 10)
            let text = "one\n\r\ntwo\r\n\(long)\n\(long)y\n\(long)yyyyyyyyyyyyyyyy\nthree\rfour\n\u{fc}\u{1F642}\nend"
            let pieces = text.utf8.chunks(largest)
            try await onLoop { _ in
                let reader = StreamReader(Pieces(pieces), limit: 10)
                var lines: [String] = []
                while true {
                    do {
                        guard let line = try await reader.readTextLine() else { break }
                        lines.append(line)
                    } catch StreamError.lineTooLong(let limit) {
                        #expect(limit == 10)
                        lines.append("too long")
                    }
                }
                let start = ["one", "", "two", long, "too long", "too long"]
                let expected = start + ["three\rfour", "\u{fc}\u{1F642}", "end"]
                #expect(lines == expected)
            }
        }

        @Test func `of a line that was too long only its own rest is dropped, whoever reads its end`() async throws {
            try await onLoop { _ in
                let reader = StreamReader(Pieces(["1234", "56\nab\ncd\n"]), limit: 3)
                let error = await failure { try await reader.readTextLine() }
                #expect(error as? StreamError == .lineTooLong(limit: 3))
                let rest = try await reader.readLine()
                let next = try await reader.readTextLine()
                #expect(rest == "56\n" && next == "ab")
            }
        }

        @Test func `the rest of a line that was too long is dropped also after a read that fails`() async throws {
            try await onLoop { _ in
                let reader = StreamReader(Pieces(["1234", "5678\nab\n"]), limit: 3)
                let error = await failure { try await reader.readTextLine() }
                #expect(error as? StreamError == .lineTooLong(limit: 3))
                let other = await failure { try await reader.readUntil("|") }
                #expect(other as? StreamError == .limitExceeded(consumed: 8))
                let next = try await reader.readTextLine()
                #expect(next == "ab")
            }
        }

        @Test func `a line that never ends is too long once, and keeps no memory`() async throws {
            try await onLoop { _ in
                let pieces = (0..<1_000).map { _ in Bytes(repeatElement(120, count: 1_000)) }
                let reader = StreamReader(Pieces(pieces), limit: 10)
                let error = await failure { try await reader.readTextLine() }
                #expect(error as? StreamError == .lineTooLong(limit: 10))
                let end = try await reader.readTextLine()
                #expect(end == nil)
            }
        }

        @Test func `lines and chunks are sequences, which can take turns with reads`() async throws {
            try await onLoop { _ in
                let reader = StreamReader(Pieces(["a\nb\r\n", "c\nd", "e", "f"]))
                var lines: [String] = []
                for try await line in reader.lines {
                    lines.append(line)
                    if line == "b" { break }
                }
                let c = try await reader.read(exactly: 2)
                #expect(lines == ["a", "b"] && c == "c\n")
                var chunks: [Bytes] = []
                for try await chunk in reader.chunks { chunks.append(chunk) }
                #expect(chunks == ["d", "e", "f"])
            }
        }
    }
}

extension Sequence<UInt8> {
    /// The bytes in pieces of a size.
    fileprivate func chunks(_ size: Int) -> [Bytes] {
        let all = Array(self)
        return stride(from: 0, to: all.count, by: size).map { Bytes(all[$0..<Swift.min($0 + size, all.count)]) }
    }
}
