// Conditions and barriers in both languages.

import AsyncIO
import AsyncIOTesting

extension DifferentialCase {
    static let conditions: [DifferentialCase] = [
        DifferentialCase(
            "notify wakes as many as it says, in their order, when the lock is free",
            83,
            python: """
                async def main():
                    condition = asyncio.Condition()
                    async def work(name):
                        async with condition:
                            await condition.wait()
                            log(f"{name} {told(condition.locked())}")
                    for name in "abcd":
                        asyncio.create_task(work(name))
                    await settle()
                    async with condition:
                        condition.notify(2)
                        await settle()
                        log("not yet")
                    await settle()
                    async with condition:
                        condition.notify_all()
                        log("all")
                    await settle()
                """
        ) { loop, log in
            let condition = Transfer(AsyncCondition())
            _ = spawnEach(4, on: loop) { number in
                try await condition.value.withLock {
                    try await condition.value.wait()
                    log("\(["a", "b", "c", "d"][number]) \(condition.value.lock.isLocked)")
                }
            }
            await letAllRun()
            try await condition.value.withLock {
                condition.value.notify(2)
                await letAllRun()
                log("not yet")
            }
            await letAllRun()
            try await condition.value.withLock {
                condition.value.notifyAll()
                log("all")
            }
            await letAllRun()
        },
        DifferentialCase(
            "waiting for something to be true looks after each notification",
            83,
            python: """
                async def main():
                    condition = asyncio.Condition()
                    items = []
                    def enough():
                        log(f"looks at {len(items)}")
                        return len(items) >= 2
                    async def work():
                        async with condition:
                            await condition.wait_for(enough)
                            log("enough")
                    task = asyncio.create_task(work())
                    for _ in range(3):
                        await asyncio.sleep(1)
                        async with condition:
                            items.append(0)
                            condition.notify()
                    await task
                """
        ) { _, log in
            let condition = Transfer(AsyncCondition())
            let items = Transfer(LoopCount())
            let task = spawn {
                try await condition.value.withLock {
                    try await condition.value.wait {
                        log("looks at \(items.value.count)")
                        return items.value.count >= 2
                    }
                    log("enough")
                }
            }
            for _ in 0..<3 {
                try await AsyncIO.sleep(for: .seconds(1))
                try await condition.value.withLock {
                    items.value.count += 1
                    condition.value.notify()
                }
            }
            try await task.value
        },
        DifferentialCase(
            "who waits in a condition and is cancelled has the lock when it hears of it",
            82,
            python: """
                async def main():
                    condition = asyncio.Condition()
                    async def work():
                        async with condition:
                            try:
                                await condition.wait()
                            finally:
                                log(f"hears of it, {told(condition.locked())}")
                    task = asyncio.create_task(work())
                    await settle()
                    async with condition:
                        task.cancel()
                        await asyncio.sleep(1)
                        log(f"has held the lock, {told(task)}")
                    log(f"{await attempt(task)} {told(condition.locked())}")
                """
        ) { _, log in
            let condition = Transfer(AsyncCondition())
            let task = spawn {
                try await condition.value.withLock {
                    defer { log("hears of it, \(condition.value.lock.isLocked)") }
                    try await condition.value.wait()
                }
            }
            await letAllRun()
            try await condition.value.withLock {
                task.cancel()
                try await AsyncIO.sleep(for: .seconds(1))
                log("has held the lock, \(told(task))")
            }
            log("\(await attempt { try await task.value }) \(condition.value.lock.isLocked)")
        },
        DifferentialCase(
            "who is cancelled while it waits is passed over by a notification",
            82,
            python: """
                async def main():
                    condition, items = asyncio.Condition(), []
                    async def work(name):
                        async with condition:
                            await condition.wait_for(lambda: items)
                            log(f"{name} takes {items.pop()}")
                    tasks = [asyncio.create_task(work(name)) for name in "abc"]
                    await settle()
                    async with condition:
                        tasks[0].cancel()
                        await settle()
                        items.append("it")
                        condition.notify()
                    await settle()
                    log(" ".join(told(task) for task in tasks))
                """
        ) { loop, log in
            let condition = Transfer(AsyncCondition())
            let items = Transfer(LoopCount())
            let tasks = spawnEach(3, on: loop) { number in
                try await condition.value.withLock {
                    try await condition.value.wait { items.value.count > 0 }
                    items.value.count -= 1
                    log("\(["a", "b", "c"][number]) takes it")
                }
            }
            await letAllRun()
            try await condition.value.withLock {
                tasks[0].cancel()
                await letAllRun()
                items.value.count += 1
                condition.value.notify()
            }
            await letAllRun()
            log(tasks.map { told($0) }.joined(separator: " "))
        },
        DifferentialCase(
            "two conditions can share one lock",
            83,
            python: """
                async def main():
                    lock = asyncio.Lock()
                    first, second = asyncio.Condition(lock), asyncio.Condition(lock)
                    async def work(name, condition):
                        async with condition:
                            await condition.wait()
                            log(name)
                    tasks = [asyncio.create_task(work("first", first)), asyncio.create_task(work("second", second))]
                    await settle()
                    async with first:
                        second.notify_all()
                    await settle()
                    log(" ".join(told(task) for task in tasks))
                    async with lock:
                        first.notify_all()
                    await settle()
                """
        ) { _, log in
            let lock = AsyncLock()
            let (first, second) = (Transfer(AsyncCondition(lock: lock)), Transfer(AsyncCondition(lock: lock)))
            @Sendable func work(_ name: String, _ condition: Transfer<AsyncCondition>) async throws {
                try await condition.value.withLock {
                    try await condition.value.wait()
                    log(name)
                }
            }
            let tasks = [spawn { try await work("first", first) }, spawn { try await work("second", second) }]
            await letAllRun()
            try await first.value.withLock { second.value.notifyAll() }
            await letAllRun()
            log(tasks.map { told($0) }.joined(separator: " "))
            try await lock.withLock { first.value.notifyAll() }
            await letAllRun()
        },
    ]

    static let barriers: [DifferentialCase] = [
        DifferentialCase(
            "the last to come lets all go on, each with a number of its own, again and again",
            86,
            python: """
                async def main():
                    barrier = asyncio.Barrier(3)
                    async def work(name, seconds):
                        for round in range(2):
                            await asyncio.sleep(seconds)
                            log(f"{name} comes, {barrier.n_waiting} wait")
                            number = await barrier.wait()
                            log(f"{name} goes on as {number}")
                    specs = [("a", 2), ("b", 1), ("c", 3)]
                    await asyncio.wait([asyncio.create_task(work(*spec)) for spec in specs])
                    log(f"{barrier.parties} {barrier.n_waiting} {told(barrier.broken)}")
                """
        ) { loop, log in
            let barrier = Transfer(AsyncBarrier(parties: 3))
            let tasks = spawnEach(3, on: loop) { number in
                let (name, seconds) = [("a", 2), ("b", 1), ("c", 3)][number]
                for _ in 0..<2 {
                    try await AsyncIO.sleep(for: .seconds(seconds))
                    log("\(name) comes, \(barrier.value.waitingCount) wait")
                    let number = try await barrier.value.wait()
                    log("\(name) goes on as \(number)")
                }
            }
            _ = try await wait(for: tasks)
            log("\(barrier.value.parties) \(barrier.value.waitingCount) \(barrier.value.isBroken)")
        },
        DifferentialCase(
            "who waits at a barrier and is cancelled does not count",
            86,
            python: """
                async def main():
                    barrier = asyncio.Barrier(2)
                    tasks = [asyncio.create_task(barrier.wait())]
                    await settle()
                    tasks[0].cancel()
                    await settle()
                    log(f"{told(tasks[0])} {barrier.n_waiting}")
                    tasks.append(asyncio.create_task(barrier.wait()))
                    await settle()
                    log(told(tasks[1]))
                    await barrier.wait()
                    await settle()
                    log(told(tasks[1]))
                """
        ) { _, log in
            let barrier = Transfer(AsyncBarrier(parties: 2))
            let first = spawn { try await barrier.value.wait() }
            await letAllRun()
            first.cancel()
            await letAllRun()
            log("\(told(first)) \(barrier.value.waitingCount)")
            let second = spawn { try await barrier.value.wait() }
            await letAllRun()
            log(told(second))
            try await barrier.value.wait()
            await letAllRun()
            log(told(second))
        },
        barrierEnd("a barrier that is reset sends away who waits, and is whole", "reset") { $0.reset() },
        barrierEnd("a barrier that is broken refuses all until it is reset", "abort") { $0.abort() },
    ]

    private static func barrierEnd(
        _ name: String,
        _ python: String,
        _ end: @escaping @Sendable (AsyncBarrier) -> Void
    ) -> DifferentialCase {
        DifferentialCase(
            name,
            86,
            python: """
                async def main():
                    barrier = asyncio.Barrier(3)
                    early = [asyncio.create_task(barrier.wait()) for _ in range(2)]
                    await settle()
                    await barrier.\(python)()
                    await settle()
                    log(" ".join(told(task) for task in early))
                    log(f"{told(barrier.broken)} {barrier.n_waiting}")
                    late = asyncio.create_task(barrier.wait())
                    await settle()
                    log(told(late))
                    await barrier.reset()
                    await settle()
                    log(told(late))
                    last = [asyncio.create_task(barrier.wait()) for _ in range(3)]
                    await settle()
                    log(" ".join(sorted(told(task) for task in last)))
                """
        ) { loop, log in
            let barrier = Transfer(AsyncBarrier(parties: 3))
            let early = spawnEach(2, on: loop) { _ in try await barrier.value.wait() }
            await letAllRun()
            end(barrier.value)
            await letAllRun()
            log(early.map { told($0) }.joined(separator: " "))
            log("\(barrier.value.isBroken) \(barrier.value.waitingCount)")
            let late = spawn { try await barrier.value.wait() }
            await letAllRun()
            log(told(late))
            barrier.value.reset()
            await letAllRun()
            log(told(late))
            let last = spawnEach(3, on: loop) { _ in try await barrier.value.wait() }
            await letAllRun()
            log(last.map { told($0) }.sorted().joined(separator: " "))
        }
    }
}
