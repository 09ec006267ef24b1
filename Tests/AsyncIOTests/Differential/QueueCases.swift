// Queues in both languages.

import AsyncIO
import AsyncIOTesting

extension DifferentialCase {
    static let queues: [DifferentialCase] = [
        DifferentialCase(
            "items come out in the order of their queue",
            88,
            python: """
                async def main():
                    for queue in (asyncio.Queue(), asyncio.LifoQueue(), asyncio.PriorityQueue()):
                        for item in (3, 1, 4, 1, 5, 9, 2, 6):
                            await queue.put(item)
                        log(" ".join([told(await queue.get()) for _ in range(queue.qsize())]))
                """
        ) { _, log in
            for queue in [AsyncQueue<Int>(), AsyncQueue(order: .lastInFirstOut), .priority()] {
                for item in [3, 1, 4, 1, 5, 9, 2, 6] { try await queue.put(item) }
                var items: [String] = []
                for _ in 0..<queue.count { items.append("\(try await queue.get())") }
                log(items.joined(separator: " "))
            }
        },
        DifferentialCase(
            "a queue knows how much it holds, and refuses without waiting",
            88,
            python: """
                async def main():
                    queue = asyncio.Queue(2)
                    def tell():
                        log(f"{queue.qsize()} {told(queue.empty())} {told(queue.full())}")
                    for item in range(3):
                        tell()
                        try:
                            queue.put_nowait(item)
                        except asyncio.QueueFull:
                            log("full")
                    for item in range(3):
                        tell()
                        try:
                            log(told(queue.get_nowait()))
                        except asyncio.QueueEmpty:
                            log("empty")
                """
        ) { _, log in
            let queue = AsyncQueue<Int>(capacity: 2)
            func tell() { log("\(queue.count) \(queue.isEmpty) \(queue.isFull)") }
            for item in 0..<3 {
                tell()
                if try !queue.tryPut(item) { log("full") }
            }
            for _ in 0..<3 {
                tell()
                log(try queue.tryGet().map { "\($0)" } ?? "empty")
            }
        },
        DifferentialCase(
            "a quick producer waits for a slow consumer, whenever the queue is full",
            88,
            python: """
                async def main():
                    queue = asyncio.Queue(2)
                    async def produce():
                        for item in range(5):
                            await queue.put(item)
                            log(f"put {item}")
                    async def consume():
                        for _ in range(5):
                            await asyncio.sleep(1)
                            log(f"got {await queue.get()}")
                    await asyncio.wait([asyncio.create_task(produce()), asyncio.create_task(consume())])
                """
        ) { _, log in
            let queue = Transfer(AsyncQueue<Int>(capacity: 2))
            let produce = spawn {
                for item in 0..<5 {
                    try await queue.value.put(item)
                    log("put \(item)")
                }
            }
            let consume = spawn {
                for _ in 0..<5 {
                    try await AsyncIO.sleep(for: .seconds(1))
                    log("got \(try await queue.value.get())")
                }
            }
            _ = try await wait(for: [produce, consume])
        },
        DifferentialCase(
            "a slow producer serves those who wait in their order",
            88,
            python: """
                async def main():
                    queue = asyncio.Queue()
                    async def consume(name):
                        for _ in range(2):
                            log(f"{name} got {await queue.get()}")
                    tasks = [asyncio.create_task(consume(name)) for name in "abc"]
                    for item in range(6):
                        await asyncio.sleep(1)
                        await queue.put(item)
                    await asyncio.wait(tasks)
                """
        ) { loop, log in
            let queue = Transfer(AsyncQueue<Int>())
            let tasks = spawnEach(3, on: loop) { number in
                for _ in 0..<2 { log("\(["a", "b", "c"][number]) got \(try await queue.value.get())") }
            }
            for item in 0..<6 {
                try await AsyncIO.sleep(for: .seconds(1))
                try await queue.value.put(item)
            }
            _ = try await wait(for: tasks)
        },
        DifferentialCase(
            "joining a queue waits until all that was put in is done, not only taken out",
            89,
            python: """
                async def main():
                    queue = asyncio.Queue()
                    await queue.join()
                    log("nothing to wait for")
                    async def work():
                        while True:
                            item = await queue.get()
                            await asyncio.sleep(item)
                            log(f"done {item}")
                            queue.task_done()
                    workers = [asyncio.create_task(work()) for _ in range(2)]
                    for item in (3, 1, 1, 4):
                        queue.put_nowait(item)
                    await queue.join()
                    log(f"joined, {queue.qsize()}")
                    for worker in workers:
                        worker.cancel()
                """
        ) { loop, log in
            let queue = Transfer(AsyncQueue<Int>())
            try await queue.value.join()
            log("nothing to wait for")
            let workers = spawnEach(2, on: loop) { _ in
                while true {
                    let item = try await queue.value.get()
                    try await AsyncIO.sleep(for: .seconds(item))
                    log("done \(item)")
                    queue.value.taskDone()
                }
            }
            for item in [3, 1, 1, 4] { _ = try queue.value.tryPut(item) }
            try await queue.value.join()
            log("joined, \(queue.value.count)")
            for worker in workers { worker.cancel() }
        },
    ]

    static let queueWaits: [DifferentialCase] = [
        DifferentialCase(
            "who waits for an item and is cancelled takes none, before it is woken and after",
            87,
            python: """
                async def main():
                    queue = asyncio.Queue()
                    async def consume(name):
                        log(f"{name} got {await queue.get()}")
                    tasks = [asyncio.create_task(consume(name)) for name in "abcd"]
                    await settle()
                    tasks[0].cancel()
                    queue.put_nowait(1)
                    tasks[1].cancel()
                    await settle()
                    log(" ".join(told(task) for task in tasks))
                    queue.put_nowait(2)
                    await settle()
                    log(f"{' '.join(told(task) for task in tasks)} {queue.qsize()}")
                """
        ) { loop, log in
            let queue = Transfer(AsyncQueue<Int>())
            let tasks = spawnEach(4, on: loop) { number in
                log("\(["a", "b", "c", "d"][number]) got \(try await queue.value.get())")
            }
            await letAllRun()
            tasks[0].cancel()
            _ = try queue.value.tryPut(1)
            tasks[1].cancel()
            await letAllRun()
            log(tasks.map { told($0) }.joined(separator: " "))
            _ = try queue.value.tryPut(2)
            await letAllRun()
            log("\(tasks.map { told($0) }.joined(separator: " ")) \(queue.value.count)")
        },
        DifferentialCase(
            "who waits for room and is cancelled puts nothing in, before it is woken and after",
            87,
            python: """
                async def main():
                    queue = asyncio.Queue(1)
                    await queue.put("first")
                    async def produce(name):
                        await queue.put(name)
                        log(f"put {name}")
                    tasks = [asyncio.create_task(produce(name)) for name in "abcd"]
                    await settle()
                    tasks[0].cancel()
                    log(queue.get_nowait())
                    tasks[1].cancel()
                    await settle()
                    log(" ".join(told(task) for task in tasks))
                    log(queue.get_nowait())
                    await settle()
                    log(queue.get_nowait())
                    log(f"{' '.join(told(task) for task in tasks)} {queue.qsize()}")
                """
        ) { loop, log in
            let queue = Transfer(AsyncQueue<String>(capacity: 1))
            try await queue.value.put("first")
            let tasks = spawnEach(4, on: loop) { number in
                let name = ["a", "b", "c", "d"][number]
                try await queue.value.put(name)
                log("put \(name)")
            }
            await letAllRun()
            tasks[0].cancel()
            log(try queue.value.tryGet() ?? "empty")
            tasks[1].cancel()
            await letAllRun()
            log(tasks.map { told($0) }.joined(separator: " "))
            log(try queue.value.tryGet() ?? "empty")
            await letAllRun()
            log(try queue.value.tryGet() ?? "empty")
            log("\(tasks.map { told($0) }.joined(separator: " ")) \(queue.value.count)")
        },
        DifferentialCase(
            "several items that come at once are for as many who wait",
            88,
            python: """
                async def main():
                    queue = asyncio.Queue()
                    async def consume(name):
                        log(f"{name} got {await queue.get()}")
                    tasks = [asyncio.create_task(consume(name)) for name in "abc"]
                    await settle()
                    for item in range(3):
                        queue.put_nowait(item)
                    log(f"put, {queue.qsize()}")
                    await settle()
                    log(f"{' '.join(told(task) for task in tasks)} {queue.qsize()}")
                """
        ) { loop, log in
            let queue = Transfer(AsyncQueue<Int>())
            let tasks = spawnEach(3, on: loop) { number in
                log("\(["a", "b", "c"][number]) got \(try await queue.value.get())")
            }
            await letAllRun()
            for item in 0..<3 { _ = try queue.value.tryPut(item) }
            log("put, \(queue.value.count)")
            await letAllRun()
            log("\(tasks.map { told($0) }.joined(separator: " ")) \(queue.value.count)")
        },
        DifferentialCase(
            "waiting for an item within a limit of time loses none",
            87,
            throughPool: true,
            python: """
                async def main():
                    queue = asyncio.Queue()
                    loop.call_later(3, queue.put_nowait, "late")
                    for _ in range(3):
                        log(await attempt(asyncio.wait_for(queue.get(), 2)))
                    log(told(queue.qsize()))
                """
        ) { loop, log in
            let queue = Transfer(AsyncQueue<String>())
            loop.schedule(after: .seconds(3)) { _ = try queue.value.tryPut("late") }
            for _ in 0..<3 {
                log(await attempt { try await withTimeout(.seconds(2)) { try await queue.value.get() } })
            }
            log("\(queue.value.count)")
        },
    ]
}
