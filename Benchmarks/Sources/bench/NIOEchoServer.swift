// An echo server on SwiftNIO, for reference: a channel handler on one event loop, written as NIO's own example is.

internal import CMeasure
internal import NIOCore
internal import NIOPosix

enum NIOEchoServer {
    /// Serves until SIGTERM, and returns the exit code.
    static func serve(host: String, port: Int) throws -> CInt {
        // The loop's thread inherits that SIGTERM is blocked, so the signal waits for the main thread to take it.
        try check(measure_block_end(), "pthread_sigmask")
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let channel = try ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(EchoHandler())
                }
            }
            .bind(host: host, port: port)
            .wait()
        guard let address = channel.localAddress, let boundPort = address.port else {
            throw BenchError("SwiftNIO does not say where it listens")
        }
        Terminal.print("listening on \(host):\(boundPort)")
        try check(measure_wait_for_end(), "sigwait")
        try group.syncShutdownGracefully()
        return 0
    }
}

/// Writes back what arrives, and flushes once for all that one read brought.
private final class EchoHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.write(data, promise: nil)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.flush()
    }

    /// A reset by the peer ends the connection, as it does in the other servers.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
