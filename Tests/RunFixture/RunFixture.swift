// Small programs for the tests of `AsyncIO.run`: each is one run of a process, as its main thread, its signals and its
// end are what is tested. The first argument names the program, and what it prints is its story.

import AsyncIO
import Foundation

@main
struct RunFixture {
    typealias Program = @Sendable () throws -> Void

    static let programs: [String: Program] = [:]
        .merging(runs) { first, _ in first }
        .merging(mainWork) { first, _ in first }
        .merging(endings) { first, _ in first }
        .merging(signals) { first, _ in first }
        .merging(debugging) { first, _ in first }
        .merging(standardStreams) { first, _ in first }
        .merging(processSettings) { first, _ in first }
        .merging(inheritance) { first, _ in first }

    static func main() {
        guard CommandLine.arguments.count > 1, let program = programs[CommandLine.arguments[1]] else {
            say("programs: \(programs.keys.sorted().joined(separator: " "))")
            exit(64)
        }
        do { try program() } catch { say("threw \(error)") }
        say("end")
    }
}

/// Writes a line at once: what is still in a buffer when a signal comes would be lost.
func say(_ line: String) { FileHandle.standardOutput.write(Data("\(line)\n".utf8)) }

/// Says what does not hold.
func check(_ condition: Bool, _ what: String) { say(condition ? "ok: \(what)" : "FAILED: \(what)") }

/// The configuration under test, as in the tests themselves; issues and what is left at the end become lines.
func configuration() -> EventLoop.Configuration {
    var configuration = EventLoop.Configuration()
    if ProcessInfo.processInfo.environment["ASYNCIO_TEST_EXECUTOR"] == "pool" {
        configuration.globalExecutor = .pool
    }
    configuration.onIssue = { say("issue: \($0)") }
    configuration.onClose = { say("closed: \($0)") }
    return configuration
}

/// An error of a program's own.
struct Refusal: Error {}

/// What the main actor holds, without a lock.
@MainActor final class Tally {
    var count = 0
    static let shared = Tally()
    private init() {}
}

/// The standard library's own way to wait.
typealias SwiftSleep = Task<Never, Never>
