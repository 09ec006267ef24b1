// Runs of a simulation: one with a seed, or one for each of many, of which the first that fails is named and tried again.

internal import AsyncIO
internal import Synchronization
public import Reactor

/// Runs `body` in a simulation: many hosts in this process, with virtual time and a network whose every delay and fault is
/// drawn from the seed.
///
///     try await withSimulation(seed: 7) { loop, simulation in
///         let server = simulation.host("server"), client = simulation.host("client")
///         server.start { try await serve(port: 80) }
///         try await client.run {
///             try await TCPConnection.withConnection(host: "server", port: 80) { connection in
///                 try await connection.write("hello\n")
///                 if try await connection.reader.readLine() != "hello\n" { throw WrongAnswer() }
///             }
///         }
///     }
///
/// The code on the hosts is that of programs, unchanged: it listens, connects, resolves names and sleeps as anywhere. The
/// loop is also the main actor for as long as the simulation runs, as in `AsyncIO.run`; other work of the main actor's waits.
///
/// All runs with a seed take the same course, to the last byte: order of tasks, latencies, pieces, faults, generators.
/// What the code under test takes from elsewhere is not part of that: other threads, the system's clock and its random
/// numbers, and the order of a `Set` or `Dictionary`, for which there is `SWIFT_DETERMINISTIC_HASHING=1` in the environment.
///
/// When `body` has ended, what still runs on the hosts is cancelled and awaited.
///
/// - Parameters:
///   - seed: Decides everything.
///   - options: The conditions on the network, and limits.
///   - body: Runs isolated to the loop, as no host: what it connects to by itself it reaches from outside.
/// - Returns: What `body` returns.
/// - Throws: ``SeededFailure`` with what `body` or a host's program has thrown, or with ``UnfinishedError`` or ``LeakError``,
///   and the trace; `CancellationError` if the calling task is cancelled.
public func withSimulation<Value>(
    seed: UInt64,
    _ options: SimulationOptions = .init(),
    _ body: @Sendable (isolated EventLoop, Simulation) async throws -> sending Value
) async throws -> sending Value {
    let findings = SimulationFindings()
    let value: Value
    do {
        value = try await TestRun.run(findings.configuration(options, seed)) { loop in
            let simulation = Simulation(seed: seed, options, loop.configuration.clock ?? VirtualClock(), on: loop)
            findings.simulation.withLock { $0 = simulation }
            let limit = options.timeLimit.map { limit in
                loop.schedule(after: limit) {
                    let error = UnfinishedError(limit: limit, tasks: loop.taskTree())
                    simulation.world("withSimulation").fail(error, on: loop)
                }
            }
            defer {
                limit?.cancel()
                findings.end(simulation.world("withSimulation"))
            }
            return try await body(loop, simulation)
        }
    } catch {
        if findings.failure.value == nil, error is CancellationError, Task.isCancelled { throw error }
        throw SeededFailure(seed, findings.failure.value ?? error, findings.trace.value)
    }
    if let error = findings.failure.value ?? findings.base.leak {
        throw SeededFailure(seed, error, findings.trace.value)
    }
    return value
}

/// Runs `body` in a simulation once for each seed, until one fails.
///
/// A seed that fails is run once more, to prove that it fails again: if the second run took another course, the failure says
/// where the two part.
///
/// - Parameters:
///   - seeds: The seeds, such as `0..<1_000`.
///   - options: The conditions on the network, and limits.
///   - body: Runs isolated to a loop of its own each time.
/// - Throws: ``SeededFailure``, which names the seed; `withSimulation(seed:)` with that fails again.
public func withSimulations(
    seeds: some Sequence<UInt64>,
    _ options: SimulationOptions = .init(),
    _ body: @Sendable (isolated EventLoop, Simulation) async throws -> Void
) async throws {
    for seed in seeds {
        do {
            try await withSimulation(seed: seed, options) { try await body($0, $1) }
        } catch var failure as SeededFailure {
            do {
                try await withSimulation(seed: seed, options) { try await body($0, $1) }
                failure.compare(to: nil)
            } catch let again as SeededFailure {
                failure.compare(to: again)
            }
            throw failure
        }
    }
}

/// A simulation was not over when its time was.
public struct UnfinishedError: Error, CustomStringConvertible {
    /// How much time it had.
    public let limit: Duration
    /// Who waited for what, as ``EventLoop/taskTree()`` tells.
    public let tasks: String

    /// A sentence, and the tasks.
    public var description: String { "Not over after \(limit) of the simulation's time. The tasks:\n\(tasks)" }
}

/// What a run of a simulation has found out.
private final class SimulationFindings: Sendable {
    let base = Findings()
    /// While it runs: the loop holds this by its configuration, and the simulation holds the loop.
    let simulation = Mutex<Simulation?>(nil)
    let failure = Once<any Error>()
    let trace = Once<SimulationTrace>()

    func configuration(_ options: SimulationOptions, _ seed: UInt64) -> EventLoop.Configuration {
        var configuration = options.configuration
        if configuration.clock == nil { configuration.clock = VirtualClock() }
        if configuration.network == .system { configuration.network = .memory() }
        // In Swift's pool nobody would know the order.
        configuration.globalExecutor = .loop
        configuration.testing = EventLoop.Testing(seed: seed)
        let onClose = configuration.onClose
        configuration.onClose = { [base] report in
            base.closed(report)
            onClose?(report)
        }
        configuration.onIssue =
            options.onIssue ?? { [self] issue in simulation.withLock { $0 }?.note("issue: \(issue)") }
        return configuration
    }

    /// The body has ended.
    func end(_ world: SimulatedWorld) {
        world.end()
        simulation.withLock { $0 = nil }
        if let error = world.failure { failure.set(error) }
        trace.set(world.network.trace)
    }
}
