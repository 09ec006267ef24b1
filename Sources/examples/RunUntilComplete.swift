// A loop of one's own, without AsyncIO.run: made, run until one operation has completed, and closed.

import ArgumentParser
import AsyncIO

struct RunUntilComplete: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Makes a loop, runs a callback and then a coroutine on it until each is done, and closes the loop."
    )

    func run() throws { try Self.program(output: Terminal.writeLine) }

    /// The program, on a loop that it makes.
    ///
    /// It is not `async`: it blocks its thread, which is the loop's for the length of each run.
    static func program(_ configuration: EventLoop.Configuration = .init(), output: @escaping Output) throws {
        let loop = try EventLoop(configuration)
        // A loop that is dropped keeps its descriptors. Closing it twice does nothing.
        defer { loop.close() }

        // In callbacks: whoever has the completion ends the run.
        let callback: String = try loop.runUntilComplete { loop, completion in
            output("scheduled")
            loop.schedule(after: .seconds(1)) { completion.succeed("the callback ran after a second") }
        }
        output(callback)

        // In a task: the loop runs it between its callbacks, and the run ends with it.
        let coroutine: String = try loop.runUntilComplete { loop, completion in
            Task {
                _ = loop
                do { completion.succeed(try await greeting(output)) } catch { completion.fail(error) }
            }
        }
        output(coroutine)

        let report = loop.close()
        output("closed: \(report)")
        do {
            try loop.submit { _ in output("never printed") }
        } catch {
            output("\(error)")
        }
    }

    /// A coroutine.
    static func greeting(_ output: Output) async throws -> String {
        output("hello …")
        try await AsyncIO.sleep(for: .seconds(1))
        return "… world"
    }
}
