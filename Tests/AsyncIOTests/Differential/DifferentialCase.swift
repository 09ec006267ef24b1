// One behaviour of asyncio as two small programs, the one in Python and the other in Swift, each of which tells what it
// does in lines of text. Python itself says what the lines must be: nothing that is expected stands here, but for the
// differences that are meant, which stand here in full.
//
// Ground rules:
//   * A line begins with the time in milliseconds. Both sides have a clock that jumps, so that this is exact.
//   * Each side is written by its own natural means, and says the same of what it finds. Errors are told by `told`,
//     which is where their names are made the same.
//   * The whole log counts, and so does how the program ended and what was reported to nobody in particular.

import AsyncIO
import AsyncIOTesting
import Testing

/// A behaviour in two languages.
struct DifferentialCase: Sendable, CustomTestStringConvertible {
    /// What holds.
    let name: String
    /// Its number among the behaviours of asyncio, or several.
    let behaviours: [Int]
    /// Whether something goes through Swift's pool if the loop does not keep its jobs, as structured children do, and
    /// the end of the main task: the clock would jump meanwhile.
    let throughPool: Bool
    /// How the logs differ, and why, if they do.
    let difference: KnownDifference?
    /// Defines `async def main()`.
    let python: String
    let swift: @Sendable (isolated EventLoop, CaseLog) async throws -> Void

    init(
        _ name: String,
        _ behaviours: Int...,
        throughPool: Bool = false,
        differs difference: KnownDifference? = nil,
        python: String,
        swift: @escaping @Sendable (isolated EventLoop, CaseLog) async throws -> Void
    ) {
        self.name = name
        self.behaviours = behaviours
        self.throughPool = throughPool
        self.difference = difference
        self.python = python
        self.swift = swift
    }

    var testDescription: String { name }

    /// Whether it can run with the executor under test.
    var canRun: Bool { keepsJobs || !throughPool }

    /// Runs the Swift program on a loop of its own.
    ///
    /// - Returns: Its log.
    func run(_ change: (inout EventLoop.Configuration) -> Void = { _ in }) async throws -> [String] {
        let clock = VirtualClock()
        let log = CaseLog(clock)
        let issues = Recorder<LoopIssue>()
        var configuration = EventLoop.Configuration.virtual(clock: clock)
        change(&configuration)
        try await onLoop(configuration, collecting: issues) { loop in
            do { try await swift(loop, log) } catch { log("ended by \(told(error))") }
        }
        for issue in issues.all { log.add("reported: \(told(issue))") }
        return log.lines
    }

    /// All that there are, but for the random ones.
    static let all: [DifferentialCase] =
        callbacks + futures + tasks + endings + gathering + waiting + shields + deadlines + timeouts + groups + races
        + locks + conditions + barriers + queues + queueWaits + cancellationDifferences + orderDifferences
        + reservationDifferences + streams + streamDifferences
}

/// Where the two languages differ on purpose.
struct KnownDifference: Sendable {
    /// Why, in a sentence.
    let reason: String
    /// What asyncio tells.
    let asyncio: [String]
    /// What this library tells.
    let ours: [String]
}

/// What the Swift program of a case tells.
final class CaseLog: Sendable {
    let clock: VirtualClock
    private let recorder = Recorder<String>()

    init(_ clock: VirtualClock) { self.clock = clock }

    /// Tells something, at this time.
    func callAsFunction(_ text: String) { recorder.append("\(clock.now.nanoseconds / 1_000_000) \(text)") }

    /// Tells something that has no time.
    func add(_ text: String) { recorder.append(text) }

    var lines: [String] { recorder.all }
}

// MARK: The words that both languages have for something

/// An error.
func told(_ error: any Error) -> String {
    switch error {
    case let error as Refusal: error.name
    case is TimeoutError, is DeadlineError: "TimeoutError"
    case is CancellationError: "CancelledError"
    case let error as TaskGroupError: "group of " + error.errors.map(told).joined(separator: ", ")
    default: "\(type(of: error))"
    }
}

/// What the loop reported.
private func told(_ issue: LoopIssue) -> String {
    switch issue.kind {
    case .uncaughtError(let error), .unobservedError(let error): told(error)
    default: "\(issue)"
    }
}

/// A value.
private func told<Value>(of value: Value) -> String { value is Void ? "ok" : "\(value)" }

/// A result.
func told<Value>(_ result: Result<Value, any Error>) -> String {
    switch result {
    case .success(let value): told(of: value)
    case .failure(let error): told(error)
    }
}

/// How a task is doing.
func told<Value>(_ task: LoopTask<Value>) -> String { task.result.map { told($0) } ?? "waits" }

/// What comes of `body`.
func attempt<Value>(_ body: () async throws -> Value) async -> String {
    do { return told(of: try await body()) } catch { return told(error) }
}
