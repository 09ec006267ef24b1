// Two tasks say hello, wait a second, and say world: both wait at the same time, so the program takes one second.

import ArgumentParser
import AsyncIO

struct HelloWorld: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Two tasks print hello, wait for a second, and print world. Takes one second."
    )

    func run() throws {
        try AsyncIO.run { try await Self.program(on: EventLoop.current!, Terminal.writeLine) }
    }

    /// The program, on any loop.
    ///
    /// Prints:
    ///
    ///     both are spawned
    ///     first: hello …
    ///     second: hello …
    ///     first: … world
    ///     second: … world
    static func program(on loop: isolated EventLoop, _ output: @escaping Output) async throws {
        let first = AsyncIO.spawn { try await greet("first", output) }
        let second = AsyncIO.spawn { try await greet("second", output) }

        // Nothing of theirs has run yet: a task begins in the loop's next turn, when this one waits.
        output("both are spawned")
        try await first.value
        try await second.value
    }

    /// Prints, waits, prints.
    ///
    /// Each `await` is a place where other tasks may run. Between two of them nothing else on the loop does.
    static func greet(_ name: String, _ output: Output) async throws {
        output("\(name): hello …")
        try await AsyncIO.sleep(for: .seconds(1))
        output("\(name): … world")
    }
}
