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
            came out wrong or in the wrong place or something was left, 3 if something hung.
            """
    )

    @Option(help: "Only calls with this in their name.")
    var call: String?

    @Option(help: "Only scenarios with this in their name.")
    var scenario: String?

    @Flag(help: "Tell of each failure what came of it.")
    var verbose = false

    func run() throws {
        var total = 0
        var failures: [String] = []
        for scenario in Scenario.all where self.scenario.map(scenario.name.contains) ?? true {
            // Once without a failure: what is made once for the whole process is there then.
            _ = Attempt(scenario, nil).run()
            try Attempt(scenario, nil).run().throwIfWrong()
            for kind in 0..<torture_kind_count() {
                let name = unsafe String(cString: torture_kind_name(kind))
                guard call.map(name.contains) ?? true else { continue }
                var (reached, outcomes): (Int, [String: Int]) = (0, [:])
                for index in 0..<2 {
                    let failure = torture_failure(kind, CInt(index))
                    guard failure != 0 else { break }
                    var number: UInt32 = 0
                    while true {
                        number += 1
                        let plan = Plan(kind: kind, name: name, number: number, failure: failure)
                        if verbose { say("  \(plan)") }
                        let result = Attempt(scenario, plan).run()
                        guard result.hasFired else { break }
                        total += 1
                        reached = max(reached, Int(number))
                        outcomes[result.outcome, default: 0] += 1
                        if verbose { say("    \(result.outcome)") }
                        if let wrong = result.wrong { failures.append("\(scenario.name), \(plan): \(wrong)") }
                    }
                }
                if reached > 0 {
                    let told = outcomes.sorted { $0.value > $1.value }.map { "\($0.value) × \($0.key)" }
                    say("\(scenario.name): \(name), \(reached) calls: \(told.joined(separator: "; "))")
                }
            }
        }
        say("\(total) failures of calls, \(failures.count) of them wrong")
        for failure in failures { say("WRONG: \(failure)") }
        if !failures.isEmpty { throw ExitCode(1) }
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
    var code: SystemError.Code? { failure > 0 ? SystemError.Code(rawValue: -failure) : nil }

    var description: String { "\(name) number \(number) ends with \(code.map { $0.name } ?? "less than was asked")" }
}
