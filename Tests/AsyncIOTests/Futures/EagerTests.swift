// Tasks that begin within the call that spawns them. Behaviours 50 and 51 of asyncio (eager_task_factory).

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct EagerTests {
        @TaskLocal static var label = "none"

        @Test func `one that need not wait has ended when the call returns, behaviours 50 and 51`() async throws {
            // test_eager_completion: no turn of the loop is needed.
            try await onLoop { loop in
                let before = loop.statistics.callbacks
                let task = spawn(name: "eager", eager: true) {
                    #expect(loop.isCurrent)
                    return 5
                }
                #expect(task.isDone)
                if case .success(let value) = task.result { #expect(value == 5) } else { Issue.record("no result") }
                #expect(loop.statistics.callbacks == before)
                let value = try await task.value
                #expect(value == 5)
                #expect(loop.statistics.callbacks == before)
                #expect(task.name == "eager")
            }
        }

        @Test func `one that waits goes on as any task, behaviour 50`() async throws {
            // test_block_after_eager_step, test_await_future_during_eager_step
            let order = Recorder<String>()
            try await onLoop { loop in
                let promise = Promise<String>()
                loop.schedule { order.append("callback") }
                let task = spawn(eager: true) {
                    loop.assertIsolated()
                    order.append("begins")
                    let value = try await promise.future.value
                    order.append(value)
                    return loop.isCurrent
                }
                order.append("spawned")
                #expect(!task.isDone)
                await someTurns()
                promise.succeed("goes on")
                let isCurrent = try await task.value
                #expect(isCurrent)
            }
            #expect(order.all == ["begins", "spawned", "callback", "goes on"])
        }

        @Test func `an error comes at once as well, and is reported if nobody looks`() async throws {
            let issues = Recorder<LoopIssue>()
            try await onLoop(collecting: issues) { _ in
                let held = spawn(eager: true) { throw Refusal(name: "held") }
                #expect(held.isDone)
                spawn(name: "lost", eager: true) { throw Refusal(name: "lost") }
                #expect(await failure { try await held.value } as? Refusal == Refusal(name: "held"))
            }
            #expect(unobserved(issues) == ["task lost of AsyncIOTests: Refusal(name: \"lost\")"])
        }

        @Test func `cancelling one that waits ends its wait, behaviour 50`() async throws {
            // test_cancellation_after_eager_step_blocks
            try await onLoop { loop in
                let task = spawn(eager: true) { try await AsyncIO.sleep(for: .seconds(3_600)) }
                #expect(loop.timers == 1)
                task.cancel()
                #expect(await isCancelled { try await task.value })
                #expect(loop.timers == 0 && loop.elapsed == .zero)
            }
        }

        @Test func `it has the task-local values of the call, and leaves the caller's alone, behaviour 50`()
            async throws
        {
            // test_context_vars
            try await onLoop { _ in
                let labels = Recorder<String>()
                let task = Self.$label.withValue("outer") {
                    spawn(eager: true) {
                        labels.append(Self.label)
                        await Self.$label.withValue("inner") {
                            await AsyncIO.yield()
                            labels.append(Self.label)
                        }
                        labels.append(Self.label)
                    }
                }
                #expect(Self.label == "none")
                try await task.value
                #expect(labels.all == ["outer", "inner", "outer"])
            }
        }

        @Test func `it is a task of its own from the first moment, behaviour 50`() async throws {
            // test_current_task: what it does to itself does not reach the caller.
            try await onLoop { _ in
                let task = spawn(name: "own", eager: true) {
                    cancelThisTask()
                    return (Task.name, Task.isCancelled)
                }
                #expect(!Task.isCancelled)
                let (name, isCancelled) = try await task.value
                #expect(name == "own" && isCancelled)
                #expect(task.isCancelled)
            }
        }

        @Test func `they begin within one another, each where it is written, behaviour 51`() async throws {
            // test_recursive_gather and test_recursive_taskgroups: no turn for all of them.
            let order = Recorder<Int>()
            try await onLoop { loop in
                let before = loop.statistics.callbacks
                let tree = nested(3, order, on: loop)
                #expect(tree.isDone)
                #expect(loop.statistics.callbacks == before)
                try await tree.value
            }
            #expect(order.all == [3, 2, 1, 0, 0, 1, 0, 0, 2, 1, 0, 0, 1, 0, 0])
        }

        @Test(.testsMany)
        func `thousands of them that wait all end`() async throws {
            try await onLoop { loop in
                let tasks = (0..<5_000).map { number in
                    spawn(eager: true) {
                        loop.assertIsolated()
                        try await AsyncIO.sleep(for: .milliseconds(number % 50))
                        return number
                    }
                }
                var sum = 0
                for task in tasks { sum += try await task.value }
                #expect(sum == 5_000 * 4_999 / 2)
            }
        }

        @Test func `one of code without isolation is on the loop`() async throws {
            try await onLoop { loop in
                let began = Recorder<Bool>()
                let task = eagerWithoutIsolation(loop, began)
                try await task.value
                #expect(began.all == [true, true])
            }
        }

        @Test func `a callback is no task, and what it spawns begins after it`() async throws {
            let order = Recorder<String>()
            try await onLoop { loop in
                loop.schedule {
                    spawn(eager: true) {
                        loop.assertIsolated()
                        order.append("task")
                        await AsyncIO.yield()
                        order.append("later")
                    }
                    order.append("callback")
                }
                await someTurns()
            }
            #expect(order.all == ["callback", "task", "later"])
        }

        @Test func `one that is spawned while the loop ends is cancelled at its first wait, behaviour 27`() async throws
        {
            let ends = Recorder<Bool>()
            try await onLoop(.paced) { loop in
                spawn {
                    loop.assertIsolated()
                    try? await AsyncIO.sleep(for: .seconds(3_600))
                    spawn(eager: true) {
                        loop.assertIsolated()
                        ends.append(Task.isCancelled)
                        ends.append(await isCancelled { try await AsyncIO.sleep(for: .seconds(5)) })
                    }
                }
                await AsyncIO.yield()
            }
            #expect(ends.all.last == true && ends.count == 2)
        }
    }
}

/// A tree of eager tasks.
private func nested(_ depth: Int, _ order: Recorder<Int>, on loop: isolated EventLoop) -> LoopTask<Void> {
    spawn(eager: true) {
        loop.assertIsolated()
        order.append(depth)
        guard depth > 0 else { return }
        for _ in 0..<2 { try await nested(depth - 1, order, on: loop).value }
    }
}

private nonisolated func eagerWithoutIsolation(_ loop: EventLoop, _ began: Recorder<Bool>) -> LoopTask<Void> {
    spawn(eager: true) {
        began.append(loop.isCurrent)
        await AsyncIO.yield()
        began.append(loop.isCurrent)
    }
}
