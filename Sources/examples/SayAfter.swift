// Two coroutines awaited in a row: the second begins when the first has ended, so the program takes three seconds.

import ArgumentParser
import AsyncIO

struct SayAfter: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Two waits, one after the other: 'hello' after 1 second, 'world' 2 seconds later. Takes 3 seconds."
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
    ///     finished at 3 s
    static func program(on loop: isolated EventLoop, _ output: Output) async throws {
        let start = loop.now
        output("started at 0 s")

        // An `async` function runs when it is awaited, and not before: there is nothing here that could overlap.
        try await sayAfter(.seconds(1), "hello", output)
        try await sayAfter(.seconds(2), "world", output)

        output("finished at \(seconds(from: start, to: loop.now))")
    }
}

/// Waits, and prints.
func sayAfter(_ delay: Duration, _ text: String, _ output: Output) async throws {
    try await AsyncIO.sleep(for: delay)
    output(text)
}

/// The time from one instant of a loop's clock to another, in whole seconds.
func seconds(from start: LoopInstant, to end: LoopInstant) -> String {
    "\(start.duration(to: end).components.seconds) s"
}
