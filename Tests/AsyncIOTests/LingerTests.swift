// Closing that waits for the peer's acknowledgements, for tasks and servers. The peer is read for here, or not; the clock is
// virtual, so that who waits in vain shows by the time that has passed.

import AsyncIO
import AsyncIOTesting
import Foundation
import TestSupport
import Testing

#if os(Linux)
extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct LingerTests {
        /// More than a peer keeps that does not read, and less than the kernel takes to be sent.
        private static let count = 100_000
        private static let buffer: CInt = 4_096

        private static var options: StreamOptions {
            var options = StreamOptions()
            options.linger = .seconds(600)
            options.sendBufferSize = 1 << 18
            return options
        }

        private static var serverOptions: ServerOptions {
            var serverOptions = ServerOptions()
            serverOptions.listener.connection = options
            return serverOptions
        }

        /// Runs `body` with one end of a connection to which everything was written, and the other, which has read nothing.
        private func withLingering(
            _ body: @escaping @Sendable (isolated EventLoop, TCPConnection, CInt) async throws -> Void
        ) async throws {
            try await onNetwork(.sockets, configure: { $0.clock = VirtualClock() }) { loop in
                let (ours, theirs) = Raw.tcpPair(receiveBuffer: Self.buffer)
                defer { Raw.close(theirs) }
                let connection = try await TCPConnection.adopt(descriptor: ours, options: Self.options)
                try await connection.write(noise(Self.count))
                try await body(loop, connection, theirs)
                #expect(!Raw.isOpen(ours))
            }
        }

        /// Runs `body` with a server whose handler has written everything to a client that has read nothing.
        private func withDeafClient(
            _ body: @escaping @Sendable (isolated EventLoop, TCPServer, CInt) async throws -> Void
        ) async throws {
            try await onNetwork(.sockets, configure: { $0.clock = VirtualClock() }) { loop in
                let wrote = Latch(on: loop)
                try await serving(on: loop, Self.serverOptions) { connection in
                    try await connection.write(noise(Self.count))
                    wrote.open()
                } while: { server in
                    let client = Raw.tcpConnection(to: server.port, receiveBuffer: Self.buffer)
                    defer { Raw.close(client) }
                    try await wrote.wait()
                    try await body(loop, server, client)
                }
            }
        }

        @Test func `close returns when a peer that reads late has everything`() async throws {
            try await withLingering { loop, connection, peer in
                let start = loop.now
                loop.schedule(after: .seconds(60)) { #expect(Raw.readToEnd(peer) == (Self.count, 0)) }
                try await connection.close()
                #expect(start.duration(to: loop.now) >= .seconds(60))
                #expect(start.duration(to: loop.now) < .seconds(600))
            }
        }

        @Test func `close fails when the time is over, and the peer is reset`() async throws {
            try await withLingering { loop, connection, peer in
                let start = loop.now
                #expect(await ending { try await connection.close() } == "timedOut")
                #expect(start.duration(to: loop.now) >= .seconds(600))
                #expect(Raw.readToEnd(peer).error == ECONNRESET)
            }
        }

        @Test func `close by a task that is cancelled ends at once, and the peer is reset`() async throws {
            try await withLingering { loop, connection, peer in
                let start = loop.now
                let closing = spawn { try await connection.close() }
                try await AsyncIO.sleep(for: .seconds(1))
                closing.cancel()
                #expect(await isCancelled { try await closing.value })
                #expect(start.duration(to: loop.now) < .seconds(600))
                #expect(Raw.readToEnd(peer).error == ECONNRESET)
            }
        }

        @Test func `a handler lasts until its client has acknowledged what it wrote`() async throws {
            try await withDeafClient { loop, server, client in
                try await AsyncIO.sleep(for: .seconds(60))
                #expect(await server.connectionCount == 1)
                #expect(Raw.readToEnd(client) == (Self.count, 0))
                // Not after the limit, at which the client would have been reset.
                await server.drain(within: .seconds(500))
                #expect(await server.connectionCount == 0)
            }
        }

        @Test func `a server hears of a client that does not acknowledge in time`() async throws {
            try await onNetwork(.sockets, configure: { $0.clock = VirtualClock() }) { loop in
                let errors = Mailbox<String>(on: loop)
                var options = Self.serverOptions
                options.onError = { error, _ in errors.put(brief(error)) }
                try await serving(on: loop, options) { connection in
                    try await connection.write(noise(Self.count))
                } while: { server in
                    let client = Raw.tcpConnection(to: server.port, receiveBuffer: Self.buffer)
                    defer { Raw.close(client) }
                    let error = try await errors.take()
                    #expect(error == "timedOut")
                }
            }
        }

        @Test func `draining a server resets the clients that have not acknowledged in its time`() async throws {
            try await withDeafClient { loop, server, client in
                let start = loop.now
                await server.drain(within: .seconds(5))
                #expect(start.duration(to: loop.now) >= .seconds(5))
                #expect(start.duration(to: loop.now) < .seconds(600))
                #expect(Raw.readToEnd(client).error == ECONNRESET)
            }
        }
    }
}
#endif

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct SimulationLingerTests {
        /// Runs `body` with a client's connection to an echo server that it has written to while nothing came through.
        private func withHeldBytes(
            oneWay: Bool = false,
            _ body:
                @escaping @Sendable (
                    isolated EventLoop, Simulation, TCPConnection, _ server: SimulatedHost, _ client: SimulatedHost
                ) async throws -> Void
        ) async throws {
            try await withSimulations(seeds: 0..<10) { loop, simulation in
                let (server, client) = (simulation.host("server"), simulation.host("client"))
                server.start { try await echo() }
                try await client.run { try await untilUp("server") }
                var options = StreamOptions()
                options.linger = .seconds(100)
                let connection = try await client.run { [options] in
                    try await TCPConnection.connect(host: "server", port: 80, options: options)
                }
                if oneWay {
                    simulation.partition(server, client, oneWay: true)
                } else {
                    simulation.partition(client, server)
                }
                try await connection.write("kept")
                try await body(loop, simulation, connection, server, client)
                simulation.heal()
            }
        }

        @Test func `closing waits out a partition`() async throws {
            try await withHeldBytes { loop, simulation, connection, server, client in
                let start = loop.now
                loop.schedule(after: .seconds(30)) { simulation.heal(client, server) }
                try await connection.close()
                let elapsed = start.duration(to: loop.now)
                try expect(elapsed >= .seconds(30) && elapsed < .seconds(31), "\(elapsed)")
            }
        }

        @Test func `closing fails if a partition lasts too long, if only of acknowledgements`() async throws {
            for oneWay in [false, true] {
                try await withHeldBytes(oneWay: oneWay) { loop, _, connection, _, _ in
                    let start = loop.now
                    let end = await ending { try await connection.close() }
                    let elapsed = start.duration(to: loop.now)
                    try expect(end == "timedOut" && elapsed == .seconds(100), "\(end) after \(elapsed)")
                }
            }
        }

        @Test func `closing fails with the connection, if that breaks on the way`() async throws {
            try await withHeldBytes { loop, simulation, connection, server, client in
                let start = loop.now
                loop.schedule(after: .seconds(30)) {
                    simulation.reset(client, server)
                    simulation.heal(client, server)
                }
                let end = await ending { try await connection.close() }
                let elapsed = start.duration(to: loop.now)
                try expect(end == "ECONNRESET" && elapsed < .seconds(32), "\(end) after \(elapsed)")
            }
        }
    }
}
