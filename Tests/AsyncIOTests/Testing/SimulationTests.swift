// Simulations: hosts that have addresses, ports and names of their own, and code on them that is that of programs.

import AsyncIO
import AsyncIOTesting
import Testing

/// Echoes on a port of the host that it runs on.
func echo(host: String? = "0.0.0.0", port: Int = 80) async throws {
    let server = try await TCPServer.listen(host: host, port: port)
    try await server.serve { connection in
        while let bytes = try await connection.read() { try await connection.write(bytes) }
    }
}

/// What an echo server answers to a text.
func echoed(_ text: String, from host: String, port: Int = 80) async throws -> String {
    try await TCPConnection.withConnection(host: host, port: port) { connection in
        try await connection.write(text)
        try await connection.writeEOF()
        return String(decoding: try await connection.reader.readToEnd(), as: UTF8.self)
    }
}

/// Waits until a server answers.
func untilUp(_ host: String, port: Int = 80) async throws {
    while true {
        do { return _ = try await echoed("up?", from: host, port: port) } catch let error as SystemError {
            guard error.code == .connectionRefused else { throw error }
            try await AsyncIO.sleep(for: .milliseconds(10))
        }
    }
}

/// Connects to the server as soon as somebody has connected here.
private final class Onward: StreamProtocol {
    func connectionMade(_ transport: StreamTransport, on loop: isolated EventLoop) throws {
        transport.close()
        try loop.connect(to: SocketAddress(host: "10.0.0.1", port: 80), { Leaf() }, onFailure: { _ in })
    }

    func dataReceived(_ bytes: Bytes, from transport: StreamTransport, on loop: isolated EventLoop) {}
}

/// Closes its connection.
private final class Leaf: StreamProtocol {
    func connectionMade(_ transport: StreamTransport, on loop: isolated EventLoop) { transport.close() }
    func dataReceived(_ bytes: Bytes, from transport: StreamTransport, on loop: isolated EventLoop) {}
}

private struct TwoAddresses: Resolver {
    func addresses(of host: String, port: Int, family: SocketAddress.Family?) async throws -> [SocketAddress] {
        try ["10.0.99.99", "10.0.0.1"].map { try SocketAddress(host: $0, port: port) }
    }
}

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct SimulationTests {
        @Test func `the example of the documentation keeps what it says`() async throws {
            try await SimulationExamples.whole()
        }

        @Test func `hosts have addresses and ports of their own, and know one another by name`() async throws {
            try await withSimulation(seed: 1) { loop, simulation in
                let (one, two) = (simulation.host("one"), simulation.host("two"))
                #expect([one.address, two.address] == ["10.0.0.1", "10.0.0.2"])
                one.start { try await echo() }
                two.start { try await echo(host: nil) }
                let client = simulation.host("client")
                try await client.run {
                    for host in ["one", "two", "10.0.0.1", "fd00::0:2"] {
                        if !host.contains(":") { try await untilUp(host) }
                        #expect(try await echoed("hello, \(host)", from: host) == "hello, \(host)")
                    }
                    let unknown = await failure { _ = try await TCPConnection.connect(host: "three", port: 80) }
                    #expect((unknown as? SystemError)?.code == .nameNotKnown)
                    #expect(try await SystemResolver.shared.name(of: SocketAddress(host: "10.0.0.2", port: 1)) == "two")
                }
                // Code that is on no host reaches them too.
                #expect(try await echoed("from outside", from: "one") == "from outside")
            }
        }

        @Test func `programs outlive the deadline of who started them, and a run ends with what it runs`() async throws
        {
            try await withSimulation(seed: 3) { loop, simulation in
                let (server, client) = (simulation.host("server"), simulation.host("client"))
                let log = Recorder<String>()
                let start = loop.now
                try await withDeadline(start.advanced(by: .seconds(1))) { deadline in
                    server.start { try await echo() }
                    // It hears of its caller's deadline as a child does, also if that was moved.
                    deadline.reschedule(to: start.advanced(by: .seconds(10)))
                    try await client.run { try await AsyncIO.sleep(for: .seconds(2)) }
                }
                let bare = try await withDeadline(loop.now.advanced(by: .seconds(1))) { _ in
                    Task { @MainActor in
                        let end = await failure {
                            try await client.run {
                                try? await AsyncIO.sleep(for: .seconds(50))
                                for _ in 0..<5 { await AsyncIO.yield() }
                                log.append("body")
                            }
                        }
                        log.append("run: \(end == nil)")
                    }
                }
                await bare.value
                #expect(log.all == ["body", "run: true"])
                try await AsyncIO.sleep(for: .seconds(100))
                #expect(try await client.run { try await echoed("still there", from: "server") } == "still there")
            }
        }

        @Test func `both ends see the addresses of the hosts`() async throws {
            @Sendable func ends(_ server: SocketAddress?, _ client: SocketAddress?) -> String {
                [server, client].map { $0?.description ?? "nothing" }.joined(separator: " ")
            }
            try await withSimulation(seed: 2) { loop, simulation in
                let (server, client) = (simulation.host("server"), simulation.host("client"))
                let peers = Recorder<String>()
                server.start {
                    let listening = try await TCPServer.listen(host: "0.0.0.0", port: 80)
                    try await listening.serve { connection in
                        peers.append(ends(connection.localAddress, connection.remoteAddress))
                    }
                }
                try await client.run {
                    try await AsyncIO.sleep(for: .seconds(1))
                    let connection = try await TCPConnection.connect(host: "server", port: 80)
                    peers.append(ends(connection.remoteAddress, connection.localAddress))
                    #expect(try await connection.read() == nil)
                    try await connection.close()
                }
                #expect(peers.count == 2 && Set(peers.all).count == 1, "\(peers.all)")
                #expect(peers.all[0].hasPrefix("10.0.0.1:80 10.0.0.2:"), "\(peers.all)")
            }
        }

        @Test func `loopback addresses stay within the host, and what a host does not have cannot be bound`()
            async throws
        {
            try await withSimulation(seed: 3) { loop, simulation in
                let (one, two) = (simulation.host("one"), simulation.host("two"))
                one.start { try await echo(host: "127.0.0.1") }
                try await one.run {
                    try await untilUp("localhost")
                    #expect(try await echoed("to myself", from: "127.0.0.1") == "to myself")
                }
                try await two.run {
                    for host in ["127.0.0.1", "one"] {
                        let refused = await failure { _ = try await TCPConnection.connect(host: host, port: 80) }
                        #expect((refused as? SystemError)?.code == .connectionRefused)
                    }
                    let foreign = await failure { _ = try await TCPServer.listen(host: "10.0.0.1", port: 81) }
                    #expect((foreign as? SystemError)?.code == .addressNotAvailable)
                    let server = try await TCPServer.listen(host: "10.0.0.2", port: 81)
                    let taken = await failure { _ = try await TCPServer.listen(host: "two", port: 81) }
                    #expect((taken as? SystemError)?.code == .addressInUse)
                    server.close()
                }
            }
        }

        @Test func `the main actor is the loop, so servers of AsyncIO.run are simulated as they are`() async throws {
            @MainActor final class Counter {
                var count = 0
                func next() -> Int {
                    count += 1
                    return count
                }
            }
            let counts = try await withSimulation(seed: 4) { loop, simulation in
                let counter = Counter()
                let host = simulation.host("host")
                var counts: [Int] = []
                for _ in 0..<3 {
                    let count = try await host.run {
                        #expect(loop.isCurrent)
                        return await counter.next()
                    }
                    counts.append(count)
                }
                await MainActor.run { #expect(loop.isCurrent) }
                return counts
            }
            #expect(counts == [1, 2, 3])
        }

        @Test func `a host's tasks inherit it, however they are started`() async throws {
            try await withSimulation(seed: 5) { loop, simulation in
                let host = simulation.host("host")
                let addresses = try await host.run {
                    @Sendable func here() async throws -> String {
                        let server = try await TCPServer.listen(host: "host", port: 0)
                        server.close()
                        return server.localAddress.host
                    }
                    async let child = here()
                    let spawned = spawn { try await here() }
                    let bare = Task { try await here() }
                    return try await [child, spawned.value, bare.value]
                }
                #expect(addresses == ["10.0.0.1", "10.0.0.1", "10.0.0.1"])
            }
        }

        @Test func `what a host does in callbacks and by timers it does as itself`() async throws {
            try await withSimulation(seed: 10) { loop, simulation in
                let (server, relay) = (simulation.host("server"), simulation.host("relay"))
                let (peers, client) = (Recorder<String>(), simulation.host("client"))
                server.start {
                    let listening = try await TCPServer.listen(host: "0.0.0.0", port: 80)
                    try await listening.serve { peers.append($0.remoteAddress?.host ?? "") }
                }
                relay.start {
                    let listener = try loop.listen(on: SocketAddress(host: "0.0.0.0", port: 81)) { Onward() }
                    defer { listener.close() }
                    try await AsyncIO.sleep(for: .seconds(1_000))
                }
                try await client.run {
                    try await AsyncIO.sleep(for: .seconds(1))
                    var how = ConnectOptions()
                    how.resolver = TwoAddresses()
                    // The first address is nobody's, so that a timer begins with the second.
                    let connection = try await TCPConnection.connect(host: "any", port: 80, connecting: how)
                    try await connection.close()
                    try await TCPConnection.connect(host: "relay", port: 81).close()
                    try await AsyncIO.sleep(for: .seconds(1))
                }
                #expect(peers.all == ["10.0.0.3", "10.0.0.2"])
            }
        }

        @Test func `what a program throws fails the simulation, whose body waits no longer`() async throws {
            let error = await failure {
                try await withSimulation(seed: 6) { loop, simulation in
                    simulation.host("server").start {
                        try await AsyncIO.sleep(for: .seconds(1))
                        throw Refusal(name: "enough")
                    }
                    try await AsyncIO.sleep(for: .seconds(3_600))
                }
            }
            let failed = try #require(error as? SeededFailure)
            #expect(failed.error as? Refusal == Refusal(name: "enough"))
            #expect(failed.trace.hasSuffix("1.000000000 failed: Refusal(name: \"enough\")"), "\(failed.trace)")
        }

        @Test func `who waits for ever is told when the simulation's time is over`() async throws {
            let error = await failure {
                try await withSimulation(seed: 7) { loop, simulation in
                    let host = simulation.host("host")
                    try await host.run {
                        let server = try await UDPSocket.bind(host: "0.0.0.0", port: 53)
                        do { _ = try await server.receive() } catch {
                            try await server.close()
                            throw error
                        }
                    }
                }
            }
            let unfinished = try #require((error as? SeededFailure)?.error as? UnfinishedError)
            #expect(unfinished.limit == .seconds(86_400) && unfinished.tasks.contains("host"), "\(unfinished)")
        }

        @Test func `what is left open fails the simulation, and what is under way is no leak`() async throws {
            let error = await failure {
                try await withSimulation(seed: 8) { loop, simulation in _ = loop.schedule(after: .seconds(1)) {} }
            }
            #expect((error as? SeededFailure)?.error is LeakError)
            try await withSimulation(seed: 8) { loop, simulation in
                let (server, client) = (simulation.host("server"), simulation.host("client"))
                server.start { try await echo() }
                try await client.run {
                    try await untilUp("server")
                    // Neither its last bytes nor its end can have arrived.
                    try await TCPConnection.withConnection(host: "server", port: 80) { try await $0.write("gone") }
                }
            }
        }

        @Test func `cancelling the test cancels the simulation`() async throws {
            let task = Task {
                try await withSimulation(seed: 9) { loop, simulation in
                    cancelThisTask()
                    try await AsyncIO.sleep(for: .seconds(1))
                }
            }
            task.cancel()
            #expect(await failure { try await task.value } is CancellationError)
        }
    }
}
