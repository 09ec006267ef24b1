// The end of a queue and of the work on its items: what can still be got, who is told of the end, and when a join
// returns. Behaviours 89 and 90 of asyncio.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct QueueFinishTests {
        // MARK: Joining

        @Test func `join returns at once if nothing was put in, behaviour 89, test_join_empty_queue`() async throws {
            let queue = AsyncQueue<Int>()
            try await queue.join()
            try await queue.join()
        }

        @Test func `join waits until all that was put in is done, not only got`() async throws {
            try await onLoop { loop in
                let queue = Transfer(AsyncQueue<Int>())
                for number in 0..<100 { try await queue.value.put(number) }
                let sum = Transfer(LoopCount())
                let workers = spawnEach(2, on: loop) { _ in
                    for try await item in queue.value {
                        await AsyncIO.yield()
                        sum.value.count += item
                        queue.value.taskDone()
                    }
                }
                let joins = spawnEach(3, on: loop) { _ in
                    try await queue.value.join()
                    return sum.value.count
                }
                try await queue.value.join()
                #expect(sum.value.count == 4_950 && queue.value.unfinishedCount == 0)
                await letAllRun()
                #expect(joins.map(\.outcome) == ["4950", "4950", "4950"])
                #expect(workers.allSatisfy { $0.outcome == "waits" })
                queue.value.finish()
                await letAllRun()
                #expect(workers.allSatisfy { $0.outcome == "ok" })
            }
        }

        @Test func `a moment in which all is done is enough for a join`() async throws {
            try await onLoop { _ in
                let queue = Transfer(AsyncQueue<Int>())
                try await queue.value.put(1)
                let join = spawn { try await queue.value.join() }
                await letAllRun()
                queue.value.taskDone()
                try await queue.value.put(2)
                await letAllRun()
                #expect(join.outcome == "ok" && queue.value.unfinishedCount == 1)
                let second = spawn { try await queue.value.join() }
                await letAllRun()
                #expect(second.outcome == "waits")
                second.cancel()
                await letAllRun()
                #expect(second.wasCancelled)
            }
        }

        @Test(.testsProcess)
        func `more done than put in is a mistake that traps, behaviour 89, test_task_done_underflow`()
            async throws
        {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                let queue = AsyncQueue<Int>()
                try await queue.put(1)
                queue.taskDone()
                queue.taskDone()
            }
            #expect(says(result, "AsyncQueue.taskDone() was called more often than items were put in."))
        }

        // MARK: Finishing

        @Test func `of a queue that is empty, behaviour 90, test_shutdown_empty`() async throws {
            try await onLoop { loop in
                let queue = Transfer(AsyncQueue<Int>())
                let gets = spawnEach(3, on: loop) { _ in try await queue.value.get() }
                let loops = spawn { for try await item in queue.value { Issue.record("\(item)") } }
                await AsyncIO.yield()
                #expect(!queue.value.isFinished)
                queue.value.finish()
                queue.value.finish()
                #expect(queue.value.isFinished)
                await letAllRun()
                #expect(gets.allSatisfy { $0.outcome == "QueueError" } && loops.outcome == "ok")
                #expect(await failure { try await queue.value.get() } as? QueueError == .finished)
                #expect(await failure { try await queue.value.put(1) } as? QueueError == .finished)
                #expect(throws: QueueError.finished) { try queue.value.tryGet() }
                #expect(throws: QueueError.finished) { try queue.value.tryPut(1) }
                try await queue.value.join()
                #expect("\(QueueError.finished)" == "The AsyncQueue is finished.")
            }
        }

        @Test func `of a queue with items, which can be got, behaviour 90, test_shutdown_nonempty`() async throws {
            try await onLoop { loop in
                let queue = Transfer(AsyncQueue<Int>(capacity: 2))
                try await queue.value.put(0)
                try await queue.value.put(1)
                let puts = spawnEach(2, on: loop) { number in try await queue.value.put(number + 2) }
                let join = spawn { try await queue.value.join() }
                await AsyncIO.yield()
                queue.value.finish()
                await letAllRun()
                #expect(puts.allSatisfy { $0.outcome == "QueueError" }, "who waits for room is told")
                #expect(throws: QueueError.finished) { try queue.value.tryPut(9) }
                #expect(queue.value.count == 2 && join.outcome == "waits")
                var items: [Int] = []
                for try await item in queue.value {
                    items.append(item)
                    queue.value.taskDone()
                }
                #expect(items == [0, 1])
                #expect(throws: QueueError.finished) { try queue.value.tryGet() }
                await letAllRun()
                #expect(join.outcome == "ok")
            }
        }

        @Test func `dropping the items, which counts them as done, behaviour 90, test_shutdown_immediate`() async throws
        {
            try await onLoop { loop in
                let queue = Transfer(AsyncQueue<Int>(capacity: 2))
                try await queue.value.put(0)
                try await queue.value.put(1)
                let puts = spawnEach(2, on: loop) { number in try await queue.value.put(number + 2) }
                let join = spawn { try await queue.value.join() }
                await AsyncIO.yield()
                queue.value.finish(discardingItems: true)
                await letAllRun()
                #expect(puts.allSatisfy { $0.outcome == "QueueError" } && join.outcome == "ok")
                #expect(queue.value.isEmpty && queue.value.unfinishedCount == 0)
                #expect(throws: QueueError.finished) { try queue.value.tryGet() }
                #expect(await failure { try await queue.value.get() } as? QueueError == .finished)
            }
        }

        @Test
        func `dropping the items while others are worked on, behaviour 90, test_shutdown_immediate_with_unfinished`()
            async throws
        {
            try await onLoop { _ in
                let queue = Transfer(AsyncQueue<Int>())
                for number in 0..<3 { try await queue.value.put(number) }
                let join = spawn { try await queue.value.join() }
                let item = try await queue.value.get()
                #expect(item == 0)
                queue.value.finish()
                queue.value.finish(discardingItems: true)
                await letAllRun()
                #expect(queue.value.unfinishedCount == 1 && join.outcome == "waits")
                queue.value.taskDone()
                await letAllRun()
                #expect(join.outcome == "ok")
            }
        }

        @Test func `items that were reported before they were got do not count twice`() async throws {
            let queue = AsyncQueue<Int>()
            for number in 0..<3 { try await queue.put(number) }
            queue.taskDone()
            queue.taskDone()
            queue.finish(discardingItems: true)
            #expect(queue.unfinishedCount == 0)
            try await queue.join()
        }

        // MARK: Finishing while things are on their way

        @Test func `an item on its way arrives, and one that waits is told when there is none for it`() async throws {
            try await onLoop { loop in
                let queue = Transfer(AsyncQueue<Int>())
                let gets = spawnEach(3, on: loop, eager: true) { _ in try await queue.value.get() }
                await AsyncIO.yield()
                try await queue.value.put(5)
                queue.value.finish()
                #expect(try queue.value.tryGet() == nil, "it is not empty, but its item is taken")
                await letAllRun()
                #expect(gets.map(\.outcome) == ["5", "QueueError", "QueueError"])
            }
        }

        @Test func `an item on its way to who is cancelled goes to who waits, although the queue is finished`()
            async throws
        {
            try await onLoop { loop in
                for comesLater in [false, true] {
                    let queue = Transfer(AsyncQueue<Int>())
                    var gets = spawnEach(comesLater ? 1 : 3, on: loop, eager: true) { _ in try await queue.value.get() }
                    await AsyncIO.yield()
                    try await queue.value.put(5)
                    queue.value.finish()
                    while gets.count < 3 { gets.append(spawn(eager: true) { try await queue.value.get() }) }
                    gets[0].cancel()
                    await letAllRun()
                    #expect(gets.map(\.outcome) == ["CancellationError", "5", "QueueError"])
                    #expect(queue.value.isEmpty)
                }
            }
        }

        @Test func `dropping the items takes from those on whose way they are`() async throws {
            try await onLoop { loop in
                let queue = Transfer(AsyncQueue<Int>())
                let gets = spawnEach(3, on: loop) { _ in try await queue.value.get() }
                await AsyncIO.yield()
                try await queue.value.put(1)
                try await queue.value.put(2)
                queue.value.finish(discardingItems: true)
                await letAllRun()
                #expect(gets.allSatisfy { $0.outcome == "QueueError" } && queue.value.unfinishedCount == 0)
            }
        }

        @Test func `a put whose room was on its way is refused`() async throws {
            try await onLoop { loop in
                let queue = Transfer(AsyncQueue<Int>(capacity: 1))
                try await queue.value.put(0)
                let puts = spawnEach(2, on: loop) { number in try await queue.value.put(number + 1) }
                await AsyncIO.yield()
                #expect(try queue.value.tryGet() == 0)
                queue.value.finish()
                await letAllRun()
                #expect(puts.allSatisfy { $0.outcome == "QueueError" } && queue.value.isEmpty)
                #expect(queue.value.unfinishedCount == 1)
            }
        }

        @Test func `items whose end uses the queue find it finished`() async throws {
            for isFirstIn in [true, false] {
                let order: AsyncQueue<Talker>.Order =
                    isFirstIn ? .firstInFirstOut : .priority { $0.number < $1.number }
                let queue = AsyncQueue<Talker>(order: order)
                let log = NumberLog()
                for number in 0..<3 { #expect(try queue.tryPut(Talker(number, queue, log))) }
                queue.finish(discardingItems: true)
                #expect(log.numbers.count == 3)
            }
        }

        // MARK: Loops over a queue, the end of the loop, mistakes

        @Test func `several tasks loop over a queue, and each item goes to one`() async throws {
            let got = Recorder<String>()
            try await onLoop { loop in
                let queue = Transfer(AsyncQueue<Int>(capacity: 3))
                let consumers = spawnEach(3, on: loop) { consumer in
                    for try await item in queue.value {
                        got.append("\(consumer): \(item)")
                        await AsyncIO.yield()
                    }
                }
                for number in 0..<9 { try await queue.value.put(number) }
                queue.value.finish()
                for task in consumers { try await task.value }
            }
            #expect(got.all.map { $0.suffix(1) }.sorted() == (0..<9).map { "\($0)" })
            #expect(Seeds.current != nil || got.all == (0..<9).map { "\($0 % 3): \($0)" })
        }

        @Test func `the end of the loop ends those who wait, and what is in the queue stays`() async throws {
            let ends = Recorder<String>()
            let (full, empty) = (Transfer(AsyncQueue<Int>(capacity: 1)), Transfer(AsyncQueue<Int>()))
            try await onLoop { loop in
                try await full.value.put(1)
                spawn { ends.append(await ending { try await full.value.put(2) }) }
                spawn { ends.append(await ending { _ = try await empty.value.get() }) }
                spawn { ends.append(await ending { for try await _ in empty.value {} }) }
                spawn { ends.append(await ending { try await full.value.join() }) }
                Task {
                    _ = loop
                    for _ in 0..<2 { ends.append(await ending { try await full.value.put(2) }) }
                    for _ in 0..<2 { ends.append(await ending { _ = try await empty.value.get() }) }
                }
                await AsyncIO.yield()
            }
            #expect(ends.all == Array(repeating: "CancellationError", count: 8))
            #expect(try full.value.tryGet() == 1)
            #expect(try full.value.tryPut(3))
        }

        @Test(.testsProcess)
        func `room for nothing is a mistake that traps`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                _ = AsyncQueue<Int>(capacity: 0)
            }
            #expect(says(result, "An AsyncQueue needs room for at least one item."))
        }

        @Test(.testsProcess)
        func `to use a queue on two loops at once is a mistake that traps`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                exitIfStuck()
                let queue = Transfer(AsyncQueue<Int>())
                try await withEventLoop(.virtual()) { _ in
                    spawn { try await queue.value.get() }
                    await AsyncIO.yield()
                    try await withEventLoop(.virtual()) { _ in try await queue.value.put(1) }
                }
            }
            #expect(says(result, "AsyncQueue.get is waited for on one EventLoop and used on another."))
        }
    }
}

/// Uses its queue when it ends.
private final class Talker {
    let number: Int
    private let queue: AsyncQueue<Talker>
    private let log: NumberLog

    init(_ number: Int, _ queue: AsyncQueue<Talker>, _ log: NumberLog) {
        (self.number, self.queue, self.log) = (number, queue, log)
    }

    deinit {
        if queue.isFinished && queue.isEmpty && queue.unfinishedCount == 0 { log.numbers.append(number) }
    }
}
