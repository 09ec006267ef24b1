// What goes wrong where nobody is left to tell: reported once, with the name of what it was, and the loop goes on.
// Behaviours 21 and 23 of asyncio. A virtual clock that a callback advances stands for the time that it takes.

import AsyncIOTesting
import Testing

@testable import Reactor

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

extension ReactorTests {
    @Suite struct ErrorTests {
        @Test func `an error of a callback is reported once, and the loop lives, behaviour 21`() throws {
            let issues = IssueLog()
            let order = Recorder<String>()
            try withLoop(collecting: issues) { loop in
                try loop.runForever { loop in
                    loop.schedule { throw LoopError.timedOut("It") }
                    loop.schedule { order.append("next") }
                    loop.schedule(after: .seconds(1)) {
                        order.append("timer")
                        loop.stop()
                    }
                }
            }
            #expect(order.all == ["next", "timer"])
            #expect(issues.all.count == 1)
            let issue = try #require(issues.all.first)
            guard case .uncaughtError(let error) = issue.kind else {
                Issue.record("\(issue)")
                return
            }
            #expect(error as? LoopError == .timedOut("It"))
        }

        @Test func `the report of an error says where the callback was scheduled, behaviour 21`() throws {
            let issues = IssueLog()
            let scheduledAt: Int = #line + 3
            try withLoop(collecting: issues) { loop in
                try loop.runForever { loop in
                    loop.schedule { throw LoopError.timedOut("It") }
                    loop.schedule(after: .seconds(1)) { throw LoopError.timedOut("It") }
                    loop.schedule(at: LoopInstant(nanoseconds: 2_000_000_000)) {
                        loop.stop()
                        throw LoopError.timedOut("It")
                    }
                }
            }
            #expect(
                issues.all.map(\.description)
                    == (0..<3).map {
                        "uncaught error in callback scheduled at ReactorTests/ErrorTests.swift:\(scheduledAt + $0): "
                            + "It timed out."
                    }
            )
        }

        @Test func `an error of a submission is reported as one, behaviour 21`() throws {
            let issues = IssueLog()
            try withLoop(collecting: issues) { loop in
                try loop.submit { _ in throw LoopError.timedOut("It") }
                loop.runOnce()
            }
            #expect(issues.all.map(\.subject) == ["callback submitted from another thread"])
        }

        @Test func `the handler of issues runs on the loop and may use it, behaviour 22`() throws {
            let order = Recorder<String>()
            let loops = Recorder<EventLoop>()
            var configuration = EventLoop.Configuration.virtual()
            configuration.onIssue = { _ in
                loops.all[0].assumeIsolated { loop in
                    order.append("issue")
                    loop.schedule {
                        order.append("scheduled by the handler")
                        loop.stop()
                    }
                }
            }
            let loop = try EventLoop(configuration)
            defer {
                loop.close()
                // The loop holds its handler, and that holds the loop.
                loops.removeAll()
            }
            loops.append(loop)
            try loop.runForever { loop in loop.schedule { throw LoopError.timedOut("It") } }
            #expect(order.all == ["issue", "scheduled by the handler"])
        }

        @Test func `without a handler an issue is one line on standard error, behaviour 21`() async throws {
            let result = await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
                try runOneThatThrows()
            }
            let text = String(decoding: try #require(result).standardErrorContent, as: UTF8.self)
            #expect(text.hasPrefix("swift-asyncio: uncaught error in callback scheduled at ReactorTests/ErrorTests"))
            #expect(text.hasSuffix("It timed out.\n"))
            #expect(text.split(separator: "\n").count == 1)
        }

        @Test func `a slow callback is named with the time that it took, behaviour 23`() throws {
            let (issues, scheduledAt) = try issuesOfSlow { loop, take in
                loop.schedule { take(.milliseconds(150)) }
                return #line - 1
            }
            #expect(
                issues == ["slow: callback scheduled at ReactorTests/ErrorTests.swift:\(scheduledAt) took 0.15 seconds"]
            )
        }

        @Test func `a slow timer is named, behaviour 23`() throws {
            let (issues, scheduledAt) = try issuesOfSlow { loop, take in
                loop.schedule(after: .seconds(1)) { take(.milliseconds(100)) }
                return #line - 1
            }
            #expect(
                issues == ["slow: callback scheduled at ReactorTests/ErrorTests.swift:\(scheduledAt) took 0.1 seconds"]
            )
        }

        @Test func `a slow submission is named, behaviour 23`() throws {
            let (issues, _) = try issuesOfSlow { loop, take in
                try loop.submit { _ in take(.milliseconds(300)) }
                return 0
            }
            #expect(issues == ["slow: callback submitted from another thread took 0.3 seconds"])
        }

        @Test func `a slow callback that throws is reported for both`() throws {
            let (issues, _) = try issuesOfSlow { loop, take in
                loop.schedule {
                    take(.milliseconds(300))
                    throw LoopError.timedOut("It")
                }
                return 0
            }
            #expect(issues.count == 2)
            #expect(issues.first?.hasPrefix("uncaught error") == true)
            #expect(issues.last?.hasPrefix("slow") == true)
        }

        @Test func `what takes less than the threshold is not reported, nor anything without one`() throws {
            let (issues, _) = try issuesOfSlow { loop, take in
                for _ in 0..<10 { loop.schedule { take(.milliseconds(99)) } }
                return 0
            }
            #expect(issues.isEmpty)
            let (none, _) = try issuesOfSlow(threshold: nil) { loop, take in
                loop.schedule { take(.seconds(60)) }
                return 0
            }
            #expect(none.isEmpty)
        }

        @Test func `ASYNCIO_DEBUG turns the report of slow callbacks on, behaviour 23`() async {
            await #expect(processExitsWith: .success) {
                unsafe setenv("ASYNCIO_DEBUG", "1", 1)
                precondition(EventLoop.Configuration().slowCallbackThreshold == .milliseconds(100))
            }
            await #expect(processExitsWith: .success) {
                unsafe setenv("ASYNCIO_DEBUG", "0", 1)
                precondition(EventLoop.Configuration().slowCallbackThreshold == nil)
            }
        }

        @Test func `every kind of issue and every error of the loop has a sentence`() {
            let system = SystemError(.tooManyOpenFiles, call: "accept")
            let kinds: [LoopIssue.Kind] = [
                .uncaughtError(system), .protocolError(system), .slowCallback(.seconds(1)),
                .acceptFailed(system, retryAfter: .seconds(1)), .notClosed, .doesNotEnd,
                .leftBehind, .handlerLeavesLoops, .handlerError(system), .unobservedError(system),
            ]
            for kind in kinds {
                let text = LoopIssue(kind: kind, subject: "the subject").description
                #expect(text.contains("the subject"))
                #expect(!text.contains("\n"))
            }
            let errors: [LoopError] = [
                .loopClosed, .stoppedBeforeCompletion, .notAnAddress("x"), .notAPort(-1), .timedOut("It"),
                .emptyReadBuffer,
            ]
            for error in errors { #expect(error.description.hasSuffix(".")) }
        }

        private typealias Take = @Sendable (Duration) -> Void

        /// The issues of a loop that reports what takes 100 ms, and what `body` returned, which it runs on the loop.
        private func issuesOfSlow(
            threshold: Duration? = .milliseconds(100),
            _ body: @Sendable (isolated EventLoop, @escaping Take) throws -> Int
        ) throws -> ([String], Int) {
            let issues = IssueLog()
            let clock = VirtualClock()
            let lines = Recorder<Int>()
            var configuration = EventLoop.Configuration.virtual()
            configuration.clock = clock
            configuration.slowCallbackThreshold = threshold
            try withLoop(configuration, collecting: issues) { loop in
                try loop.runForever { loop in
                    lines.append(try body(loop) { clock.advance(by: $0) })
                    loop.schedule(after: .seconds(5)) { loop.stop() }
                }
            }
            return (issues.all.map(\.description), lines.all[0])
        }
    }
}

private func runOneThatThrows() throws {
    let loop = try EventLoop()
    defer { loop.close() }
    try loop.runForever { loop in
        loop.schedule {
            loop.stop()
            throw LoopError.timedOut("It")
        }
    }
}
