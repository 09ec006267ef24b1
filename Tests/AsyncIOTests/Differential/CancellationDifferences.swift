// Where this library means to differ from asyncio in what cancellation does: Swift's is a fact about a task that stays,
// asyncio's an error that is thrown into it once.

import AsyncIO
import AsyncIOTesting

extension DifferentialCase {
    static let cancellationDifferences: [DifferentialCase] = [
        DifferentialCase(
            "a task that is cancelled before it begins",
            41,
            differs: KnownDifference(
                reason: "Swift has no task that never begins: it runs, and its first wait throws.",
                asyncio: ["0 CancelledError"],
                ours: ["0 begins", "0 CancelledError"]
            ),
            python: """
                async def main():
                    async def work():
                        log("begins")
                        await asyncio.sleep(1)
                        log("never")
                    task = asyncio.create_task(work())
                    task.cancel()
                    log(await attempt(task))
                """
        ) { _, log in
            let task = spawn {
                log("begins")
                try await AsyncIO.sleep(for: .seconds(1))
                log("never")
            }
            task.cancel()
            log(await attempt { try await task.value })
        },
        DifferentialCase(
            "a task that swallows its cancellation and waits again",
            40,
            differs: KnownDifference(
                reason: "A cancelled task of Swift stays cancelled: every later wait throws at once.",
                asyncio: ["1000 swallowed", "2000 waited again", "2000 7"],
                ours: ["1000 swallowed", "1000 CancelledError"]
            ),
            python: """
                async def main():
                    async def work():
                        try:
                            await asyncio.sleep(10)
                        except asyncio.CancelledError:
                            log("swallowed")
                        await asyncio.sleep(1)
                        log("waited again")
                        return 7
                    task = asyncio.create_task(work())
                    await asyncio.sleep(1)
                    task.cancel()
                    log(await attempt(task))
                """
        ) { _, log in
            let task = spawn {
                do { try await AsyncIO.sleep(for: .seconds(10)) } catch { log("swallowed") }
                try await AsyncIO.sleep(for: .seconds(1))
                log("waited again")
                return 7
            }
            try await AsyncIO.sleep(for: .seconds(1))
            task.cancel()
            log(await attempt { try await task.value })
        },
        DifferentialCase(
            "a task that is cancelled right before it returns",
            41,
            differs: KnownDifference(
                reason: "What a task of Swift returns is its result, cancelled or not.",
                asyncio: ["0 CancelledError"],
                ours: ["0 7"]
            ),
            python: """
                async def main():
                    async def work():
                        asyncio.current_task().cancel()
                        return 7
                    log(await attempt(asyncio.create_task(work())))
                """
        ) { _, log in
            let task = spawn {
                cancelThisTask()
                return 7
            }
            log(await attempt { try await task.value })
        },
        DifferentialCase(
            "cancelling one who waits for a task",
            43,
            differs: KnownDifference(
                reason: "Several may wait for a task, and none of them owns it. Asyncio needs a shield for that.",
                asyncio: ["1000 CancelledError", "1000 CancelledError"],
                ours: ["1000 CancelledError", "2000 7"]
            ),
            python: """
                async def main():
                    inner = asyncio.create_task(late(2, 7))
                    async def wait():
                        await inner
                    outer = asyncio.create_task(wait())
                    await asyncio.sleep(1)
                    outer.cancel()
                    log(await attempt(outer))
                    log(await attempt(inner))
                """
        ) { _, log in
            let inner = spawn { try await late(2, .success(7)) }
            let outer = spawn { _ = try await inner.value }
            try await AsyncIO.sleep(for: .seconds(1))
            outer.cancel()
            log(await attempt { try await outer.value })
            log(await attempt { try await inner.value })
        },
        DifferentialCase(
            "whether a task is cancelled, before it has noticed",
            39,
            differs: KnownDifference(
                reason: "Asyncio's question is how the task ended, Swift's whether somebody has cancelled it.",
                asyncio: ["0 false", "0 true"],
                ours: ["0 true", "0 true"]
            ),
            python: """
                async def main():
                    task = asyncio.create_task(asyncio.sleep(10))
                    await settle()
                    task.cancel()
                    log(told(task.cancelled()))
                    await settle()
                    log(told(task.cancelled()))
                """
        ) { _, log in
            let task = spawn { try await AsyncIO.sleep(for: .seconds(10)) }
            await letAllRun()
            task.cancel()
            log("\(task.isCancelled)")
            await letAllRun()
            log("\(task.isCancelled)")
        },
        DifferentialCase(
            "the others, when one of several that are gathered fails",
            52,
            throughPool: true,
            differs: KnownDifference(
                reason: "The operations are children of the one who gathers, and no child outlives its parent's wait.",
                asyncio: ["1000 no", "2000 the other ends"],
                ours: ["1000 the other is cancelled", "1000 no"]
            ),
            python: """
                async def main():
                    async def other():
                        try:
                            await asyncio.sleep(2)
                        except asyncio.CancelledError:
                            log("the other is cancelled")
                            raise
                        log("the other ends")
                    log(await attempt(asyncio.gather(late(1, Refusal("no")), other())))
                    await asyncio.sleep(2)
                """
        ) { _, log in
            let outcome = await attempt {
                _ = try await gather(
                    { try await late(1, .failure(Refusal(name: "no"))) },
                    {
                        do { try await AsyncIO.sleep(for: .seconds(2)) } catch {
                            log("the other is cancelled")
                            throw error
                        }
                        log("the other ends")
                    }
                )
            }
            log(outcome)
            try await AsyncIO.sleep(for: .seconds(2))
        },
        DifferentialCase(
            "a limit of time on what goes on although it was cancelled",
            40,
            throughPool: true,
            differs: KnownDifference(
                reason: "The limit cancels its body for good, where asyncio's error can be caught and forgotten.",
                asyncio: ["1000 caught", "3000 has waited again", "3000 ok"],
                ours: ["1000 caught", "1000 TimeoutError"]
            ),
            python: """
                async def main():
                    async def work():
                        async with asyncio.timeout(1):
                            try:
                                await asyncio.sleep(10)
                            except asyncio.CancelledError:
                                log("caught")
                            await asyncio.sleep(2)
                            log("has waited again")
                    log(await attempt(asyncio.create_task(work())))
                """
        ) { _, log in
            let outcome = await attempt {
                try await withTimeout(.seconds(1)) {
                    do { try await AsyncIO.sleep(for: .seconds(10)) } catch { log("caught") }
                    try await AsyncIO.sleep(for: .seconds(2))
                    log("has waited again")
                }
            }
            log(outcome)
        },
        DifferentialCase(
            "an error behind a shield, when the one who waited was cancelled",
            44,
            differs: KnownDifference(
                reason:
                    "To wait for it counts as having seen its errors; asyncio reports one that nobody hears.",
                asyncio: ["3000 CancelledError", "reported: no"],
                ours: ["3000 CancelledError"]
            ),
            python: """
                async def main():
                    async def wait():
                        await asyncio.shield(late(2, Refusal("no")))
                    task = asyncio.create_task(wait())
                    await asyncio.sleep(1)
                    task.cancel()
                    await asyncio.sleep(2)
                    log(told(task))
                """
        ) { _, log in
            let task = spawn { _ = try await shield { try await late(2, .failure(Refusal(name: "no"))) } }
            try await AsyncIO.sleep(for: .seconds(1))
            task.cancel()
            try await AsyncIO.sleep(for: .seconds(2))
            log(told(task))
        },
        DifferentialCase(
            "who was woken by an event and is cancelled in the same turn",
            81,
            differs: KnownDifference(
                reason: "The wait was over when the cancellation came, and so it is the next one that throws.",
                asyncio: ["0 CancelledError"],
                ours: ["0 was woken", "0 CancelledError"]
            ),
            python: """
                async def main():
                    event = asyncio.Event()
                    async def work():
                        await event.wait()
                        log("was woken")
                        await asyncio.sleep(1)
                    task = asyncio.create_task(work())
                    await settle()
                    event.set()
                    task.cancel()
                    log(await attempt(task))
                """
        ) { _, log in
            let event = Transfer(AsyncEvent())
            let task = spawn {
                try await event.value.wait()
                log("was woken")
                try await AsyncIO.sleep(for: .seconds(1))
            }
            await letAllRun()
            event.value.set()
            task.cancel()
            log(await attempt { try await task.value })
        },
    ]
}
