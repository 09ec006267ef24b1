// Faults that come and go by themselves while a test does its work, all drawn from the seed.

internal import AsyncIO
internal import Reactor

/// What goes wrong on a simulated network, and how often.
///
///     var chaos = Chaos()
///     chaos.pause = .milliseconds(50)...(.seconds(2))
///     try await simulation.withChaos(chaos, among: [server] + clients, stopping: clients) {
///         try await work()
///     }
public struct Chaos: Sendable {
    /// Something that goes wrong.
    public enum Fault: Sendable, Hashable, CaseIterable {
        /// Nothing gets through between two hosts, for some time.
        case partition
        /// What one host sends does not reach another, for some time.
        case oneWayPartition
        /// The connections between two hosts break.
        case reset
        /// A host loses power, and is restarted after some time.
        case crash
        /// A host's programs are killed, and started again after some time.
        case kill
    }

    /// What happens; a fault that stands there twice is twice as frequent.
    public var faults: [Fault] = Fault.allCases

    /// How long it takes from the beginning of one fault to that of the next.
    public var pause: ClosedRange<Duration> = .milliseconds(10)...(.seconds(1))

    /// How long a fault lasts that has an end.
    public var length: ClosedRange<Duration> = .milliseconds(10)...(.seconds(5))

    /// All faults, at the default pace.
    public init() {}
}

extension Simulation {
    /// Runs `body` while things go wrong; afterwards all partitions are healed, and all hosts up that were stopped here.
    ///
    /// - Parameters:
    ///   - chaos: What goes wrong, and how often.
    ///   - hosts: The hosts between which it does.
    ///   - stopping: Those of them that may be stopped.
    ///   - body: What is to be done meanwhile.
    /// - Returns: What `body` returns.
    /// - Throws: What `body` throws; also ``HostStoppedError``, from what runs on hosts that are stopped.
    public func withChaos<Value>(
        _ chaos: Chaos = .init(),
        among hosts: [SimulatedHost],
        stopping: [SimulatedHost] = [],
        _ body: nonisolated(nonsending) () async throws -> Value
    ) async throws -> Value {
        let trouble = Trouble(self, chaos, hosts, stopping)
        // As long as the body, whose deadline may be moved.
        let task = Deadline.hidden { AsyncIO.spawn(name: "chaos") { try await trouble.go() } }
        func end() async {
            task.cancel()
            _ = try? await task.value
            heal()
            for host in stopping where !host.isUp { host.restart() }
        }
        do {
            let value = try await body()
            await end()
            return value
        } catch {
            await end()
            throw error
        }
    }
}

/// The faults of one chaos.
private struct Trouble: Sendable {
    let simulation: Simulation
    let chaos: Chaos
    let hosts: [SimulatedHost]
    let stopping: [SimulatedHost]
    private let faults: [Chaos.Fault]
    private let generator: SimulationGenerator

    init(_ simulation: Simulation, _ chaos: Chaos, _ hosts: [SimulatedHost], _ stopping: [SimulatedHost]) {
        (self.simulation, self.chaos, self.hosts, self.stopping) = (simulation, chaos, hosts, stopping)
        generator = simulation.makeGenerator()
        let needsPair: Set<Chaos.Fault> = [.partition, .oneWayPartition, .reset]
        faults = chaos.faults.filter { needsPair.contains($0) ? hosts.count > 1 : !stopping.isEmpty }
    }

    func go() async throws {
        guard !faults.isEmpty else { return }
        var generator = generator
        try await withThrowingDiscardingTaskGroup { group in
            while true {
                try await AsyncIO.sleep(for: generator.draw(chaos.pause))
                let fault = faults[generator.draw(0...faults.count - 1)]
                let one = generator.draw(0...hosts.count - 1)
                let other = hosts.count < 2 ? one : (one + generator.draw(1...hosts.count - 1)) % hosts.count
                let stopped = stopping.isEmpty ? nil : stopping[generator.draw(0...stopping.count - 1)]
                let length = generator.draw(chaos.length)
                // It lasts while others begin.
                group.addTask { try await happen(fault, hosts[one], hosts[other], stopped, length) }
            }
        }
    }

    private func happen(
        _ fault: Chaos.Fault,
        _ one: SimulatedHost,
        _ other: SimulatedHost,
        _ stopped: SimulatedHost?,
        _ length: Duration
    ) async throws {
        switch fault {
        case .partition, .oneWayPartition:
            simulation.partition(one, other, oneWay: fault == .oneWayPartition)
            try await AsyncIO.sleep(for: length)
            simulation.heal(one, other)
        case .reset:
            simulation.reset(one, other)
        case .crash, .kill:
            guard let stopped, stopped.isUp else { return }
            if fault == .crash { stopped.crash() } else { stopped.kill() }
            try await AsyncIO.sleep(for: length)
            if !stopped.isUp { stopped.restart() }
        }
    }
}
