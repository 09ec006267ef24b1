// Datagrams: one at a time, in batches, when there is no room for them, and to groups. A lost one is no failure.

import AsyncIO
import CTorture

extension Scenario {
    /// Datagrams there and back.
    @MainActor
    static func datagrams(_ findings: Findings) async throws {
        let server = try await UDPSocket.bind(host: "127.0.0.1", port: 0)
        let answering = AsyncIO.spawn {
            for try await datagram in server { try await server.send(datagram.bytes, to: datagram.address) }
        }
        do {
            // A socket whose address the system does not tell has none.
            guard let address = server.localAddress else { throw EarlyEnd() }
            try await UDPSocket.withSocket(connectedTo: address.host, port: Int(address.port)) { socket in
                for number in 0..<3 {
                    try await socket.send("datagram \(number)")
                    _ = try await unlessLost(findings) { try await socket.receive() }
                }
            }
        } catch {
            findings.note(error: error)
        }
        answering.cancel()
        do { try await answering.value } catch { if !(error is CancellationError) { findings.note(error: error) } }
        try await server.close()
    }

    /// Several in one call, both ways, with every setting that a socket has.
    @MainActor
    static func batches(_ findings: Findings) async throws {
        var options = DatagramOptions()
        options.receiveBatch = 8
        options.receiveBufferSize = 100_000
        options.sendBufferSize = 100_000
        options.allowsBroadcast = true
        options.timeToLive = 7
        options.reusePort = true
        try await UDPSocket.withSocket(host: "::1", port: 0, options: options) { server in
            guard let address = server.localAddress else { throw EarlyEnd() }
            let client = try await UDPSocket.connect(host: address.host, port: Int(address.port), options: options)
            try await client.send(contentsOf: (0..<10).map { Bytes("number \($0)".utf8) })
            var received: [Datagram] = []
            while received.count < 10, let more = try await unlessLost(findings, { try await server.receive(upTo: 4) })
            {
                received += more
            }
            guard received.map(\.bytes) == (0..<received.count).map({ Bytes("number \($0)".utf8) }) else {
                throw EarlyEnd()
            }
            if let sender = received.first?.address, try await server.trySend("back", to: sender) {
                _ = try await unlessLost(findings) { try await client.receive() }
            }
            try await client.close()
        }
    }

    /// The kernel has no room at first: what waits goes out in order, and each task hears of its own.
    @MainActor
    static func waitingDatagrams(_ findings: Findings) async throws {
        let server = try await UDPSocket.bind(host: "127.0.0.1", port: 0)
        guard let address = server.localAddress else { throw EarlyEnd() }
        let client = try await UDPSocket.bind(host: "127.0.0.1", port: 0)
        torture_refuse_datagrams(2)
        let senders = [
            AsyncIO.spawn(eager: true) { try await client.send("first", to: address) },
            AsyncIO.spawn(eager: true) { try await client.send(contentsOf: ["second", "third"], to: address) },
        ]
        for sender in senders {
            do { try await sender.value } catch { findings.note(error: error) }
        }
        var received: [Bytes] = []
        while received.count < 3, let datagram = try await unlessLost(findings, { try await server.receive() }) {
            received.append(datagram.bytes)
        }
        guard received == ["first", "second", "third"].filter(received.contains) else { throw EarlyEnd() }
        try await client.close()
        try await server.close()
    }

    /// A group of receivers on this machine, and what can be set about sending to it.
    @MainActor
    static func groups(_ findings: Findings) async throws {
        try await UDPSocket.withSocket(host: "0.0.0.0", port: 0) { socket in
            try await socket.configure { transport in
                try transport.setMembership(of: "239.1.2.3", interface: "127.0.0.1")
                try transport.setMembership(false, of: "239.1.2.3", interface: "127.0.0.1")
                try transport.setMembership(of: "232.1.2.3", interface: "127.0.0.1", source: "127.0.0.1")
                try transport.setMulticastInterface("127.0.0.1")
                try transport.setMulticastTimeToLive(1)
                try transport.setMulticastLoopback(true)
                try transport.setBroadcast(true)
                try transport.setTimeToLive(7)
            }
        }
    }
}
