// The same two coroutines as tasks: both wait at the same time, so the program takes two seconds and not three.

import ArgumentParser
import AsyncIO

struct CreateTask: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "The two waits of say-after as two tasks at the same time. Takes 2 seconds."
    )

    func run() throws {
        try AsyncIO.run { try await Self.program(on: EventLoop.current!, Terminal.writeLine) }
    }

    /// The program, on any loop.
    ///
    /// Prints:
    ///
    ///     started at 0 s
    ///     hello
    ///     world
    ///     finished at 2 s
    static func program(on loop: isolated EventLoop, _ output: @escaping Output) async throws {
        // A task begins in the loop's next turn, whether somebody awaits it or not.
        let hello = AsyncIO.spawn(name: "hello") { try await sayAfter(.seconds(1), "hello", output) }
        let world = AsyncIO.spawn(name: "world") { try await sayAfter(.seconds(2), "world", output) }

        let start = loop.now
        output("started at 0 s")

        // Waiting for a task also tells what it threw. One that nobody waits for is cancelled when the run ends.
        try await hello.value
        try await world.value

        output("finished at \(seconds(from: start, to: loop.now))")
    }
}
