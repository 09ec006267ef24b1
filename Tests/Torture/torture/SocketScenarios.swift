// Calls on sockets, signals, threads and timers.

import AsyncIO
import Foundation

extension Scenario {
    /// A server and a client of socket calls, and a signal that the loop watches.
    @MainActor
    static func socketCalls(_ findings: Findings) async throws {
        let loop = EventLoop.current!
        let listener = try await socket(on: loop)
        defer { listener.close() }
        try await listener.bind(to: try SocketAddress(host: "127.0.0.1", port: 0))
        try await listener.listen()
        // A socket whose address the system does not tell has none.
        guard let address = await listener.localAddress else { throw EarlyEnd() }
        let serving = AsyncIO.spawn {
            // Who waits to be accepted hears of a failure that way.
            defer { listener.close() }
            let accepted = try await listener.accept()
            defer { accepted.close() }
            while true {
                let bytes = try await accepted.receive()
                if bytes.isEmpty { return }
                try await accepted.sendAll(bytes)
            }
        }
        do {
            let client = try await socket(on: loop)
            defer { client.close() }
            try await client.connect(to: address)
            try await client.sendAll("over there")
            var received = ""
            while received.count < 10 {
                let bytes = try await client.receive()
                if bytes.isEmpty { throw EarlyEnd() }
                received += String(decoding: bytes, as: UTF8.self)
            }
        } catch {
            findings.note(error: error)
            serving.cancel()
        }
        do { try await serving.value } catch { if !(error is CancellationError) { findings.note(error: error) } }

        try await waitForSignal(on: loop)
    }

    private static func socket(on loop: isolated EventLoop) throws -> RawSocket {
        try RawSocket(.ipv4, .stream, on: loop)
    }

    private static func waitForSignal(on loop: isolated EventLoop) async throws {
        let arrived = AsyncEvent()
        let watcher = try loop.onSignal(.user1) { arrived.set() }
        defer { watcher.cancel() }
        raise(SIGUSR1)
        try await arrived.wait()
    }

    /// Datagrams by socket calls.
    @MainActor
    static func datagramCalls(_ findings: Findings) async throws {
        let loop = EventLoop.current!
        let (sender, receiver) = (try await datagramSocket(on: loop), try await datagramSocket(on: loop))
        defer { for each in [sender, receiver] { each.close() } }
        try await receiver.bind(to: try SocketAddress(host: "127.0.0.1", port: 0))
        guard let address = await receiver.localAddress else { throw EarlyEnd() }
        for text in ["one", "two"] {
            try await sender.send(Bytes(text.utf8), to: address)
            let datagram = try await unlessLost(findings) { try await receiver.receiveDatagram() }
            if let datagram, datagram.bytes != Bytes(text.utf8) { throw EarlyEnd() }
        }
    }

    private static func datagramSocket(on loop: isolated EventLoop) throws -> RawSocket {
        try RawSocket(.ipv4, .datagram, on: loop)
    }

    /// A server on two loops of its own threads, and clients on this one.
    @MainActor
    static func severalLoops(_ findings: Findings) async throws {
        let server = try await TCPServer.listen(host: "127.0.0.1", port: 0, options: telling(findings), loops: 2)
        let serving = AsyncIO.spawn {
            try await server.serve(onEachLoop: { loop, connection in
                while let bytes = try await connection.read() { try await connection.write(bytes) }
            })
        }
        for _ in 0..<3 {
            do {
                try await TCPConnection.withConnection(host: "127.0.0.1", port: server.port) { connection in
                    try await connection.write("hello")
                    try await read(5, from: connection)
                }
            } catch {
                findings.note(error: error)
            }
        }
        server.close()
        await server.drain(within: .seconds(2))
        try await serving.value
    }

    /// Wake-ups from other threads, timers, and a loop of its own.
    @MainActor
    static func threadsAndTimers(_ findings: Findings) async throws {
        let loop = EventLoop.current!
        let number = try await AsyncIO.offload { 7 }
        guard number == 7 else { throw EarlyEnd() }
        let submitted = try loop.submitTask { _ in 8 }
        guard try await submitted.value == 8 else { throw EarlyEnd() }
        try await AsyncIO.sleep(for: .milliseconds(2))
        let other = try await withEventLoop { _ in
            try await AsyncIO.sleep(for: .milliseconds(1))
            return 9
        }
        guard other == 9 else { throw EarlyEnd() }
    }
}
