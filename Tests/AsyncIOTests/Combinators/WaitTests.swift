// Waiting for several tasks: which have ended and which have not, at the exact moment. Behaviours 57 to 59 of asyncio.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct WaitTests {
        @Test func `all of them, in the given order, and nothing of what they throw, behaviour 57`() async throws {
            // test_wait, test_wait_with_exception
            try await onLoop { loop in
                let tasks = [spawn { try await after(3, 1) }, spawn { try await after(1, 2) }, failing(after: 2)]
                let (done, pending) = try await AsyncIO.wait(for: tasks)
                #expect(loop.elapsed == .seconds(3))
                #expect(done == tasks)
                #expect(pending.isEmpty)
                #expect(await failure { try await done[2].value } is Refusal)
                #expect(loop.timers == 0)
            }
        }

        @Test func `the first that ends, behaviour 57`() async throws {
            // test_wait_first_completed
            try await onLoop { loop in
                let tasks = [spawn { try await after(10, 1) }, spawn { try await after(1, 2) }]
                let (done, pending) = try await AsyncIO.wait(for: tasks, until: .firstCompleted)
                #expect(loop.elapsed == .seconds(1))
                #expect(done.count == 1 && done[0] == tasks[1])
                #expect(pending.count == 1 && pending[0] == tasks[0])
                #expect(!tasks[0].isCancelled)
                _ = try await tasks[0].value
            }
        }

        @Test func `the first that fails, behaviour 57`() async throws {
            // test_wait_first_exception_in_wait
            try await onLoop { loop in
                let tasks = [spawn { try await after(10, 1) }, spawn { try await after(1, 2) }, failing(after: 2)]
                let (done, pending) = try await AsyncIO.wait(for: tasks, until: .firstError)
                #expect(loop.elapsed == .seconds(2))
                #expect(done == Array(tasks[1...]))
                #expect(pending.count == 1 && pending[0] == tasks[0])
                _ = tasks[2].result
                _ = try await tasks[0].value
            }
        }

        @Test func `a cancelled task has not failed, behaviour 57`() async throws {
            // test_wait_first_exception with a cancelled task: it is ignored.
            try await onLoop { loop in
                let tasks = [spawn { try await after(3, 1) }, spawn { try await after(10, 2) }]
                tasks[1].cancel()
                let (done, pending) = try await AsyncIO.wait(for: tasks, until: .firstError)
                #expect(loop.elapsed == .seconds(3))
                #expect(done.count == 2 && pending.isEmpty)
            }
        }

        @Test(arguments: [WaitCondition.allCompleted, .firstCompleted, .firstError])
        func `those that have ended are enough at once, behaviour 57`(condition: WaitCondition) async throws {
            // test_wait_really_done, test_wait_first_exception with one that is done
            try await onLoop { loop in
                let tasks = [spawn { 1 }, failing(after: 0)]
                await someTurns()
                let passed = Recorder<Int>()
                loop.schedule { passed.append(1) }
                let (done, pending) = try await AsyncIO.wait(for: tasks, until: condition, timeout: .seconds(5))
                #expect(done.count == 2 && pending.isEmpty)
                #expect(passed.all.isEmpty && loop.timers == 0)
                _ = tasks[1].result
            }
        }

        @Test func `the time passes, and the tasks go on, behaviour 58`() async throws {
            // test_wait_with_timeout
            try await onLoop { loop in
                let tasks = [spawn { try await after(1, 1) }, spawn { try await after(10, 2) }]
                let (done, pending) = try await AsyncIO.wait(for: tasks, timeout: .seconds(4))
                #expect(loop.elapsed == .seconds(4))
                #expect(done.count == 1 && done[0] == tasks[0])
                #expect(pending.count == 1 && !pending[0].isCancelled)
                #expect(loop.timers == 1)
                let rest = try await AsyncIO.wait(for: pending, timeout: .seconds(100))
                #expect(rest.done.count == 1 && rest.pending.isEmpty)
                #expect(loop.elapsed == .seconds(10) && loop.timers == 0)
            }
        }

        @Test(.testsOrder)
        func `a task that ends when the time passes is among those that have ended, behaviour 58`() async throws {
            // test_wait_concurrent_complete
            try await onLoop { loop in
                let tasks = [spawn { try await after(4, 1) }, spawn { try await after(5, 2) }]
                await AsyncIO.yield()
                let (done, pending) = try await AsyncIO.wait(for: tasks, timeout: .seconds(4))
                #expect(loop.elapsed == .seconds(4))
                #expect(done.count == 1 && done[0] == tasks[0])
                #expect(pending.count == 1 && pending[0] == tasks[1])
                pending[0].cancel()
            }
        }

        @Test(arguments: [Duration.zero, .seconds(-1), .seconds(Int64.min)])
        func `no time at all is a look`(limit: Duration) async throws {
            try await onLoop { loop in
                let tasks = [spawn { try await after(1, 1) }, spawn { 2 }]
                await someTurns()
                let (done, pending) = try await AsyncIO.wait(for: tasks, timeout: limit)
                #expect(done.count == 1 && done[0] == tasks[1] && pending.count == 1)
                #expect(loop.elapsed == .zero)
                let for_ever = try await AsyncIO.wait(for: pending, timeout: .seconds(Int64.max))
                #expect(for_ever.done.count == 1 && loop.elapsed == .seconds(1) && loop.timers == 0)
            }
        }

        @Test func `cancelling who waits leaves the tasks running, behaviour 59`() async throws {
            // test_yield_wait_does_not_shield_cancel
            try await onLoop { loop in
                let tasks = [spawn { try await after(2, 1) }, spawn { try await after(3, 2) }]
                let waiter = spawn { try await AsyncIO.wait(for: tasks, timeout: .seconds(9)).done.count }
                await someTurns()
                waiter.cancel()
                #expect(await isCancelled { try await waiter.value })
                #expect(loop.timers == 2)
                #expect(tasks.allSatisfy { !$0.isCancelled && !$0.isDone })
                let late = spawn {
                    cancelThisTask()
                    return try await AsyncIO.wait(for: tasks).done.count
                }
                #expect(await isCancelled { try await late.value })
                let values = try await (tasks[0].value, tasks[1].value)
                #expect(values == (1, 2) && loop.elapsed == .seconds(3))
            }
        }

        @Test func `what had happened before the cancellation counts, behaviour 41`() async throws {
            try await onLoop { _ in
                let promise = Promise<Int>()
                let task = spawn { try await promise.future.value }
                let waiter = spawn { try await AsyncIO.wait(for: [task]).done.count }
                task.onComplete { _, _ in waiter.cancel() }
                await someTurns()
                promise.succeed(1)
                let count = try await waiter.value
                #expect(count == 1 && waiter.isCancelled)
            }
        }

        @Test func `a task that is named twice counts once, behaviour 56`() async throws {
            try await onLoop { _ in
                let task = spawn { try await after(1, 1) }
                let other = spawn { try await after(2, 2) }
                let (done, pending) = try await AsyncIO.wait(for: [task, other, task, task], until: .firstCompleted)
                #expect(done.count == 1 && pending.count == 1)
                _ = try await other.value
            }
        }

        @Test(.testsMany)
        func `many wait for the same task again and again, and nothing piles up`() async throws {
            try await onLoop { loop in
                let slow = spawn { try await after(100_000, 0) }
                for _ in 0..<10_000 {
                    let quick = spawn { 1 }
                    let (done, _) = try await AsyncIO.wait(for: [slow, quick], until: .firstCompleted)
                    #expect(done.count == 1)
                }
                let waiters = (0..<100).map { _ in spawn { try await AsyncIO.wait(for: [slow]).done.count } }
                for waiter in waiters {
                    let count = try await waiter.value
                    #expect(count == 1)
                }
                #expect(loop.elapsed == .seconds(100_000))
            }
        }

        @Test(.testsMany)
        func `thousands of tasks, one after the other`() async throws {
            try await onLoop { loop in
                let tasks = (0..<5_000).map { number in spawn { try await after(number, number) } }
                let (done, pending) = try await AsyncIO.wait(for: tasks)
                #expect(done.count == 5_000 && pending.isEmpty && loop.elapsed == .seconds(4_999))
            }
        }

        @Test func `the end of the run ends the wait`() async throws {
            let ends = Recorder<Bool>()
            try await onLoop(.paced) { loop in
                let task = spawn { try await after(3_600, 1) }
                Task {
                    loop.assertIsolated()
                    // The task ends first, as it is cancelled and awaited.
                    ends.append(try await AsyncIO.wait(for: [task]).done.count == 1)
                }
                spawn { ends.append(await isCancelled { try await AsyncIO.wait(for: [task]) }) }
                await someTurns()
            }
            #expect(ends.all == [true, true])
        }

        @Test(.testsProcess)
        func `mistakes trap with a sentence`() async throws {
            let none = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                try await withEventLoop { _ in _ = try await AsyncIO.wait(for: [LoopTask<Int>]()) }
            }
            #expect(says(none, "AsyncIO.wait(for:) was called without a task, and would wait for ever."))
            let foreign = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                let task = try await withEventLoop { _ in spawn { 1 } }
                try await withEventLoop { _ in _ = try await AsyncIO.wait(for: [task]) }
            }
            #expect(says(foreign, "AsyncIO.wait(for:) was given a task of another EventLoop."))
            let nowhere = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                let task = try await withEventLoop { _ in spawn { 1 } }
                _ = try await AsyncIO.wait(for: [task])
            }
            #expect(says(nowhere, "AsyncIO.wait(for:) was called where no event loop runs."))
        }
    }
}

private func after<Value: Sendable>(_ seconds: Int, _ value: Value) async throws -> Value {
    try await AsyncIO.sleep(for: .seconds(seconds))
    return value
}

private func failing(after seconds: Int) -> LoopTask<Int> {
    spawn {
        try await AsyncIO.sleep(for: .seconds(seconds))
        throw Refusal(name: "failing")
    }
}
