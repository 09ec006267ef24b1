// One run of a scenario with one failure, and the judgement over it.

import AsyncIO
import CTorture
import Foundation

struct Attempt {
    struct Result {
        var hasFired = false
        var outcome = "nothing"
        /// What should not have been.
        var wrong: String?

        func throwIfWrong() throws {
            if let wrong { throw WrongWithoutFailure(description: "without any failure: \(wrong)") }
        }
    }

    struct WrongWithoutFailure: Error, CustomStringConvertible { let description: String }

    private let scenario: Scenario
    private let plan: Plan?

    init(_ scenario: Scenario, _ plan: Plan?) { (self.scenario, self.plan) = (scenario, plan) }

    /// Runs it; `isFirst` if what is made once for the whole process may be made by it.
    func run(isFirst: Bool = false) -> Result {
        var result = Result()
        let label = "\(scenario.name), \(plan.map { "\($0)" } ?? "no failure")"
        unsafe label.withCString { unsafe torture_watch(30, $0) }
        defer { unsafe torture_watch(0, "") }
        let before = descriptors
        let findings = Findings(patience: plan?.isMended ?? true ? .seconds(5) : .milliseconds(100))
        var configuration = EventLoop.Configuration()
        configuration.onIssue = { findings.note(issue: $0) }
        configuration.onClose = { findings.note(close: $0) }
        if let plan { torture_arm(plan.kind, plan.number, plan.failure) }
        do {
            let scenario = self.scenario
            try AsyncIO.run(configuration) {
                do { try await scenario.body(findings) } catch { findings.note(error: error) }
                torture_disarm()
                // The loop does its work all the same.
                try await Scenario.check()
            }
        } catch {
            torture_disarm()
            findings.note(error: error)
        }
        result.hasFired = torture_has_fired() != 0
        torture_disarm()
        let errors = findings.errors
        result.outcome = errors.isEmpty ? "no error" : errors.map(Self.name).joined(separator: " and ")
        var wrongs = errors.filter { !isAllowed($0) }.map { "\($0)" } + findings.leftovers
        // Where the file could not be removed it is there.
        if !isAboutRemoving { wrongs += findings.files.map { "left \($0)" } }
        if result.hasFired, let plan, plan.isTold, !errors.contains(where: isFailure) {
            wrongs.append("nobody was told of the failure, but of \(result.outcome)")
        }
        // libuv's own: up to 1.44 at least, `uv_loop_init` forgets its epoll descriptor if it fails half-way.
        let lost = errors.contains { ($0 as? SystemError)?.call == "uv_loop_init" } ? 1 : 0
        if isFirst { return result }
        let after = settledDescriptors(before.count...(before.count + lost))
        if !(before.count...(before.count + lost)).contains(after.count) {
            wrongs.append("\(before.count) descriptors have become \(after.count)\(Self.news(from: before, to: after))")
        }
        if !wrongs.isEmpty { result.wrong = wrongs.joined(separator: "; ") }
        return result
    }

    private static func name(_ error: any Error) -> String {
        switch error {
        case let error as SystemError: error.code.name
        case let error as ConnectError: Set(error.attempts.map { name($0.error) }).sorted().joined(separator: " + ")
        default: "\(type(of: error)).\(error)".prefix(60).description
        }
    }

    /// Whether a file cannot be removed.
    private var isAboutRemoving: Bool { plan.map { ["unlink", "lstat"].contains($0.name) } ?? false }

    /// Whether an error is the failure itself.
    private func isFailure(_ error: any Error) -> Bool {
        if let error = error as? ConnectError { return error.attempts.contains { isFailure($0.error) } }
        if let error = error as? PartialSendError { return isFailure(error.reason) }
        if let error = error as? DatagramBatchError { return isFailure(error.reason) }
        return (error as? SystemError).map { $0.code == plan?.code } ?? false
    }

    /// Whether an error is the failure itself, or what it means for the other end of a connection.
    private func isAllowed(_ error: any Error) -> Bool {
        guard let plan, !plan.isMended else { return false }
        if isFailure(error) { return true }
        if let error = error as? ConnectError { return error.attempts.allSatisfy { isAllowed($0.error) } }
        if let error = error as? PartialSendError { return isAllowed(error.reason) }
        if let error = error as? SystemError {
            // What cannot be removed is in the way.
            if isAboutRemoving && error.code == .addressInUse { return true }
            return [.connectionReset, .brokenPipe, .notConnected].contains(error.code)
        }
        if error is Scenario.EarlyEnd { return true }
        // Who asks for the peer's name asks whether there is one.
        if plan.name == "getpeername", plan.code == .notConnected, (error as? DescriptorError) == .notConnected {
            return true
        }
        return (error as? StreamError) == .closed
    }

    /// The descriptors that there are, when they are as many as expected or two seconds have passed: a loop on a thread of
    /// its own is closed there, a moment after the last word of it.
    private func settledDescriptors(_ expected: ClosedRange<Int>) -> [String: String] {
        let end = ContinuousClock.now + .seconds(2)
        var found = descriptors
        let pause = DispatchSemaphore(value: 0)
        while !expected.contains(found.count) && ContinuousClock.now < end {
            _ = pause.wait(timeout: .now() + .milliseconds(1))
            found = descriptors
        }
        return found
    }

    /// The descriptors of this process, and what each of them is of.
    ///
    /// Without timers: we have none, and Dispatch makes one when its threads are kept waiting, as they may be at any time.
    private var descriptors: [String: String] {
        let directory = "/proc/self/fd"
        let all = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        let named = all.map { number in
            // The one with which the directory was read is closed by now.
            (number, (try? FileManager.default.destinationOfSymbolicLink(atPath: "\(directory)/\(number)")) ?? "")
        }
        return Dictionary(uniqueKeysWithValues: named.filter { $0.1 != "anon_inode:[timerfd]" })
    }

    /// What of a number of descriptors was not there before, as words.
    private static func news(from before: [String: String], to after: [String: String]) -> String {
        let news = after.filter { before[$0.key] != $0.value }.sorted { $0.key < $1.key }
        return news.map { ", \($0.key) is \($0.value)" }.joined()
    }
}

/// What a run has told.
final class Findings: Sendable {
    /// How long to wait for a datagram.
    let patience: Duration
    private let told = Channel<any Error>(capacity: 1_000)
    private let left = Channel<String>(capacity: 1_000)
    private let leftFiles = Channel<String>(capacity: 1_000)

    init(patience: Duration) { self.patience = patience }

    func noteFile(_ path: String) { _ = try? leftFiles.trySend(path) }

    func note(error: any Error) { _ = try? told.trySend(error) }

    func note(issue: LoopIssue) {
        switch issue.kind {
        case .handlerError(let error), .uncaughtError(let error), .unobservedError(let error),
            .protocolError(let error):
            note(error: error)
        case .acceptFailed(let error, _): note(error: error)
        default: _ = try? left.trySend("\(issue)")
        }
    }

    func note(close report: CloseReport) {
        if !report.isClean { _ = try? left.trySend("left when the loop closed: \(report)") }
    }

    var errors: [any Error] { drained(told) }
    var leftovers: [String] { drained(left) }
    var files: [String] { drained(leftFiles) }

    private func drained<Element>(_ channel: Channel<Element>) -> [Element] {
        var all: [Element] = []
        while let next = try? channel.tryReceive() { all.append(next) }
        return all
    }
}
