// Behaviour 121 of asyncio: the ends of pipes as connections of one direction. The writing end notices that nobody
// reads any more, with an error only if something waited; what is no pipe, no socket and no device is refused and left
// alone.

import Foundation
import TestSupport
import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct PipeTests {
        /// Lets two protocols have the two ends of a pipe, until both have lost them.
        private func playOnPipe(
            _ prepare: @Sendable (isolated EventLoop, _ reader: Probe, _ writer: Probe) -> Void
        ) throws -> (reader: [String], writer: [String], received: [UInt8]) {
            let (readers, writers) = (Recorder<String>(), Recorder<String>())
            let received = Recorder<[UInt8]>()
            try perform(on: .system) { loop in
                let (reader, writer) = (Probe(), Probe())
                var ended = 0
                let over = {
                    ended += 1
                    // The descriptors have closed when the loop has turned.
                    if ended == 2 { after(turns: 2, on: loop) { loop.stop() } }
                }
                (reader.whenOver, writer.whenOver) = (over, over)
                prepare(loop, reader, writer)
                let ends = try EventLoop.makePipe()
                try loop.adopt(descriptor: ends.reading, for: reader)
                try loop.adopt(descriptor: ends.writing, for: writer)
                #expect(reader.story + writer.story == [])
                return {
                    for entry in reader.story { readers.append(entry) }
                    for entry in writer.story { writers.append(entry) }
                    received.append(reader.received)
                }
            }
            return (readers.all, writers.all, received.all[0])
        }

        @Test func `what is written to one end is read from the other, and then its end`() throws {
            let story = try playOnPipe { loop, reader, writer in
                reader.onMade = { transport in
                    #expect(transport.isReading && transport.localAddress == nil && transport.remoteAddress == nil)
                }
                writer.onMade = { transport in
                    #expect(!transport.isReading)
                    transport.write("hello")
                    transport.close()
                }
            }
            #expect(story.reader == ["made", "data hello", "eof", "lost"])
            #expect(story.writer == ["made", "lost"])
        }

        @Test(arguments: ["close", "writeEOF"])
        func `much more than a pipe holds arrives, in order, before the end`(how: String) throws {
            let sent = pattern(3 << 20)
            let story = try playOnPipe { loop, reader, writer in
                writer.onMade = { transport in
                    transport.write(Bytes(sent[..<100]))
                    transport.write(contentsOf: [Bytes(sent[100..<70_000]), Bytes(), Bytes(sent[70_000...])])
                    #expect(transport.writeBufferSize > 0)
                    if how == "close" { transport.close() } else { transport.writeEOF() }
                }
            }
            #expect(story.received == sent)
            #expect(story.reader == ["made", "data \(sent.count) bytes", "eof", "lost"])
            #expect(story.writer.last == "lost" && story.writer.first == "made")
        }

        @Test func `the writing end notices that the reader has gone, without an error if nothing waited`() throws {
            let story = try playOnPipe { loop, reader, writer in
                writer.onMade = { _ in }
                reader.onMade = { transport in after(turns: 3, on: loop) { transport.close() } }
            }
            #expect(story.reader == ["made", "lost"] && story.writer == ["made", "lost"])
        }

        @Test func `bytes that nobody can read any more are an error of the writing end`() throws {
            let story = try playOnPipe { loop, reader, writer in
                reader.onMade = { transport in
                    transport.pauseReading()
                    after(turns: 5, on: loop) { transport.close() }
                }
                writer.onMade = { $0.write(Bytes(pattern(1 << 20))) }
            }
            #expect(story.writer.last == "lost EPIPE")
        }

        @Test func `a FIFO whose writers come and go is one connection each time, and unread bytes do not end it`()
            throws
        {
            let folder = ScratchFolder()
            defer { folder.remove() }
            Raw.makeFIFO(folder.file("fifo"))
            let log = Recorder<String>()
            try perform(on: .system) { loop in
                // Open for both, as a program does that wants no end when a writer goes.
                let keeper = Raw.open(folder.file("fifo"), readingToo: true)
                let writing = Raw.open(folder.file("fifo"), writing: true)
                let writer = Probe()
                writer.onMade = { transport in
                    transport.write("unread")
                    after(turns: 10, on: loop) {
                        #expect(!transport.isClosing)
                        #expect(Raw.read(keeper) == "unread")
                        Raw.close(keeper)
                    }
                }
                writer.whenOver = {
                    for entry in writer.story { log.append(entry) }
                    after(turns: 2, on: loop) { loop.stop() }
                }
                try loop.adopt(descriptor: writing, for: writer)
                return {}
            }
            #expect(log.all == ["made", "lost"])
        }

        @Test func `what cannot be a stream is refused by its name and stays the caller's`() throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            let (datagrams, other) = Raw.socketPair(ofDatagrams: true)
            let cases: [(CInt, DescriptorError)] = [
                (Raw.open(folder.file("file"), writing: true), .isFile),
                (Raw.open(folder.path), .isFile),
                (Raw.open("/dev/null"), .cannotBeWaitedFor),
                (datagrams, .notAStreamSocket),
                (Raw.tcpSocket(), .notConnected),
                (Raw.unixSocket(), .notConnected),
                (Raw.tcpSocket(bound: true, listening: true), .isListening),
            ]
            try perform(on: .system) { loop in
                for (descriptor, expected) in cases {
                    let wasNonBlocking = Raw.isNonBlocking(descriptor)
                    #expect(throws: expected) { try loop.adopt(descriptor: descriptor, for: Probe()) }
                    #expect(Raw.isOpen(descriptor) && Raw.isNonBlocking(descriptor) == wasNonBlocking)
                    #expect(!expected.description.isEmpty)
                }
                let error = #expect(throws: SystemError.self) { try loop.adopt(descriptor: 9_999, for: Probe()) }
                #expect(error?.code.name == "EBADF")
                loop.stop()
                return {}
            }
            for (descriptor, _) in cases { Raw.close(descriptor) }
            Raw.close(other)
        }

        @Test func `writing to the reading end is a mistake that says so`() async {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                try performInOwnProcess(.real) { loop in
                    let reader = Probe()
                    reader.onMade = { $0.write("no") }
                    let ends = try EventLoop.makePipe()
                    try loop.adopt(descriptor: ends.reading, for: reader)
                    return {}
                }
            }
            let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
            #expect(text.contains("to the reading end of a pipe"))
        }
    }
}
