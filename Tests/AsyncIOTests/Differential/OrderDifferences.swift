// Where this library means to differ from asyncio in who comes first: mostly where asyncio leaves open what happens, and
// a program cannot rely on it.

import AsyncIO
import AsyncIOTesting

extension DifferentialCase {
    static let orderDifferences: [DifferentialCase] = [
        DifferentialCase(
            "timers that are due at the same instant",
            14,
            differs: KnownDifference(
                reason: "They come in the order in which they were set; asyncio's heap knows no order of equal ones.",
                asyncio: ["1000 0", "1000 2", "1000 1", "1000 3", "1000 4"],
                ours: ["1000 0", "1000 1", "1000 2", "1000 3", "1000 4"]
            ),
            python: """
                async def main():
                    for number in range(5):
                        loop.call_at(1, log, f"{number}")
                    await asyncio.sleep(2)
                """
        ) { loop, log in
            for number in 0..<5 {
                loop.schedule(at: LoopInstant(nanoseconds: 1_000_000_000)) { log("\(number)") }
            }
            try await AsyncIO.sleep(for: .seconds(2))
        },
        DifferentialCase(
            "items of a queue that have the same priority",
            88,
            differs: KnownDifference(
                reason:
                    "They come in the order in which they were put in; asyncio's heap knows no order of equal ones.",
                asyncio: ["0 0 2 4 1 3"],
                ours: ["0 0 1 2 3 4"]
            ),
            python: """
                async def main():
                    class Item:
                        def __init__(self, name):
                            self.name = name
                        def __lt__(self, other):
                            return False
                    queue = asyncio.PriorityQueue()
                    for number in range(5):
                        queue.put_nowait(Item(str(number)))
                    log(" ".join(queue.get_nowait().name for _ in range(5)))
                """
        ) { _, log in
            let queue = AsyncQueue<Int>(order: .priority { _, _ in false })
            for number in 0..<5 { _ = try queue.tryPut(number) }
            var items: [String] = []
            while let item = try queue.tryGet() { items.append("\(item)") }
            log(items.joined(separator: " "))
        },
        DifferentialCase(
            "a timer that is due, and callbacks that schedule one another",
            6,
            differs: KnownDifference(
                reason:
                    "The loop looks at the time after up to 61 batches, which a setting changes, and not after each.",
                asyncio: ["0 callback 1", "0 timer", "0 callback 2", "0 callback 3"],
                ours: ["0 callback 1", "0 callback 2", "0 callback 3", "0 timer"]
            ),
            python: """
                async def main():
                    def callback(number):
                        log(f"callback {number}")
                        if number < 3:
                            loop.call_soon(callback, number + 1)
                    loop.call_later(0, log, "timer")
                    loop.call_soon(callback, 1)
                    await asyncio.sleep(1)
                """
        ) { loop, log in
            loop.schedule(after: .zero) { log("timer") }
            loop.schedule {
                log("callback 1")
                loop.schedule {
                    log("callback 2")
                    loop.schedule { log("callback 3") }
                }
            }
            try await AsyncIO.sleep(for: .seconds(1))
        },
        DifferentialCase(
            "the errors of a group whose body fails first",
            70,
            throughPool: true,
            differs: KnownDifference(
                reason: "The errors are in the order in which they happened; asyncio puts that of the body last.",
                asyncio: ["1000 group of child, body"],
                ours: ["1000 group of body, child"]
            ),
            python: """
                async def main():
                    async def child():
                        try:
                            await asyncio.sleep(10)
                        finally:
                            raise Refusal("child")
                    try:
                        async with asyncio.TaskGroup() as group:
                            group.create_task(child())
                            await asyncio.sleep(1)
                            raise Refusal("body")
                    except BaseException as error:
                        log(told(error))
                """
        ) { _, log in
            do {
                try await withErrorCollectingTaskGroup { group in
                    group.addTask {
                        try? await AsyncIO.sleep(for: .seconds(10))
                        throw Refusal(name: "child")
                    }
                    try await AsyncIO.sleep(for: .seconds(1))
                    throw Refusal(name: "body")
                }
            } catch { log(told(error)) }
        },
        DifferentialCase(
            "a limit of time that strikes, and one who waits for what its body holds",
            62,
            throughPool: true,
            differs: KnownDifference(
                reason: "The body is a child, and the one who awaits its end goes on in a later turn.",
                asyncio: ["1000 TimeoutError", "1000 has it"],
                ours: ["1000 has it", "1000 TimeoutError"]
            ),
            python: """
                async def main():
                    lock = asyncio.Lock()
                    async def work():
                        async with lock:
                            log("has it")
                    task = asyncio.create_task(work())
                    try:
                        async with asyncio.timeout(1):
                            async with lock:
                                await asyncio.sleep(10)
                    except TimeoutError as error:
                        log(told(error))
                    await task
                """
        ) { _, log in
            let lock = Transfer(AsyncLock())
            let other = spawn { try await lock.value.withLock { log("has it") } }
            do {
                try await withTimeout(.seconds(1)) {
                    try await lock.value.withLock {
                        try await AsyncIO.sleep(for: .seconds(10))
                    }
                }
            } catch { log(told(error)) }
            try await other.value
        },
        DifferentialCase(
            "the context of a callback",
            22,
            differs: KnownDifference(
                reason: "Callbacks of the loop are outside of all tasks, and capture no task-locals.",
                asyncio: ["0 outer"],
                ours: ["0 none"]
            ),
            python: """
                label = contextvars.ContextVar("label", default="none")

                async def main():
                    label.set("outer")
                    loop.call_soon(lambda: log(label.get()))
                    await asyncio.sleep(0)
                """
        ) { loop, log in
            await $label.withValue("outer") {
                loop.schedule { log(label) }
                await AsyncIO.yield()
            }
        },
        DifferentialCase(
            "callbacks of a future, and tasks that wait for it",
            34,
            differs: KnownDifference(
                reason:
                    "The tasks go on first, then the callbacks are called, each in their order; asyncio has one line.",
                asyncio: ["0 callback 1", "0 task 1", "0 callback 2", "0 task 2"],
                ours: ["0 task 1", "0 task 2", "0 callback 1", "0 callback 2"]
            ),
            python: """
                async def main():
                    future = loop.create_future()
                    async def wait(name):
                        await future
                        log(name)
                    future.add_done_callback(lambda _: log("callback 1"))
                    asyncio.create_task(wait("task 1"))
                    await asyncio.sleep(0)
                    future.add_done_callback(lambda _: log("callback 2"))
                    asyncio.create_task(wait("task 2"))
                    await asyncio.sleep(0)
                    future.set_result(None)
                    await settle()
                """
        ) { _, log in
            let promise = Promise<Void>()
            let future = promise.future
            future.onComplete { _, _ in log("callback 1") }
            spawn {
                try await future.value
                log("task 1")
            }
            await AsyncIO.yield()
            future.onComplete { _, _ in log("callback 2") }
            spawn {
                try await future.value
                log("task 2")
            }
            await AsyncIO.yield()
            promise.succeed()
            await letAllRun()
        },
        DifferentialCase(
            "a done-callback that is taken back by one before it",
            34,
            differs: KnownDifference(
                reason: "Taking a callback back works until it is called; asyncio's calls have been scheduled by then.",
                asyncio: ["0 first", "0 second"],
                ours: ["0 first"]
            ),
            python: """
                async def main():
                    future = loop.create_future()
                    def second(_):
                        log("second")
                    def first(f):
                        log("first")
                        f.remove_done_callback(second)
                    future.add_done_callback(first)
                    future.add_done_callback(second)
                    future.set_result(None)
                    await settle()
                """
        ) { _, log in
            let promise = Promise<Void>()
            let tokens = Recorder<FutureCallback>()
            promise.future.onComplete { _, _ in
                log("first")
                for token in tokens.all { token.cancel() }
            }
            tokens.append(promise.future.onComplete { _, _ in log("second") })
            promise.succeed()
            await letAllRun()
        },
    ]
}
