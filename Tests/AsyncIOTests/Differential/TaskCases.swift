// Tasks in both languages: when they begin, in which order they go on, and what they carry.

import AsyncIO
import AsyncIOTesting

extension DifferentialCase {
    @TaskLocal static var label = "none"

    static let tasks: [DifferentialCase] = [
        DifferentialCase(
            "a task begins in a later turn, in the order of creation",
            47,
            python: """
                async def main():
                    async def work(name):
                        log(name)
                    tasks = [asyncio.create_task(work(name)) for name in ("one", "two", "three")]
                    loop.call_soon(log, "callback")
                    log("created")
                    for task in tasks:
                        await task
                    log("awaited")
                """
        ) { loop, log in
            let tasks = spawnEach(3, on: loop) { number in log(["one", "two", "three"][number]) }
            loop.schedule { log("callback") }
            log("created")
            for task in tasks { try await task.value }
            log("awaited")
        },
        DifferentialCase(
            "tasks that yield take turns",
            47,
            python: """
                async def main():
                    async def work(name):
                        for step in range(3):
                            log(f"{name} {step}")
                            await asyncio.sleep(0)
                        log(f"{name} ends")
                    await asyncio.wait([asyncio.create_task(work(name)) for name in "abc"])
                """
        ) { loop, log in
            let tasks = spawnEach(3, on: loop) { number in
                let name = ["a", "b", "c"][number]
                for step in 0..<3 {
                    log("\(name) \(step)")
                    await AsyncIO.yield()
                }
                log("\(name) ends")
            }
            _ = try await wait(for: tasks)
        },
        DifferentialCase(
            "sleeping for nothing or less is one turn, and no time",
            47,
            python: """
                async def main():
                    async def sleep(name, seconds):
                        for step in range(3):
                            await asyncio.sleep(seconds)
                            log(f"{name} {step}")
                    await asyncio.wait([
                        asyncio.create_task(sleep("zero", 0)),
                        asyncio.create_task(sleep("negative", -1)),
                        asyncio.create_task(sleep("zero again", 0)),
                    ])
                """
        ) { loop, log in
            let tasks = spawnEach(3, on: loop) { number in
                for step in 0..<3 {
                    try await AsyncIO.sleep(for: .seconds([0, -1, 0][number]))
                    log("\(["zero", "negative", "zero again"][number]) \(step)")
                }
            }
            _ = try await wait(for: tasks)
        },
        DifferentialCase(
            "sleeps end by their deadlines, and time passes for all of them at once",
            47,
            python: """
                async def main():
                    async def work(name, seconds):
                        for _ in range(3):
                            await asyncio.sleep(seconds)
                            log(name)
                    await asyncio.wait([
                        asyncio.create_task(work("slow", 1.75)),
                        asyncio.create_task(work("quick", 0.25)),
                        asyncio.create_task(work("middling", 1.125)),
                    ])
                """
        ) { loop, log in
            let tasks = spawnEach(3, on: loop) { number in
                for _ in 0..<3 {
                    try await AsyncIO.sleep(for: .milliseconds([1_750, 250, 1_125][number]))
                    log(["slow", "quick", "middling"][number])
                }
            }
            _ = try await wait(for: tasks)
        },
        DifferentialCase(
            "a task that waits for a task goes on with its result, later",
            34,
            python: """
                async def main():
                    async def inner():
                        await asyncio.sleep(1)
                        log("inner")
                        return 5
                    async def outer(task):
                        value = await task
                        log(f"outer {value}")
                        return value + 1
                    task = asyncio.create_task(outer(asyncio.create_task(inner())))
                    log(told(task))
                    log(f"{await task} {await task} {told(task.done())}")
                """
        ) { _, log in
            let inner = spawn {
                try await AsyncIO.sleep(for: .seconds(1))
                log("inner")
                return 5
            }
            let task = spawn {
                let value = try await inner.value
                log("outer \(value)")
                return value + 1
            }
            log(told(task))
            log("\(try await task.value) \(try await task.value) \(task.isDone)")
        },
        DifferentialCase(
            "the error of a task goes through those who wait for it",
            34,
            python: """
                async def main():
                    async def inner():
                        await asyncio.sleep(1)
                        raise Refusal("inner")
                    first = asyncio.create_task(inner())
                    async def middle():
                        try:
                            await first
                        finally:
                            log("middle goes")
                    second = asyncio.create_task(middle())
                    log(await attempt(second))
                    log(await attempt(first))
                    log(f"{told(first)} {told(second)}")
                """
        ) { _, log in
            let first = spawn {
                try await AsyncIO.sleep(for: .seconds(1))
                throw Refusal(name: "inner")
            }
            let second = spawn {
                defer { log("middle goes") }
                try await first.value
            }
            log(await attempt { try await second.value })
            log(await attempt { try await first.value })
            log("\(told(first)) \(told(second))")
        },
        DifferentialCase(
            "a task that waits for itself is told so",
            38,
            python: """
                async def main():
                    async def wait():
                        try:
                            await task
                        except RuntimeError:
                            log("refused")
                    task = asyncio.create_task(wait())
                    await task
                """
        ) { _, log in
            let itself = Transfer(Itself())
            let task = spawn {
                do { try await itself.value.task?.value } catch TaskError.awaitsItself { log("refused") }
            }
            itself.value.task = task
            try await task.value
            itself.value.task = nil
        },
        DifferentialCase(
            "done-callbacks of a task come after its end, in order, with its result",
            34,
            python: """
                async def main():
                    async def work(value):
                        await asyncio.sleep(1)
                        log("work ends")
                        if isinstance(value, Exception):
                            raise value
                        return value
                    for value in (1, Refusal("no")):
                        task = asyncio.create_task(work(value))
                        task.add_done_callback(lambda t: log(f"first {told(t)}"))
                        task.add_done_callback(lambda t: log(f"second {told(t)}"))
                        await attempt(task)
                        await settle()
                """
        ) { _, log in
            for result in [Result<Int, any Error>.success(1), .failure(Refusal(name: "no"))] {
                let task = spawn {
                    try await AsyncIO.sleep(for: .seconds(1))
                    log("work ends")
                    return try result.get()
                }
                task.onComplete { _, result in log("first \(told(result))") }
                task.onComplete { _, result in log("second \(told(result))") }
                _ = await attempt { try await task.value }
                await letAllRun()
            }
        },
        DifferentialCase(
            "the current task is known by its name, however tasks take turns",
            48,
            python: """
                async def main():
                    async def work():
                        for _ in range(2):
                            log(asyncio.current_task().get_name())
                            await asyncio.sleep(0)
                    tasks = [asyncio.create_task(work(), name=name) for name in ("one", "two")]
                    await asyncio.wait(tasks)
                    log(" ".join(task.get_name() for task in tasks))
                """
        ) { _, log in
            var tasks: [LoopTask<Void>] = []
            for name in ["one", "two"] {
                tasks.append(
                    spawn(name: name) {
                        for _ in 0..<2 {
                            log(Task.name ?? "nobody")
                            await AsyncIO.yield()
                        }
                    }
                )
            }
            _ = try await wait(for: tasks)
            log(tasks.map { $0.name ?? "nobody" }.joined(separator: " "))
        },
        DifferentialCase(
            "a task has the context of the place that creates it, and changes stay within it",
            49,
            python: """
                label = contextvars.ContextVar("label", default="none")

                async def main():
                    async def work(name):
                        log(f"{name} {label.get()}")
                        label.set("its own")
                        await asyncio.sleep(1)
                        log(f"{name} {label.get()}")
                    label.set("outer")
                    first = asyncio.create_task(work("first"))
                    label.set("changed")
                    second = asyncio.create_task(work("second"))
                    await first
                    await second
                    log(label.get())
                """
        ) { loop, log in
            @Sendable func work(_ name: String, _ loop: isolated EventLoop) async throws {
                log("\(name) \(label)")
                try await $label.withValue("its own") {
                    _ = loop
                    try await AsyncIO.sleep(for: .seconds(1))
                    log("\(name) \(label)")
                }
            }
            let first = $label.withValue("outer") { spawn { try await work("first", loop) } }
            try await $label.withValue("changed") {
                // Named, or else this would leave the loop.
                _ = loop
                let second = spawn { try await work("second", loop) }
                try await first.value
                try await second.value
                log(label)
            }
        },
    ]
}

/// A task that its own body names.
private final class Itself {
    var task: LoopTask<Void>?
}
