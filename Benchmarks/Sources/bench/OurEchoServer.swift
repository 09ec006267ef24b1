// Our echo server in callbacks: the shortest one that is correct, as a user would write it. It pauses reading from a
// peer that does not read, as the server on libuv does, so that the two do the same.

internal import Reactor

enum OurEchoServer {
    /// Serves until SIGTERM, and returns the exit code.
    static func serve(host: String, port: Int) throws -> CInt {
        let loop = try EventLoop()
        defer { loop.close() }
        try loop.runForever { loop in
            let listener = try loop.listen(on: SocketAddress(host: host, port: port)) { EchoProtocol() }
            try loop.onSignal(.terminate) {
                listener.abort()
                loop.stop()
            }
            Terminal.print("listening on \(listener.localAddress)")
        }
        return 0
    }
}

private final class EchoProtocol: StreamProtocol {
    func dataReceived(_ bytes: Bytes, from transport: StreamTransport, on loop: isolated EventLoop) {
        transport.write(bytes)
    }

    func pauseWriting(to transport: StreamTransport, on loop: isolated EventLoop) {
        transport.pauseReading()
    }

    func resumeWriting(to transport: StreamTransport, on loop: isolated EventLoop) {
        transport.resumeReading()
    }
}
