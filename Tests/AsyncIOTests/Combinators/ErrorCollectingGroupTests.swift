// Children that fail together. Behaviours 70, 71, 75 and 76 of asyncio (TaskGroup); groups
// that grow, nest and are cancelled are in ErrorCollectingGroupGrowthTests.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct ErrorCollectingGroupTests {
        @Test func `the body's value comes when all children have ended`() async throws {
            // test_taskgroup_01
            try await onLoop { loop in
                let order = Recorder<String>()
                let value = try await withErrorCollectingTaskGroup { group in
                    for number in 0..<3 {
                        group.addTask {
                            loop.assertIsolated()
                            try await AsyncIO.sleep(for: .seconds(3 - number))
                            order.append("child \(number)")
                        }
                    }
                    order.append("body")
                    return 42
                }
                #expect(value == 42)
                #expect(order.all == ["body", "child 2", "child 1", "child 0"])
                #expect(loop.elapsed == .seconds(3))
                let empty = try await withErrorCollectingTaskGroup { _ in "nothing" }
                #expect(empty == "nothing")
            }
        }

        @Test func `the first failure cancels the others and the body, and real errors alone are told, behaviour 70`()
            async throws
        {
            // test_cancel_children_on_child_error, test_taskgroup_02
            let cancelled = Recorder<String>()
            try await onLoop { loop in
                let error = await failure {
                    try await withErrorCollectingTaskGroup { group in
                        group.addTask {
                            try await AsyncIO.sleep(for: .seconds(1))
                            throw Refusal(name: "child")
                        }
                        group.addTask { try await noting(cancelled, "sibling") }
                        try await noting(cancelled, "body")
                    }
                }
                #expect(names(error) == ["child"])
                #expect(!Task.isCancelled)
                #expect(loop.elapsed == .seconds(1) && loop.timers == 0)
            }
            #expect(cancelled.all.sorted() == ["body", "sibling"])
        }

        @Test(arguments: 0..<3)
        func `a child that fails before it waits does as well, wherever it is in the row`(place: Int) async throws {
            let cancelled = Recorder<String>()
            try await onLoop { loop in
                let error = await failure {
                    try await withErrorCollectingTaskGroup { group in
                        for number in 0..<3 {
                            group.addTask {
                                // Isolated to the loop, so that it begins, and fails, before anybody waits for that.
                                loop.assertIsolated()
                                if number == place { throw Refusal(name: "at once") }
                                try await noting(cancelled, "child")
                            }
                        }
                        try await noting(cancelled, "body")
                    }
                }
                #expect(names(error) == ["at once"])
                #expect(loop.elapsed == .zero && loop.timers == 0)
            }
            #expect(cancelled.all.sorted() == ["body", "child", "child"])
        }

        @Test func `a child that cancels the group before it waits does as well`() async throws {
            let began = Recorder<Bool>()
            try await onLoop { loop in
                let value = try await withErrorCollectingTaskGroup { group in
                    group.addTask {
                        loop.assertIsolated()
                        group.cancelAll()
                    }
                    group.addTask { began.append(Task.isCancelled && loop.isCurrent) }
                    try? await AsyncIO.sleep(for: .seconds(3_600))
                    return Task.isCancelled
                }
                #expect(value && loop.elapsed == .zero)
            }
            #expect(began.all == [true])
        }

        @Test(arguments: bothModes)
        func `children are on the loop, also where nothing names it`(mode: EventLoop.GlobalExecutor) async throws {
            let places = Recorder<Bool>()
            try await onLoop(.virtual(mode)) { _ in
                try await withErrorCollectingTaskGroup { group in
                    for _ in 0..<3 {
                        group.addTask {
                            places.append(EventLoop.current != nil)
                            await AsyncIO.yield()
                            places.append(EventLoop.current != nil)
                        }
                    }
                }
            }
            #expect(places.all == [Bool](repeating: true, count: 6))
        }

        @Test func `the body's error cancels the children and is one of the group's`() async throws {
            // test_taskgroup_03, test_taskgroup_05
            let cancelled = Recorder<String>()
            try await onLoop { loop in
                let error = await failure {
                    try await withErrorCollectingTaskGroup { group in
                        group.addTask {
                            try await noting(cancelled, "child") { throw Refusal(name: "child, as it ends") }
                        }
                        try await AsyncIO.sleep(for: .seconds(1))
                        throw Refusal(name: "body")
                    }
                }
                #expect(names(error) == ["body", "child, as it ends"])
                #expect((error as? TaskGroupError)?.description.hasPrefix("2 errors in a task group: Refusal") == true)
                #expect(loop.elapsed == .seconds(1))
            }
            #expect(cancelled.all == ["child"])
        }

        @Test func `those that fail in the same turn are all told, in order`() async throws {
            try await onLoop { loop in
                let gate = Promise<Void>()
                let failures = Recorder<String>()
                let error = await failure {
                    try await withErrorCollectingTaskGroup { group in
                        for number in 0..<10 {
                            group.addTask {
                                try await gate.future.value
                                failures.append("\(number)")
                                throw Refusal(name: "\(number)")
                            }
                        }
                        group.addTask { gate.succeed() }
                        try await AsyncIO.sleep(for: .seconds(3_600))
                    }
                }
                #expect(names(error) == failures.all && told(failures.all, (0..<10).map(String.init)))
                #expect(loop.elapsed == .zero)
            }
        }

        @Test func `a child that ends as cancelled cancels nothing`() async throws {
            // test_taskgroup_06 and the rule that a child's CancelledError is ignored
            try await onLoop { loop in
                let value = try await withErrorCollectingTaskGroup { group in
                    group.addTask { throw CancellationError() }
                    try await AsyncIO.sleep(for: .seconds(2))
                    return "unharmed"
                }
                #expect(value == "unharmed" && loop.elapsed == .seconds(2))
            }
        }

        // MARK: Cancellation from outside

        @Test func `cancelling the task cancels body and children, and stays a cancellation, behaviour 71`()
            async throws
        {
            // test_cancellation, test_taskgroup_07
            let cancelled = Recorder<String>()
            try await onLoop { loop in
                let task = spawn {
                    loop.assertIsolated()
                    try await withErrorCollectingTaskGroup { group in
                        for _ in 0..<2 { group.addTask { try await noting(cancelled, "child") } }
                        try await noting(cancelled, "body")
                    }
                }
                await someTurns()
                task.cancel()
                #expect(await isCancelled { try await task.value })
                #expect(loop.elapsed == .zero)
            }
            #expect(cancelled.all.sorted() == ["body", "child", "child"])
        }

        @Test func `children that it cuts short make it one although the body has returned, behaviour 71`() async throws
        {
            // test_taskgroup_08
            try await onLoop { _ in
                let task = spawn {
                    try await withErrorCollectingTaskGroup { group in
                        group.addTask { try await AsyncIO.sleep(for: .seconds(3_600)) }
                        return "done"
                    }
                }
                await someTurns()
                task.cancel()
                #expect(await isCancelled { try await task.value })
                // Where it cut nothing short the value is kept: behaviour 41, where Swift differs.
                let late = spawn {
                    try await withErrorCollectingTaskGroup { group in
                        group.addTask { cancelThisTask() }
                        cancelThisTask()
                        return "kept"
                    }
                }
                let value = try await late.value
                #expect(value == "kept")
            }
        }

        @Test func `errors win over the cancellation, and the next wait still throws, behaviours 71, 75 and 76`()
            async throws
        {
            // test_error_and_cancel, test_cancelling_level_preserved
            try await onLoop { _ in
                let next = Recorder<Bool>()
                let task = spawn {
                    let error = await failure {
                        try await withErrorCollectingTaskGroup { group in
                            group.addTask {
                                do { try await AsyncIO.sleep(for: .seconds(3_600)) } catch {
                                    throw Refusal(name: "cut")
                                }
                            }
                            try await AsyncIO.sleep(for: .seconds(3_600))
                        }
                    }
                    #expect(names(error) == ["cut"])
                    next.append(await isCancelled { try await AsyncIO.sleep(for: .seconds(1)) })
                }
                await someTurns()
                task.cancel()
                try await task.value
                #expect(next.all == [true])
            }
        }

        @Test func `it waits for a slow clean-up, however often it is cancelled`() async throws {
            // test_taskgroup_21, test_taskgroup_22
            let order = Recorder<String>()
            try await onLoop { loop in
                let task = spawn {
                    loop.assertIsolated()
                    try await withErrorCollectingTaskGroup { group in
                        group.addTask {
                            try? await AsyncIO.sleep(for: .seconds(3_600))
                            await someTurns(20)
                            order.append("cleaned up")
                        }
                        try await AsyncIO.sleep(for: .seconds(3_600))
                    }
                }
                for _ in 0..<5 {
                    await someTurns()
                    task.cancel()
                }
                #expect(await isCancelled { try await task.value })
                order.append("over")
            }
            #expect(order.all == ["cleaned up", "over"])
        }

        @Test func `what the body returns and captures need not be Sendable`() async throws {
            final class Box { var content = 0 }
            try await onLoop { loop in
                let box = Box()
                let same = try await withErrorCollectingTaskGroup { group in
                    loop.assertIsolated()
                    box.content += 1
                    group.addTask {}
                    await AsyncIO.yield()
                    loop.assertIsolated()
                    return box
                }
                #expect(same === box && box.content == 1)
            }
        }
    }
}
