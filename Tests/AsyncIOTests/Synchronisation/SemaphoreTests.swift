// A bound on how many tasks do something at once: no permit is lost, doubled or taken out of turn, whatever is cancelled
// and when. Behaviours 84 and 85 of asyncio.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct SemaphoreTests {
        // MARK: Taking and giving back

        @Test func `a permit that is free is taken at once, and needs no loop`() async throws {
            let free = AsyncSemaphore(permits: 2)
            try await free.acquire()
            #expect(!free.isLocked && free.availablePermits == 1)
            #expect(free.tryAcquire() && free.isLocked && !free.tryAcquire())
            free.release()
            free.release()
            free.release()
            #expect(free.availablePermits == 3, "who is not bounded may be given more")
            try await onLoop { loop in
                let semaphore = AsyncSemaphore(permits: 1)
                let turns = try await turnsTaken(on: loop) {
                    for _ in 0..<10_000 {
                        try await semaphore.acquire()
                        semaphore.release()
                        try await semaphore.withPermit {}
                    }
                }
                #expect(turns == 0 && semaphore.availablePermits == 1)
            }
        }

        @Test func `withPermit returns what its body returns, throws what it throws, and gives back`() async throws {
            try await onLoop { _ in
                let semaphore = AsyncSemaphore(permits: 1)
                let isLocked = try await semaphore.withPermit { semaphore.isLocked }
                #expect(isLocked && !semaphore.isLocked)
                let error = await failure { try await semaphore.withPermit { throw Refusal(name: "no") } }
                #expect(error as? Refusal == Refusal(name: "no"))
                #expect(semaphore.availablePermits == 1)
            }
        }

        @Test func `never more at once than there are permits, and all in turn`() async throws {
            let order = Recorder<Int>()
            try await onLoop { loop in
                let semaphore = Transfer(AsyncSemaphore(permits: 7))
                let (inside, most) = (Transfer(LoopCount()), Transfer(LoopCount()))
                let tasks = spawnEach(100, on: loop) { number in
                    try await semaphore.value.withPermit {
                        order.append(number)
                        inside.value.count += 1
                        most.value.count = max(most.value.count, inside.value.count)
                        for _ in 0..<number % 5 { await AsyncIO.yield() }
                        inside.value.count -= 1
                    }
                }
                for task in tasks { try await task.value }
                #expect(most.value.count == 7 && semaphore.value.availablePermits == 7)
            }
            #expect(told(order.all, Array(0..<100)))
        }

        @Test func `first come, first served, behaviour 85, test_acquire_fifo_order`() async throws {
            let order = Recorder<String>()
            try await onLoop { loop in
                let semaphore = Transfer(AsyncSemaphore(permits: 1))
                let tasks = spawnEach(3, on: loop, eager: true) { number in
                    try await semaphore.value.acquire()
                    order.append("\(number) first")
                    try await AsyncIO.sleep(for: .seconds(1))
                    semaphore.value.release()
                    try await semaphore.value.acquire()
                    order.append("\(number) again")
                    try await AsyncIO.sleep(for: .seconds(1))
                    semaphore.value.release()
                }
                for task in tasks { try await task.value }
                #expect(loop.elapsed == .seconds(6))
            }
            #expect(order.all == ["0 first", "1 first", "2 first", "0 again", "1 again", "2 again"])
        }

        @Test func `who gives back and comes again goes to the end, behaviour 85, test_acquire_fifo_order_2`()
            async throws
        {
            let order = Recorder<Int>()
            try await onLoop { _ in
                let semaphore = Transfer(AsyncSemaphore(permits: 1))
                let first = spawn(eager: true) {
                    try await semaphore.value.acquire()
                    order.append(1)
                }
                let second = spawn(eager: true) {
                    try await semaphore.value.acquire()
                    order.append(2)
                    semaphore.value.release()
                    try await semaphore.value.acquire()
                    order.append(4)
                }
                let third = spawn(eager: true) {
                    try await semaphore.value.acquire()
                    order.append(3)
                }
                await AsyncIO.yield()
                semaphore.value.release()
                await letAllRun()
                #expect(order.all == [1, 2, 3])
                semaphore.value.release()
                for task in [first, second, third] { try await task.value }
            }
            #expect(order.all == [1, 2, 3, 4])
        }

        @Test func `a permit that is free can be taken while others are on the way to theirs`() async throws {
            // Here asyncio lets the one who comes wait for those who have not run yet.
            try await onLoop { _ in
                let semaphore = Transfer(AsyncSemaphore(permits: 0))
                let waits = spawn { try await semaphore.value.acquire() }
                await letAllRun()
                semaphore.value.release()
                semaphore.value.release()
                #expect(waits.outcome == "waits" && semaphore.value.availablePermits == 1)
                try await semaphore.value.acquire()
                #expect(waits.outcome == "waits")
                try await waits.value
                #expect(semaphore.value.isLocked)
            }
        }

        @Test func `who was cancelled is passed over, behaviour 85, test_acquire_fifo_order_3`() async throws {
            let order = Recorder<Int>()
            try await onLoop { loop in
                let semaphore = Transfer(AsyncSemaphore(permits: 0))
                let tasks = spawnEach(3, on: loop, eager: true) { number in
                    try await semaphore.value.acquire()
                    order.append(number)
                }
                await AsyncIO.yield()
                tasks[0].cancel()
                await AsyncIO.yield()
                semaphore.value.release()
                semaphore.value.release()
                await letAllRun()
                #expect(tasks.map(\.outcome) == ["CancellationError", "ok", "ok"])
                #expect(semaphore.value.isLocked)
            }
            #expect(told(order.all, [1, 2]))
        }

        @Test
        func `a newcomer does not overtake while permits are on their way, behaviour 85, test_acquire_fifo_order_4`()
            async throws
        {
            try await onLoop { loop in
                let semaphore = Transfer(AsyncSemaphore(permits: 2))
                for _ in 0..<2 { try await semaphore.value.acquire() }
                let waits = spawnEach(2, on: loop, eager: true) { _ in try await semaphore.value.acquire() }
                await AsyncIO.yield()
                for _ in 0..<2 { semaphore.value.release() }
                // Both are on their way: to all others the semaphore is locked.
                #expect(semaphore.value.isLocked && !semaphore.value.tryAcquire())
                #expect(semaphore.value.availablePermits == 0)
                let comes = spawn(eager: true) { try await semaphore.value.acquire() }
                await letAllRun()
                #expect(waits.allSatisfy { $0.outcome == "ok" } && comes.outcome == "waits")
                semaphore.value.release()
                await letAllRun()
                #expect(comes.outcome == "ok" && semaphore.value.isLocked)
            }
        }

        @Test func `several given back at once let as many go on`() async throws {
            try await onLoop { loop in
                let semaphore = Transfer(AsyncSemaphore(permits: 0))
                let tasks = spawnEach(5, on: loop, eager: true) { _ in try await semaphore.value.acquire() }
                await letAllRun()
                for _ in 0..<7 { semaphore.value.release() }
                #expect(semaphore.value.availablePermits == 2)
                await letAllRun()
                #expect(tasks.allSatisfy { $0.outcome == "ok" } && semaphore.value.availablePermits == 2)
            }
        }

        // MARK: Cancelling

        @Test
        func `cancelled before woken: the permit goes to others, behaviour 84, test_acquire_cancel_before_awoken`()
            async throws
        {
            try await onLoop { loop in
                let semaphore = Transfer(AsyncSemaphore(permits: 0))
                let tasks = spawnEach(4, on: loop, eager: true) { _ in try await semaphore.value.acquire() }
                await AsyncIO.yield()
                semaphore.value.release()
                tasks[0].cancel()
                tasks[1].cancel()
                await letAllRun()
                #expect(tasks.map(\.outcome) == ["CancellationError", "CancellationError", "ok", "waits"])
                tasks[3].cancel()
                await letAllRun()
                #expect(semaphore.value.availablePermits == 0)
                semaphore.value.release()
                #expect(semaphore.value.availablePermits == 1)
            }
        }

        @Test func `cancel, then release: the second in line gets it, behaviour 84, test_acquire_hang`() async throws {
            try await onLoop { loop in
                let semaphore = Transfer(AsyncSemaphore(permits: 0))
                let tasks = spawnEach(2, on: loop, eager: true) { _ in try await semaphore.value.acquire() }
                await AsyncIO.yield()
                tasks[0].cancel()
                semaphore.value.release()
                await letAllRun()
                #expect(semaphore.value.isLocked)
                #expect(tasks.map(\.outcome) == ["CancellationError", "ok"])
            }
        }

        @Test func `release, then cancel: the permit is free again, behaviour 84, test_acquire_no_hang`() async throws {
            try await onLoop { _ in
                let semaphore = Transfer(AsyncSemaphore(permits: 1))
                let others = Recorder<LoopTask<Void>>()
                let first = spawn(eager: true) {
                    try await semaphore.value.withPermit { await AsyncIO.yield() }
                    others.all.first?.cancel()
                }
                others.append(
                    spawn(eager: true) { try await semaphore.value.withPermit { _ = Issue.record("it got in") } }
                )
                try await first.value
                await letAllRun()
                #expect(others.all.allSatisfy { $0.wasCancelled })
                #expect(semaphore.value.availablePermits == 1)
            }
        }

        @Test(.testsOrder)
        func `permits are passed on as often as need be, several at a time`() async throws {
            try await onLoop { loop in
                let semaphore = Transfer(AsyncSemaphore(permits: 3))
                for _ in 0..<3 { try await semaphore.value.acquire() }
                let tasks = spawnEach(99, on: loop, eager: true) { _ in try await semaphore.value.acquire() }
                await AsyncIO.yield()
                for _ in 0..<3 { semaphore.value.release() }
                for start in stride(from: 0, to: 96, by: 3) {
                    for number in start..<start + 3 { tasks[number].cancel() }
                    #expect(semaphore.value.isLocked)
                    await AsyncIO.yield()
                }
                await letAllRun()
                #expect(tasks[..<96].allSatisfy { $0.wasCancelled })
                #expect(tasks[96...].allSatisfy { $0.outcome == "ok" })
                #expect(semaphore.value.availablePermits == 0)
            }
        }

        @Test func `a task that is cancelled before it begins takes a free permit, and does not wait for one`()
            async throws
        {
            try await onLoop { _ in
                let semaphore = Transfer(AsyncSemaphore(permits: 1, isBounded: true))
                let takes = spawn { try await semaphore.value.acquire() }
                takes.cancel()
                try await takes.value
                #expect(semaphore.value.isLocked)
                let waits = spawn { try await semaphore.value.acquire() }
                waits.cancel()
                await letAllRun()
                #expect(waits.wasCancelled)
                semaphore.value.release()
                #expect(semaphore.value.availablePermits == 1)
            }
        }

        @Test func `a foreign thread that cancels while the loop releases: no permit is lost`() async throws {
            try await onLoop { loop in
                for _ in 0..<20 {
                    let semaphore = Transfer(AsyncSemaphore(permits: 3, isBounded: true))
                    let tasks = spawnEach(250, on: loop) { number in
                        try await semaphore.value.withPermit { for _ in 0..<number % 3 { await AsyncIO.yield() } }
                    }
                    await AsyncIO.yield()
                    onForeignThread { for task in tasks.reversed() { task.cancel() } }
                    for task in tasks { _ = await failure { try await task.value } }
                    #expect(semaphore.value.availablePermits == 3)
                }
            }
        }

        // MARK: Many, the end, mistakes

        @Test(.testsMany)
        func `twenty thousand wait, and most of them are cancelled`() async throws {
            try await onLoop { loop in
                let semaphore = Transfer(AsyncSemaphore(permits: 2, isBounded: true))
                let entered = Transfer(LoopCount())
                for _ in 0..<2 { try await semaphore.value.acquire() }
                let tasks = spawnEach(20_000, on: loop) { _ in
                    try await semaphore.value.withPermit { entered.value.count += 1 }
                }
                await AsyncIO.yield()
                for number in 0..<20_000 where number % 10 != 9 { tasks[number].cancel() }
                for _ in 0..<2 { semaphore.value.release() }
                for task in tasks { _ = await failure { try await task.value } }
                #expect(entered.value.count == 2_000 && semaphore.value.availablePermits == 2)
            }
        }

        @Test func `the end of the loop ends those who wait, without a permit`() async throws {
            let ends = Recorder<String>()
            let semaphore = Transfer(AsyncSemaphore(permits: 1, isBounded: true))
            try await onLoop { loop in
                try await semaphore.value.acquire()
                for _ in 0..<3 { spawn { ends.append(await ending { try await semaphore.value.acquire() }) } }
                Task {
                    _ = loop
                    ends.append(await ending { try await semaphore.value.acquire() })
                    ends.append(await ending { try await semaphore.value.acquire() })
                }
                await AsyncIO.yield()
            }
            #expect(ends.all == Array(repeating: "CancellationError", count: 5))
            semaphore.value.release()
            #expect(semaphore.value.availablePermits == 1)
        }

        @Test(.testsProcess)
        func `to give back more than was taken is a mistake that traps, if it is bounded`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                let semaphore = AsyncSemaphore(permits: 2, isBounded: true)
                try await semaphore.withPermit {}
                semaphore.release()
            }
            #expect(says(result, "A bounded AsyncSemaphore was released more often than it was acquired."))
        }

        @Test(.testsProcess)
        func `fewer permits than none are a mistake that traps`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                _ = AsyncSemaphore(permits: -1)
            }
            #expect(says(result, "An AsyncSemaphore cannot have fewer than zero permits."))
        }
    }
}
