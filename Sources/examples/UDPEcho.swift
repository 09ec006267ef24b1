// Datagrams: each stands for itself, there is nobody to accept, and what goes wrong with one does not concern the next.

import ArgumentParser
import AsyncIO

struct UDPEcho: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "udp-echo",
        abstract: "Sends every datagram back. Try `nc -u 127.0.0.1 7781`."
    )

    @Option(help: "The port to receive on; 0 takes any that is free.")
    var port = 7781

    func run() throws {
        try AsyncIO.run {
            try await UDPSocket.withSocket(host: "127.0.0.1", port: port) { socket in
                Terminal.writeLine("listening on \(socket)")
                try await Self.answer(socket, Terminal.writeLine)
            }
        }
    }

    /// Answers until the socket is closed or the task is cancelled, which Ctrl-C does.
    static func answer(_ socket: UDPSocket, _ output: Output) async throws {
        while true {
            do {
                let datagram = try await socket.receive()
                try await socket.send(datagram.bytes, to: datagram.address)
            } catch let error as SystemError {
                // What the network says of one datagram: the socket is as good as before.
                output("\(error)")
            } catch DatagramError.closed {
                return
            }
        }
    }
}
