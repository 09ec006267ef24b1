// Behaviour 124 of asyncio for tasks: a task waits until a descriptor is ready; a wait that is cancelled watches no
// more when the next one asks, and its end does not take the next one's place.

import AsyncIO
import Foundation
import Testing

extension AsyncIOTests {
    @Suite struct ReadinessTests {
        @Test func `a task waits until something can be read or written`() async throws {
            try await onNetwork(.sockets) { loop in
                let pipe = try TestPipe()
                try await loop.writable(pipe.writer)
                let reading = spawn {
                    try await loop.readable(pipe.reader)
                    return pipe.read()
                }
                await turns(3, on: loop)
                #expect(!reading.isDone)
                pipe.write("x")
                #expect(try await reading.value == "x")
                pipe.close()
            }
        }

        @Test func `a cancelled wait ends at once, and leaves the next one watching`() async throws {
            try await onNetwork(.sockets) { loop in
                let pipe = try TestPipe()
                for number in 0..<20 {
                    let first = spawn { try await loop.readable(pipe.reader) }
                    if number % 2 == 0 { await turns(2, on: loop) }
                    first.cancel()
                    // The first has not run since it was cancelled; its place is free all the same.
                    let second = spawn { try await loop.readable(pipe.reader) }
                    #expect(await errorOf { try await first.value } == "CancellationError")
                    await turns(2, on: loop)
                    #expect(!second.isDone)
                    pipe.write("\(number)")
                    try await second.value
                    #expect(pipe.read() == "\(number)")
                }
                await turns(2, on: loop)
                #expect(!loop.dump().contains("watch"))
                pipe.close()
            }
        }

        @Test func `two tasks cannot wait for the same, and a watch takes the place of a task`() async throws {
            try await onNetwork(.sockets) { loop in
                let pipe = try TestPipe()
                let waiting = spawn { try await loop.readable(pipe.reader) }
                await turns(2, on: loop)
                let busy = ReadinessError.busy(pipe.reader, .readable)
                #expect(await failure { try await loop.readable(pipe.reader) } as? ReadinessError == busy)
                let watch = try loop.watch(pipe.reader, for: .readable) {}
                #expect(await failure { try await waiting.value } as? ReadinessError == .replaced)
                #expect(await failure { try await loop.readable(pipe.reader) } as? ReadinessError == busy)
                #expect(watch.cancel())
                pipe.write("x")
                try await loop.readable(pipe.reader)
                pipe.close()
            }
        }

        @Test func `the moments at which a descriptor is ready are a sequence`() async throws {
            try await onNetwork(.sockets) { loop in
                let pipe = try TestPipe()
                let reading = spawn {
                    var received = ""
                    for try await _ in loop.readiness(of: pipe.reader, for: .readable) {
                        let text = pipe.read()
                        if text.isEmpty { break }
                        received += text
                    }
                    return received
                }
                for number in 0..<5 {
                    pipe.write("\(number)")
                    await turns(3, on: loop)
                }
                pipe.closeWriter()
                #expect(try await reading.value == "01234")
                pipe.closeReader()
                for try await _ in loop.readiness(of: 1_000_000, for: .writable).prefix(0) {}
                #expect(await errorOf { try await loop.writable(1_000_000) } == "EBADF")
            }
        }

        @Test func `other threads wait for a descriptor, and the end of the loop wakes who waits`() async throws {
            let ends = Recorder<String>()
            let pipe = try TestPipe()
            try await onNetwork(.sockets) { loop in
                try await onThePool {
                    pipe.write("x")
                    try await loop.readable(pipe.reader)
                }
                #expect(pipe.read() == "x")
                spawn { ends.append(await errorOf { try await loop.readable(pipe.reader) }) }
                await turns(2, on: loop)
            }
            #expect(ends.all == ["CancellationError"])
            pipe.close()
        }
    }
}

/// A pipe of the system.
struct TestPipe: Sendable {
    let reader: CInt
    let writer: CInt

    init() throws {
        var ends: [CInt] = [-1, -1]
        try #require(unsafe pipe(&ends) == 0)
        (reader, writer) = (ends[0], ends[1])
    }

    func write(_ text: String) { _ = unsafe Foundation.write(writer, text, text.utf8.count) }

    func read() -> String {
        var bytes = [UInt8](repeating: 0, count: 100)
        let count = unsafe Foundation.read(reader, &bytes, bytes.count)
        return String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self)
    }

    func closeReader() { Foundation.close(reader) }
    func closeWriter() { Foundation.close(writer) }
    func close() {
        closeReader()
        closeWriter()
    }
}
