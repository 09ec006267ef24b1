// The kinds of waits in which a network takes part: reading, writing, draining, closing, connecting, accepting, datagrams,
// readiness, and files that are sent.

import AsyncIO
import AsyncIOTesting
import Foundation
import TestSupport
import Testing

extension WaitKind {
    static let network: [WaitKind] = reading + writing + sockets

    /// What nobody reads, on its way out: more than the network holds.
    private static func bulk(_ driver: Driver) -> Bytes { driver == .sockets ? manyBytes : fewBytes }
    private static let manyBytes = Bytes(noise(Driver.sockets.bulk))
    private static let fewBytes = Bytes(noise(Driver.memory.bulk / 4))

    // MARK: Reading

    private static let reading = [tcpConnectionRead, tcpConnectionAsASequence, streamReaderReadLine]

    private static let tcpConnectionRead = WaitKind(
        name: "TCPConnection.read",
        drivers: Driver.allCases,
        completed: "x",
        completesAtOnce: false,
        closed: "closed"
    ) { loop, _ in
        let pair = try await LoosePair(on: loop)
        return pair.parts(
            wait: { _ in try await pair.client.read().map { "\($0.text)" } ?? "nil" },
            complete: { inBackground(on: $0) { try await pair.accepted.write("x") } }
        )
    }

    private static let tcpConnectionAsASequence = WaitKind(
        name: "TCPConnection as a sequence",
        drivers: Driver.roomy,
        completed: "x",
        completesAtOnce: false,
        closed: "closed"
    ) { loop, _ in
        let pair = try await LoosePair(on: loop)
        return pair.parts(
            wait: { _ in
                for try await bytes in pair.client { return bytes.text }
                return "nil"
            },
            complete: { inBackground(on: $0) { try await pair.accepted.write("x") } }
        )
    }

    private static let streamReaderReadLine = WaitKind(
        name: "StreamReader.readLine",
        drivers: Driver.allCases,
        completed: "x",
        completesAtOnce: false,
        closed: "closed"
    ) { loop, _ in
        let pair = try await LoosePair(on: loop)
        return pair.parts(
            wait: { _ in try await StreamReader(pair.client).readTextLine() ?? "nil" },
            complete: { inBackground(on: $0) { try await pair.accepted.write("x\n") } }
        )
    }

    // MARK: Writing

    private static let writing = [tcpConnectionWrite, streamWriterDrain, tcpConnectionClose, sendFile]

    private static let tcpConnectionWrite = WaitKind(
        name: "TCPConnection.write",
        drivers: Driver.roomy,
        completesAtOnce: false,
        closed: "closed",
        closesAtOnce: false
    ) { loop, driver in
        let pair = try await LoosePair(on: loop)
        return pair.parts(
            wait: { _ in
                try await pair.client.write(bulk(driver))
                return "ok"
            },
            complete: pair.readAll
        )
    }

    private static let streamWriterDrain = WaitKind(
        name: "StreamWriter.drain",
        drivers: Driver.roomy,
        completesAtOnce: false,
        closed: "closed",
        closesAtOnce: false
    ) { loop, driver in
        let pair = try await LoosePair(on: loop)
        return pair.parts(
            wait: { _ in
                let writer = StreamWriter(pair.client)
                writer.write(bulk(driver))
                try await writer.drain()
                return "ok"
            },
            complete: pair.readAll
        )
    }

    private static let tcpConnectionClose = WaitKind(
        name: "TCPConnection.close",
        drivers: Driver.roomy,
        completesAtOnce: false,
        closed: "ok",
        closesAtOnce: false
    ) { loop, driver in
        let pair = try await LoosePair(on: loop)
        inBackground(on: loop) { try await pair.client.write(bulk(driver)) }
        return pair.parts(
            wait: { _ in
                try await pair.client.close()
                return "ok"
            },
            complete: pair.readAll
        )
    }

    private static let sendFile = WaitKind(
        name: "sendFile",
        drivers: Driver.roomy,
        completesAtOnce: false,
        closed: "closed",
        closesAtOnce: false
    ) { loop, driver in
        let pair = try await LoosePair(on: loop)
        let path = FileManager.default.temporaryDirectory.appending(path: "ending-\(UUID().uuidString)").path
        unsafe try bulk(driver).withUnsafeBytes { unsafe try Data($0).write(to: URL(filePath: path)) }
        return pair.parts(
            wait: { _ in
                try await withoutCount { _ = try await pair.client.sendFile(path: path) }
                return "ok"
            },
            complete: pair.readAll,
            tidy: { _ in try? FileManager.default.removeItem(atPath: path) }
        )
    }

    // MARK: Sockets

    private static let sockets = [
        udpSocketReceive, tcpConnectionConnect, tcpServerServe, rawSocketAccept, rawSocketReceive, rawSocketSendAll,
    ]

    private static let udpSocketReceive = WaitKind(
        name: "UDPSocket.receive",
        drivers: Driver.roomy,
        completed: "x",
        completesAtOnce: false,
        closed: "DatagramError"
    ) { loop, _ in
        let receiver = try await UDPSocket.bind(host: "127.0.0.1", port: 0)
        let sender = try await UDPSocket.bind(host: "127.0.0.1", port: 0)
        return WaitParts(
            wait: { _ in try await receiver.receive().bytes.text },
            complete: { inBackground(on: $0) { try await sender.send("x", to: receiver.localAddress) } },
            close: { _ in receiver.abort() },
            tidy: { _ in
                receiver.abort()
                sender.abort()
            }
        )
    }

    private static let tcpConnectionConnect = WaitKind(name: "TCPConnection.connect", completed: nil) { loop, _ in
        loop.makeSilent(try SocketAddress(host: "10.0.0.1", port: 0))
        return WaitParts(
            wait: { _ in
                try await TCPConnection.connect(host: "10.0.0.1", port: 80).abort()
                return "ok"
            }
        )
    }

    private static let tcpServerServe = WaitKind(
        name: "TCPServer.serve",
        drivers: Driver.roomy,
        completed: nil,
        closed: "ok",
        closesAtOnce: false
    ) { loop, _ in
        let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
        return WaitParts(
            wait: { _ in
                try await server.serve { _ in }
                return "ok"
            },
            close: { _ in server.close() },
            tidy: { _ in server.abort() }
        )
    }

    private static let rawSocketAccept = WaitKind(
        name: "RawSocket.accept",
        drivers: [.sockets],
        completesAtOnce: false,
        closed: "ReadinessError"
    ) { loop, _ in
        let listener = try RawSocket(.ipv4, .stream, on: loop)
        try await listener.bind(to: SocketAddress(host: "127.0.0.1", port: 0))
        try await listener.listen()
        let address = try #require(await listener.localAddress)
        let client = try RawSocket(.ipv4, .stream, on: loop)
        return WaitParts(
            wait: { _ in
                try await listener.accept().close()
                return "ok"
            },
            complete: { inBackground(on: $0) { try await client.connect(to: address) } },
            close: { _ in listener.close() },
            tidy: { _ in
                listener.close()
                client.close()
            }
        )
    }

    private static let rawSocketReceive = WaitKind(
        name: "RawSocket.receive",
        drivers: [.sockets],
        completed: "x",
        completesAtOnce: false,
        closed: "ReadinessError"
    ) { loop, _ in
        let (one, other) = try rawPair(on: loop)
        return WaitParts(
            wait: { _ in try await one.receive().text },
            complete: { inBackground(on: $0) { try await other.sendAll("x") } },
            close: { _ in one.close() },
            tidy: { _ in
                one.close()
                other.close()
            }
        )
    }

    private static let rawSocketSendAll = WaitKind(
        name: "RawSocket.sendAll",
        drivers: [.sockets],
        completesAtOnce: false,
        closed: "ReadinessError"
    ) { loop, _ in
        let (one, other) = try rawPair(on: loop)
        return WaitParts(
            wait: { _ in
                try await withoutCount { try await one.sendAll(fewBytes) }
                return "ok"
            },
            complete: { loop in
                inBackground(on: loop) {
                    var left = fewBytes.count
                    while left > 0 {
                        let count = try await other.receive().count
                        if count == 0 { break }
                        left -= count
                    }
                }
            },
            close: { _ in one.close() },
            tidy: { _ in
                one.close()
                other.close()
            }
        )
    }

    private static func rawPair(on loop: isolated EventLoop) throws -> (RawSocket, RawSocket) {
        let ends = Raw.socketPair()
        return (try RawSocket(adopting: ends.0, on: loop), try RawSocket(adopting: ends.1, on: loop))
    }
}

/// Two ends of a connection that last until somebody lets go of them, or the loop ends.
private struct LoosePair: Sendable {
    let server: TCPServer
    let accepted: TCPConnection
    let client: TCPConnection
    private let over: Latch

    init(on loop: isolated EventLoop) async throws {
        let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
        let arrivals = Mailbox<TCPConnection>(on: loop)
        let over = Latch(on: loop)
        spawn {
            try? await server.serve { connection in
                arrivals.put(connection)
                try await over.wait()
            }
        }
        client = try await server.client()
        accepted = try await arrivals.take()
        (self.server, self.over) = (server, over)
    }

    /// Reads at the accepted end what the other one writes, until nothing more comes.
    var readAll: WaitParts.Action {
        { inBackground(on: $0) { _ = try await accepted.readAll() } }
    }

    func parts(
        wait: @escaping @Sendable (isolated EventLoop) async throws -> String,
        complete: @escaping WaitParts.Action,
        tidy: @escaping WaitParts.Action = { _ in }
    ) -> WaitParts {
        WaitParts(
            wait: wait,
            complete: complete,
            close: { _ in client.abort() },
            tidy: { loop in
                over.open()
                server.abort()
                client.abort()
                tidy(loop)
            }
        )
    }
}

/// Does something that fails when the wait that it is for is over.
private func inBackground(on loop: isolated EventLoop, _ body: @escaping @Sendable () async throws -> Void) {
    spawn(eager: true) { try? await body() }
}

/// What is sent in part fails with how far it came, if it came anywhere, and why: here the second is what counts.
private func withoutCount(_ body: () async throws -> Void) async throws {
    do { try await body() } catch let error as PartialSendError { throw error.reason }
}
