// Where this library means to differ from asyncio in what belongs to a task that was woken and has not run yet: here it
// has what it was woken for, there it is told to look whether that is still there.

import AsyncIO
import AsyncIOTesting

extension DifferentialCase {
    static let reservationDifferences: [DifferentialCase] = [
        DifferentialCase(
            "a lock that is released while somebody waits for it",
            78,
            differs: KnownDifference(
                reason:
                    "The release hands it over, where asyncio frees it and keeps newcomers out until the next has run.",
                asyncio: ["0 false", "0 has it"],
                ours: ["0 true", "0 has it"]
            ),
            python: """
                async def main():
                    lock = asyncio.Lock()
                    async def work():
                        async with lock:
                            log("has it")
                    await lock.acquire()
                    task = asyncio.create_task(work())
                    await settle()
                    lock.release()
                    log(told(lock.locked()))
                    await task
                """
        ) { _, log in
            let lock = Transfer(AsyncLock())
            try await lock.value.acquire()
            let task = spawn { try await lock.value.withLock { log("has it") } }
            await letAllRun()
            lock.value.release()
            log("\(lock.value.isLocked)")
            try await task.value
        },
        DifferentialCase(
            "an item for which somebody was woken, and a newcomer",
            88,
            differs: KnownDifference(
                reason: "The item is reserved for the one who was woken, from whom asyncio lets anybody take it.",
                asyncio: ["0 took 1", "0 waits", "0 2"],
                ours: ["0 took nothing", "0 1", "0 1"]
            ),
            python: """
                async def main():
                    queue = asyncio.Queue()
                    task = asyncio.create_task(queue.get())
                    await settle()
                    queue.put_nowait(1)
                    try:
                        log(f"took {queue.get_nowait()}")
                    except asyncio.QueueEmpty:
                        log("took nothing")
                    await settle()
                    log(told(task))
                    queue.put_nowait(2)
                    await settle()
                    log(told(task))
                """
        ) { _, log in
            let queue = Transfer(AsyncQueue<Int>())
            let task = spawn { try await queue.value.get() }
            await letAllRun()
            _ = try queue.value.tryPut(1)
            log("took \(try queue.value.tryGet().map { "\($0)" } ?? "nothing")")
            await letAllRun()
            log(told(task))
            _ = try queue.value.tryPut(2)
            await letAllRun()
            log(told(task))
        },
        DifferentialCase(
            "room for which somebody was woken, and a newcomer",
            88,
            differs: KnownDifference(
                reason: "The room is reserved for the one who was woken, before whom asyncio lets anybody in.",
                asyncio: ["0 the newcomer put", "0 waits"],
                ours: ["0 ok"]
            ),
            python: """
                async def main():
                    queue = asyncio.Queue(1)
                    queue.put_nowait(1)
                    task = asyncio.create_task(queue.put(2))
                    await settle()
                    queue.get_nowait()
                    try:
                        queue.put_nowait(3)
                        log("the newcomer put")
                    except asyncio.QueueFull:
                        pass
                    await settle()
                    log(told(task))
                """
        ) { _, log in
            let queue = Transfer(AsyncQueue<Int>(capacity: 1))
            _ = try queue.value.tryPut(1)
            let task = spawn { try await queue.value.put(2) }
            await letAllRun()
            _ = try queue.value.tryGet()
            if try queue.value.tryPut(3) { log("the newcomer put") }
            await letAllRun()
            log(told(task))
        },
        DifferentialCase(
            "a permit that is left over while one who was given another has not run yet",
            85,
            differs: KnownDifference(
                reason:
                    "A newcomer takes it at once, as it takes nobody's; in asyncio it waits until the other has run.",
                asyncio: ["0 true", "0 waits", "0 comes"],
                ours: ["0 false", "0 comes", "0 waits"]
            ),
            python: """
                async def main():
                    semaphore = asyncio.Semaphore(2)
                    async def work(name):
                        async with semaphore:
                            log(name)
                    await semaphore.acquire()
                    await semaphore.acquire()
                    task = asyncio.create_task(work("waits"))
                    await settle()
                    semaphore.release()
                    semaphore.release()
                    log(told(semaphore.locked()))
                    await work("comes")
                    await task
                """
        ) { _, log in
            let semaphore = Transfer(AsyncSemaphore(permits: 2))
            try await semaphore.value.acquire()
            try await semaphore.value.acquire()
            let task = spawn { try await semaphore.value.withPermit { log("waits") } }
            await letAllRun()
            semaphore.value.release()
            semaphore.value.release()
            log("\(semaphore.value.isLocked)")
            try await semaphore.value.withPermit { log("comes") }
            try await task.value
        },
    ]
}
