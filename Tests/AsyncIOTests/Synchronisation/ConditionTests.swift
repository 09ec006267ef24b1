// Waiting within a lock: the lock is always taken again, whatever happens, and no notification is lost. Behaviours 82
// and 83 of asyncio.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct ConditionTests {
        // MARK: Notifying

        @Test func `nothing that is true already is waited for`() async throws {
            let condition = AsyncCondition()
            try await condition.withLock { try await condition.wait { true } }
            try await condition.withLock {
                condition.notify()
                condition.notifyAll()
            }
            #expect(!condition.lock.isLocked)
            // Without the lock too, as long as nothing is waited for.
            try await condition.wait { true }
        }

        @Test func `notify wakes as many as it says, in the order in which they came, behaviour 83`() async throws {
            let order = Recorder<Int>()
            try await onLoop { loop in
                let condition = Transfer(AsyncCondition())
                let tasks = spawnEach(8, on: loop, eager: true) { number in
                    try await condition.value.withLock {
                        try await condition.value.wait()
                        order.append(number)
                    }
                }
                await letAllRun()
                #expect(!condition.value.lock.isLocked, "the lock is free while they wait")
                try await condition.value.withLock {
                    condition.value.notify()
                    await letAllRun()
                    #expect(order.all.isEmpty, "they go on when they get the lock")
                }
                await letAllRun()
                #expect(order.all == [0])
                try await condition.value.withLock { condition.value.notify(0) }
                await letAllRun()
                #expect(order.all == [0])
                try await condition.value.withLock {
                    condition.value.notify(2)
                    condition.value.notify()
                }
                await letAllRun()
                #expect(told(order.all, [0, 1, 2, 3]))
                try await condition.value.withLock { condition.value.notify(2_048) }
                for task in tasks { try await task.value }
            }
            #expect(told(order.all, Array(0..<8)))
        }

        @Test func `notifyAll wakes all, who go on one at a time, behaviour 83`() async throws {
            let order = Recorder<Int>()
            try await onLoop { loop in
                let condition = Transfer(AsyncCondition())
                let inside = Transfer(LoopCount())
                let tasks = spawnEach(50, on: loop, eager: true) { number in
                    try await condition.value.withLock {
                        try await condition.value.wait()
                        inside.value.count += 1
                        if inside.value.count != 1 { Issue.record("two are inside") }
                        await AsyncIO.yield()
                        inside.value.count -= 1
                        order.append(number)
                    }
                }
                await letAllRun()
                try await condition.value.withLock { condition.value.notifyAll() }
                for task in tasks { try await task.value }
                #expect(!condition.value.lock.isLocked)
            }
            #expect(told(order.all, Array(0..<50)))
        }

        @Test func `a notification that nobody waits for is not kept`() async throws {
            try await onLoop { _ in
                let condition = Transfer(AsyncCondition())
                try await condition.value.withLock { condition.value.notifyAll() }
                let task = spawn { try await condition.value.withLock { try await condition.value.wait() } }
                await letAllRun()
                #expect(task.outcome == "waits")
                try await condition.value.withLock { condition.value.notify() }
                await letAllRun()
                #expect(task.outcome == "ok")
            }
        }

        @Test func `wait until looks after each notification, and throws what its predicate throws`() async throws {
            try await onLoop { _ in
                let condition = Transfer(AsyncCondition())
                let (looks, goal) = (Transfer(LoopCount()), Transfer(LoopCount()))
                let task = spawn {
                    try await condition.value.withLock {
                        try await condition.value.wait {
                            looks.value.count += 1
                            if looks.value.count == 5 { throw Refusal(name: "enough") }
                            return goal.value.count >= 3
                        }
                        return goal.value.count
                    }
                }
                for round in 1...3 {
                    await letAllRun()
                    #expect(looks.value.count == round && task.outcome == "waits")
                    try await condition.value.withLock {
                        goal.value.count += 1
                        condition.value.notify()
                    }
                }
                await letAllRun()
                #expect(task.outcome == "3" && looks.value.count == 4)
                let error = await failure {
                    try await condition.value.withLock {
                        try await condition.value.wait {
                            looks.value.count += 1
                            throw Refusal(name: "\(condition.value.lock.isLocked)")
                        }
                    }
                }
                #expect(error as? Refusal == Refusal(name: "true"))
                #expect(!condition.value.lock.isLocked)
            }
        }

        @Test func `conditions may share a lock, behaviour 83`() async throws {
            let order = Recorder<String>()
            try await onLoop { loop in
                let lock = AsyncLock()
                let items = Transfer(AsyncCondition(lock: lock))
                let room = Transfer(AsyncCondition(lock: lock))
                #expect(items.value.lock === room.value.lock)
                let store = Transfer(NumberLog())
                let takes = spawn {
                    for _ in 0..<10 {
                        try await items.value.withLock {
                            try await items.value.wait { !store.value.numbers.isEmpty }
                            order.append("takes \(store.value.numbers.removeFirst())")
                            room.value.notify()
                        }
                    }
                }
                let puts = spawn {
                    for number in 0..<10 {
                        try await room.value.withLock {
                            try await room.value.wait { store.value.numbers.count < 2 }
                            store.value.numbers.append(number)
                            items.value.notify()
                        }
                    }
                }
                try await takes.value
                try await puts.value
                _ = loop
            }
            #expect(order.all == (0..<10).map { "takes \($0)" })
        }

        // MARK: Cancelling

        @Test func `who is cancelled takes the lock again first, behaviour 82, test_wait_cancel_contested`()
            async throws
        {
            let order = Recorder<String>()
            try await onLoop { _ in
                let condition = Transfer(AsyncCondition())
                let task = spawn {
                    try await condition.value.withLock {
                        do { try await condition.value.wait() } catch {
                            order.append("\(brief(error)), locked: \(condition.value.lock.isLocked)")
                            throw error
                        }
                    }
                }
                await letAllRun()
                try await condition.value.lock.acquire()
                task.cancel()
                await letAllRun()
                #expect(task.outcome == "waits", "it waits for the lock, however much it is cancelled")
                order.append("releases")
                condition.value.lock.release()
                await letAllRun()
                #expect(task.wasCancelled && !condition.value.lock.isLocked)
            }
            #expect(order.all == ["releases", "CancellationError, locked: true"])
        }

        @Test func `cancelled after notify, while it waits for the lock, behaviour 82, test_wait_cancel_after_notify`()
            async throws
        {
            try await onLoop { _ in
                let condition = Transfer(AsyncCondition())
                let task = spawn { try await condition.value.withLock { try await condition.value.wait() } }
                await letAllRun()
                try await condition.value.lock.acquire()
                condition.value.notify()
                await letAllRun()
                task.cancel()
                await letAllRun()
                #expect(task.outcome == "waits")
                condition.value.lock.release()
                await letAllRun()
                #expect(task.wasCancelled && !condition.value.lock.isLocked)
            }
        }

        @Test(arguments: 0...3)
        func `a notification of who is cancelled goes to the next, behaviour 82, test_cancelled_wakeup`(
            turns: Int
        ) async throws {
            // However far the one that is cancelled has come: woken, waiting for the lock, or handed it.
            try await onLoop { loop in
                let condition = Transfer(AsyncCondition())
                let tasks = spawnEach(3, on: loop, eager: true) { _ in
                    try await condition.value.withLock { try await condition.value.wait() }
                }
                await AsyncIO.yield()
                try await condition.value.lock.acquire()
                condition.value.notify()
                if turns > 0 { await letAllRun(turns) }
                if turns == 3 { condition.value.lock.release() }
                tasks[0].cancel()
                if turns < 3 { condition.value.lock.release() }
                await letAllRun()
                #expect(tasks.map(\.outcome) == ["CancellationError", "ok", "waits"])
                #expect(!condition.value.lock.isLocked)
            }
        }

        @Test func `many are cancelled after they were notified, behaviour 82, test_cancelled_wakeup_relock`()
            async throws
        {
            try await onLoop { loop in
                let condition = Transfer(AsyncCondition())
                let tasks = spawnEach(100, on: loop, eager: true) { _ in
                    try await condition.value.withLock { try await condition.value.wait() }
                }
                await letAllRun()
                try await condition.value.lock.acquire()
                condition.value.notify(10)
                await letAllRun()
                for number in 0..<20 { tasks[number].cancel() }
                await letAllRun()
                #expect(!tasks.contains { $0.isDone })
                condition.value.lock.release()
                await letAllRun(100)
                #expect(tasks[..<20].allSatisfy { $0.wasCancelled })
                #expect(tasks.count { $0.outcome == "ok" } == 10, "ten were notified")
                #expect(tasks[20..<30].allSatisfy { $0.outcome == "ok" })
            }
        }

        @Test func `a task that is cancelled before it begins waits for nothing and eats no notification`() async throws
        {
            try await onLoop { _ in
                let condition = Transfer(AsyncCondition())
                let first = spawn { try await condition.value.withLock { try await condition.value.wait() } }
                let second = spawn { try await condition.value.withLock { try await condition.value.wait() } }
                first.cancel()
                await letAllRun()
                #expect(condition.value.lock.tryAcquire())
                condition.value.notify()
                condition.value.lock.release()
                await letAllRun()
                #expect(first.wasCancelled && second.outcome == "ok")
            }
        }

        // MARK: Many, the end, mistakes

        @Test(.testsMany)
        func `twenty thousand wait, some are cancelled, and all get the lock again`() async throws {
            try await onLoop { loop in
                let condition = Transfer(AsyncCondition())
                let ended = Transfer(LoopCount())
                let tasks = spawnEach(20_000, on: loop) { _ in
                    try await condition.value.withLock {
                        defer { ended.value.count += 1 }
                        try await condition.value.wait()
                    }
                }
                await letAllRun()
                for number in (0..<20_000).reversed() where number % 4 == 1 { tasks[number].cancel() }
                try await condition.value.withLock { condition.value.notifyAll() }
                for number in 0..<20_000 where number % 4 == 2 { tasks[number].cancel() }
                for task in tasks { _ = await failure { try await task.value } }
                #expect(ended.value.count == 20_000 && !condition.value.lock.isLocked)
            }
        }

        @Test func `the end of the loop ends those who wait, one after the other with the lock`() async throws {
            let ends = Recorder<String>()
            let condition = Transfer(AsyncCondition())
            @Sendable func wait() async {
                let end = await ending {
                    try await condition.value.withLock {
                        defer { if !condition.value.lock.isLocked { Issue.record("without the lock") } }
                        try await condition.value.wait()
                    }
                }
                ends.append(end)
            }
            try await onLoop { loop in
                for _ in 0..<3 { spawn { await wait() } }
                for _ in 0..<3 {
                    Task {
                        _ = loop
                        await wait()
                    }
                }
                await letAllRun()
            }
            #expect(ends.all == Array(repeating: "CancellationError", count: 6))
            #expect(!condition.value.lock.isLocked)
        }

        @Test func `who cannot get the lock again as the loop ends leaves it to who has it`() async throws {
            let order = Recorder<String>()
            let ended = Gate()
            let condition = Transfer(AsyncCondition())
            try await onLoop { loop in
                Task {
                    _ = loop
                    order.append(
                        await ending { try await condition.value.withLock { try await condition.value.wait() } }
                    )
                    order.append("locked: \(condition.value.lock.isLocked)")
                }
                await letAllRun()
                Task {
                    // Holds it for longer than the loop has patience.
                    _ = loop
                    try await condition.value.withLock {
                        while order.count < 2 { await Task.yield() }
                        order.append("locked: \(condition.value.lock.isLocked)")
                    }
                    order.append("locked: \(condition.value.lock.isLocked)")
                    ended.open()
                }
                await letAllRun()
            }
            #expect(try await AsyncIO.offload { ended.pass() })
            #expect(order.all == ["CancellationError", "locked: true", "locked: true", "locked: false"])
        }

        @Test(.testsProcess)
        func `to wait without the lock is a mistake that traps, behaviour 83, test_wait_unacquired`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                try await withEventLoop(.virtual()) { _ in try await AsyncCondition().wait() }
            }
            #expect(says(result, "AsyncCondition.wait was called without its lock. Call it inside withLock { }."))
        }

        @Test(.testsProcess)
        func `to notify without the lock is a mistake that traps, behaviour 83, test_notify_unacquired`()
            async throws
        {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                AsyncCondition().notify()
            }
            #expect(says(result, "AsyncCondition.notify was called without its lock. Call it inside withLock { }."))
            let all = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                AsyncCondition().notifyAll()
            }
            #expect(says(all, "AsyncCondition.notify was called without its lock. Call it inside withLock { }."))
        }

        @Test(.testsProcess)
        func `a lock of another loop is a mistake that traps, behaviour 83, test_ambiguous_loops`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                exitIfStuck()
                let condition = Transfer(AsyncCondition())
                try await withEventLoop(.virtual()) { _ in
                    try await condition.value.lock.acquire()
                    spawn { try await condition.value.lock.acquire() }
                    await AsyncIO.yield()
                    try await withEventLoop(.virtual()) { _ in
                        // It has to release the lock, which somebody waits for over there.
                        try await condition.value.wait()
                    }
                }
            }
            #expect(says(result, "AsyncLock is waited for on one EventLoop and used on another."))
        }
    }
}
