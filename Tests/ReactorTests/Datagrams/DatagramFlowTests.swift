// What waits, on both sides: a sender that is faster than the network is paused, as a stream's is, with 8 bytes more for
// each datagram; what nobody receives stays with the kernel, bounded; and batches keep their order.

import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct DatagramFlowTests {
        // The kernel's loopback takes everything at once, so what waits is a matter of memory.

        @Test func `pause comes within the send that crosses the mark, and resume when the network has taken enough`()
            throws
        {
            let story = try playDatagrams(on: .memory(capacity: 20)) { scene in
                scene.clientOptions.writeHighWaterMark = 30
                scene.clientOptions.writeLowWaterMark = 10
            } _: { loop, scene in
                let socket = scene.clientSocket!
                // The network holds two: the first leaves room for another, and with that it is full.
                for _ in 0..<2 { try socket.send("0123456789") }
                #expect(socket.writeBufferSize == 0)
                try socket.send("x")
                #expect(socket.writeBufferSize == 9 && scene.client.story == ["made"])
                try socket.send("")
                #expect(socket.writeBufferSize == 17 && scene.client.story == ["made"])
                try socket.send("12345")
                #expect(socket.writeBufferSize == 30 && scene.client.story == ["made"])
                try socket.send("")
                #expect(socket.writeBufferSize == 38 && scene.client.story == ["made", "pause"])
                scene.client.onResume = { [scene] transport in
                    #expect(transport.writeBufferSize <= 10)
                    scene.clientSocket.close()
                }
                scene.client.onLost = { [scene] _ in after(turns: 4, on: loop) { scene.serverSocket.close() } }
                scene.server.onLost = { _ in loop.stop() }
            }
            #expect(story.client == ["made", "pause", "resume", "lost"])
            let bytes = story.serverReceived.map { String(decoding: $0.bytes, as: UTF8.self) }
            // Behind these the receiver has no room, as it is as small as the network.
            #expect(bytes == ["0123456789", "0123456789", "x", ""])
        }

        @Test func `a close sends what waits, and an abort drops it`() throws {
            for isAborted in [false, true] {
                let story = try playDatagrams(on: .memory(capacity: 1)) { loop, scene in
                    for number in 0..<5 { try scene.clientSocket.send("\(number)") }
                    #expect(scene.clientSocket.writeBufferSize == 4 * 9)
                    if isAborted { scene.clientSocket.abort() } else { scene.clientSocket.close() }
                    after(turns: 20, on: loop) { [scene] in scene.serverSocket.close() }
                }
                let numbers = isAborted ? ["got '0'"] : (0..<5).map { "got '\($0)'" }
                #expect(story.server == ["made"] + numbers + ["lost"])
                #expect(story.client == ["made", "lost"])
            }
        }

        @Test func `lowering the mark below what waits pauses at once`() throws {
            let story = try playDatagrams(on: .memory(capacity: 1)) { loop, scene in
                let socket = scene.clientSocket!
                for _ in 0..<3 { try socket.send("") }
                #expect(socket.writeBufferLimits == (low: 16_384, high: 65_536))
                socket.setWriteBufferLimits(high: 15)
                #expect(socket.writeBufferLimits == (low: 3, high: 15))
                #expect(scene.client.story == ["made", "pause"])
                scene.client.onResume = { [scene] _ in scene.end() }
            }
            #expect(story.client == ["made", "pause", "resume", "lost"])
        }

        @Test(arguments: roomyNetworks)
        func `what arrives while reading is paused is there when it resumes`(network: EventLoop.Network) throws {
            let story = try playDatagrams(on: network) { loop, scene in
                scene.serverSocket.pauseReading()
                #expect(!scene.serverSocket.isReading)
                for number in 0..<3 { try scene.clientSocket.send("\(number)") }
                after(turns: 5, on: loop) { [scene] in
                    #expect(scene.server.story == ["made"])
                    scene.serverSocket.resumeReading()
                    #expect(scene.server.story == ["made"])
                }
                scene.server.onDatagram = { [scene] transport, datagram in
                    // Paused after each: the next must not come, nor get lost.
                    transport.pauseReading()
                    let count = scene.server.received.count
                    after(turns: 2, on: loop) {
                        #expect(scene.server.received.count == count)
                        if count == 3 { scene.end() } else { transport.resumeReading() }
                    }
                }
            }
            #expect(story.server == ["made", "got '0'", "got '1'", "got '2'", "lost"])
        }

        @Test(arguments: [EventLoop.Network.memory(capacity: 5_000), .system])
        func `a flood that nobody receives is bounded, and the socket works afterwards`(
            network: EventLoop.Network
        ) throws {
            let story = try playDatagrams(on: network) { scene in
                scene.serverOptions.receiveBufferSize = 5_000
            } _: { loop, scene in
                scene.serverSocket.pauseReading()
                var sent = 0
                repeatedly(on: loop) { [scene] in
                    for number in sent..<sent + 20 {
                        try? scene.clientSocket.send(Bytes(pattern(100, seed: UInt8(number % 251))))
                    }
                    sent += 20
                    guard sent == 4_000 else { return true }
                    after(turns: 300, on: loop) { scene.serverSocket.resumeReading() }
                    after(turns: 400, on: loop) { try? scene.clientSocket.send("end") }
                    return false
                }
                scene.server.onDatagram = { [scene] _, datagram in if datagram.bytes == "end" { scene.end() } }
            }
            let datagrams = story.serverReceived.dropLast()
            #expect(story.serverReceived.last?.bytes == "end")
            #expect(datagrams.count > 0 && datagrams.count < 400)
            for (number, datagram) in datagrams.enumerated() {
                #expect(datagram.bytes == Bytes(pattern(100, seed: UInt8(number % 251))))
            }
        }

        @Test(arguments: [1, 2, 20])
        func `datagrams that one system call brings keep their order, and pausing among them loses none`(
            batch: Int
        ) throws {
            for pauses in [false, true] {
                let story = try playDatagrams(on: .system) { scene in
                    scene.serverOptions.receiveBatch = batch
                } _: { loop, scene in
                    try scene.clientSocket.send(contentsOf: (0..<50).map { Bytes("\($0)".utf8) })
                    scene.server.onDatagram = { [scene] transport, datagram in
                        if scene.server.received.count == 50 { return scene.end() }
                        guard pauses else { return }
                        transport.pauseReading()
                        loop.schedule { transport.resumeReading() }
                    }
                }
                #expect(story.server == ["made"] + (0..<50).map { "got '\($0)'" } + ["lost"])
            }
        }

        @Test(arguments: [1, 20])
        func `a socket that is closed among the datagrams of a batch hears of no more`(batch: Int) throws {
            let story = try playDatagrams(on: .system) { scene in
                scene.serverOptions.receiveBatch = batch
            } _: { loop, scene in
                try scene.clientSocket.send(contentsOf: (0..<30).map { Bytes("\($0)".utf8) })
                scene.server.onDatagram = { [scene] _, _ in if scene.server.received.count == 5 { scene.end() } }
            }
            #expect(story.server == ["made"] + (0..<5).map { "got '\($0)'" } + ["lost"])
        }

        @Test(arguments: everyNetwork)
        func `datagrams that are kept keep their bytes`(network: EventLoop.Network) throws {
            let sizes = [1, 100, 9_000, 0, 40_000, 7, 60_000, 60_000, 30, 65_507]
            let story = try playDatagrams(on: network) { loop, scene in
                var next = 0
                let send = { [scene] in
                    try scene.clientSocket.send(Bytes(pattern(sizes[next], seed: UInt8(next))))
                    next += 1
                }
                scene.server.onDatagram = { [scene] _, _ in
                    if next == sizes.count { scene.end() } else { try send() }
                }
                try send()
            }
            #expect(story.serverReceived.map(\.bytes.count) == sizes)
            for (number, datagram) in story.serverReceived.enumerated() {
                #expect(datagram.bytes == Bytes(pattern(sizes[number], seed: UInt8(number))), "\(number)")
            }
        }

        @Test(arguments: everyNetwork)
        func `one of several that is too long is reported, and the others are sent`(network: EventLoop.Network) throws {
            let story = try playDatagrams(on: network) { loop, scene in
                try scene.clientSocket.send(contentsOf: ["a", Bytes(pattern(70_000)), "b"])
                scene.server.onDatagram = { [scene] _, _ in
                    if scene.server.received.count == 2 { after(turns: 2, on: loop) { scene.end() } }
                }
            }
            #expect(story.server == ["made", "got 'a'", "got 'b'", "lost"])
            #expect(story.client == ["made", "error EMSGSIZE", "lost"])
        }
    }
}
