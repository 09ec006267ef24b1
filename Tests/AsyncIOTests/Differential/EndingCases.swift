// How tasks end in both languages: by cancellation, at the end of the run, and with errors that nobody looks at.

import AsyncIO
import AsyncIOTesting

extension DifferentialCase {
    static let endings: [DifferentialCase] = [
        DifferentialCase(
            "cancelling a task that sleeps ends it at once, and its timer with it",
            46,
            python: """
                async def main():
                    async def work():
                        try:
                            await asyncio.sleep(10)
                        except asyncio.CancelledError:
                            log("cancelled")
                            raise
                        finally:
                            log("cleans up")
                    task = asyncio.create_task(work())
                    await asyncio.sleep(1)
                    task.cancel()
                    log("not yet")
                    log(await attempt(task))
                    await asyncio.sleep(1)
                    log("over")
                """
        ) { _, log in
            let task = spawn {
                defer { log("cleans up") }
                do { try await AsyncIO.sleep(for: .seconds(10)) } catch is CancellationError {
                    log("cancelled")
                    throw CancellationError()
                }
            }
            try await AsyncIO.sleep(for: .seconds(1))
            task.cancel()
            log("not yet")
            log(await attempt { try await task.value })
            try await AsyncIO.sleep(for: .seconds(1))
            log("over")
        },
        DifferentialCase(
            "a task that cancels itself goes on to its next wait",
            41,
            python: """
                async def main():
                    async def work():
                        asyncio.current_task().cancel()
                        log("goes on")
                        await asyncio.sleep(0)
                        log("never")
                    log(await attempt(asyncio.create_task(work())))
                """
        ) { _, log in
            let task = spawn {
                cancelThisTask()
                log("goes on")
                try await AsyncIO.sleep(for: .zero)
                log("never")
            }
            log(await attempt { try await task.value })
        },
        DifferentialCase(
            "cancelling twice before the task notices is cancelling once",
            39,
            python: """
                async def main():
                    async def work():
                        try:
                            await asyncio.sleep(10)
                        except asyncio.CancelledError as error:
                            log("cancelled")
                            raise
                    task = asyncio.create_task(work())
                    await settle()
                    task.cancel()
                    task.cancel()
                    await settle()
                    log(told(task))
                    task.cancel()
                    await settle()
                    log(told(task))
                """
        ) { _, log in
            let task = spawn {
                do { try await AsyncIO.sleep(for: .seconds(10)) } catch {
                    log("cancelled")
                    throw error
                }
            }
            await letAllRun()
            task.cancel()
            task.cancel()
            await letAllRun()
            log(told(task))
            task.cancel()
            await letAllRun()
            log(told(task))
        },
        DifferentialCase(
            "a task may end with an error or a value although it was cancelled",
            40,
            python: """
                async def main():
                    async def refuses():
                        try:
                            await asyncio.sleep(10)
                        except asyncio.CancelledError:
                            raise Refusal("instead")
                    async def ignores():
                        try:
                            await asyncio.sleep(10)
                        except asyncio.CancelledError:
                            return 7
                    tasks = [asyncio.create_task(refuses()), asyncio.create_task(ignores())]
                    await settle()
                    for task in tasks:
                        task.cancel()
                    for task in tasks:
                        log(await attempt(task))
                """
        ) { _, log in
            let refuses = spawn {
                do { try await AsyncIO.sleep(for: .seconds(10)) } catch { throw Refusal(name: "instead") }
            }
            let ignores = spawn {
                do { try await AsyncIO.sleep(for: .seconds(10)) } catch { return 7 }
                return 0
            }
            await letAllRun()
            refuses.cancel()
            ignores.cancel()
            log(await attempt { try await refuses.value })
            log(await attempt { try await ignores.value })
        },
        DifferentialCase(
            "tasks are cancelled in the order of the calls, those that wait for the same thing too",
            39,
            python: """
                async def main():
                    event = asyncio.Event()
                    async def work(name):
                        try:
                            await event.wait()
                        finally:
                            log(name)
                    tasks = [asyncio.create_task(work(name)) for name in "abcd"]
                    await settle()
                    for index in (2, 0, 3):
                        tasks[index].cancel()
                    event.set()
                    await settle()
                    log(" ".join(told(task) for task in tasks))
                """
        ) { loop, log in
            let event = Transfer(AsyncEvent())
            let tasks = spawnEach(4, on: loop) { number in
                defer { log(["a", "b", "c", "d"][number]) }
                try await event.value.wait()
            }
            await letAllRun()
            for index in [2, 0, 3] { tasks[index].cancel() }
            event.value.set()
            await letAllRun()
            log(tasks.map { told($0) }.joined(separator: " "))
        },
        DifferentialCase(
            "when the run ends, what is left is cancelled and awaited",
            27,
            throughPool: true,
            python: """
                async def main():
                    async def work(name):
                        try:
                            await asyncio.sleep(10)
                            log("never")
                        finally:
                            log(f"{name} ends")
                    left = asyncio.create_task(work("what is left"))
                    await asyncio.sleep(1)
                    log("the main task ends")
                """
        ) { _, log in
            spawn {
                defer { log("what is left ends") }
                try await AsyncIO.sleep(for: .seconds(10))
                log("never")
            }
            try await AsyncIO.sleep(for: .seconds(1))
            log("the main task ends")
        },
        DifferentialCase(
            "what fails while the run ends is reported, and does not change how it ends",
            28,
            throughPool: true,
            python: """
                async def main():
                    async def work():
                        try:
                            await asyncio.sleep(10)
                        except asyncio.CancelledError:
                            log("fails")
                            raise Refusal("at the end")
                    task = asyncio.create_task(work())
                    await asyncio.sleep(1)
                    raise Refusal("of the main task")
                """
        ) { _, log in
            spawn {
                do { try await AsyncIO.sleep(for: .seconds(10)) } catch {
                    log("fails")
                    throw Refusal(name: "at the end")
                }
            }
            try await AsyncIO.sleep(for: .seconds(1))
            throw Refusal(name: "of the main task")
        },
        DifferentialCase(
            "only the errors of tasks that nobody has looked at are reported",
            35,
            python: """
                async def main():
                    async def fails(name):
                        raise Refusal(name)
                    asyncio.create_task(fails("unseen"))
                    seen = asyncio.create_task(fails("seen"))
                    asked = asyncio.create_task(fails("asked"))
                    cancelled = asyncio.create_task(asyncio.sleep(10))
                    await settle()
                    cancelled.cancel()
                    log(await attempt(seen))
                    log(told(asked.exception()))
                """
        ) { _, log in
            spawn { throw Refusal(name: "unseen") }
            let seen = spawn { throw Refusal(name: "seen") }
            let asked = spawn { throw Refusal(name: "asked") }
            let cancelled = spawn { try await AsyncIO.sleep(for: .seconds(10)) }
            await letAllRun()
            cancelled.cancel()
            log(await attempt { try await seen.value })
            log(told(asked))
        },
    ]
}
