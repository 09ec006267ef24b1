// What tests of code on a loop fail with.

internal import AsyncIO
internal import Reactor

/// All tasks of a loop waited for one another.
public struct DeadlockError: Error, CustomStringConvertible {
    /// Who waited for what, as ``EventLoop/taskTree()`` tells.
    public let tasks: String

    /// A sentence, and the tasks.
    public var description: String { "Nothing can wake any of these tasks:\n\(tasks)" }
}

/// Something was left behind.
public struct LeakError: Error, CustomStringConvertible {
    /// What it is.
    public let left: [String]

    /// All of it in a sentence.
    public var description: String { "Left behind: " + left.joined(separator: "; ") }
}

/// A body failed under a seed.
public struct SeededFailure: Error, CustomStringConvertible {
    /// The seed.
    public let seed: UInt64
    /// What went wrong.
    public let error: any Error
    /// What had happened before, a line for each event; empty if it was no simulation.
    public let trace: String
    /// Whether a second run with the seed took the same course; nil if there was none.
    public private(set) var replays: Bool?
    /// Where the second run took another.
    private var parting: String?

    init(seed: UInt64, error: any Error) { (self.seed, self.error, trace) = (seed, error, "") }

    init(_ seed: UInt64, _ error: any Error, _ trace: SimulationTrace?) {
        (self.seed, self.error, self.trace) = (seed, error, trace?.text ?? "")
    }

    /// Compares this failure with that of a second run, or with its success.
    mutating func compare(to again: SeededFailure?) {
        replays = again.map { $0.trace == trace && "\($0.error)" == "\(error)" } ?? false
        guard replays == false else { return }
        guard let again else { return parting = "it succeeded" }
        let (first, second) = (trace.split(separator: "\n"), again.trace.split(separator: "\n"))
        let place = zip(first, second).enumerated().first { $1.0 != $1.1 }?.offset ?? min(first.count, second.count)
        let lines = [first, second].map { place < $0.count ? String($0[place]) : "the end" }
        parting =
            lines[0] == lines[1]
            ? "it failed with: \(again.error)"
            : "where this one went on with:\n  \(lines[0])\nit did so with:\n  \(lines[1])"
    }

    /// All of it in a sentence, and the last events.
    public var description: String {
        var text = "With the seed \(seed): \(error)"
        let events = trace.split(separator: "\n").suffix(30)
        if !events.isEmpty { text += "\nThe last events:\n" + events.joined(separator: "\n") }
        switch replays {
        case true?: text += "\nA second run with the seed failed in the same way."
        case false?:
            text += "\nA second run with the seed took another course, so something decides that is no part of the "
            text += "simulation, such as another thread or the order of a Dictionary; \(parting ?? "")"
        case nil: break
        }
        return text
    }
}

/// What a test loop has found out.
final class Findings: Sendable {
    private let deadlockReport = Once<String>()
    private let closeReport = Once<String>()

    func deadlocked(_ tasks: String) { deadlockReport.set(tasks) }

    func closed(_ report: CloseReport) {
        if !report.isClean { closeReport.set("\(report)") }
    }

    var deadlock: DeadlockError? { deadlockReport.value.map { DeadlockError(tasks: $0) } }
    var leak: LeakError? { closeReport.value.map { LeakError(left: [$0]) } }
}
