// What goes wrong on a simulated network: links that are cut, hosts that are gone, connections that break, and what becomes of
// the bytes.

import AsyncIO
import AsyncIOTesting
import Testing

/// Runs `body` between a server that echoes and a client, once for each of some seeds.
private func withEcho(
    seeds: Range<UInt64> = 0..<20,
    _ conditions: LinkConditions = LinkConditions(),
    _ body: @escaping @Sendable (Simulation, _ server: SimulatedHost, _ client: SimulatedHost) async throws -> Void
) async throws {
    var options = SimulationOptions()
    options.conditions = conditions
    try await withSimulations(seeds: seeds, options) { loop, simulation in
        let (server, client) = (simulation.host("server"), simulation.host("client"))
        server.start { try await echo() }
        try await client.run { try await untilUp("server") }
        try await body(simulation, server, client)
    }
}

/// The code of what `body` throws.
private func code(_ body: () async throws -> Void) async -> SystemError.Code? {
    await (failure(body) as? SystemError)?.code
}

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct SimulationFaultTests {
        /// What becomes of a read for which there is so much time.
        private static func silence(of connection: TCPConnection, _ limit: Duration) async -> (any Error)? {
            await failure { try await withTimeout(limit) { _ = try await connection.read() } }
        }

        private static func codeOfRead(_ connection: TCPConnection) async -> SystemError.Code? {
            await code { _ = try await connection.read() }
        }

        @Test func `bytes arrive whole and in order, in pieces of any size, through windows of any`() async throws {
            var conditions = LinkConditions()
            conditions.pieceSize = 1...40
            conditions.window = 1...500
            conditions.windowDelay = .zero...(.milliseconds(20))
            conditions.bandwidth = 100_000
            try await withEcho(conditions) { simulation, _, client in
                let text = String((0..<2_000).map { "\($0 % 10)" }.joined())
                let connection = try await client.run { try await TCPConnection.connect(host: "server", port: 80) }
                let writing = spawn {
                    try await connection.write(text)
                    try await connection.writeEOF()
                }
                var sizes: [Int] = []
                var received: [UInt8] = []
                for try await bytes in connection {
                    sizes.append(bytes.count)
                    received += bytes
                }
                try await writing.value
                try await connection.close()
                if received != Array(text.utf8) { throw Refusal(name: "\(received.count) bytes") }
                if sizes.count < 30 { throw Refusal(name: "in \(sizes.count) pieces") }
                // A hundred bytes take a millisecond, there and back.
                if loopNow() < .milliseconds(20) { throw Refusal(name: "too fast") }
            }
        }

        @Test func `connections outlast a partition, and fail if it lasts too long`() async throws {
            try await withEcho { simulation, server, client in
                try await client.run {
                    let connection = try await TCPConnection.connect(host: "server", port: 80)
                    simulation.partition(client, server)
                    try await connection.write("kept")
                    let timedOut = await SimulationFaultTests.silence(of: connection, .seconds(60))
                    try expect(timedOut is TimeoutError, "\(timedOut as Any)")
                    simulation.heal(client, server)
                    try expect(try await connection.reader.read(exactly: 4) == "kept", "not kept")

                    simulation.partition(server, client, oneWay: true)
                    let start = loopNow()
                    try await connection.write("not answered")
                    // Who only reads hears nothing; the server fails, and cannot say so.
                    let silence = await SimulationFaultTests.silence(of: connection, .seconds(2_000))
                    try expect(silence is TimeoutError, "\(silence as Any)")
                    simulation.heal()
                    try await connection.write("anybody?")
                    let reset = await SimulationFaultTests.codeOfRead(connection)
                    try expect(reset == .connectionReset, "\(reset as Any)")
                    connection.abort()

                    let other = try await TCPConnection.connect(host: "server", port: 80)
                    simulation.partition(client, server)
                    try await other.write("never")
                    let error = await SimulationFaultTests.codeOfRead(other)
                    try expect(error == .timedOut, "\(error as Any)")
                    try expect(loopNow() - start > .seconds(924), "too early")
                    other.abort()
                    simulation.heal()
                }
            }
        }

        @Test func `connecting waits for a partition to end, or for its time limit`() async throws {
            try await withEcho { simulation, server, client in
                simulation.partition(client, server)
                let waiting = spawn {
                    try await client.run {
                        let connection = try await TCPConnection.connect(host: "server", port: 80, timeout: nil)
                        try await connection.close()
                    }
                }
                try await AsyncIO.sleep(for: .seconds(100))
                simulation.heal(client, server)
                try await waiting.value

                simulation.partition(client, server)
                let start = loopNow()
                let code = await code {
                    try await client.run { _ = try await TCPConnection.connect(host: "server", port: 80, timeout: nil) }
                }
                try expect(code == .timedOut && loopNow() - start == .seconds(127), "\(code as Any)")
                simulation.heal()
            }
        }

        @Test func `nobody hears of a host without power, until it is up again`() async throws {
            try await withEcho { simulation, server, client in
                try await client.run {
                    let connection = try await TCPConnection.connect(host: "server", port: 80)
                    try await connection.write("there?")
                    _ = try await connection.reader.read(exactly: 6)
                    server.crash()
                    let silence = await SimulationFaultTests.silence(of: connection, .seconds(60))
                    try expect(silence is TimeoutError && !server.isUp, "\(silence as Any)")
                    server.restart()
                    try await untilUp("server")
                    try await connection.write("still there?")
                    let error = await SimulationFaultTests.codeOfRead(connection)
                    try expect(error == .connectionReset, "\(error as Any)")
                    connection.abort()
                }
            }
        }

        @Test func `the system of a killed program closes what it had open, and refuses`() async throws {
            try await withEcho { simulation, server, client in
                try await client.run {
                    let connection = try await TCPConnection.connect(host: "server", port: 80)
                    try await connection.write("there?")
                    _ = try await connection.reader.read(exactly: 6)
                    server.kill()
                    try expect(try await connection.read() == nil, "no end")
                    try await connection.close()
                    let code = await code { _ = try await TCPConnection.connect(host: "server", port: 80) }
                    try expect(code == .connectionRefused, "\(code as Any)")
                    server.restart()
                    try await untilUp("server")
                }
            }
        }

        @Test func `what runs on a host is cancelled when it stops, and its caller told`() async throws {
            try await withEcho { simulation, server, client in
                let waiting = spawn { try await client.run { try await AsyncIO.sleep(for: .seconds(100)) } }
                try await AsyncIO.sleep(for: .seconds(1))
                client.crash()
                let error = await failure { try await waiting.value }
                try expect((error as? HostStoppedError)?.host == "client", "\(error as Any)")
                let down = await failure { try await client.run {} }
                try expect(down is HostStoppedError, "\(down as Any)")
                client.restart()
                try await client.run { try await untilUp("server") }
            }
        }

        @Test func `connections break as often as their conditions say, at both ends`() async throws {
            let outcomes = Recorder<String>()
            try await withEcho(seeds: 0..<60) { simulation, server, client in
                var conditions = LinkConditions()
                conditions.resets = 0.2
                simulation.setConditions(conditions, between: client, and: server)
                try await client.run {
                    let text = String(repeating: "x", count: 1_000)
                    let error = await failure { _ = try await echoed(text, from: "server") }
                    if let error = error as? SystemError, ![.connectionReset, .brokenPipe].contains(error.code) {
                        throw error
                    }
                    outcomes.append(error == nil ? "whole" : "broken")
                }
                simulation.setConditions(nil, between: client, and: server)
                try await client.run { try expect(try await echoed("well", from: "server") == "well", "not well") }
            }
            let broken = outcomes.all.count { $0 == "broken" }
            #expect((10...58).contains(broken), "\(broken)")
        }

        @Test func `a reset of all connections between two hosts is heard by both`() async throws {
            try await withEcho { simulation, server, client in
                try await client.run {
                    let connection = try await TCPConnection.connect(host: "server", port: 80)
                    simulation.reset(client, server)
                    let error = await SimulationFaultTests.codeOfRead(connection)
                    try expect(error == .connectionReset, "\(error as Any)")
                    connection.abort()
                    try await untilUp("server")
                }
            }
        }

        @Test func `connecting is refused or not answered as the conditions say`() async throws {
            try await withEcho { simulation, server, client in
                var conditions = LinkConditions()
                conditions.refusals = 1
                simulation.setConditions(conditions)
                let refused = await code {
                    try await client.run { _ = try await TCPConnection.connect(host: "server", port: 80) }
                }
                try expect(refused == .connectionRefused, "\(refused as Any)")
                conditions.silence = 1
                simulation.setConditions(conditions)
                let error = await failure {
                    try await client.run {
                        _ = try await TCPConnection.connect(host: "server", port: 80, timeout: .seconds(5))
                    }
                }
                try expect(error is LoopError, "\(error as Any)")
            }
        }

        @Test func `chaos ends with its body, and leaves a whole network behind`() async throws {
            try await withEcho { simulation, server, client in
                let other = simulation.host("other")
                try await simulation.withChaos(among: [server, client, other], stopping: [server, other]) {
                    try await AsyncIO.sleep(for: .seconds(20))
                }
                try await client.run { try await untilUp("server") }
                try expect(server.isUp && other.isUp, "somebody is down")
                let faults = ["partition", "reset", "crash", "kill"].filter { simulation.trace.contains(" \($0) ") }
                try expect(faults.count >= 3, "only \(faults)")
            }
        }
    }
}

/// The time since the simulation began.
private func loopNow() -> Duration {
    EventLoop.current?.assumeIsolated { $0.elapsed } ?? .zero
}

/// Throws unless something holds: in a simulation the seed must fail, not only the test.
func expect(_ condition: Bool, _ otherwise: @autoclosure () -> String) throws {
    if !condition { throw Refusal(name: otherwise()) }
}
