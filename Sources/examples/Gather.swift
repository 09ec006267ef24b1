// Several operations at once and their results in order: the two coroutines again, and the factorials of asyncio's page.

import ArgumentParser
import AsyncIO

struct Gather: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "The two waits of say-after gathered, in 2 seconds; then three factorials at once, in 3."
    )

    func run() throws {
        try AsyncIO.run {
            try await Self.program(on: EventLoop.current!, Terminal.writeLine)
            try await Self.factorials(on: EventLoop.current!, Terminal.writeLine)
        }
    }

    /// Both waits at once.
    static func program(on loop: isolated EventLoop, _ output: @escaping Output) async throws {
        let start = loop.now
        output("started at 0 s")

        // Structured: when this line is done, both are. If one threw, the other would be cancelled and awaited.
        _ = try await AsyncIO.gather(
            { try await sayAfter(.seconds(1), "hello", output) },
            { try await sayAfter(.seconds(2), "world", output) }
        )

        output("finished at \(seconds(from: start, to: loop.now))")
    }

    /// Three computations that take turns, and their results in the order in which they were written down.
    static func factorials(on loop: isolated EventLoop, _ output: @escaping Output) async throws {
        let (a, b, c) = try await AsyncIO.gather(
            { try await factorial("A", 2, output) },
            { try await factorial("B", 3, output) },
            { try await factorial("C", 4, output) }
        )
        output("\([a, b, c])")
    }

    /// Multiplies one number a second.
    static func factorial(_ name: String, _ number: Int, _ output: Output) async throws -> Int {
        var product = 1
        for factor in stride(from: 2, through: number, by: 1) {
            output("Task \(name): Compute factorial(\(number)), currently i=\(factor)...")
            try await AsyncIO.sleep(for: .seconds(1))
            product *= factor
        }
        output("Task \(name): factorial(\(number)) = \(product)")
        return product
    }
}
