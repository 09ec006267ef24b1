// Tasks that wait for one another, again and again: who leaves together and with which number, who is sent away, and
// that a cancelled one does not count. Behaviour 86 of asyncio.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct BarrierTests {
        // MARK: Filling and leaving

        @Test func `a barrier of one lets everybody pass at once, and needs no loop`() async throws {
            let barrier = AsyncBarrier(parties: 1)
            for _ in 0..<3 {
                let index = try await barrier.wait()
                #expect(index == 0 && barrier.waitingCount == 0 && !barrier.isBroken)
            }
            try await onLoop { loop in
                let barrier = AsyncBarrier(parties: 1)
                let turns = try await turnsTaken(on: loop) { for _ in 0..<10_000 { try await barrier.wait() } }
                #expect(turns == 0)
            }
        }

        @Test
        func
            `all wait for the last, each gets a number of its own, behaviour 86, test_filling_tasks_check_return_value`()
            async throws
        {
            try await onLoop { loop in
                let barrier = Transfer(AsyncBarrier(parties: 5))
                let first = spawnEach(4, on: loop, eager: true) { _ in try await barrier.value.wait() }
                await letAllRun()
                #expect(first.allSatisfy { $0.outcome == "waits" } && barrier.value.waitingCount == 4)
                let last = try await barrier.value.wait()
                #expect(last == 4)
                #expect(barrier.value.waitingCount == 4, "who has not left yet counts")
                await letAllRun()
                #expect(told(first.map(\.outcome), ["0", "1", "2", "3"]))
                #expect(barrier.value.waitingCount == 0 && !barrier.value.isBroken)
            }
        }

        @Test func `it is used again and again`() async throws {
            try await onLoop { loop in
                let barrier = Transfer(AsyncBarrier(parties: 10))
                let phase = Transfer((0..<10).map { _ in LoopCount() })
                let tasks = spawnEach(10, on: loop) { number in
                    var sum = 0
                    for round in 0..<100 {
                        for _ in 0..<(number * round) % 4 { await AsyncIO.yield() }
                        phase.value[number].count = round
                        sum += try await barrier.value.wait()
                        if phase.value.contains(where: { abs($0.count - round) > 1 || $0.count < round }) {
                            Issue.record("somebody was not waited for")
                        }
                    }
                    return sum
                }
                var sum = 0
                for task in tasks { sum += try await task.value }
                #expect(sum == 100 * 45 && barrier.value.waitingCount == 0)
            }
        }

        @Test
        func `who comes while others leave waits for the next round, behaviour 86, test_blocking_tasks_while_draining`()
            async throws
        {
            try await onLoop { loop in
                let barrier = Transfer(AsyncBarrier(parties: 5))
                let others = Transfer(AsyncBarrier(parties: 3))
                let early = Transfer(LoopCount())
                let tasks = spawnEach(5, on: loop) { _ in
                    try await barrier.value.wait()
                    early.value.count += 1
                    // Two come again at once, the others when all have left.
                    if early.value.count > 2 { try await others.value.wait() }
                    return try await barrier.value.wait()
                }
                var numbers: [Int] = []
                for task in tasks { numbers.append(try await task.value) }
                #expect(numbers.sorted() == [0, 1, 2, 3, 4])
                #expect(barrier.value.waitingCount == 0 && others.value.waitingCount == 0)
            }
        }

        @Test func `more than there are parties leave in rounds`() async throws {
            try await onLoop { loop in
                let barrier = Transfer(AsyncBarrier(parties: 3))
                let tasks = spawnEach(11, on: loop) { _ in try await barrier.value.wait() }
                await letAllRun()
                #expect(tasks.count { $0.isDone } == 9 && barrier.value.waitingCount == 2)
                #expect(tasks.compactMap { $0.isDone ? $0.outcome : nil }.sorted() == "000111222".map(String.init))
                try await barrier.value.wait()
                await letAllRun()
                #expect(tasks.allSatisfy { $0.isDone })
            }
        }

        // MARK: Cancelling

        @Test func `a cancelled one does not count, behaviour 86, test_filling_tasks_cancel_one`() async throws {
            try await onLoop { _ in
                let barrier = Transfer(AsyncBarrier(parties: 3))
                let first = spawn { try await barrier.value.wait() }
                await letAllRun()
                let second = spawn { try await barrier.value.wait() }
                await letAllRun()
                #expect(barrier.value.waitingCount == 2)
                first.cancel()
                await letAllRun()
                #expect(first.wasCancelled && barrier.value.waitingCount == 1)
                let third = spawn { try await barrier.value.wait() }
                await letAllRun()
                #expect(second.outcome == "waits" && third.outcome == "waits" && barrier.value.waitingCount == 2)
                let fourth = spawn { try await barrier.value.wait() }
                await letAllRun()
                // Not two the same, although the second and the third each came when one was there.
                #expect(told([second, third, fourth].map(\.outcome), ["0", "1", "2"]))
                #expect(barrier.value.waitingCount == 0)
            }
        }

        @Test func `a cancelled one does not count even if it has not run since`() async throws {
            try await onLoop { loop in
                let barrier = Transfer(AsyncBarrier(parties: 3))
                let tasks = spawnEach(2, on: loop, eager: true) { _ in try await barrier.value.wait() }
                await AsyncIO.yield()
                tasks[0].cancel()
                let third = spawn(eager: true) { try await barrier.value.wait() }
                await letAllRun()
                #expect(tasks[0].wasCancelled && tasks[1].outcome == "waits" && third.outcome == "waits")
                #expect(barrier.value.waitingCount == 2)
                // It is the same with several, and wherever they are in line.
                third.cancel()
                let more = spawn(eager: true) { try await barrier.value.wait() }
                tasks[1].cancel()
                let last = spawn(eager: true) { try await barrier.value.wait() }
                await letAllRun()
                #expect(tasks[1].wasCancelled && third.wasCancelled && barrier.value.waitingCount == 2)
                let index = try await barrier.value.wait()
                await letAllRun()
                #expect(index == 2 && told([more.outcome, last.outcome], ["0", "1"]))
            }
        }

        @Test func `who is cancelled after all have come leaves with the others`() async throws {
            try await onLoop { loop in
                let barrier = Transfer(AsyncBarrier(parties: 3))
                let tasks = spawnEach(2, on: loop, eager: true) { _ in try await barrier.value.wait() }
                await AsyncIO.yield()
                try await barrier.value.wait()
                tasks[0].cancel()
                await letAllRun()
                #expect(told(tasks.map(\.outcome), ["0", "1"]))
            }
        }

        @Test func `who is cancelled while it waits for others to leave, or before it begins, does not count`()
            async throws
        {
            try await onLoop { loop in
                let barrier = Transfer(AsyncBarrier(parties: 2))
                let tasks = spawnEach(1, on: loop, eager: true) { _ in try await barrier.value.wait() }
                await AsyncIO.yield()
                try await barrier.value.wait()
                let comes = spawn(eager: true) { try await barrier.value.wait() }
                comes.cancel()
                let begins = spawn { try await barrier.value.wait() }
                begins.cancel()
                await letAllRun()
                #expect(tasks[0].outcome == "0" && comes.wasCancelled && begins.wasCancelled)
                #expect(barrier.value.waitingCount == 0)
            }
        }

        // MARK: Resetting and breaking

        @Test func `reset sends away who waits, and the barrier is whole`() async throws {
            try await onLoop { loop in
                let barrier = Transfer(AsyncBarrier(parties: 3))
                barrier.value.reset()
                for _ in 0..<3 {
                    let tasks = spawnEach(2, on: loop) { _ in try await barrier.value.wait() }
                    await letAllRun()
                    barrier.value.reset()
                    barrier.value.reset()
                    #expect(!barrier.value.isBroken)
                    // Who comes now is of the next round.
                    let next = spawnEach(3, on: loop) { _ in try await barrier.value.wait() }
                    await letAllRun()
                    #expect(tasks.map(\.outcome) == ["BrokenBarrierError", "BrokenBarrierError"])
                    #expect(next.map(\.outcome).sorted() == ["0", "1", "2"])
                    #expect(barrier.value.waitingCount == 0)
                }
            }
        }

        @Test
        func `reset while half have left, behaviour 86, test_reset_barrier_when_tasks_half_draining_half_blocking`()
            async throws
        {
            let order = Recorder<String>()
            try await onLoop { loop in
                let barrier = Transfer(AsyncBarrier(parties: 5))
                let left = Transfer(LoopCount())
                let tasks = spawnEach(5, on: loop) { _ in
                    do { try await barrier.value.wait() } catch {
                        // Has not left when it was reset.
                        order.append(brief(error))
                        return try await barrier.value.wait()
                    }
                    left.value.count += 1
                    if left.value.count == 3 { barrier.value.reset() }
                    return try await barrier.value.wait()
                }
                var numbers: [Int] = []
                for task in tasks { numbers.append(try await task.value) }
                #expect(numbers.sorted() == [0, 1, 2, 3, 4])
                #expect(barrier.value.waitingCount == 0 && !barrier.value.isBroken)
            }
            #expect(order.all == ["BrokenBarrierError", "BrokenBarrierError"])
        }

        @Test func `abort breaks it for all until it is reset`() async throws {
            try await onLoop { loop in
                let barrier = Transfer(AsyncBarrier(parties: 3))
                let tasks = spawnEach(2, on: loop) { _ in try await barrier.value.wait() }
                await AsyncIO.yield()
                barrier.value.abort()
                #expect(barrier.value.isBroken)
                #expect(await failure { try await barrier.value.wait() } is BrokenBarrierError)
                await letAllRun()
                #expect(tasks.map(\.outcome) == ["BrokenBarrierError", "BrokenBarrierError"])
                #expect(barrier.value.isBroken && barrier.value.waitingCount == 0)
                barrier.value.reset()
                let next = spawnEach(3, on: loop) { _ in try await barrier.value.wait() }
                await letAllRun()
                #expect(!barrier.value.isBroken && next.allSatisfy { $0.isDone })
            }
        }

        @Test func `abort sends away who waits for others to leave`() async throws {
            try await onLoop { loop in
                let barrier = Transfer(AsyncBarrier(parties: 2))
                let leaves = spawn(eager: true) { try await barrier.value.wait() }
                try await barrier.value.wait()
                let comes = spawn(eager: true) { try await barrier.value.wait() }
                barrier.value.abort()
                await letAllRun()
                #expect(leaves.outcome == "BrokenBarrierError" && comes.outcome == "BrokenBarrierError")
                barrier.value.reset()
                #expect(!barrier.value.isBroken && barrier.value.waitingCount == 0)
                _ = loop
            }
        }

        @Test func `abort and then reset, behaviour 86, test_abort_barrier_when_exception_then_resetting`() async throws
        {
            let order = Recorder<String>()
            try await onLoop { loop in
                let barrier = Transfer(AsyncBarrier(parties: 5))
                let sync = Transfer(AsyncBarrier(parties: 5))
                let tasks = spawnEach(5, on: loop) { _ in
                    do {
                        if try await barrier.value.wait() == 2 { throw Refusal() }
                        try await barrier.value.wait()
                        order.append("passed")
                    } catch is BrokenBarrierError {
                        order.append("broken")
                    } catch is Refusal {
                        barrier.value.abort()
                    }
                    if try await sync.value.wait() == 2 { barrier.value.reset() }
                    try await sync.value.wait()
                    return try await barrier.value.wait()
                }
                var numbers: [Int] = []
                for task in tasks { numbers.append(try await task.value) }
                #expect(numbers.sorted() == [0, 1, 2, 3, 4])
                #expect(!barrier.value.isBroken && barrier.value.waitingCount == 0)
            }
            #expect(order.all == Array(repeating: "broken", count: 4))
        }

        @Test func `reset and abort while the only ones that wait are being cancelled leave nothing behind`()
            async throws
        {
            try await onLoop { loop in
                for breaks in [false, true] {
                    let barrier = Transfer(AsyncBarrier(parties: 3))
                    let tasks = spawnEach(2, on: loop) { _ in try await barrier.value.wait() }
                    await AsyncIO.yield()
                    for task in tasks { task.cancel() }
                    if breaks { barrier.value.abort() }
                    barrier.value.reset()
                    let next = spawnEach(3, on: loop) { _ in try await barrier.value.wait() }
                    await letAllRun()
                    #expect(tasks.allSatisfy { $0.wasCancelled })
                    #expect(next.map(\.outcome).sorted() == ["0", "1", "2"] && barrier.value.waitingCount == 0)
                }
            }
        }

        // MARK: Many, the end, mistakes

        @Test(.testsMany)
        func `twenty thousand wait for one another, and others are cancelled`() async throws {
            try await onLoop { loop in
                let barrier = Transfer(AsyncBarrier(parties: 20_000))
                let tasks = spawnEach(22_000, on: loop) { number in
                    if number < 2_000 { cancelThisTask() }
                    return try await barrier.value.wait()
                }
                var sum = 0
                for task in tasks[2_000...] { sum += try await task.value }
                #expect(sum == 20_000 * 19_999 / 2)
                #expect(tasks[..<2_000].allSatisfy { $0.wasCancelled })
            }
        }

        @Test func `the end of the loop ends those who wait`() async throws {
            let ends = Recorder<String>()
            let barrier = Transfer(AsyncBarrier(parties: 9))
            try await onLoop { loop in
                for _ in 0..<2 { spawn { ends.append(await ending { try await barrier.value.wait() }) } }
                Task {
                    _ = loop
                    for _ in 0..<2 { ends.append(await ending { try await barrier.value.wait() }) }
                }
                await AsyncIO.yield()
            }
            #expect(ends.all == Array(repeating: "CancellationError", count: 4))
            #expect(barrier.value.waitingCount == 0)
        }

        @Test(.testsProcess)
        func `a barrier for nobody is a mistake that traps`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                _ = AsyncBarrier(parties: 0)
            }
            #expect(says(result, "An AsyncBarrier needs at least one party."))
        }
    }
}
