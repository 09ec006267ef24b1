// The server in callbacks: listeners, signals, and the end.

import AsyncIO
import Foundation

/// The parts of a run that the signals bring together.
struct CallbackServer: Sendable {
    let options: EchoServer

    /// How long open connections are served after the first signal.
    static let drainTime = Duration.seconds(5)

    func run() throws -> String {
        let loop = try EventLoop()
        defer { loop.close() }
        return try loop.runUntilComplete { loop, completion in try start(on: loop, completion) }
    }

    /// Listens and watches for signals.
    ///
    /// `completion` gets the figures when everything has ended.
    private func start(on loop: isolated EventLoop, _ completion: Completion<String>) throws {
        var listenerOptions = ListenerOptions()
        listenerOptions.maxConnections = options.maxConnections
        let listener = try loop.listen(on: address(), options: listenerOptions) { EchoProtocol() }
        try loop.endOnSignals {
            listener.drain(within: Self.drainTime) { completion.succeed(Self.summary(listener, loop.statistics)) }
        }
        try Output.writeLine("listening on \(listener.localAddress)", to: .standardOutput)
    }

    private func address() throws -> SocketAddress {
        if let path = options.unix { return try SocketAddress(unixPath: path) }
        let (host, port) = options.endpoint
        // A name can stand for an IPv4 and an IPv6 address; the first is enough for an example.
        return try SocketAddress.resolve(host: host, port: port)[0]
    }

    private static func summary(_ listener: Listener, _ statistics: LoopStatistics) -> String {
        "echo-server: \(listener.acceptedCount) connections, \(statistics.bytesReceived) bytes received, "
            + "\(statistics.bytesSent) bytes sent"
    }
}

/// Sends back what it receives, and stops reading from a peer that does not read.
final class EchoProtocol: StreamProtocol {
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
