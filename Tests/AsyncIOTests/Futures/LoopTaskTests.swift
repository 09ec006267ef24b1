// Tasks that a loop knows, as what can be asked and awaited. Behaviours 38 to 41 and 48 of asyncio. When they begin, and
// with which isolation, is in SpawnTests.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct LoopTaskTests {
        // MARK: Awaiting itself

        @Test func `a task that awaits itself is told so, behaviour 38`() async throws {
            // test_task_awaits_on_itself
            try await onLoop { _ in
                let itself = Recorder<LoopTask<Int>>()
                let task: LoopTask<Int> = spawn { try await itself.all[0].value }
                itself.append(task)
                #expect(await failure { try await task.value } as? TaskError == .awaitsItself)
            }
            #expect(TaskError.awaitsItself.description.contains("awaits its own result"))
        }

        @Test func `also where it is on its way elsewhere, and after it has waited`() async throws {
            try await onLoop { _ in
                let itself = Recorder<LoopTask<Int>>()
                let task: LoopTask<Int> = spawn {
                    await someTurns(3)
                    return try await Stranger().value(of: itself.all[0])
                }
                itself.append(task)
                #expect(await failure { try await task.value } as? TaskError == .awaitsItself)
            }
        }

        @Test func `tasks that await one another can be cancelled`() async throws {
            try await onLoop { _ in
                let both = Recorder<LoopTask<Int>>()
                both.append(spawn { try await both.all[1].value })
                both.append(spawn { try await both.all[0].value })
                await someTurns()
                #expect(both.all.allSatisfy { !$0.isDone })
                both.all[0].cancel()
                for task in both.all { #expect(await isCancelled { try await task.value }) }
                #expect(!both.all[1].isCancelled)
            }
        }

        @Test func `a task that has ended is not mistaken for one that asks`() async throws {
            try await onLoop { _ in
                for number in 0..<200 {
                    let first = spawn { number }
                    _ = try await first.value
                    let second = spawn { try await first.value + 1 }
                    let value = try await second.value
                    #expect(value == number + 1)
                }
            }
        }

        // MARK: Asking

        @Test func `what it has come to can be asked without waiting`() async throws {
            try await onLoop { loop in
                let gate = Promise<Int>()
                let task = spawn { try await gate.future.value }
                #expect(!task.isDone && task.result == nil && task.loop === loop)
                await someTurns()
                #expect(!task.isDone)
                gate.succeed(6)
                #expect(!task.isDone)
                await someTurns()
                #expect(task.isDone)
                if case .success(let value) = task.result { #expect(value == 6) } else { Issue.record("no result") }
                let failed = spawn { throw Refusal(name: "asked") }
                await someTurns()
                if case .failure(let error) = failed.result {
                    #expect(error as? Refusal == Refusal(name: "asked"))
                } else {
                    Issue.record("no error")
                }
            }
        }

        @Test(.testsOrder)
        func `its callbacks come in order when it has ended, behaviour 34`() async throws {
            let order = Recorder<String>()
            try await onLoop { loop in
                let task = spawn {
                    loop.assertIsolated()
                    order.append("runs")
                    return 1
                }
                task.onComplete { _, result in order.append("first \((try? result.get()) ?? 0)") }
                task.onComplete { _, _ in order.append("not at all") }.cancel()
                task.onComplete { _, _ in order.append("last \(task.isDone)") }
                await someTurns()
                task.onComplete { _, _ in order.append("late") }
                order.append("registered")
                await someTurns()
            }
            #expect(order.all == ["runs", "first 1", "last true", "registered", "late"])
        }

        @Test func `those who wait and those who are called back see what the task did before it ended`() async throws {
            try await onLoop { loop in
                let log = Recorder<String>()
                let task = spawn {
                    loop.assertIsolated()
                    defer { log.append("deferred") }
                    await AsyncIO.yield()
                }
                task.onComplete { _, _ in log.append("told") }
                try await task.value
                log.append("awaited")
                await someTurns()
                #expect(log.all.first == "deferred" && told(log.all, ["deferred", "awaited", "told"]))
            }
        }

        // MARK: Cancelling

        @Test func `a task that awaits a task is cancelled alone, where Swift differs from behaviours 39 and 41`()
            async throws
        {
            // test_cancel_both_task_and_inner_future, test_cancel_awaited_task: asyncio cancels the inner one too.
            try await onLoop { loop in
                let inner = spawn {
                    try await AsyncIO.sleep(for: .seconds(5))
                    return "inner"
                }
                let outer = spawn { try await inner.value }
                await someTurns()
                outer.cancel()
                #expect(await isCancelled { try await outer.value })
                #expect(!inner.isCancelled)
                let both = spawn { try await inner.value }
                await someTurns()
                inner.cancel()
                both.cancel()
                #expect(await isCancelled { try await both.value })
                #expect(await isCancelled { try await inner.value })
                #expect(loop.elapsed == .zero)
            }
        }

        @Test func `a task may swallow its cancellation, and the next wait throws again, behaviour 40`() async throws {
            // test_cancel_task_catching, test_cancel_task_ignoring: in asyncio the next wait is an ordinary one.
            try await onLoop { _ in
                let promise = Promise<Int>()
                let task = spawn {
                    var cancellations = 0
                    for _ in 0..<3 { if await isCancelled({ try await promise.future.value }) { cancellations += 1 } }
                    return cancellations
                }
                await someTurns()
                task.cancel()
                let count = try await task.value
                #expect(count == 3)
                promise.succeed(1)
            }
        }

        @Test func `a cancellation just before it returns leaves the result, where Swift differs from behaviour 41`()
            async throws
        {
            // test_cancel_at_end
            try await onLoop { _ in
                let promise = Promise<String>()
                let task = spawn { try await promise.future.value }
                await someTurns()
                promise.succeed("kept")
                task.cancel()
                #expect(task.isCancelled && !task.isDone)
                let value = try await task.value
                #expect(value == "kept")
            }
        }

        @Test func `one that was cancelled before it began runs all the same, where Swift differs`() async throws {
            try await onLoop { _ in
                let promise = Promise<Int>()
                let task = spawn {
                    #expect(Task.isCancelled)
                    return try await promise.future.value
                }
                task.cancel()
                #expect(await isCancelled { try await task.value })
                promise.succeed(1)
            }
        }

        @Test func `eight threads cancel at once, while others wait and call back`() async throws {
            try await onLoop(.real) { _ in
                for _ in 0..<50 {
                    let tasks = (0..<8).map { _ in spawn { try await AsyncIO.sleep(for: .seconds(3_600)) } }
                    let told = Recorder<Bool>()
                    for task in tasks {
                        task.onComplete { _, result in
                            if case .failure(let error) = result { told.append(error is CancellationError) }
                        }
                    }
                    await AsyncIO.yield()
                    let crowd = Crowd(8) { number in
                        for offset in 0..<8 { tasks[(number + offset) % 8].cancel() }
                    }
                    for task in tasks { #expect(await isCancelled { try await task.value }) }
                    try await crowd.join()
                    await someTurns()
                    #expect(told.all == [Bool](repeating: true, count: 8))
                }
            }
        }

        // MARK: From elsewhere

        @Test(arguments: bothModes)
        func `an actor, another loop and Swift's pool may wait for it, behaviour 38`(
            mode: EventLoop.GlobalExecutor
        ) async throws {
            try await onLoop(.virtual(mode)) { _ in
                let promise = Promise<Int>()
                let task = spawn { try await promise.future.value }
                let waiters = [
                    spawn { try await Stranger().value(of: task) },
                    spawn { try await onPool { try await task.value } },
                    spawn { try await onPool { try await withEventLoop { _ in try await task.value } } },
                ]
                await someTurns()
                onForeignThread { promise.succeed(3) }
                for waiter in waiters {
                    let value = try await waiter.value
                    #expect(value == 3)
                }
            }
        }

        @Test func `a waiter on another loop may be cancelled there`() async throws {
            try await onLoop { _ in
                let promise = Promise<Int>()
                let task = spawn { try await promise.future.value }
                let elsewhere = spawn {
                    try await onPool {
                        try await withEventLoop { _ in
                            let waiter = spawn { try await task.value }
                            await someTurns()
                            waiter.cancel()
                            return await isCancelled { try await waiter.value }
                        }
                    }
                }
                let wasCancelled = try await elsewhere.value
                #expect(wasCancelled)
                #expect(!task.isCancelled && !task.isDone)
                promise.succeed(1)
                _ = try await task.value
            }
        }
    }
}
