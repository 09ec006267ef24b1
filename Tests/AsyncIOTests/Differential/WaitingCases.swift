// Waiting for several tasks, and taking them as they end, in both languages. Asyncio's sets have no order, and so what
// is in them is told in the order of the names.

import AsyncIO
import AsyncIOTesting

extension DifferentialCase {
    static let waiting: [DifferentialCase] = [
        waitCase("waiting for all", 57, "ALL_COMPLETED", .allCompleted),
        waitCase("waiting for the first", 57, "FIRST_COMPLETED", .firstCompleted),
        waitCase("waiting for the first error, which a cancellation is not", 57, "FIRST_EXCEPTION", .firstError),
        waitCase("waiting for some time, to which who ends just then belongs", 58, "ALL_COMPLETED", .allCompleted, 2),
        waitCase("waiting for no time at all", 58, "FIRST_COMPLETED", .firstCompleted, 0),
        DifferentialCase(
            "waiting for what has ended already takes no time",
            57,
            python: """
                async def main():
                    tasks = [asyncio.create_task(late(1, 1)), asyncio.create_task(late(9, 9))]
                    await asyncio.sleep(2)
                    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                    log(f"{len(done)} {len(pending)}")
                    done, pending = await asyncio.wait([tasks[0], tasks[0]])
                    log(f"{len(done)} {len(pending)}")
                """
        ) { _, log in
            let tasks = [spawn { try await late(1, .success(1)) }, spawn { try await late(9, .success(9)) }]
            try await AsyncIO.sleep(for: .seconds(2))
            let first = try await wait(for: tasks, until: .firstCompleted)
            log("\(first.done.count) \(first.pending.count)")
            let second = try await wait(for: [tasks[0], tasks[0]])
            log("\(second.done.count) \(second.pending.count)")
        },
        DifferentialCase(
            "cancelling the one who waits leaves the tasks alone",
            59,
            python: """
                async def main():
                    tasks = [asyncio.create_task(late(2, 2)), asyncio.create_task(late(3, 3))]
                    async def wait():
                        await asyncio.wait(tasks)
                    waiter = asyncio.create_task(wait())
                    await asyncio.sleep(1)
                    waiter.cancel()
                    log(await attempt(waiter))
                    log(" ".join(told(task) for task in tasks))
                    for task in tasks:
                        log(await attempt(task))
                """
        ) { _, log in
            let tasks = [spawn { try await late(2, .success(2)) }, spawn { try await late(3, .success(3)) }]
            let waiter = spawn { _ = try await wait(for: tasks) }
            try await AsyncIO.sleep(for: .seconds(1))
            waiter.cancel()
            log(await attempt { try await waiter.value })
            log(tasks.map { told($0) }.joined(separator: " "))
            for task in tasks { log(await attempt { try await task.value }) }
        },
        DifferentialCase(
            "tasks come as they end, with their errors",
            60,
            python: """
                async def main():
                    tasks = [asyncio.create_task(late(3, 3)), asyncio.create_task(late(1, 1)),
                             asyncio.create_task(late(2, Refusal("two")))]
                    for task in asyncio.as_completed(tasks):
                        log(await attempt(task))
                    log("over")
                """
        ) { _, log in
            let tasks = [
                spawn { try await late(3, .success(3)) }, spawn { try await late(1, .success(1)) },
                spawn { try await late(2, .failure(Refusal(name: "two"))) },
            ]
            for try await task in asCompleted(tasks) { log(await attempt { try await task.value }) }
            log("over")
        },
        DifferentialCase(
            "what has ended comes without waiting, and a task that is named twice comes once",
            60,
            python: """
                async def main():
                    first, second = asyncio.create_task(late(1, 1)), asyncio.create_task(late(3, 3))
                    await asyncio.sleep(2)
                    for task in asyncio.as_completed([first, first, second, first]):
                        log(await attempt(task))
                """
        ) { _, log in
            let (first, second) = (spawn { try await late(1, .success(1)) }, spawn { try await late(3, .success(3)) })
            try await AsyncIO.sleep(for: .seconds(2))
            for try await task in asCompleted([first, first, second, first]) {
                log(await attempt { try await task.value })
            }
        },
        DifferentialCase(
            "who has not ended in time is not waited for, and goes on",
            60,
            python: """
                async def main():
                    tasks = [asyncio.create_task(late(seconds, seconds)) for seconds in (1, 5, 2)]
                    try:
                        for task in asyncio.as_completed(tasks, timeout=3):
                            log(told(await task))
                    except TimeoutError as error:
                        log(told(error))
                    log(" ".join(told(task) for task in tasks))
                    log(await attempt(tasks[1]))
                """
        ) { loop, log in
            let tasks = spawnEach(3, on: loop) { number in
                let seconds = [1, 5, 2][number]
                return try await late(seconds, .success(seconds))
            }
            do {
                for try await task in asCompleted(tasks, timeout: .seconds(3)) { log("\(try await task.value)") }
            } catch { log(told(error)) }
            log(tasks.map { told($0) }.joined(separator: " "))
            log(await attempt { try await tasks[1].value })
        },
        DifferentialCase(
            "one can stop taking tasks, and another goes on with those that are left",
            60,
            python: """
                async def main():
                    tasks = [asyncio.create_task(late(seconds, seconds)) for seconds in (2, 4, 1, 3)]
                    completed = iter(asyncio.as_completed(tasks))
                    for task in completed:
                        log(told(await task))
                        break
                    for task in completed:
                        log(f"again {told(await task)}")
                """
        ) { loop, log in
            let tasks = spawnEach(4, on: loop) { number in
                let seconds = [2, 4, 1, 3][number]
                return try await late(seconds, .success(seconds))
            }
            let completed = asCompleted(tasks)
            for try await task in completed {
                log("\(try await task.value)")
                break
            }
            for try await task in completed { log("again \(try await task.value)") }
        },
    ]

    /// Four tasks, of which one is cancelled, one fails and two succeed, one second after the other.
    private static func waitCase(
        _ name: String,
        _ behaviour: Int,
        _ python: String,
        _ condition: WaitCondition,
        _ timeout: Int? = nil
    ) -> DifferentialCase {
        DifferentialCase(
            name,
            behaviour,
            python: """
                async def main():
                    tasks = {
                        "a": asyncio.create_task(late(4, 4)),
                        "b": asyncio.create_task(late(1, asyncio.CancelledError())),
                        "c": asyncio.create_task(late(2, 2)),
                        "d": asyncio.create_task(late(3, Refusal("no"))),
                    }
                    condition = asyncio.\(python)
                    done, pending = await asyncio.wait(
                        tasks.values(), timeout=\(timeout.map { "\($0)" } ?? "None"), return_when=condition)
                    log("done " + " ".join(name for name in tasks if tasks[name] in done))
                    log("pending " + " ".join(name for name in tasks if tasks[name] in pending))
                    await asyncio.sleep(5)
                    log(" ".join(told(task) for task in tasks.values()))
                """
        ) { _, log in
            let tasks = [
                spawn(name: "a") { try await late(4, .success(4)) },
                spawn(name: "b") { try await late(1, .failure(CancellationError())) },
                spawn(name: "c") { try await late(2, .success(2)) },
                spawn(name: "d") { try await late(3, .failure(Refusal(name: "no"))) },
            ]
            let limit = timeout.map { Duration.seconds($0) }
            let (done, pending) = try await wait(for: tasks, until: condition, timeout: limit)
            log("done " + done.compactMap(\.name).joined(separator: " "))
            log("pending " + pending.compactMap(\.name).joined(separator: " "))
            try await AsyncIO.sleep(for: .seconds(5))
            log(tasks.map { told($0) }.joined(separator: " "))
        }
    }

    static let shields: [DifferentialCase] = [
        DifferentialCase(
            "cancelling the one who waits behind a shield ends its wait at once, and the work goes on",
            44,
            python: """
                async def main():
                    async def work():
                        await asyncio.sleep(5)
                        log("the work ends")
                    async def wait():
                        await asyncio.shield(work())
                    task = asyncio.create_task(wait())
                    await asyncio.sleep(1)
                    task.cancel()
                    log(await attempt(task))
                    await asyncio.sleep(5)
                """
        ) { _, log in
            let task = spawn {
                try await shield {
                    try await AsyncIO.sleep(for: .seconds(5))
                    log("the work ends")
                }
            }
            try await AsyncIO.sleep(for: .seconds(1))
            task.cancel()
            log(await attempt { try await task.value })
            try await AsyncIO.sleep(for: .seconds(5))
        },
        DifferentialCase(
            "values, errors and cancellation come through a shield",
            44,
            python: """
                async def main():
                    log(await attempt(asyncio.shield(late(1, 1))))
                    log(await attempt(asyncio.shield(late(1, Refusal("no")))))
                    log(await attempt(asyncio.shield(late(1, asyncio.CancelledError()))))
                """
        ) { _, log in
            log(await attempt { try await shield { try await late(1, .success(1)) } })
            log(await attempt { try await shield { try await late(1, .failure(Refusal(name: "no"))) } })
            log(await attempt { try await shield { try await late(1, .failure(CancellationError())) } })
        },
        DifferentialCase(
            "several operations behind one shield all go on",
            44,
            throughPool: true,
            python: """
                async def main():
                    async def work(name):
                        await asyncio.sleep(2)
                        log(f"{name} ends")
                    async def wait():
                        await asyncio.shield(asyncio.gather(work("one"), work("two")))
                    task = asyncio.create_task(wait())
                    await asyncio.sleep(1)
                    task.cancel()
                    log(await attempt(task))
                    await asyncio.sleep(2)
                """
        ) { _, log in
            @Sendable func work(_ name: String) async throws {
                try await AsyncIO.sleep(for: .seconds(2))
                log("\(name) ends")
            }
            let task = spawn {
                _ = try await shield { _ = try await gather({ try await work("one") }, { try await work("two") }) }
            }
            try await AsyncIO.sleep(for: .seconds(1))
            task.cancel()
            log(await attempt { try await task.value })
            try await AsyncIO.sleep(for: .seconds(2))
        },
    ]
}
