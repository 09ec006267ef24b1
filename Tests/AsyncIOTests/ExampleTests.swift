// The programs by which asyncio is taught, in virtual time: every line, in order, and in the second in which it belongs.

import AsyncIO
import AsyncIOTesting
import Testing

@testable import examples

extension AsyncIOTests {
    @Suite struct ExampleTests {
        @Test(.testsOrder)
        func `hello world takes one second for both`() async throws {
            let lines = try await rehearse { loop, output in try await HelloWorld.program(on: loop, output) }
            #expect(
                lines == [
                    "0.0 seconds: both are spawned",
                    "0.0 seconds: first: hello …",
                    "0.0 seconds: second: hello …",
                    "1.0 seconds: first: … world",
                    "1.0 seconds: second: … world",
                    "1.0 seconds: over",
                ]
            )
        }

        @Test func `two coroutines in a row take three seconds`() async throws {
            let lines = try await rehearse { loop, output in try await SayAfter.program(on: loop, output) }
            #expect(
                lines == [
                    "0.0 seconds: started at 0 s",
                    "1.0 seconds: hello",
                    "3.0 seconds: world",
                    "3.0 seconds: finished at 3 s",
                    "3.0 seconds: over",
                ]
            )
        }

        @Test func `as two tasks they take two seconds`() async throws {
            let lines = try await rehearse { loop, output in try await CreateTask.program(on: loop, output) }
            #expect(
                lines == [
                    "0.0 seconds: started at 0 s",
                    "1.0 seconds: hello",
                    "2.0 seconds: world",
                    "2.0 seconds: finished at 2 s",
                    "2.0 seconds: over",
                ]
            )
        }

        @Test func `gathered they take two seconds`() async throws {
            let lines = try await rehearse { loop, output in try await Gather.program(on: loop, output) }
            #expect(
                lines == [
                    "0.0 seconds: started at 0 s",
                    "1.0 seconds: hello",
                    "2.0 seconds: world",
                    "2.0 seconds: finished at 2 s",
                    "2.0 seconds: over",
                ]
            )
        }

        @Test(.testsOrder)
        func `the factorials come in the order that asyncio's page prints`() async throws {
            let lines = try await rehearse { loop, output in try await Gather.factorials(on: loop, output) }
            #expect(
                lines == [
                    "0.0 seconds: Task A: Compute factorial(2), currently i=2...",
                    "0.0 seconds: Task B: Compute factorial(3), currently i=2...",
                    "0.0 seconds: Task C: Compute factorial(4), currently i=2...",
                    "1.0 seconds: Task A: factorial(2) = 2",
                    "1.0 seconds: Task B: Compute factorial(3), currently i=3...",
                    "1.0 seconds: Task C: Compute factorial(4), currently i=3...",
                    "2.0 seconds: Task B: factorial(3) = 6",
                    "2.0 seconds: Task C: Compute factorial(4), currently i=4...",
                    "3.0 seconds: Task C: factorial(4) = 24",
                    "3.0 seconds: [2, 6, 24]",
                    "3.0 seconds: over",
                ]
            )
        }

        @Test func `a loop runs until its operations are complete, and is closed`() throws {
            let clock = VirtualClock()
            let lines = Recorder<String>()
            var configuration = EventLoop.Configuration.virtual(clock: clock)
            configuration.onIssue = { lines.append("\($0)") }
            try RunUntilComplete.program(configuration) { lines.append("\(clock.now): \($0)") }
            #expect(
                lines.all == [
                    "0.0 seconds: scheduled",
                    "1.0 seconds: the callback ran after a second",
                    "1.0 seconds: hello …",
                    "2.0 seconds: … world",
                    "2.0 seconds: closed: nothing left open",
                    "2.0 seconds: The event loop is closed and takes no more work.",
                ]
            )
        }
    }
}
