// Locks, events and semaphores in both languages.

import AsyncIO
import AsyncIOTesting

extension DifferentialCase {
    static let locks: [DifferentialCase] = [
        DifferentialCase(
            "a lock is held over waits, one task at a time, in the order in which they came",
            78,
            python: """
                async def main():
                    lock = asyncio.Lock()
                    async def work(name):
                        for step in range(2):
                            async with lock:
                                log(f"{name} {step} enters")
                                await asyncio.sleep(1)
                                log(f"{name} {step} leaves")
                    await asyncio.wait([asyncio.create_task(work(name)) for name in "abc"])
                    log(told(lock.locked()))
                """
        ) { loop, log in
            let lock = Transfer(AsyncLock())
            let tasks = spawnEach(3, on: loop) { number in
                let name = ["a", "b", "c"][number]
                for step in 0..<2 {
                    try await lock.value.withLock {
                        log("\(name) \(step) enters")
                        try await AsyncIO.sleep(for: .seconds(1))
                        log("\(name) \(step) leaves")
                    }
                }
            }
            _ = try await wait(for: tasks)
            log("\(lock.value.isLocked)")
        },
        DifferentialCase(
            "a release while the first in line is cancelled reaches the next",
            78,
            python: """
                async def main():
                    lock = asyncio.Lock()
                    async def work(name):
                        async with lock:
                            log(f"{name} has it")
                    await lock.acquire()
                    tasks = [asyncio.create_task(work(name)) for name in ("one", "two", "three")]
                    await settle()
                    tasks[0].cancel()
                    lock.release()
                    await settle()
                    log(f"{' '.join(told(task) for task in tasks)} {told(lock.locked())}")
                """
        ) { loop, log in
            let lock = Transfer(AsyncLock())
            try await lock.value.acquire()
            let tasks = spawnEach(3, on: loop) { number in
                try await lock.value.withLock { log("\(["one", "two", "three"][number]) has it") }
            }
            await letAllRun()
            tasks[0].cancel()
            lock.value.release()
            await letAllRun()
            log("\(tasks.map { told($0) }.joined(separator: " ")) \(lock.value.isLocked)")
        },
        DifferentialCase(
            "who was given the lock and is cancelled in the same turn passes it on",
            79,
            80,
            python: """
                async def main():
                    lock = asyncio.Lock()
                    async def work(name):
                        async with lock:
                            log(f"{name} has it")
                            await asyncio.sleep(1)
                    await lock.acquire()
                    tasks = [asyncio.create_task(work(name)) for name in ("one", "two", "three")]
                    await settle()
                    lock.release()
                    tasks[0].cancel()
                    await settle()
                    log(" ".join(told(task) for task in tasks))
                    await asyncio.sleep(3)
                    log(f"{' '.join(told(task) for task in tasks)} {told(lock.locked())}")
                """
        ) { loop, log in
            let lock = Transfer(AsyncLock())
            try await lock.value.acquire()
            let tasks = spawnEach(3, on: loop) { number in
                try await lock.value.withLock {
                    log("\(["one", "two", "three"][number]) has it")
                    try await AsyncIO.sleep(for: .seconds(1))
                }
            }
            await letAllRun()
            lock.value.release()
            tasks[0].cancel()
            await letAllRun()
            log(tasks.map { told($0) }.joined(separator: " "))
            try await AsyncIO.sleep(for: .seconds(3))
            log("\(tasks.map { told($0) }.joined(separator: " ")) \(lock.value.isLocked)")
        },
        DifferentialCase(
            "a lock is released by an error too",
            78,
            python: """
                async def main():
                    lock = asyncio.Lock()
                    async def fails():
                        async with lock:
                            raise Refusal("no")
                    log(f"{await attempt(fails())} {told(lock.locked())}")
                """
        ) { _, log in
            let lock = AsyncLock()
            log("\(await attempt { try await lock.withLock { throw Refusal(name: "no") } }) \(lock.isLocked)")
        },
        DifferentialCase(
            "setting an event wakes all who wait, in order, and whoever comes later does not wait",
            81,
            python: """
                async def main():
                    event = asyncio.Event()
                    async def work(name):
                        await event.wait()
                        log(name)
                    for name in "abc":
                        asyncio.create_task(work(name))
                    await asyncio.sleep(1)
                    log(told(event.is_set()))
                    event.set()
                    log("set")
                    await settle()
                    await work("late")
                """
        ) { loop, log in
            let event = Transfer(AsyncEvent())
            _ = spawnEach(3, on: loop) { number in
                try await event.value.wait()
                log(["a", "b", "c"][number])
            }
            try await AsyncIO.sleep(for: .seconds(1))
            log("\(event.value.isSet)")
            event.value.set()
            log("set")
            await letAllRun()
            try await event.value.wait()
            log("late")
        },
        DifferentialCase(
            "an event that is set and cleared at once has woken who waited, and nobody else",
            81,
            python: """
                async def main():
                    event = asyncio.Event()
                    async def work(name):
                        await event.wait()
                        log(f"{name} {told(event.is_set())}")
                    tasks = [asyncio.create_task(work("early"))]
                    await settle()
                    event.set()
                    event.clear()
                    tasks.append(asyncio.create_task(work("late")))
                    await settle()
                    log(" ".join(told(task) for task in tasks))
                    event.set()
                    await settle()
                """
        ) { _, log in
            let event = Transfer(AsyncEvent())
            @Sendable func work(_ name: String) async throws {
                try await event.value.wait()
                log("\(name) \(event.value.isSet)")
            }
            let early = spawn { try await work("early") }
            await letAllRun()
            event.value.set()
            event.value.clear()
            let late = spawn { try await work("late") }
            await letAllRun()
            log("\(told(early)) \(told(late))")
            event.value.set()
            await letAllRun()
        },
        DifferentialCase(
            "as many as there are permits go in, and the others in their order",
            85,
            python: """
                async def main():
                    semaphore = asyncio.Semaphore(2)
                    async def work(name, seconds):
                        async with semaphore:
                            log(f"{name} enters, {told(semaphore.locked())}")
                            await asyncio.sleep(seconds)
                    names = zip("abcde", (3, 1, 1, 4, 1))
                    await asyncio.wait([asyncio.create_task(work(*spec)) for spec in names])
                    log(told(semaphore.locked()))
                """
        ) { loop, log in
            let semaphore = Transfer(AsyncSemaphore(permits: 2))
            let tasks = spawnEach(5, on: loop) { number in
                try await semaphore.value.withPermit {
                    log("\(["a", "b", "c", "d", "e"][number]) enters, \(semaphore.value.isLocked)")
                    try await AsyncIO.sleep(for: .seconds([3, 1, 1, 4, 1][number]))
                }
            }
            _ = try await wait(for: tasks)
            log("\(semaphore.value.isLocked)")
        },
        DifferentialCase(
            "who waits for a permit and is cancelled takes none, before it is given one and after",
            84,
            python: """
                async def main():
                    semaphore = asyncio.Semaphore(0)
                    async def work(name):
                        await semaphore.acquire()
                        log(f"{name} has one")
                    tasks = [asyncio.create_task(work(name)) for name in "abcd"]
                    await settle()
                    tasks[0].cancel()
                    await settle()
                    semaphore.release()
                    tasks[1].cancel()
                    await settle()
                    log(" ".join(told(task) for task in tasks))
                    semaphore.release()
                    semaphore.release()
                    await settle()
                    log(f"{' '.join(told(task) for task in tasks)} {told(semaphore.locked())}")
                """
        ) { loop, log in
            let semaphore = Transfer(AsyncSemaphore(permits: 0))
            let tasks = spawnEach(4, on: loop) { number in
                try await semaphore.value.acquire()
                log("\(["a", "b", "c", "d"][number]) has one")
            }
            await letAllRun()
            tasks[0].cancel()
            await letAllRun()
            semaphore.value.release()
            tasks[1].cancel()
            await letAllRun()
            log(tasks.map { told($0) }.joined(separator: " "))
            semaphore.value.release()
            semaphore.value.release()
            await letAllRun()
            log("\(tasks.map { told($0) }.joined(separator: " ")) \(semaphore.value.isLocked)")
        },
        DifferentialCase(
            "a newcomer does not overtake one who has been given a permit and has not run",
            85,
            python: """
                async def main():
                    semaphore = asyncio.Semaphore(1)
                    async def work(name):
                        async with semaphore:
                            log(name)
                    await semaphore.acquire()
                    asyncio.create_task(work("waits"))
                    await settle()
                    semaphore.release()
                    log(told(semaphore.locked()))
                    await work("comes")
                """
        ) { _, log in
            let semaphore = Transfer(AsyncSemaphore(permits: 1))
            try await semaphore.value.acquire()
            spawn { try await semaphore.value.withPermit { log("waits") } }
            await letAllRun()
            semaphore.value.release()
            log("\(semaphore.value.isLocked)")
            try await semaphore.value.withPermit { log("comes") }
        },
    ]
}
