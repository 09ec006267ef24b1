// A failure that nobody has looked at is told once, when nobody can look any more. Behaviour 35 of asyncio:
// test_tb_logger_exception_unretrieved and its relatives.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct UnobservedTests {
        @Test func `it is reported once, when the last reference goes, behaviour 35`() async throws {
            let issues = Recorder<LoopIssue>()
            try await onLoop(collecting: issues) { _ in
                do {
                    let promise = Promise<Int>()
                    let again = promise.future
                    promise.fail(Refusal(name: "lost"))
                    await someTurns()
                    #expect(issues.all.isEmpty)
                    #expect(again.isDone && !again.isCancelled)
                }
                await someTurns()
                #expect(unobserved(issues) == ["the future of AsyncIOTests: Refusal(name: \"lost\")"])
            }
            #expect(issues.count == 1)
            #expect(issues.all[0].subject.contains("/UnobservedTests.swift:"))
        }

        @Test func `a task's is reported with its name, behaviour 35`() async throws {
            let issues = Recorder<LoopIssue>()
            try await onLoop(collecting: issues) { _ in
                spawn(name: "reader") { throw Refusal(name: "named") }
                spawn { throw Refusal(name: "nameless") }
                let held = spawn { throw Refusal(name: "held") }
                await someTurns()
                #expect(issues.count == 2)
                #expect(held.isDone)
            }
            #expect(
                told(
                    unobserved(issues),
                    [
                        "task reader of AsyncIOTests: Refusal(name: \"named\")",
                        "the task of AsyncIOTests: Refusal(name: \"nameless\")",
                        "the task of AsyncIOTests: Refusal(name: \"held\")",
                    ]
                )
            )
        }

        @Test(arguments: ["awaited", "asked", "called back", "cancelled", "a value"])
        func `it is not if somebody has looked, nor if it is a cancellation, behaviour 35`(how: String) async throws {
            // `onLoop` fails if there is an issue.
            try await onLoop { _ in
                let promise = Promise<Int>()
                switch how {
                case "awaited":
                    promise.fail(Refusal())
                    #expect(await failure { try await promise.future.value } is Refusal)
                case "asked":
                    promise.fail(Refusal())
                    #expect(promise.future.result != nil)
                case "called back":
                    promise.future.onComplete { _, _ in }
                    promise.fail(Refusal())
                case "cancelled": promise.future.cancel()
                default: promise.succeed(1)
                }
                await someTurns()
            }
        }

        @Test func `to ask too early is not to have looked`() async throws {
            let issues = Recorder<LoopIssue>()
            try await onLoop(collecting: issues) { _ in
                do {
                    let promise = Promise<Int>()
                    #expect(promise.future.result == nil)
                    promise.fail(Refusal(name: "later"))
                    #expect(promise.future.isDone)
                }
                await someTurns()
            }
            #expect(unobserved(issues) == ["the future of AsyncIOTests: Refusal(name: \"later\")"])
        }

        @Test func `it is reported on the loop, whichever thread lets go last`() async throws {
            let (reports, freed) = (Recorder<String>(), Gate())
            var configuration = EventLoop.Configuration.virtual()
            let place = Recorder<EventLoop>()
            configuration.onIssue = { issue in reports.append("\(issue.kind) \(place.all.first?.isCurrent ?? false)") }
            try await withEventLoop(configuration) { loop in
                place.append(loop)
                let slot = Slot(Promise<Int>())
                onForeignThread {
                    slot.empty { $0.fail(Refusal(name: "abroad")) }
                    freed.open()
                }
                let isFreed = try await AsyncIO.offload { freed.pass() }
                #expect(isFreed)
                for _ in 0..<1_000 where reports.all.isEmpty {
                    await AsyncIO.yield()
                    _ = try await AsyncIO.offload {}
                }
            }
            place.removeAll()  // The loop holds the closure that holds this.
            #expect(reports.all == ["unobservedError(AsyncIOTests.Refusal(name: \"abroad\")) true"])
        }

        @Test func `it is reported on a closed loop as well`() async throws {
            let issues = Recorder<LoopIssue>()
            var task: LoopTask<Void>? = try await onLoop(collecting: issues) { _ in
                let task = spawn { throw Refusal(name: "kept") }
                await someTurns()
                return task
            }
            #expect(issues.all.isEmpty)
            #expect(task?.isDone == true)
            task = nil
            #expect(unobserved(issues) == ["the task of AsyncIOTests: Refusal(name: \"kept\")"])
        }

        @Test func `waiting for tasks without asking them is not to have looked`() async throws {
            let issues = Recorder<LoopIssue>()
            try await onLoop(collecting: issues) { _ in
                do {
                    let tasks = [spawn { throw Refusal(name: "one") }, spawn { throw Refusal(name: "two") }]
                    let ended = try await AsyncIO.wait(for: tasks)
                    #expect(ended.done.count == 2)
                    _ = try? await ended.done[1].value
                }
                await someTurns()
            }
            #expect(unobserved(issues) == ["the task of AsyncIOTests: Refusal(name: \"one\")"])
        }
    }
}
