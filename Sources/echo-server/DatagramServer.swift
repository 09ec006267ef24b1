// The server of datagrams, with a task that receives them and in callbacks: the same lines, the same signals, the same
// end.
//
// Each datagram goes back to where it came from. One that cannot, for whatever the network says, is counted, and the
// next one gets its turn: with datagrams nobody's trouble is anybody else's.

import AsyncIO
import Foundation

/// Serves on one socket until the first signal, and then sends what waits to be sent.
struct DatagramServer: Sendable {
    let options: EchoServer

    func run() throws -> String {
        if options.api == .streams { return try AsyncIO.run(signals: .none) { try await serve() } }
        let loop = try EventLoop()
        defer { loop.close() }
        return try loop.runUntilComplete { loop, completion in try start(on: loop, completion) }
    }

    // MARK: As a task

    @MainActor
    private func serve() async throws -> String {
        let (host, port) = options.endpoint
        let socket = try await UDPSocket.bind(host: host, port: port)
        try await endOnSignals(socket, on: socket.loop)
        try announce(socket.localAddress)
        var (count, failures) = (0, 0)
        while true {
            do {
                let datagram = try await socket.receive()
                count += 1
                try await socket.send(datagram.bytes, to: datagram.address)
            } catch DatagramError.closed {
                break
            } catch is SystemError {
                failures += 1
            }
        }
        try await socket.close()
        return Self.summary(count, failures, await socket.loop.statistics)
    }

    private func endOnSignals(_ socket: UDPSocket, on loop: isolated EventLoop) throws {
        // Whoever receives hears of it, and waits for the end with an error if there is one.
        try loop.endOnSignals { AsyncIO.spawn { try? await socket.close() } }
    }

    // MARK: In callbacks

    private func start(on loop: isolated EventLoop, _ completion: Completion<String>) throws {
        let (host, port) = options.endpoint
        let echo = EchoDatagrams { count, failures, error in
            if let error { return completion.fail(error) }
            completion.succeed(Self.summary(count, failures, loop.statistics))
        }
        let transport = try loop.bindDatagram(to: SocketAddress.resolve(host: host, port: port)[0], echo)
        try loop.endOnSignals { transport.close() }
        try announce(transport.localAddress)
    }

    // MARK: Lines

    private func announce(_ address: SocketAddress?) throws {
        try Output.writeLine("listening on \(address.map { "\($0)" } ?? "?")", to: .standardOutput)
    }

    private static func summary(_ count: Int, _ failures: Int, _ statistics: LoopStatistics) -> String {
        "echo-server: \(count) datagrams, \(statistics.bytesReceived) bytes received, \(statistics.bytesSent) bytes sent"
            + (failures == 0 ? "" : ", \(failures) errors")
    }
}

/// Sends back each datagram, and stops receiving while more wait to be sent than is good.
final class EchoDatagrams: DatagramProtocol {
    private let onEnd: (_ count: Int, _ failures: Int, (any Error)?) -> Void
    private var (count, failures) = (0, 0)

    init(onEnd: @escaping (_ count: Int, _ failures: Int, (any Error)?) -> Void) { self.onEnd = onEnd }

    func datagramReceived(_ datagram: Datagram, from transport: DatagramTransport, on loop: isolated EventLoop) throws {
        count += 1
        try transport.send(datagram.bytes, to: datagram.address)
    }

    func errorReceived(_ error: SystemError, from transport: DatagramTransport, on loop: isolated EventLoop) {
        failures += 1
    }

    func pauseWriting(to transport: DatagramTransport, on loop: isolated EventLoop) { transport.pauseReading() }

    func resumeWriting(to transport: DatagramTransport, on loop: isolated EventLoop) { transport.resumeReading() }

    func connectionLost(_ transport: DatagramTransport, error: (any Error)?, on loop: isolated EventLoop) {
        onEnd(count, failures, error)
    }
}
