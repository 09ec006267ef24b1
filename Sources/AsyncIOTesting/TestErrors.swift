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

    /// Both in a sentence.
    public var description: String { "With the seed \(seed): \(error)" }
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
