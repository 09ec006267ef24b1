// Raw sockets of every family, what is no listener, and files that are sent on them.

import AsyncIO
import Foundation
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct RawSocketKindTests {
        @Test func `what does not listen accepts nobody, and says so at once`() async throws {
            try await onNetwork(.sockets) { loop in
                let datagrams = try RawSocket(.ipv4, .datagram, on: loop)
                #expect(await ending { _ = try await datagrams.accept() } == "ENOTSUP")
                let stream = try RawSocket(.ipv4, .stream, on: loop)
                #expect(await ending { _ = try await stream.accept() } == "EINVAL")
                datagrams.close()
                stream.close()
            }
        }

        @Test func `a Unix socket listens and connects at its path`() async throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            try await onNetwork(.sockets) { loop in
                let address = try SocketAddress(unixPath: folder.file("raw"))
                let listener = try RawSocket(.unix, .stream, on: loop)
                try await listener.bind(to: address)
                try await listener.listen()
                #expect(await listener.localAddress == address)
                let client = try RawSocket(.unix, .stream, on: loop)
                try await client.connect(to: address)
                #expect(await client.remoteAddress == address)
                let accepted = try await listener.accept()
                try await client.sendAll("hello")
                #expect(try await accepted.receive() == "hello")
                for socket in [client, accepted, listener] { socket.close() }
            }
        }

        @Test func `Unix datagrams come with their sender, or with none`() async throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            try await onNetwork(.sockets) { loop in
                let (here, there) = try (
                    SocketAddress(unixPath: folder.file("a")), SocketAddress(unixPath: folder.file("b"))
                )
                let receiver = try RawSocket(.unix, .datagram, on: loop)
                try await receiver.bind(to: here)
                let sender = try RawSocket(.unix, .datagram, on: loop)
                try await sender.send("nameless", to: here)
                let first = try await receiver.receiveDatagram()
                #expect(first.bytes == "nameless" && first.address.description == "unix:")
                try await sender.bind(to: there)
                try await sender.send("named", to: here)
                let second = try await receiver.receiveDatagram()
                #expect(second.bytes == "named" && second.address == there)
                for socket in [receiver, sender] { socket.close() }
            }
        }

        // MARK: Files, behaviours 125 and 126

        @Test func `a file is sent, or a part of it, to a peer that reads slowly`() async throws {
            let content = noise(1_500_000)
            try await onFile(content) { file, one, other, loop in
                let receiving = spawn { try await all(of: other) }
                try await one.sendAll("before ")
                #expect(try await one.sendFile(file) == content.count)
                #expect(try await one.sendFile(file, offset: 1_499_990, count: 900) == 10)
                #expect(try await one.sendFile(file, offset: 2_000_000) == 0)
                #expect(try await one.sendFile(file, offset: 5, count: 0) == 0)
                try await one.sendAll(" after")
                one.close()
                let parts = [Array("before ".utf8), content, Array(content.suffix(10)), Array(" after".utf8)]
                #expect(try await receiving.value == parts.flatMap { $0 })
            }
        }

        @Test func `a file that is sent by a task that is cancelled says how far it came`() async throws {
            let content = noise(3_000_000)
            try await onFile(content) { file, one, other, loop in
                let sending = spawn { try await one.sendFile(file) }
                await turns(5, on: loop)
                sending.cancel()
                let error = try #require(await failure { try await sending.value } as? PartialSendError)
                #expect(error.reason is CancellationError && error.sentCount > 0 && error.sentCount < content.count)
                one.close()
                #expect(try await all(of: other) == Array(content.prefix(error.sentCount)))
            }
        }

        @Test func `a peer that goes in the middle of a file, and what is no file, are errors`() async throws {
            let content = noise(3_000_000)
            try await onFile(content) { file, one, other, loop in
                #expect(await ending { try await one.sendFile(-1) } == "EBADF")
                let sending = spawn { try await one.sendFile(file) }
                await turns(5, on: loop)
                other.close()
                let error = try #require(await failure { try await sending.value } as? PartialSendError)
                #expect(["EPIPE", "ECONNRESET"].contains(brief(error.reason)) && error.sentCount > 0)
            }
        }
    }
}

/// Everything up to the end.
private func all(of socket: RawSocket) async throws -> [UInt8] {
    var received: [UInt8] = []
    while true {
        let bytes = try await socket.receive()
        if bytes.isEmpty { return received }
        received.append(bytes: bytes)
    }
}

/// Gives `body` a file with this content and two sockets that are connected to each other.
private func onFile(
    _ content: [UInt8],
    _ body: @escaping @Sendable (CInt, RawSocket, RawSocket, isolated EventLoop) async throws -> Void
) async throws {
    let folder = ScratchFolder()
    defer { folder.remove() }
    let path = folder.file("content")
    try Data(content).write(to: URL(filePath: path))
    try await onNetwork(.sockets) { loop in
        let file = Raw.open(path)
        defer { Raw.close(file) }
        let (ours, theirs) = Raw.socketPair()
        let (one, other) = try (RawSocket(adopting: ours, on: loop), RawSocket(adopting: theirs, on: loop))
        defer {
            one.close()
            other.close()
        }
        try await body(file, one, other, loop)
    }
}
