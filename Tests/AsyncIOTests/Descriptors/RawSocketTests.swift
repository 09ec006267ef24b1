// Behaviour 125 of asyncio: the calls of a socket are tried first and wait only if they must; no cancellation loses
// anything or leaves anything behind; what a cancelled send has sent is said; and a close wakes who waits.

import AsyncIO
import Foundation
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite struct RawSocketTests {
        @Test func `client and server race, and megabytes arrive whole`() async throws {
            try await onNetwork(.sockets) { loop in
                let content = Bytes(noise(700_000))
                try await withListener(on: loop) { listener, address in
                    let serving = spawn {
                        let client = try await listener.accept()
                        defer { client.close() }
                        var received: [UInt8] = []
                        while received.count < content.count {
                            let bytes = try await client.receive()
                            if bytes.isEmpty { break }
                            received.append(bytes: bytes)
                        }
                        try await client.sendAll("got it")
                        return received
                    }
                    let socket = try RawSocket(.ipv4, .stream, on: loop)
                    try await socket.connect(to: address)
                    #expect(await socket.remoteAddress == address)
                    try await socket.sendAll(content)
                    #expect(Bytes(try await serving.value) == content)
                    var room = [UInt8](repeating: 0, count: 4)
                    var text: [UInt8] = []
                    while true {
                        var elements = room.mutableSpan
                        // SAFETY: every pattern of bits is a byte.
                        var span = unsafe elements.mutableBytes
                        let count = try await socket.receive(into: &span)
                        if count == 0 { break }
                        text += room[..<count]
                    }
                    #expect(String(decoding: text, as: UTF8.self) == "got it")
                    socket.close()
                    socket.close()
                    #expect(await failure { try await socket.receive() } as? ReadinessError == .closed)
                }
            }
        }

        @Test func `an accept that is cancelled loses no client`() async throws {
            try await onNetwork(.sockets) { loop in
                try await withListener(on: loop) { listener, address in
                    for number in 0..<10 {
                        let accepting = spawn { try await listener.accept() }
                        if number % 2 == 0 { await turns(2, on: loop) }
                        accepting.cancel()
                        let client = try RawSocket(.ipv4, .stream, on: loop)
                        try await client.connect(to: address)
                        let accepted = try await listener.accept()
                        #expect(await errorOf { _ = try await accepting.value } == "CancellationError")
                        #expect(await accepted.remoteAddress == client.localAddress)
                        accepted.close()
                        client.close()
                    }
                }
            }
        }

        @Test func `a receive that is cancelled makes room for the next at once`() async throws {
            try await onNetwork(.sockets) { loop in
                try await withRawPair(on: loop) { one, other in
                    for number in 0..<20 {
                        let first = spawn { try await one.receive() }
                        await turns(2, on: loop)
                        #expect(await failure { try await one.receive() } is ReadinessError)
                        first.cancel()
                        let second = spawn { try await one.receive() }
                        #expect(await errorOf { _ = try await first.value } == "CancellationError")
                        try await other.sendAll(Bytes("\(number)".utf8))
                        #expect(try await second.value == Bytes("\(number)".utf8))
                    }
                }
            }
        }

        @Test func `a send that is cancelled in its middle says how much was sent`() async throws {
            try await onNetwork(.sockets) { loop in
                try await withRawPair(on: loop) { one, other in
                    let content = Bytes(noise(1_500_000))
                    let sending = spawn { try await one.sendAll(content) }
                    await turns(4, on: loop)
                    sending.cancel()
                    let error = try #require(await failure { try await sending.value } as? PartialSendError)
                    #expect(error.reason is CancellationError)
                    #expect(error.sentCount > 0 && error.sentCount < content.count)
                    try await one.withDescriptor { descriptor in #expect(shutdown(descriptor, CInt(SHUT_WR)) == 0) }
                    var received = 0
                    while true {
                        let bytes = try await other.receive()
                        if bytes.isEmpty { break }
                        #expect(bytes == content[received..<received + bytes.count])
                        received += bytes.count
                    }
                    #expect(received == error.sentCount)
                }
            }
        }

        @Test func `a task that is cancelled already makes no call`() async throws {
            try await onNetwork(.sockets) { loop in
                try await withRawPair(on: loop) { one, other in
                    try await other.sendAll("kept")
                    let late = spawn {
                        await Latch(on: loop).waitUntilCancelled()
                        return await [
                            errorOf { _ = try await one.receive() },
                            errorOf { try await one.sendAll("x") },
                            errorOf { _ = try await one.accept() },
                            errorOf { _ = try await one.receiveDatagram() },
                        ]
                    }
                    await turns(2, on: loop)
                    late.cancel()
                    #expect(try await late.value == Array(repeating: "CancellationError", count: 4))
                    #expect(try await one.receive() == "kept")
                }
            }
        }

        @Test func `a close wakes who waits, in both directions and from another thread`() async throws {
            try await onNetwork(.sockets) { loop in
                try await withRawPair(on: loop) { one, other in
                    let receiving = spawn { _ = try await one.receive() }
                    let sending = spawn { try await one.sendAll(Bytes(noise(1_500_000))) }
                    await turns(4, on: loop)
                    try await onThePool { one.close() }
                    #expect(await failure { try await receiving.value } as? ReadinessError == .closed)
                    let error = try #require(await failure { try await sending.value } as? PartialSendError)
                    #expect(error.reason as? ReadinessError == .closed)
                    // What it had received and not read makes no difference to the peer, who gets the rest or a reset.
                    var end = "ok"
                    while end == "ok" {
                        end = await errorOf { if try await other.receive().isEmpty { throw Refusal() } }
                    }
                    #expect(["Refusal", "ECONNRESET"].contains(end))
                }
            }
        }

        @Test func `nobody listens, and connect says so and where`() async throws {
            try await onNetwork(.sockets) { loop in
                let address = try await withListener(on: loop) { _, address in address }
                let socket = try RawSocket(.ipv4, .stream, on: loop)
                let error = try #require(await failure { try await socket.connect(to: address) } as? SystemError)
                #expect(error.code == .connectionRefused && error.address == address)
                socket.close()
            }
        }

        @Test func `datagrams come with their sender`() async throws {
            try await onNetwork(.sockets) { loop in
                let one = try RawSocket(.ipv4, .datagram, on: loop)
                try await one.bind(to: SocketAddress(host: "127.0.0.1", port: 0))
                let address = try #require(await one.localAddress)
                let other = try await UDPSocket.connect(host: "127.0.0.1", port: Int(address.port))
                let receiving = spawn { try await one.receiveDatagram() }
                await turns(2, on: loop)
                try await other.send("hello")
                let datagram = try await receiving.value
                #expect(datagram.bytes == "hello" && datagram.address == other.localAddress && !datagram.isTruncated)
                try await one.send("", to: datagram.address)
                #expect(try await other.receive().bytes.isEmpty)
                #expect(await errorOf { try await one.send(Bytes(noise(70_000)), to: address) } == "EMSGSIZE")
                one.close()
                try await other.close()
            }
        }

        @Test func `a datagram that is longer than the room for it says so`() async throws {
            try await onNetwork(.sockets) { loop in
                // Of the network's none is; Unix sockets have longer ones.
                let (one, other) = Raw.socketPair(ofDatagrams: true)
                let (sender, receiver) = try (RawSocket(adopting: one, on: loop), RawSocket(adopting: other, on: loop))
                let sent = Bytes(noise(70_000))
                try await sender.sendAll(sent)
                let datagram = try await receiver.receiveDatagram()
                #expect(datagram.isTruncated && datagram.bytes == sent.prefix(65_536))
                try await sender.sendAll(sent.prefix(65_536))
                #expect(try await !receiver.receiveDatagram().isTruncated)
                sender.close()
                receiver.close()
            }
        }

        @Test func `what belongs to somebody else is not adopted, and stays theirs`() async throws {
            try await onNetwork(.sockets) { loop in
                try await withRawPair(on: loop) { one, other in
                    let descriptor = try await one.withDescriptor { $0 }
                    #expect(throws: ReadinessError.owned(descriptor)) { try RawSocket(adopting: descriptor, on: loop) }
                    #expect(throws: ReadinessError.owned(descriptor)) { try loop.watch(descriptor, for: .readable) {} }
                    let file = unsafe open(#filePath, O_RDONLY)
                    #expect(throws: ReadinessError.alwaysReady(file)) { try RawSocket(adopting: file, on: loop) }
                    close(file)
                    #expect(throws: SystemError.self) { try RawSocket(adopting: 1_000_000, on: loop) }
                    try await one.sendAll("fine")
                    #expect(try await other.receive() == "fine")
                }
            }
        }

        @Test func `other threads use a socket, and one that is dropped is closed`() async throws {
            try await onNetwork(.sockets) { loop in
                try await withRawPair(on: loop) { one, other in
                    try await onThePool {
                        let content = Bytes(noise(500_000))
                        async let sent: Void = one.sendAll(content)
                        var received: [UInt8] = []
                        while received.count < content.count { received += try await other.receive() }
                        try await sent
                        #expect(Bytes(received) == content)
                        var room = [UInt8](repeating: 0, count: 4)
                        try await one.sendAll("ab")
                        var elements = room.mutableSpan
                        // SAFETY: every pattern of bits is a byte.
                        var span = unsafe elements.mutableBytes
                        #expect(try await other.receive(into: &span) == 2)
                        #expect(room == [97, 98, 0, 0])
                    }
                }
                let dropped = try RawSocket(.ipv6, .datagram, on: loop)
                _ = dropped
            }
        }
    }
}

/// A listening socket for the length of `body`.
private func withListener<Value>(
    on loop: isolated EventLoop,
    _ body: (_ listener: RawSocket, _ address: SocketAddress) async throws -> Value
) async throws -> Value {
    let listener = try RawSocket(.ipv4, .stream, on: loop)
    defer { listener.close() }
    try await listener.bind(to: SocketAddress(host: "127.0.0.1", port: 0))
    try await listener.listen()
    return try await body(listener, try #require(await listener.localAddress))
}

/// Two sockets that are connected to each other.
private func withRawPair(
    on loop: isolated EventLoop,
    _ body: (_ one: RawSocket, _ other: RawSocket) async throws -> Void
) async throws {
    var ends: [CInt] = [-1, -1]
    #if os(Linux)
    let kind = CInt(SOCK_STREAM.rawValue)
    #else
    let kind = SOCK_STREAM
    #endif
    try #require(unsafe socketpair(AF_UNIX, kind, 0, &ends) == 0)
    let (one, other) = try (RawSocket(adopting: ends[0], on: loop), RawSocket(adopting: ends[1], on: loop))
    defer {
        one.close()
        other.close()
    }
    try await body(one, other)
}
