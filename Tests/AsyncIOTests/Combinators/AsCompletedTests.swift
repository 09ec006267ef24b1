// Tasks in the order in which they end. Behaviour 60 of asyncio.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct AsCompletedTests {
        @Test func `what comes are the tasks, in the order in which they end, behaviour 60`() async throws {
            // test_as_completed_same_tasks_in_as_out
            try await onLoop { loop in
                let tasks = [
                    spawn { try await after(3, 0) }, spawn { try await after(1, 1) }, spawn { try await after(2, 2) },
                ]
                let order = Recorder<String>()
                for try await task in AsyncIO.asCompleted(tasks) {
                    let index = try #require(tasks.firstIndex { $0 == task })
                    #expect(task.isDone)
                    order.append("\(index) \(loop.elapsed.components.seconds)")
                }
                #expect(order.all == ["1 1", "2 2", "0 3"])
            }
        }

        @Test func `those that have ended come first, in the given order, behaviour 60`() async throws {
            // test_as_completed_with_done… , test_as_completed_reverse_wait
            try await onLoop { _ in
                let tasks = (0..<4).map { number in spawn { number } }
                _ = try await AsyncIO.wait(for: tasks)
                let late = spawn { try await after(1, 4) }
                let numbers = Recorder<Int>()
                for try await task in AsyncIO.asCompleted([late] + tasks.reversed()) {
                    numbers.append(try await task.value)
                }
                #expect(numbers.all == [3, 2, 1, 0, 4])
            }
        }

        @Test func `errors come with their tasks, and end nothing`() async throws {
            try await onLoop { _ in
                let tasks = [
                    spawn { try await after(2, 2) },
                    spawn {
                        try await AsyncIO.sleep(for: .seconds(1))
                        throw Refusal(name: "one")
                    },
                ]
                let results = Recorder<String>()
                for try await task in AsyncIO.asCompleted(tasks) {
                    do { results.append("\(try await task.value)") } catch { results.append("\(error)") }
                }
                #expect(results.all == ["Refusal(name: \"one\")", "2"])
            }
        }

        @Test func `no task, and one that is named twice, behaviour 56`() async throws {
            // test_as_completed_duplicate_coroutines
            try await onLoop { loop in
                for try await _ in AsyncIO.asCompleted([LoopTask<Int>](), timeout: .seconds(1)) {
                    Issue.record("a task out of nothing")
                }
                #expect(loop.timers == 0)
                let task = spawn { 1 }
                var count = 0
                for try await _ in AsyncIO.asCompleted([task, task]) { count += 1 }
                #expect(count == 1)
            }
        }

        @Test func `a loop that was left goes on where it was, behaviour 60`() async throws {
            // test_as_completed_resume_iterator
            try await onLoop { loop in
                let tasks = (0..<5).map { number in spawn { try await after(number, number) } }
                let sequence = AsyncIO.asCompleted(tasks, timeout: .seconds(60))
                let numbers = Recorder<Int>()
                for try await task in sequence {
                    numbers.append(try await task.value)
                    if numbers.count == 2 { break }
                }
                for try await task in sequence { numbers.append(try await task.value) }
                for try await _ in sequence { Issue.record("a sixth task") }
                #expect(numbers.all == [0, 1, 2, 3, 4])
                #expect(loop.timers == 0 && loop.elapsed == .seconds(4))
            }
        }

        @Test func `when the time has passed it throws, and the tasks go on, behaviour 60`() async throws {
            // test_as_completed_with_timeout
            try await onLoop { loop in
                let tasks = [spawn { try await after(1, 1) }, spawn { try await after(10, 2) }]
                let sequence = AsyncIO.asCompleted(tasks, timeout: .seconds(5))
                let numbers = Recorder<Int>()
                let error = await failure { for try await task in sequence { numbers.append(try await task.value) } }
                #expect(error as? TimeoutError == TimeoutError(limit: .seconds(5)))
                #expect(numbers.all == [1] && loop.elapsed == .seconds(5))
                #expect(!tasks[1].isCancelled && !tasks[1].isDone)
                // Again, until it has ended.
                #expect(await failure { for try await _ in sequence {} } is TimeoutError)
                _ = try await tasks[1].value
                for try await task in sequence { numbers.append(try await task.value) }
                #expect(numbers.all == [1, 2])
            }
        }

        @Test func `what has ended in time comes although nobody asked in time`() async throws {
            try await onLoop { _ in
                let tasks = [spawn { try await after(1, 1) }, spawn { try await after(3_600, 2) }]
                let sequence = AsyncIO.asCompleted(tasks, timeout: .seconds(5))
                try await AsyncIO.sleep(for: .seconds(8))
                var iterator = sequence.makeAsyncIterator()
                let first = try await iterator.next()
                #expect(first == tasks[0])
                #expect(await failure { try await iterator.next() } is TimeoutError)
                tasks[1].cancel()
            }
        }

        @Test func `time that was not needed leaves no timer, behaviour 60`() async throws {
            // test_as_completed_with_unused_timeout
            try await onLoop { loop in
                let tasks = [spawn { try await after(1, 1) }]
                let sequence = AsyncIO.asCompleted(tasks, timeout: .seconds(3_600))
                #expect(loop.timers == 1)
                for try await _ in sequence {}
                #expect(loop.timers == 0)
                // Nor if nobody takes them.
                let other = spawn { try await after(1, 1) }
                _ = AsyncIO.asCompleted([other], timeout: .seconds(3_600))
                _ = try await other.value
                #expect(loop.timers == 0)
            }
        }

        @Test(.testsOrder)
        func `a task that ends when the time passes comes, behaviour 58`() async throws {
            try await onLoop { loop in
                let task = spawn { try await after(5, 1) }
                await AsyncIO.yield()
                var count = 0
                for try await _ in AsyncIO.asCompleted([task], timeout: .seconds(5)) { count += 1 }
                #expect(count == 1 && loop.elapsed == .seconds(5))
            }
        }

        @Test func `several may take from it, and each task comes to one of them, behaviour 60`() async throws {
            // test_as_completed_concurrent
            try await onLoop { loop in
                let tasks = (0..<100).map { number in spawn { try await after(1 + number % 7, number) } }
                let sequence = AsyncIO.asCompleted(tasks)
                let numbers = Recorder<Int>()
                let workers = (0..<5).map { _ in
                    spawn { for try await task in sequence { numbers.append(try await task.value) } }
                }
                for worker in workers { try await worker.value }
                #expect(numbers.all.sorted() == Array(0..<100))
                #expect(loop.elapsed == .seconds(7))
            }
        }

        @Test func `a taker that is cancelled takes nothing along`() async throws {
            try await onLoop { _ in
                let promise = Promise<Int>()
                let task = spawn { try await promise.future.value }
                let sequence = AsyncIO.asCompleted([task])
                let takers = (0..<2).map { _ in
                    spawn {
                        var iterator = sequence.makeAsyncIterator()
                        return try await iterator.next() == task
                    }
                }
                await someTurns()
                takers[0].cancel()
                promise.succeed(1)
                #expect(await isCancelled { try await takers[0].value })
                let came = try await takers[1].value
                #expect(came && !task.isCancelled)
            }
        }

        @Test func `takers on an actor and on Swift's pool`() async throws {
            try await onLoop { _ in
                let tasks = (0..<20).map { number in spawn { number } }
                let sequence = AsyncIO.asCompleted(tasks)
                let numbers = Recorder<Int>()
                let pool = spawn {
                    try await onPool { for try await task in sequence { numbers.append(try await task.value) } }
                }
                try await Taker().take(sequence, numbers)
                try await pool.value
                #expect(numbers.all.sorted() == Array(0..<20))
            }
        }

        @Test(.testsMany)
        func `thousands of tasks`() async throws {
            try await onLoop { _ in
                let tasks = (0..<10_000).map { number in spawn { number } }
                var count = 0
                for try await task in AsyncIO.asCompleted(tasks) { count += try await task.value >= 0 ? 1 : 0 }
                #expect(count == 10_000)
            }
        }

        @Test(.testsProcess)
        func `a task of another loop is a mistake that traps`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                let task = try await withEventLoop { _ in spawn { 1 } }
                try await withEventLoop { _ in for try await _ in AsyncIO.asCompleted([task]) {} }
            }
            #expect(says(result, "AsyncIO.asCompleted was given a task of another EventLoop."))
        }
    }
}

private actor Taker {
    func take(_ sequence: CompletedTasks<Int>, _ numbers: Recorder<Int>) async throws {
        for try await task in sequence { numbers.append(try await task.value) }
    }
}

private func after<Value: Sendable>(_ seconds: Int, _ value: Value) async throws -> Value {
    try await AsyncIO.sleep(for: .seconds(seconds))
    return value
}
