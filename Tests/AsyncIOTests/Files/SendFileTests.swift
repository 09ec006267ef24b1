// Behaviour 126 of asyncio: a file is sent between what was written before and after it; nobody writes into its
// middle; a peer that goes is an error that says how far it came; and a cancellation leaves the connection as it was.

import AsyncIO
import Foundation
import Testing

extension AsyncIOTests {
    @Suite struct SendFileTests {
        @Test(arguments: Driver.allCases)
        func `a file goes between what is written before and after it`(driver: Driver) async throws {
            try await onNetwork(driver, configure: { $0.clock = nil }) { loop in
                let content = noise(driver.fileSize)
                try await withFile(content) { path, file in
                    try await withPair(on: loop) { accepted, client in
                        let receiving = spawn { try await client.readAll() }
                        try await accepted.write("before ")
                        #expect(try await accepted.sendFile(path: path) == content.count)
                        try await accepted.write(" between ")
                        // The file's own place neither counts nor changes.
                        #expect(lseek(file, 5, Int32(SEEK_SET)) == 5)
                        #expect(try await accepted.sendFile(file) == content.count)
                        #expect(lseek(file, 0, Int32(SEEK_CUR)) == 5)
                        try await accepted.write(" after")
                        try await accepted.writeEOF()
                        let parts = [Array("before ".utf8), content, Array(" between ".utf8), content]
                        #expect(try await receiving.value == parts.flatMap { $0 } + Array(" after".utf8))
                    }
                }
            }
        }

        @Test func `a server that looks at its connections sends files by the system all the same, and counts them`()
            async throws
        {
            try await onNetwork(.sockets, configure: { $0.clock = nil }) { loop in
                let content = noise(10_000)
                var options = ServerOptions()
                options.countsBytes = true
                let seen = Mailbox<(UInt64?, reads: UInt64)>(on: loop)
                try await withFile(content) { path, file in
                    try await serving(on: loop, options) { connection in
                        let before = OffloadPool.shared.statistics.completed
                        _ = try await connection.sendFile(file)
                        let reads = OffloadPool.shared.statistics.completed - before
                        seen.put((await connection.statistics?.bytesSent, reads))
                    } while: { server in
                        let client = try await server.client()
                        #expect(try await client.readAll() == content)
                        let (sent, reads) = try await seen.take()
                        #expect(sent == 10_000 && reads == 0)
                        try await client.close()
                    }
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `a part of a file is sent, and fewer bytes if it ends before`(driver: Driver) async throws {
            try await onNetwork(driver, configure: { $0.clock = nil }) { loop in
                let content = noise(10_000)
                try await withFile(content) { path, file in
                    try await withPair(on: loop) { accepted, client in
                        let receiving = spawn { try await client.readAll() }
                        #expect(try await accepted.sendFile(file, offset: 100, count: 900) == 900)
                        #expect(try await accepted.sendFile(file, offset: 9_990, count: 900) == 10)
                        #expect(try await accepted.sendFile(file, offset: 10_000) == 0)
                        #expect(try await accepted.sendFile(file, offset: 20_000, count: 1) == 0)
                        #expect(try await accepted.sendFile(file, offset: 1, count: 0) == 0)
                        try await accepted.writeEOF()
                        #expect(try await receiving.value == Array(content[100..<1_000] + content[9_990...]))
                    }
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `nothing is written into the middle of a file, and reading goes on`(driver: Driver) async throws {
            try await onNetwork(driver, configure: { $0.clock = nil }) { loop in
                let content = noise(driver.bulk)
                try await withFile(content) { path, file in
                    try await withPair(on: loop) { accepted, client in
                        // What was written before waits for the peer, and the file behind it.
                        let sending = spawn { try await accepted.sendFile(file) }
                        await turns(5, on: loop)
                        #expect(!sending.isDone)
                        try await expectRefusals(accepted, path, file)
                        try await client.write("heard")
                        #expect(try await accepted.text(5) == "heard")
                        #expect(try await client.read(exactly: content.count) == content)
                        #expect(try await sending.value == content.count)
                        try await accepted.write("again")
                        #expect(try await client.text(5) == "again")
                    }
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `what a writer is given while a file is being sent goes out behind it`(driver: Driver) async throws {
            try await onNetwork(driver, configure: { $0.clock = nil }) { loop in
                let content = noise(driver.bulk)
                try await withFile(content) { path, file in
                    try await withPair(on: loop) { accepted, client in
                        let writer = accepted.writer
                        writer.write("before ")
                        let sending = spawn { try await accepted.sendFile(file) }
                        await turns(5, on: loop)
                        let queued = writer.queuedCount
                        writer.write(" between")
                        writer.write(Bytes(noise(9_000)))
                        #expect(writer.queuedCount == queued + 9_008)
                        let draining = spawn { try await accepted.writer.drain() }
                        let cancelled = spawn { try await accepted.writer.drain() }
                        await turns(5, on: loop)
                        cancelled.cancel()
                        #expect(await isCancelled { try await cancelled.value })
                        #expect(!draining.isDone && !sending.isDone)
                        #expect(try await client.text(7) == "before ")
                        #expect(try await client.read(exactly: content.count) == content)
                        #expect(try await sending.value == content.count)
                        #expect(try await client.text(8) == " between")
                        #expect(try await client.read(exactly: 9_000) == noise(9_000))
                        try await draining.value
                        writer.write("again")
                        try await writer.drain()
                        #expect(try await client.text(5) == "again" && writer.queuedCount == 0)
                    }
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `an end that a writer sends while a file is being sent comes behind the file`(driver: Driver) async throws
        {
            try await onNetwork(driver, configure: { $0.clock = nil }) { loop in
                let content = noise(driver.bulk)
                try await withFile(content) { path, file in
                    try await withPair(on: loop) { accepted, client in
                        let sending = spawn { try await accepted.sendFile(file) }
                        await turns(5, on: loop)
                        accepted.writer.write("last")
                        accepted.writer.writeEOF()
                        accepted.writer.writeEOF()
                        accepted.writer.write("late")
                        #expect(await ending { try await accepted.writer.drain() } == "writeAfterEnd")
                        #expect(!sending.isDone)
                        let received = try await client.readAll()
                        #expect(received == content + Array("last".utf8))
                        #expect(try await sending.value == content.count)
                        #expect(await ending { try await accepted.write("late") } == "writeAfterEnd")
                    }
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `what was to come behind a file goes with it if that is not sent, and who drains is told`(
            driver: Driver
        ) async throws {
            try await onNetwork(driver, configure: { $0.clock = nil }) { loop in
                let content = noise(driver.bulk)
                try await withFile(content) { path, file in
                    try await withPair(on: loop) { accepted, client in
                        var sent: [UInt8] = []
                        for drainsMeanwhile in [true, false] {
                            let sending = spawn { try await accepted.sendFile(file) }
                            await turns(5, on: loop)
                            accepted.writer.write("behind")
                            accepted.writer.writeEOF()
                            let drains = spawnEach(drainsMeanwhile ? 2 : 0, on: loop) { _ in
                                try await accepted.writer.drain()
                            }
                            await turns(5, on: loop)
                            sending.cancel()
                            let error = await failure { try await sending.value }
                            sent += content[..<((error as? PartialSendError)?.sentCount ?? 0)]
                            for drain in drains {
                                #expect(await failure { try await drain.value } as? StreamError == .sendingFile)
                            }
                            if !drainsMeanwhile {
                                let told = await failure { try await accepted.writer.drain() }
                                #expect(told as? StreamError == .sendingFile)
                            }
                            #expect(accepted.writer.queuedCount < sent.count + 1)
                        }
                        let receiving = spawn { try await client.readAll() }
                        // Once, and the writer goes on.
                        try await accepted.writer.drain()
                        accepted.writer.write("after")
                        accepted.writer.writeEOF()
                        #expect(try await receiving.value == sent + Array("after".utf8))
                    }
                }
            }
        }

        @Test(arguments: Driver.roomy, ["abort", "close", "peer"])
        func `who drains behind a file hears of the end of the connection`(driver: Driver, way: String) async throws {
            try await onNetwork(driver, configure: { $0.clock = nil }) { loop in
                try await withFile(noise(driver.bulk)) { path, file in
                    try await withPair(on: loop) { accepted, client in
                        let sending = spawn { try await accepted.sendFile(file) }
                        _ = try await client.read(exactly: 100)
                        accepted.writer.write("behind")
                        let draining = spawn { try await accepted.writer.drain() }
                        await turns(5, on: loop)
                        switch way {
                        case "abort": accepted.writer.abort()
                        case "close": accepted.writer.close()
                        default: client.abort()
                        }
                        if way == "close" { _ = try? await client.readAll() }
                        #expect(await failure { try await sending.value } is PartialSendError)
                        let end = await ending { try await draining.value }
                        #expect((way == "peer" ? ["ECONNRESET", "EPIPE"] : ["closed"]).contains(end), "\(end)")
                        #expect(accepted.writer.queuedCount == 0)
                    }
                }
            }
        }

        @Test(arguments: Driver.roomy)
        func `a peer that goes in the middle is an error that says how far it came`(driver: Driver) async throws {
            try await onNetwork(driver, configure: { $0.clock = nil }) { loop in
                let content = noise(driver.bulk)
                try await withFile(content) { path, file in
                    try await withPair(on: loop) { accepted, client in
                        let sending = spawn { try await accepted.sendFile(file) }
                        // More than what is written at a time where the system cannot send files.
                        let received = try await client.read(exactly: 300_000)
                        #expect(received == Array(content[..<300_000]))
                        client.abort()
                        let error = try #require(await failure { try await sending.value } as? PartialSendError)
                        #expect(error.sentCount >= 262_144 && error.sentCount < content.count)
                        #expect(["ECONNRESET", "EPIPE"].contains(brief(error.reason)), "\(error)")
                        #expect(await ending { try await accepted.write("x") } != "ok")
                    }
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `after a cancellation the connection goes on behind what was sent`(driver: Driver) async throws {
            try await onNetwork(driver, configure: { $0.clock = nil }) { loop in
                let content = noise(driver.bulk)
                try await withFile(content) { path, file in
                    try await withPair(on: loop) { accepted, client in
                        let sending = spawn { try await accepted.sendFile(path: path) }
                        _ = try await client.read(exactly: 15)
                        sending.cancel()
                        let error = try #require(await failure { try await sending.value } as? PartialSendError)
                        #expect(error.reason is CancellationError)
                        #expect(error.sentCount >= 15 && error.sentCount <= content.count)
                        if driver != .narrowMemory { #expect(error.sentCount < content.count) }
                        let receiving = spawn { try await client.readAll() }
                        try await accepted.write("after")
                        try await accepted.writeEOF()
                        #expect(try await receiving.value == content[15..<error.sentCount] + Array("after".utf8))
                    }
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `a connection that is closing, or whose end was sent, takes no file`(driver: Driver) async throws {
            try await onNetwork(driver, configure: { $0.clock = nil }) { loop in
                try await withFile(noise(10)) { path, file in
                    try await withPair(on: loop) { accepted, client in
                        #expect(await ending { try await client.sendFile(1_000_000) } == "EBADF")
                        #expect(await ending { try await client.sendFile(path: path + ".not") } == "ENOENT")
                        try await client.writeEOF()
                        #expect(await ending { try await client.sendFile(file) } == "writeAfterEnd")
                        try await accepted.close()
                        #expect(await ending { try await accepted.sendFile(file) } == "closed")
                        #expect(await ending { try await accepted.sendFile(path: path) } == "closed")
                    }
                }
            }
        }

        @Test(arguments: Driver.roomy)
        func `a close in the middle ends the sending`(driver: Driver) async throws {
            try await onNetwork(driver, configure: { $0.clock = nil }) { loop in
                let content = noise(driver.bulk)
                try await withFile(content) { path, file in
                    try await withPair(on: loop) { accepted, client in
                        let sending = spawn { try await accepted.sendFile(file) }
                        _ = try await client.read(exactly: 300_000)
                        accepted.abort()
                        let error = try #require(await failure { try await sending.value } as? PartialSendError)
                        #expect(brief(error.reason) == "closed" && error.sentCount < content.count)
                    }
                }
            }
        }
    }
}

/// Whatever else writes is told that a file is being sent.
private func expectRefusals(_ connection: TCPConnection, _ path: String, _ file: CInt) async throws {
    var errors: [(any Error)?] = []
    errors.append(await failure { try await connection.write("x") })
    errors.append(await failure { try await connection.write(contentsOf: ["x"]) })
    errors.append(await failure { unsafe try await connection.write([1].span.bytes) })
    errors.append(await failure { try await connection.writeEOF() })
    errors.append(await failure { try await connection.sendFile(file) })
    errors.append(await failure { try await connection.sendFile(path: path) })
    #expect(errors.map { $0 as? StreamError } == Array(repeating: .sendingFile, count: 6))
}

extension Driver {
    /// How large a file is that is larger than what a network holds.
    fileprivate var fileSize: Int { self == .narrowMemory ? 2_000 : 900_000 }
}

/// A file with this content, by its path and open.
private func withFile(
    _ content: [UInt8],
    _ body: (_ path: String, _ file: CInt) async throws -> Void
) async throws {
    let path = FileManager.default.temporaryDirectory.appending(path: "sendfile-\(UUID().uuidString)").path
    try Data(content).write(to: URL(filePath: path))
    defer { try? FileManager.default.removeItem(atPath: path) }
    let file = unsafe open(path, O_RDONLY)
    try #require(file >= 0)
    defer { close(file) }
    try await body(path, file)
}
