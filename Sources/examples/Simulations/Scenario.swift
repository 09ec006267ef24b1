// What the simulations of the examples share: hosts, conditions that differ from seed to seed, and the word for what must not
// happen.

import AsyncIO
import AsyncIOTesting

/// A server, its clients, and what must hold whatever happens.
struct Scenario: Sendable {
    let name: String
    var options = SimulationOptions()
    let body: @Sendable (isolated EventLoop, Simulation) async throws -> Void

    static var all: [Scenario] { [.keyValue, .chatRoom, .proxy] }
}

/// A server did not keep its word.
struct BrokenPromise: Error, CustomStringConvertible {
    let description: String

    /// Throws unless something holds.
    static func unless(_ condition: Bool, _ description: @autoclosure () -> String) throws {
        if !condition { throw BrokenPromise(description: description()) }
    }
}

/// What the network of a simulation is like.
struct Weather: Sendable {
    let hasFaults: Bool
    let largestPiece: Int
}

extension Simulation {
    /// Sets conditions that the seed decides: a fine network for one of three, and for the others one with any faults.
    func drawWeather(_ generator: inout SimulationGenerator) -> Weather {
        var conditions = LinkConditions()
        let slowest = [1, 10, 100, 1_000].randomElement(using: &generator) ?? 1
        conditions.latency = .microseconds(50)...(.milliseconds(slowest))
        let largest = [3, 50, 1_460, 60_000].randomElement(using: &generator) ?? 1_460
        conditions.pieceSize = 1...largest
        let narrowest = [16, 1_000, 60_000].randomElement(using: &generator) ?? 1_000
        conditions.window = narrowest...65_536
        if Bool.random(using: &generator) { conditions.windowDelay = .zero...(.milliseconds(slowest)) }
        if Bool.random(using: &generator) { conditions.bandwidth = 1_000_000 }
        let hasFaults = Int.random(in: 0..<3, using: &generator) > 0
        if hasFaults {
            conditions.resets = [0, 0.001, 0.02].randomElement(using: &generator) ?? 0
            conditions.refusals = [0, 0.1].randomElement(using: &generator) ?? 0
            conditions.silence = [0, 0.1].randomElement(using: &generator) ?? 0
        }
        setConditions(conditions)
        note("\(conditions)")
        return Weather(hasFaults: hasFaults, largestPiece: largest)
    }

    /// Runs `body` with faults that come and go, where there are to be some.
    func withFaults(
        _ weather: Weather,
        among hosts: [SimulatedHost],
        stopping: [SimulatedHost],
        _ faults: [Chaos.Fault] = Chaos.Fault.allCases,
        _ body: nonisolated(nonsending) () async throws -> Void
    ) async throws {
        guard weather.hasFaults else { return try await body() }
        var chaos = Chaos()
        chaos.faults = faults
        try await withChaos(chaos, among: hosts, stopping: stopping) { try await body() }
    }

    /// Tries to run something on a host, as often as it was stopped.
    func onHost(
        _ host: SimulatedHost,
        @_inheritActorContext(always) _ body: @escaping @Sendable @isolated(any) () async throws -> Void
    ) async throws {
        while true {
            do { return try await host.run(body) } catch is HostStoppedError {
                try await AsyncIO.sleep(for: .milliseconds(100))
            }
        }
    }
}
