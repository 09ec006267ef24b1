// A loop for tests: its time is virtual, its network is in memory, its order can be drawn from a seed, it says who waits
// for whom when nothing goes on any more, and it fails a test that leaves something behind.

internal import AsyncIO
public import Reactor

/// Runs `body` on a loop that is made for tests, and returns its result.
///
///     let elapsed = try await withTestLoop { loop in
///         let start = loop.now
///         try await AsyncIO.sleep(for: .seconds(3_600))
///         return start.duration(to: loop.now)
///     }
///
/// This returns exactly an hour, at once. Time is virtual: it jumps to the next deadline when nothing can run.
/// Connections are in memory. With a seed, what is ready together runs in an order that the seed decides, the same for
/// each run with it: so a test that depends on an order fails under some seed, and fails again under the same.
///
/// The loop is not the main actor, so code for that cannot be tested here, but by ``withSimulation(seed:_:_:)``. State that
/// several tasks share belongs to a `LoopActor`, which runs on any loop.
///
/// When all tasks wait for one another and nothing can wake them, that is a deadlock: their waits are ended as if they
/// had been cancelled, and this throws a report of who waited for what.
///
/// - Parameters:
///   - seed: Decides the order of what is ready together; nil is the order in which it became ready.
///   - configuration: Further settings; its clock and network count if they are not the defaults.
///   - deadlockAfter: How much real time other threads have to wake one of the tasks.
///   - body: Runs isolated to the loop.
/// - Returns: What `body` returns.
/// - Throws: ``DeadlockError``; ``LeakError`` if something was left open or scheduled; what `body` throws.
public func withTestLoop<Value>(
    seed: UInt64? = nil,
    configuration: EventLoop.Configuration = .init(),
    deadlockAfter: Duration = .seconds(1),
    _ body: @Sendable (isolated EventLoop) async throws -> sending Value
) async throws -> sending Value {
    let findings = Findings()
    var configuration = configuration
    if configuration.clock == nil { configuration.clock = VirtualClock() }
    if configuration.network == .system { configuration.network = .memory() }
    let onClose = configuration.onClose
    configuration.onClose = { report in
        findings.closed(report)
        onClose?(report)
    }
    let patience = milliseconds(deadlockAfter)
    configuration.testing = EventLoop.Testing(seed: seed, deadlockAfter: patience) { loop in
        loop.assumeIsolated { loop in
            findings.deadlocked(loop.taskTree())
            loop.cancelAllWaits()
        }
    }
    let value: Value
    do {
        value = try await withEventLoop(configuration, body)
    } catch {
        throw findings.deadlock ?? error
    }
    if let deadlock = findings.deadlock { throw deadlock }
    if let leak = findings.leak { throw leak }
    return value
}

/// At least one, and a time without end if it is longer than can be counted.
private func milliseconds(_ duration: Duration) -> UInt64 {
    let (seconds, attoseconds) = duration.components
    let (whole, overflows) = seconds.multipliedReportingOverflow(by: 1_000)
    guard !overflows else { return seconds < 0 ? 1 : .max }
    let (sum, overflowsToo) = whole.addingReportingOverflow(attoseconds / 1_000_000_000_000_000)
    return overflowsToo ? .max : UInt64(max(1, sum))
}

/// Runs `body` on a test loop once for each seed, until one fails.
///
/// - Parameters:
///   - seeds: The seeds, such as `0..<200`.
///   - body: Runs isolated to a loop of its own each time.
/// - Throws: ``SeededFailure``, which names the seed; `withTestLoop(seed:)` with that fails again.
public func withTestLoops(
    seeds: some Sequence<UInt64>,
    _ body: @Sendable (isolated EventLoop) async throws -> Void
) async throws {
    for seed in seeds {
        do { try await withTestLoop(seed: seed) { loop in try await body(loop) } } catch {
            throw SeededFailure(seed: seed, error: error)
        }
    }
}

/// Runs `body`, and throws if it leaves handles, timers, tasks or waits behind that were not there before.
///
/// What `body` closed needs a turn of the loop to be gone; this waits for some.
///
/// - Returns: What `body` returns.
/// - Throws: ``LeakError``; what `body` throws.
public func expectNoLeaks<Value>(
    on loop: isolated EventLoop,
    _ body: (isolated EventLoop) async throws -> Value
) async throws -> Value {
    let before = loop.census()
    let value = try await body(loop)
    var left: [String] = []
    for _ in 0..<100 {
        left = loop.census().beyond(before)
        if left.isEmpty { return value }
        await AsyncIO.yield()
    }
    throw LeakError(left: left)
}

extension LoopCensus {
    /// What there is more of than before.
    fileprivate func beyond(_ before: LoopCensus) -> [String] {
        var left: [String] = []
        if handles.count > before.handles.count { left += handles.filter { !before.handles.contains($0) } }
        if tasks > before.tasks { left.append("\(tasks - before.tasks) spawned tasks") }
        if callbacks > before.callbacks { left.append("\(callbacks - before.callbacks) scheduled callbacks") }
        if waits.count > before.waits.count { left.append("waits for " + waits.joined(separator: ", ")) }
        return left
    }
}
