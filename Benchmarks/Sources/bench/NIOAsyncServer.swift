// An echo server on SwiftNIO's async channels, written as NIO's own example is: an outer sequence of connections, and a
// task for each.

internal import ArgumentParser
internal import CMeasure
internal import Dispatch
internal import NIOCore
internal import NIOPosix

enum NIOAsyncServer {
    /// Serves until SIGTERM, and returns the exit code.
    static func serve(host: String, port: Int) throws -> CInt {
        try check(measure_block_end(), "pthread_sigmask")
        Task {
            do {
                try await serve(host, port)
            } catch {
                Bench.exit(withError: error)
            }
        }
        try check(measure_wait_for_end(), "sigwait")
        return 0
    }

    private static func serve(_ host: String, _ port: Int) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let server = try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .bind(host: host, port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        guard let boundPort = server.channel.localAddress?.port else {
            throw BenchError("SwiftNIO does not say where it listens")
        }
        Terminal.print("listening on \(host):\(boundPort)")
        try await withThrowingDiscardingTaskGroup { tasks in
            try await server.executeThenClose { connections in
                for try await connection in connections {
                    tasks.addTask { await echo(connection) }
                }
            }
        }
    }

    private static func echo(_ connection: NIOAsyncChannel<ByteBuffer, ByteBuffer>) async {
        // A reset by the peer ends the connection, as it does in the other servers.
        try? await connection.executeThenClose { inbound, outbound in
            for try await bytes in inbound { try await outbound.write(bytes) }
        }
    }
}
