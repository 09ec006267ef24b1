// Behaviour 124 of asyncio: watches of descriptors are level-triggered and replaced by the next for the same; both
// directions are independent; an error wakes both and ends neither; a descriptor may be closed as soon as nobody
// watches.

import Foundation
import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct WatchTests {
        @Test func `a watch is called until what there is has been read, or it is cancelled`() throws {
            try perform(on: .system) { loop in
                let pipe = try Pair.pipe()
                var calls = 0
                var watch: DescriptorWatch?
                watch = try loop.watch(pipe.reader, for: .readable) {
                    calls += 1
                    // Twice without reading: the level counts, not the edge.
                    if calls == 3 { #expect(pipe.read() == "x") }
                    if calls == 4 {
                        #expect(pipe.read() == "y")
                        #expect(watch?.isActive == true)
                        #expect(watch?.cancel() == true)
                        #expect(watch?.isActive == false && watch?.cancel() == false)
                        pipe.write("z")
                        after(turns: 3, on: loop) { loop.stop() }
                    }
                }
                #expect(loop.dump().contains("watch on descriptor \(pipe.reader) (readable)"))
                pipe.write("x")
                after(turns: 8, on: loop) {
                    #expect(calls == 3)
                    pipe.write("y")
                }
                return {
                    #expect(calls == 4)
                    pipe.close()
                    watch = nil
                }
            }
        }

        @Test func `a watch replaces the one for the same, whose end then changes nothing`() throws {
            try perform(on: .system) { loop in
                let pipe = try Pair.pipe()
                let first = try loop.watch(pipe.reader, for: .readable) { Issue.record("was replaced") }
                var calls = 0
                let second = try loop.watch(pipe.reader, for: .readable) {
                    calls += 1
                    #expect(pipe.read() == "x")
                    loop.stop()
                }
                #expect(!first.isActive && second.isActive)
                #expect(!first.cancel() && second.isActive)
                pipe.write("x")
                return {
                    #expect(calls == 1 && second.cancel())
                    pipe.close()
                }
            }
        }

        @Test func `both directions share one handle, and one goes on without the other`() throws {
            try perform(on: .system) { loop in
                let pair = try Pair.sockets()
                var story: [String] = []
                let reader = try loop.watch(pair.reader, for: .readable) {
                    story.append("read \(pair.read())")
                    loop.stop()
                }
                var writer: DescriptorWatch?
                writer = try loop.watch(pair.reader, for: .writable) {
                    story.append("write")
                    #expect(writer?.cancel() == true)
                    pair.write("x")
                }
                #expect(loop.dump().contains("handles 1"))
                return {
                    #expect(story == ["write", "read x"])
                    #expect(reader.cancel())
                    pair.close()
                    writer = nil
                }
            }
        }

        @Test func `an error of the descriptor calls both directions, again and again`() throws {
            try perform(on: .system) { loop in
                let pipe = try Pair.pipe()
                // Nobody reads any more: that is an error of the end that writes.
                close(pipe.reader)
                var calls = [0, 0]
                let watches = [Readiness.readable, .writable].enumerated().map { index, readiness in
                    try! loop.watch(pipe.writer, for: readiness) {
                        calls[index] += 1
                        if calls.min()! >= 3 { loop.stop() }
                    }
                }
                return {
                    #expect(calls.min()! >= 3)
                    for watch in watches { #expect(watch.cancel()) }
                    close(pipe.writer)
                }
            }
        }

        @Test func `a descriptor is closed right after the watch, and its number used again`() throws {
            try perform(on: .system) { loop in
                var rounds = 0
                repeatedly(on: loop) {
                    rounds += 1
                    // Each number comes again and again, and each pipe has its own byte.
                    let pipes = (0..<20).map { _ in try! Pair.pipe() }
                    let unread = pipes.map { pipe in
                        pipe.write("u")
                        return try! loop.watch(pipe.reader, for: .readable) { Issue.record("was cancelled") }
                    }
                    for (watch, pipe) in zip(unread, pipes) {
                        #expect(watch.cancel())
                        pipe.close()
                    }
                    return rounds < 20
                }
                after(turns: 30, on: loop) {
                    let pipe = try! Pair.pipe()
                    var watch: DescriptorWatch?
                    watch = try! loop.watch(pipe.reader, for: .readable) {
                        #expect(pipe.read() == "x")
                        watch?.cancel()
                        pipe.close()
                        loop.stop()
                    }
                    pipe.write("x")
                }
                return { #expect(rounds == 20) }
            }
        }

        @Test func `a callback that cancels the watch of the other direction prevents its call`() throws {
            try perform(on: .system) { loop in
                let pair = try Pair.sockets()
                pair.write("x")
                var calls = 0
                var watches: [DescriptorWatch] = []
                watches.append(
                    try loop.watch(pair.reader, for: .writable) { Issue.record("was cancelled by the other") }
                )
                watches.append(
                    try loop.watch(pair.reader, for: .readable) {
                        calls += 1
                        for watch in watches { watch.cancel() }
                        loop.stop()
                    }
                )
                return {
                    #expect(calls == 1)
                    watches = []
                    pair.close()
                }
            }
        }

        @Test func `what a connection, a listener or a datagram socket has is refused`() throws {
            let story = try play(on: .system) { loop, scene in
                let datagrams = try loop.bindDatagram(to: .anyPort, DatagramProbe())
                datagrams.pauseReading()
                scene.client.onMade = { transport in
                    transport.pauseReading()
                    // The client's, the server's, and those of both listening sockets: all that are open are owned.
                    var owned = 0
                    for number in CInt(3)..<256 where Pair.isInternetSocket(number) {
                        let error = #expect(throws: ReadinessError.self) {
                            try loop.watch(number, for: .readable) {}
                        }
                        #expect(error == .owned(number))
                        owned += 1
                    }
                    #expect(owned >= 3)
                    datagrams.close()
                    transport.close()
                }
            }
            #expect(story.client == ["made", "lost"])
        }

        @Test func `what cannot be waited for is refused, and says why`() throws {
            try perform(on: .system) { loop in
                for path in [#filePath, "/tmp"] {
                    let file = unsafe open(path, O_RDONLY)
                    #expect(throws: ReadinessError.alwaysReady(file)) { try loop.watch(file, for: .readable) {} }
                    close(file)
                    let error = #expect(throws: SystemError.self) { try loop.watch(file, for: .readable) {} }
                    #expect(error?.code == .badDescriptor)
                }
                #expect("\(ReadinessError.alwaysReady(7))".contains("regular file"))
                loop.stop()
                return {}
            }
        }

        @Test func `a body that throws is reported, and its watch goes on`() throws {
            let issues = IssueLog()
            try perform(on: .system, collecting: issues) { loop in
                let pipe = try Pair.pipe()
                var calls = 0
                let watch = try loop.watch(pipe.reader, for: .readable) {
                    calls += 1
                    if calls == 1 { throw Refusal() }
                    loop.stop()
                }
                pipe.write("x")
                return {
                    #expect(watch.cancel())
                    pipe.close()
                }
            }
            #expect(issues.all.count == 1)
        }

        @Test func `a loop that closes names its watches and ends them`() throws {
            let pipe = try Pair.pipe()
            // SAFETY: the loop runs on this thread, within the call below.
            nonisolated(unsafe) var watch: DescriptorWatch?
            try withLoop(.real, expectingLeftovers: true) { loop in
                try loop.runForever { loop in
                    unsafe watch = try loop.watch(pipe.reader, for: .readable) {}
                    loop.stop()
                }
                #expect(loop.close().handles == ["watch on descriptor \(pipe.reader) (readable)"])
                #expect(unsafe watch?.isActive == false)
                #expect(unsafe watch?.cancel() == false)
            }
            pipe.close()
        }
    }
}

/// A pair of connected descriptors: what is written to the one is read from the other.
struct Pair {
    let reader: CInt
    let writer: CInt

    static func pipe() throws -> Pair {
        var ends: [CInt] = [-1, -1]
        try #require(unsafe Foundation.pipe(&ends) == 0)
        return Pair(reader: ends[0], writer: ends[1])
    }

    static func sockets() throws -> Pair {
        var ends: [CInt] = [-1, -1]
        #if os(Linux)
        let kind = CInt(SOCK_STREAM.rawValue)
        #else
        let kind = SOCK_STREAM
        #endif
        try #require(unsafe socketpair(AF_UNIX, kind, 0, &ends) == 0)
        return Pair(reader: ends[0], writer: ends[1])
    }

    static func isInternetSocket(_ descriptor: CInt) -> Bool {
        var address = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return unsafe withUnsafeMutablePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                // As long as an address of IPv4 is, and no other.
                unsafe getsockname(descriptor, $0, &length) == 0 && length == 16
            }
        }
    }

    func write(_ text: String) { _ = unsafe Foundation.write(writer, text, text.utf8.count) }

    func read() -> String {
        var bytes = [UInt8](repeating: 0, count: 100)
        let count = unsafe Foundation.read(reader, &bytes, bytes.count)
        return String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self)
    }

    func close() {
        Foundation.close(reader)
        Foundation.close(writer)
    }
}
