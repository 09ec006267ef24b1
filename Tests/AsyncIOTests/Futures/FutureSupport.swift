// What the tests of futures and of what is made of them share.

import AsyncIO
import AsyncIOTesting
import Foundation
import Testing

/// So many threads that begin `body` at the same moment.
struct Crowd: Sendable {
    private let count: Int
    private let ended = Gate()

    init(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
        self.count = count
        let (ready, start) = (Gate(), Gate())
        for number in 0..<count {
            onForeignThread { [ended] in
                ready.open()
                start.pass()
                body(number)
                ended.open()
            }
        }
        for _ in 0..<count { ready.pass() }
        start.open(times: count)
    }

    /// Waits until all have ended, without keeping the loop.
    func join() async throws {
        let areOver = try await AsyncIO.offload { [self] in (0..<count).allSatisfy { _ in ended.pass() } }
        #expect(areOver)
    }
}

/// Ordinary: it has no loop's executor.
actor Stranger {
    func value<Value: Sendable>(of future: Future<Value>) async throws -> Value {
        let value = try await future.value
        assertIsolated()
        return value
    }

    func value<Value: Sendable>(of task: LoopTask<Value>) async throws -> Value {
        let value = try await task.value
        assertIsolated()
        return value
    }
}

/// Runs `body` on Swift's pool, or on a thread that the loop does not own.
func onPool<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
    let task = try await AsyncIO.offload { Task.detached { try await body() } }
    return try await task.value
}

/// The one reference to something, to be let go of on another thread.
// SAFETY: what changes, changes on one thread, which begins after it was set.
final class Slot<Value: Sendable>: @unchecked Sendable {
    private var value: Value?
    init(_ value: Value) { self.value = value }

    func read(_ body: (Value) -> Void) { if let value { body(value) } }

    /// Calls `body` with it and lets go of it.
    func empty(_ body: (Value) -> Void = { _ in }) {
        if let value { body(value) }
        value = nil
    }
}

/// The errors that nobody has seen, in the words of the loop, without the place where what failed was made.
func unobserved(_ issues: Recorder<LoopIssue>) -> [String] {
    issues.all.map { issue in
        guard case .unobservedError(let error) = issue.kind else { return "another issue: \(issue)" }
        return "\(issue.subject.prefix { $0 != "/" }): \(error)"
    }
}

/// A few turns: enough for whoever was woken, and for those whom it wakes.
func someTurns(_ count: Int = 10) async { for _ in 0..<count { await AsyncIO.yield() } }
