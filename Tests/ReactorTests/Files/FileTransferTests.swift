// Behaviour 126 of asyncio in callbacks: a file goes between what is written before and after it, and its end is told
// once, with how far it came.

import Foundation
import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct FileTransferTests {
        @Test(arguments: everyNetwork)
        func `a file goes between what is written before and after it`(network: EventLoop.Network) throws {
            let content = pattern(network == .memory(capacity: 16, largestRead: 3) ? 2_000 : 3_000_000)
            try withTestFile(content) { file in
                let story = try play(on: network) { loop, scene in
                    scene.client.onMade = { transport in
                        transport.write("before ")
                        let transfer = try transport.sendFile(file) { result in
                            scene.client.note("end")
                            #expect((try? result.get()) == content.count)
                            transport.write(" after")
                            #expect(throws: Never.self) {
                                try transport.sendFile(file, offset: 3, count: 4) { result in
                                    #expect((try? result.get()) == 4)
                                    transport.writeEOF()
                                    transport.close()
                                }
                            }
                        }
                        #expect(throws: StreamError.sendingFile) { try transport.sendFile(file) { _ in } }
                        scene.client.note("begun")
                        #expect(transfer.sentCount == 0)
                    }
                }
                #expect(story.client.withoutPauses == ["made", "begun", "end", "lost"])
                let whole = Array("before ".utf8) + content + Array(" after".utf8) + content[3..<7]
                #expect(story.serverReceived == whole)
            }
        }

        @Test(arguments: roomyNetworks)
        func `a peer that goes ends the sending with how far it came`(network: EventLoop.Network) throws {
            let content = pattern(8_000_000)
            try withTestFile(content) { file in
                let story = try play(on: network) { loop, scene in
                    scene.server.onData = { transport, _ in
                        if scene.server.received.count > 300_000 { transport.abort() }
                    }
                    scene.client.onMade = { transport in
                        try transport.sendFile(file) { result in
                            scene.client.note("end")
                            let error = #expect(throws: PartialSendError.self) { try result.get() }
                            #expect((error?.sentCount ?? 0) >= 262_144 && (error?.sentCount ?? 0) < content.count)
                            #expect(error.map { ["ECONNRESET", "EPIPE"].contains(word($0.reason)) } == true)
                        }
                    }
                }
                let events = story.client.withoutPauses
                #expect(events.prefix(2) == ["made", "end"] && events.count == 3)
            }
        }

        @Test(arguments: roomyNetworks)
        func `after a cancellation the connection goes on behind what was sent`(network: EventLoop.Network) throws {
            let content = pattern(8_000_000)
            try withTestFile(content) { file in
                // SAFETY: the loop runs on this thread, within the call below.
                nonisolated(unsafe) var sent = 0
                let story = try play(on: network) { loop, scene in
                    scene.client.onMade = { transport in
                        var transfer: FileTransfer?
                        transfer = try transport.sendFile(file) { result in
                            let error = #expect(throws: PartialSendError.self) { try result.get() }
                            #expect(error?.reason is CancellationError)
                            unsafe sent = error?.sentCount ?? 0
                            transport.write("after")
                            transport.close()
                        }
                        scene.server.onData = { _, _ in
                            if scene.server.received.count > 300_000 { transfer.take()?.cancel() }
                        }
                    }
                }
                #expect(unsafe sent >= 262_144 && sent < content.count)
                #expect(unsafe story.serverReceived == content[..<sent] + Array("after".utf8))
            }
        }

        @Test(arguments: roomyNetworks)
        func `a connection that is closing takes no file, and one that closes ends it`(
            network: EventLoop.Network
        ) throws {
            try withTestFile(pattern(8_000_000)) { file in
                let story = try play(on: network) { loop, scene in
                    scene.client.onMade = { transport in
                        try transport.sendFile(file) { result in
                            #expect(throws: (any Error).self) { try result.get() }
                            scene.client.note("end")
                            #expect(throws: StreamError.closed) { try transport.sendFile(file) { _ in } }
                        }
                        transport.abort()
                        #expect(throws: StreamError.closed) { try transport.sendFile(file) { _ in } }
                    }
                    scene.server.onMade = { transport in
                        transport.writeEOF()
                        #expect(throws: StreamError.writeAfterEnd) { try transport.sendFile(file) { _ in } }
                    }
                }
                #expect(story.client.withoutPauses == ["made", "end", "lost"])
            }
        }
    }
}

extension [String] {
    /// What is written of a file may cross the marks, as anything that is written.
    fileprivate var withoutPauses: [String] { filter { $0 != "pause" && $0 != "resume" } }
}

/// A file with this content that is open for reading.
private func withTestFile(_ content: [UInt8], _ body: (CInt) throws -> Void) throws {
    let path = FileManager.default.temporaryDirectory.appending(path: "transfer-\(UUID().uuidString)").path
    try Data(content).write(to: URL(filePath: path))
    defer { try? FileManager.default.removeItem(atPath: path) }
    let file = unsafe open(path, O_RDONLY)
    try #require(file >= 0)
    defer { close(file) }
    try body(file)
}
