// Mutual exclusion between tasks: in which order a lock is handed over, and that a cancellation at any moment neither
// loses nor doubles it. Behaviours 78, 79 and 80 of asyncio.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct LockTests {
        // MARK: Taking and handing over

        @Test func `a lock that nobody holds is taken at once, and needs no loop`() async throws {
            let free = AsyncLock()
            try await free.acquire()
            #expect(free.isLocked && !free.tryAcquire())
            free.release()
            #expect(!free.isLocked)
            try await onLoop { loop in
                let lock = AsyncLock()
                let turns = try await turnsTaken(on: loop) {
                    for _ in 0..<10_000 {
                        try await lock.acquire()
                        lock.release()
                        try await lock.withLock {}
                    }
                }
                #expect(turns == 0)
                #expect(lock.tryAcquire() && lock.isLocked)
            }
        }

        @Test func `withLock returns what its body returns, throws what it throws, and releases`() async throws {
            try await onLoop { _ in
                let lock = AsyncLock()
                let isLocked = try await lock.withLock { lock.isLocked }
                #expect(isLocked && !lock.isLocked)
                let error = await failure { try await lock.withLock { throw Refusal(name: "no") } }
                #expect(error as? Refusal == Refusal(name: "no"))
                #expect(!lock.isLocked)
            }
        }

        @Test func `one at a time, in the order in which they came`() async throws {
            let order = Recorder<Int>()
            try await onLoop { loop in
                let lock = Transfer(AsyncLock())
                let inside = Transfer(LoopCount())
                let tasks = spawnEach(100, on: loop, eager: true) { number in
                    try await lock.value.withLock {
                        inside.value.count += 1
                        if inside.value.count != 1 { Issue.record("two are inside") }
                        for _ in 0..<number % 3 { await AsyncIO.yield() }
                        order.append(number)
                        inside.value.count -= 1
                    }
                }
                for task in tasks { try await task.value }
                #expect(!lock.value.isLocked)
            }
            #expect(order.all == Array(0..<100))
        }

        @Test func `a release hands the lock over: it is not free in between, and nobody gets in`() async throws {
            let order = Recorder<String>()
            try await onLoop { _ in
                let lock = Transfer(AsyncLock())
                try await lock.value.acquire()
                let waits = spawn {
                    try await lock.value.acquire()
                    order.append("who waited")
                }
                await letAllRun()
                let comes = spawn {
                    try await lock.value.acquire()
                    order.append("who came")
                }
                lock.value.release()
                #expect(lock.value.isLocked)
                #expect(!lock.value.tryAcquire())
                #expect(order.all.isEmpty, "it goes on later, not within the release")
                await letAllRun()
                #expect(waits.outcome == "ok" && comes.outcome == "waits")
                lock.value.release()
                await letAllRun()
                #expect(comes.outcome == "ok")
            }
            #expect(order.all == ["who waited", "who came"])
        }

        @Test func `who releases and wants it again goes to the end of the line`() async throws {
            let order = Recorder<String>()
            try await onLoop { loop in
                let lock = Transfer(AsyncLock())
                let tasks = spawnEach(3, on: loop, eager: true) { number in
                    for round in 0..<3 {
                        try await lock.value.withLock {
                            await AsyncIO.yield()
                            order.append("\(round)\(number)")
                        }
                    }
                }
                for task in tasks { try await task.value }
            }
            #expect(order.all == ["00", "01", "02", "10", "11", "12", "20", "21", "22"])
        }

        @Test func `code that is isolated to nothing waits on the loop too`() async throws {
            try await onLoop { loop in
                let lock = Transfer(AsyncLock())
                let entered = Transfer(LoopCount())
                let tasks = lockWithoutIsolation(lock, entered, loop)
                for task in tasks {
                    let wasHere = try await task.value
                    #expect(wasHere)
                }
                #expect(entered.value.count == tasks.count && !lock.value.isLocked)
            }
        }

        // MARK: Cancelling

        @Test func `a release while the first in line is being cancelled skips it, behaviour 78`() async throws {
            try await onLoop { _ in
                let lock = Transfer(AsyncLock())
                try await lock.value.acquire()
                let first = spawn(eager: true) { try await lock.value.acquire() }
                let second = spawn(eager: true) { try await lock.value.acquire() }
                await letAllRun()
                first.cancel()
                lock.value.release()
                await letAllRun()
                #expect(first.wasCancelled)
                #expect(second.outcome == "ok" && lock.value.isLocked)
                lock.value.release()
                #expect(!lock.value.isLocked)
            }
        }

        @Test(arguments: [true, false])
        func `cancel and release in one turn grant the lock once, behaviour 79`(cancelsFirst: Bool) async throws {
            try await onLoop { loop in
                let lock = Transfer(AsyncLock())
                try await lock.value.acquire()
                let tasks = spawnEach(3, on: loop, eager: true) { _ in try await lock.value.acquire() }
                await AsyncIO.yield()
                if cancelsFirst { tasks[0].cancel() }
                lock.value.release()
                if !cancelsFirst { tasks[0].cancel() }
                await letAllRun()
                #expect(tasks.map(\.outcome) == ["CancellationError", "ok", "waits"])
                lock.value.release()
                await letAllRun()
                #expect(tasks[2].outcome == "ok" && lock.value.isLocked)
                lock.value.release()
                #expect(!lock.value.isLocked)
            }
        }

        @Test(.testsOrder)
        func `who is cancelled after it was woken passes the lock on, behaviour 80`() async throws {
            try await onLoop { loop in
                let lock = Transfer(AsyncLock())
                try await lock.value.acquire()
                let tasks = spawnEach(100, on: loop, eager: true) { _ in try await lock.value.acquire() }
                await AsyncIO.yield()
                lock.value.release()
                // Each is woken by the one before, and then cancelled before it runs.
                for task in tasks.dropLast() {
                    task.cancel()
                    #expect(lock.value.isLocked && !lock.value.tryAcquire())
                    await AsyncIO.yield()
                }
                await letAllRun()
                #expect(tasks.dropLast().allSatisfy { $0.wasCancelled })
                #expect(tasks[99].outcome == "ok")
                lock.value.release()
                #expect(!lock.value.isLocked)
            }
        }

        @Test func `if nobody else waits, who is cancelled after it was woken sets the lock free`() async throws {
            try await onLoop { _ in
                let lock = Transfer(AsyncLock())
                try await lock.value.acquire()
                let task = spawn { try await lock.value.withLock { Issue.record("it got in") } }
                await letAllRun()
                lock.value.release()
                task.cancel()
                await letAllRun()
                #expect(task.wasCancelled && !lock.value.isLocked)
                try await lock.value.acquire()
            }
        }

        @Test func `a task that is cancelled before it begins gets a free lock, and does not wait for another`()
            async throws
        {
            try await onLoop { _ in
                let lock = Transfer(AsyncLock())
                let takes = spawn { try await lock.value.acquire() }
                takes.cancel()
                try await takes.value
                #expect(lock.value.isLocked)
                let waits = spawn { try await lock.value.acquire() }
                waits.cancel()
                await letAllRun()
                #expect(waits.wasCancelled && lock.value.isLocked)
                lock.value.release()
                #expect(!lock.value.isLocked)
            }
        }

        @Test func `a cancelled body releases the lock as any other`() async throws {
            try await onLoop { _ in
                let lock = Transfer(AsyncLock())
                let holds = spawn { try await lock.value.withLock { try await AsyncIO.sleep(for: .seconds(9)) } }
                let waits = spawn { try await lock.value.acquire() }
                await AsyncIO.yield()
                holds.cancel()
                await letAllRun()
                #expect(holds.wasCancelled && waits.outcome == "ok")
            }
        }

        @Test func `a timeout while waiting leaves the lock alone`() async throws {
            try await onLoop(.paced) { loop in
                let lock = Transfer(AsyncLock())
                try await lock.value.acquire()
                let start = loop.now
                let error = await failure { try await withTimeout(ticks(2)) { try await lock.value.acquire() } }
                #expect(error is TimeoutError)
                #expect(isTicks(start.duration(to: loop.now), 2))
                #expect(lock.value.isLocked)
                lock.value.release()
                #expect(!lock.value.isLocked)
            }
        }

        @Test func `a foreign thread that cancels while the loop releases: the lock always has one owner`() async throws
        {
            try await onLoop { loop in
                for _ in 0..<20 {
                    let lock = Transfer(AsyncLock())
                    let inside = Transfer(LoopCount())
                    let tasks = spawnEach(250, on: loop) { _ in
                        try await lock.value.withLock {
                            inside.value.count += 1
                            if inside.value.count != 1 { Issue.record("two are inside") }
                            await AsyncIO.yield()
                            inside.value.count -= 1
                        }
                    }
                    await AsyncIO.yield()
                    onForeignThread { for task in tasks { task.cancel() } }
                    for task in tasks { _ = await failure { try await task.value } }
                    #expect(!lock.value.isLocked)
                }
            }
        }

        // MARK: Many, the end, mistakes

        @Test(.testsMany)
        func `twenty thousand wait, go away from every end of the line, and get it`() async throws {
            try await onLoop { loop in
                let lock = Transfer(AsyncLock())
                try await lock.value.acquire()
                let entered = Transfer(LoopCount())
                let tasks = spawnEach(20_000, on: loop) { _ in
                    try await lock.value.withLock { entered.value.count += 1 }
                }
                await AsyncIO.yield()
                // A third from the end, a third in between; the last third is woken, one after the other.
                for number in (0..<20_000).reversed() where number % 3 == 0 { tasks[number].cancel() }
                for number in 0..<20_000 where number % 3 == 1 { tasks[number].cancel() }
                lock.value.release()
                for task in tasks { _ = await failure { try await task.value } }
                #expect(entered.value.count == 6_666 && !lock.value.isLocked)
            }
        }

        @Test func `the end of the loop ends those who wait`() async throws {
            let ends = Recorder<String>()
            let lock = Transfer(AsyncLock())
            try await onLoop { loop in
                try await lock.value.acquire()
                for _ in 0..<3 { spawn { ends.append(await ending { try await lock.value.acquire() }) } }
                for _ in 0..<3 {
                    Task {
                        _ = loop
                        ends.append(await ending { try await lock.value.acquire() })
                        // No wait begins any more.
                        ends.append(await ending { try await lock.value.acquire() })
                    }
                }
                await AsyncIO.yield()
            }
            #expect(ends.all == Array(repeating: "CancellationError", count: 9))
            #expect(lock.value.isLocked)
        }

        @Test(.testsOrder)
        func `who holds it at the end of the loop hands it on, and it can be used on another loop`() async throws {
            let order = Recorder<String>()
            let lock = Transfer(AsyncLock())
            for round in 0..<3 {
                try await onLoop { loop in
                    spawn(eager: true) {
                        let never = AsyncEvent()
                        try await lock.value.withLock {
                            order.append("\(round) spawned \(await ending { try await never.wait() })")
                        }
                    }
                    for _ in 0..<2 {
                        Task {
                            _ = loop
                            try await lock.value.withLock { order.append("\(round) other") }
                        }
                    }
                    await letAllRun()
                }
                #expect(!lock.value.isLocked)
            }
            #expect(
                order.all
                    == (0..<3).flatMap { ["\($0) spawned CancellationError", "\($0) other", "\($0) other"] }
            )
        }

        @Test(.testsProcess)
        func `a release of what nobody holds is a mistake that traps`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                let lock = AsyncLock()
                try await lock.withLock {}
                lock.release()
            }
            #expect(says(result, "An AsyncLock was released that nobody holds. Use withLock { }."))
        }

        @Test(.testsProcess)
        func `to wait where no loop runs is a mistake that traps`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                let lock = AsyncLock()
                try await lock.acquire()
                try await lock.acquire()
            }
            #expect(says(result, "AsyncLock has to wait, and no EventLoop runs here."))
        }
    }
}

private func lockWithoutIsolation(
    _ lock: Transfer<AsyncLock>,
    _ entered: Transfer<LoopCount>,
    _ loop: EventLoop
) -> [LoopTask<Bool>] {
    (0..<50).map { _ in
        spawn {
            try await lock.value.withLock {
                entered.value.count += 1
                await AsyncIO.yield()
            }
            return loop.isCurrent
        }
    }
}
