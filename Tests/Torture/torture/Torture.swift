// Every call of every kind that a scenario makes fails once: the first, then the second, and so on, until the scenario makes
// no more of them. After each, the right error must have come out at the right place, nothing may hang, and nothing may be
// left; and the loop must still do its work.
//
//     swift run torture

import ArgumentParser
import AsyncIO
import CTorture
import Foundation

@main
struct Torture: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lets each call to libuv and the C library that a scenario makes fail, one at a time.",
        discussion: """
            Prints for each kind of call how many of them a scenario makes and what came of their failures. Exit 1 if an error \
            came out wrong or in the wrong place, something was left, or no scenario makes a call of some kind; 3 if something hung.
            """
    )

    @Option(help: "Only calls with this in their name.")
    var call: String?

    @Option(help: "Only scenarios with this in their name.")
    var scenario: String?

    @Flag(help: "Tell of each failure what came of it.")
    var verbose = false

    func run() throws {
        wakeDispatch()
        var tally = Tally()
        for scenario in Scenario.all where self.scenario.map(scenario.name.contains) ?? true {
            let start = ContinuousClock.now
            // Once without a failure: what is made once for the whole process is there then.
            _ = Attempt(scenario, nil).run(isFirst: true)
            try Attempt(scenario, nil).run().throwIfWrong()
            for kind in 0..<torture_kind_count() {
                let name = unsafe String(cString: torture_kind_name(kind))
                guard call.map(name.contains) ?? true else { continue }
                torture(scenario, kind, name, &tally)
            }
            if verbose { say("\(scenario.name): \(start.duration(to: .now))") }
        }
        if call == nil && scenario == nil { tally.requireAll() }
        say("\(tally.total) failures of calls of \(tally.reached.count) kinds, \(tally.wrong.count) of them wrong")
        for wrong in tally.wrong { say("WRONG: \(wrong)") }
        if !tally.wrong.isEmpty { throw ExitCode(1) }
    }

    /// Lets Dispatch make the descriptors that it keeps, so that none of them is taken for one that a scenario has left.
    private func wakeDispatch() {
        let fired = DispatchSemaphore(value: 0)
        let timer = DispatchSource.makeTimerSource()
        timer.setEventHandler { fired.signal() }
        timer.schedule(deadline: .now())
        timer.resume()
        fired.wait()
        timer.cancel()
    }

    /// Lets each call of the kind fail in each way.
    private func torture(_ scenario: Scenario, _ kind: CInt, _ name: String, _ tally: inout Tally) {
        var (reached, outcomes): (UInt32, [String: Int]) = (0, [:])
        for failure in (0..<3).map({ torture_failure(kind, $0) }).prefix(while: { $0 != 0 }) {
            for number in UInt32(1)... {
                let plan = Plan(kind: kind, name: name, number: number, failure: failure)
                if verbose { say("  \(plan)") }
                let result = Attempt(scenario, plan).run()
                guard result.hasFired else { break }
                reached = max(reached, number)
                outcomes[result.outcome, default: 0] += 1
                if verbose { say("    \(result.outcome)") }
                if let wrong = result.wrong { tally.wrong.append("\(scenario.name), \(plan): \(wrong)") }
            }
            if reached == 0 { return }
        }
        tally.total += outcomes.values.reduce(0, +)
        tally.reached.insert(kind)
        let told = outcomes.sorted { $0.value > $1.value }.map { "\($0.value) × \($0.key)" }
        say("\(scenario.name): \(name), \(reached) calls: \(told.joined(separator: "; "))")
    }
}

/// What came of all of it.
private struct Tally {
    var total = 0
    var reached: Set<CInt> = []
    var wrong: [String] = []

    /// A kind that no scenario reaches is tested by nobody.
    mutating func requireAll() {
        for kind in 0..<torture_kind_count() where !reached.contains(kind) {
            wrong.append("no scenario calls \(unsafe String(cString: torture_kind_name(kind)))")
        }
    }
}

/// Prints a line that is there when the next failure ends the process.
func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }

/// Which call fails, and how.
struct Plan: CustomStringConvertible {
    let kind: CInt
    let name: String
    let number: UInt32
    let failure: CInt

    /// The code that it should be told with, if it is an error.
    var code: SystemError.Code? {
        let code = torture_code(failure)
        return code < 0 ? SystemError.Code(rawValue: code) : nil
    }

    /// Whether nobody is to hear of it, and whether somebody must.
    var isMended: Bool { failure & CInt(TORTURE_IS_MENDED) != 0 }
    var isTold: Bool { failure & CInt(TORTURE_IS_MENDED | TORTURE_IS_EITHER) == 0 }

    var description: String { "\(name) number \(number) ends with \(code.map { $0.name } ?? "less than was asked")" }
}
