// What the tests of the async layer stand on: a loop of their own and the proof that nothing is left of it, a record of
// what happened in which order, and the programs of Tests/RunFixture as processes.

import AsyncIO
import AsyncIOTesting
import Foundation
import TestSupport
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Runs `body` on a loop of its own, and proves that no handle, callback or descriptor is left.
///
/// The loop has a virtual clock and the memory network unless the configuration says otherwise. Issues that the loop
/// reports fail the test unless `issues` collects them, and what is left fails it unless `leftovers` does.
func onLoop<Value>(
    _ configuration: EventLoop.Configuration = .virtual(),
    collecting issues: Recorder<LoopIssue>? = nil,
    leaving leftovers: Recorder<CloseReport>? = nil,
    sourceLocation: SourceLocation = #_sourceLocation,
    _ body: @Sendable (isolated EventLoop) async throws -> sending Value
) async throws -> sending Value {
    await warmedUp.value
    let descriptors = openDescriptors()
    let (log, reports) = (issues ?? Recorder(), leftovers ?? Recorder())
    var configuration = configuration
    configuration.onIssue = { log.append($0) }
    configuration.onClose = { reports.append($0) }
    defer {
        #expect(reports.all.count == 1, "a loop closes once", sourceLocation: sourceLocation)
        if leftovers == nil {
            #expect(reports.all.allSatisfy { $0.isClean }, "\(reports.all)", sourceLocation: sourceLocation)
        }
        if issues == nil { #expect(log.all.isEmpty, "\(log.all)", sourceLocation: sourceLocation) }
    }
    let value: Value
    do {
        value = try await withEventLoop(configuration, body)
    } catch {
        await expectDescriptors(descriptors, sourceLocation)
        throw error
    }
    await expectDescriptors(descriptors, sourceLocation)
    return value
}

/// Other tests of this process, which run at the same time, open and close descriptors too: so this is patient.
func expectDescriptors(_ expected: Int, _ sourceLocation: SourceLocation) async {
    var patience = 20_000
    while openDescriptors() > expected && patience > 0 {
        patience -= 1
        await Task.yield()
    }
    #expect(openDescriptors() <= expected, "descriptors are left", sourceLocation: sourceLocation)
}

/// The first loop of a process opens a pipe for signals, and Dispatch opens a descriptor for each clock when it
/// first has to wait for it: no leaks.
private let warmedUp = Task<Void, Never> {
    do {
        try await withEventLoop { _ in }
        try await SwiftSleep.sleep(for: .milliseconds(20), clock: .continuous)
        try await SwiftSleep.sleep(for: .milliseconds(20), clock: .suspending)
        await withCheckedContinuation { continuation in
            DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(20)) { continuation.resume() }
        }
    } catch {
        Issue.record(error)
    }
}

/// The standard library's own way to wait, where that is what is tested.
typealias SwiftSleep = Task<Never, Never>

/// Both modes of the executor, for tests of what differs between them.
let bothModes: [EventLoop.GlobalExecutor] = [.loop, .pool]

/// Whether this run of the suite has loops that keep the jobs of their thread.
var keepsJobs: Bool { testConfiguration().globalExecutor == .loop }

extension EventLoop.Configuration {
    /// A virtual clock and connections in memory: nothing of the real world.
    static func virtual(
        _ globalExecutor: EventLoop.GlobalExecutor? = nil,
        clock: VirtualClock = VirtualClock()
    ) -> EventLoop.Configuration {
        var configuration = testConfiguration()
        configuration.clock = clock
        configuration.network = .memory()
        if let globalExecutor { configuration.globalExecutor = globalExecutor }
        return configuration
    }

    /// The system's clock and the system's sockets.
    static var real: EventLoop.Configuration { testConfiguration() }
}

// A virtual clock jumps when the loop has nothing to do, and so it runs ahead of a task that is on its way through
// Swift's pool, as it is with groups if the loop does not keep jobs. Then such tests take a little real time.

extension EventLoop.Configuration {
    /// A virtual clock where it is exact, and the real one otherwise.
    static var paced: EventLoop.Configuration { keepsJobs ? .virtual() : .real }
}

/// So many seconds of virtual time, or as many of a few milliseconds of real time.
func ticks(_ count: Int) -> Duration { keepsJobs ? .seconds(count) : .milliseconds(10 * count) }

/// Whether exactly so many ticks have passed, or a little more of real time.
func isTicks(_ duration: Duration, _ count: Int) -> Bool {
    keepsJobs ? duration == ticks(count) : duration >= ticks(count) && duration < ticks(count) + .seconds(3)
}

extension EventLoop {
    /// The time since a virtual clock began.
    var elapsed: Duration { LoopInstant(nanoseconds: 0).duration(to: now) }

    /// How many timers are set, as the loop tells people.
    var timers: Int {
        let words = dump().split(separator: /[ ,\n]/)
        guard let place = words.firstIndex(of: "timers") else { return -1 }
        return Int(words[place + 1]) ?? -1
    }
}

/// What happened, in order, told by any thread.
// SAFETY: what changes is guarded by its lock.
final class Recorder<Element: Sendable>: @unchecked Sendable {
    // SAFETY: `elements` under the lock, which is not Synchronization's, as the thread sanitizer does not know that.
    private let lock = NSLock()
    private var elements: [Element] = []
    func append(_ element: Element) { lock.withLock { elements.append(element) } }
    var all: [Element] { lock.withLock { elements } }
    var count: Int { lock.withLock { elements.count } }
    func removeAll() { lock.withLock { elements.removeAll() } }
}

/// An error of a test's own.
struct Refusal: Error, Hashable { var name = "" }

/// Where one thread waits for others.
// SAFETY: what changes is guarded by its lock.
final class Gate: @unchecked Sendable {
    // SAFETY: `count` under the condition's lock.
    private let condition = NSCondition()
    private var count = 0

    /// Lets one thread pass, or as many as are named.
    func open(times: Int = 1) {
        condition.withLock {
            count += times
            condition.broadcast()
        }
    }

    /// Waits, for so long that only a test that fails waits in vain; false if it did.
    @discardableResult
    func pass(within seconds: Double = 30) -> Bool {
        condition.withLock {
            let deadline = Date(timeIntervalSinceNow: seconds)
            while count == 0 { guard condition.wait(until: deadline) else { return false } }
            count -= 1
            return true
        }
    }
}

/// Runs `body` on a new thread that is nobody's: no loop's, no pool's.
func onForeignThread(_ body: @escaping @Sendable () -> Void) {
    let thread = Thread { body() }
    thread.start()
}

/// Cancels the task that calls.
func cancelThisTask() { unsafe withUnsafeCurrentTask { unsafe $0?.cancel() } }

/// What `body` throws; on the spot, where the macros would leave the loop.
func failure<Value>(_ body: () async throws -> Value) async -> (any Error)? {
    do { _ = try await body() } catch { return error }
    return nil
}

/// Whether `body` ends as a wait does whose task was cancelled.
func isCancelled<Value>(_ body: () async throws -> Value) async -> Bool {
    await failure(body) is CancellationError
}

/// Whether the process that an exit test ran wrote this sentence.
func says(_ result: ExitTest.Result?, _ sentence: String) -> Bool {
    guard let result else { return false }
    return String(decoding: result.standardErrorContent, as: UTF8.self).contains(sentence)
}
