// Groups of tasks that fail together, and races of attempts, in both languages. Asyncio's groups are sets, which cancel
// their children in no order: who has ended is told in the order of the names.

import AsyncIO
import AsyncIOTesting

extension DifferentialCase {
    static let groups: [DifferentialCase] = [
        DifferentialCase(
            "a group waits for all its children, those that children add included",
            72,
            throughPool: true,
            python: """
                async def main():
                    async with asyncio.TaskGroup() as group:
                        async def child(depth):
                            await asyncio.sleep(1)
                            log(f"child {depth}")
                            if depth < 3:
                                group.create_task(child(depth + 1))
                        group.create_task(child(0))
                        log("the body ends")
                    log("over")
                """
        ) { _, log in
            try await withErrorCollectingTaskGroup { group in
                group.addTask { try await grow(group, 0, log) }
                log("the body ends")
            }
            log("over")
        },
        DifferentialCase(
            "the first child that fails cancels the others and the body, and all real errors are told",
            70,
            throughPool: true,
            python: """
                async def main():
                    ended = []
                    async def fails(seconds, name):
                        try:
                            await asyncio.sleep(seconds)
                        finally:
                            ended.append(f"{name} fails")
                            raise Refusal(name)
                    async def waits(name):
                        try:
                            await asyncio.sleep(10)
                        finally:
                            ended.append(f"{name} ends")
                    try:
                        async with asyncio.TaskGroup() as group:
                            group.create_task(fails(5, "second"))
                            group.create_task(waits("child"))
                            group.create_task(fails(1, "first"))
                            await waits("body")
                    except BaseException as error:
                        log(f"{', '.join(sorted(ended))}: {told(error)}")
                """
        ) { _, log in
            let ended = Recorder<String>()
            @Sendable func fails(_ seconds: Int, _ name: String) async throws {
                try? await AsyncIO.sleep(for: .seconds(seconds))
                ended.append("\(name) fails")
                throw Refusal(name: name)
            }
            @Sendable func waits(_ name: String) async throws {
                defer { ended.append("\(name) ends") }
                try await AsyncIO.sleep(for: .seconds(10))
            }
            do {
                try await withErrorCollectingTaskGroup { group in
                    group.addTask { try await fails(5, "second") }
                    group.addTask { try await waits("child") }
                    group.addTask { try await fails(1, "first") }
                    try await waits("body")
                }
            } catch { log("\(ended.all.sorted().joined(separator: ", ")): \(told(error))") }
        },
        DifferentialCase(
            "an error of the body cancels the children, which do not hide it",
            70,
            throughPool: true,
            python: """
                async def main():
                    async def waits():
                        try:
                            await asyncio.sleep(10)
                        finally:
                            log("child ends")
                    try:
                        async with asyncio.TaskGroup() as group:
                            group.create_task(waits())
                            await asyncio.sleep(1)
                            raise Refusal("body")
                    except BaseException as error:
                        log(told(error))
                """
        ) { _, log in
            do {
                try await withErrorCollectingTaskGroup { group in
                    group.addTask { try await noting(log, "child") }
                    try await AsyncIO.sleep(for: .seconds(1))
                    throw Refusal(name: "body")
                }
            } catch { log(told(error)) }
        },
        DifferentialCase(
            "a child that ends as cancelled cancels nobody",
            70,
            throughPool: true,
            python: """
                async def main():
                    async with asyncio.TaskGroup() as group:
                        group.create_task(late(1, asyncio.CancelledError()))
                        group.create_task(late(2, 2)).add_done_callback(lambda task: log(told(task)))
                        await asyncio.sleep(3)
                        log("body")
                    log("over")
                """
        ) { _, log in
            try await withErrorCollectingTaskGroup { group in
                group.addTask { _ = try await late(1, .failure(CancellationError())) }
                group.addTask { log("\(try await late(2, .success(2)))") }
                try await AsyncIO.sleep(for: .seconds(3))
                log("body")
            }
            log("over")
        },
        DifferentialCase(
            "cancelling the task of a group cancels all children, which are awaited",
            71,
            throughPool: true,
            python: """
                async def main():
                    ended = []
                    async def waits(name):
                        try:
                            await asyncio.sleep(10)
                        finally:
                            ended.append(name)
                    async def owner():
                        async with asyncio.TaskGroup() as group:
                            group.create_task(waits("one"))
                            group.create_task(waits("two"))
                    task = asyncio.create_task(owner())
                    await asyncio.sleep(1)
                    task.cancel()
                    log(await attempt(task))
                    log(" ".join(sorted(ended)))
                """
        ) { _, log in
            let ended = Recorder<String>()
            let task = spawn {
                try await withErrorCollectingTaskGroup { group in
                    for name in ["one", "two"] {
                        group.addTask {
                            defer { ended.append(name) }
                            try await AsyncIO.sleep(for: .seconds(10))
                        }
                    }
                }
            }
            try await AsyncIO.sleep(for: .seconds(1))
            task.cancel()
            log(await attempt { try await task.value })
            log(ended.all.sorted().joined(separator: " "))
        },
        DifferentialCase(
            "errors of children that were cancelled from outside count more than the cancellation",
            71,
            75,
            throughPool: true,
            python: """
                async def main():
                    async def fails():
                        try:
                            await asyncio.sleep(10)
                        finally:
                            raise Refusal("child")
                    async def owner():
                        async with asyncio.TaskGroup() as group:
                            group.create_task(fails())
                            group.create_task(late(10))
                            await asyncio.sleep(10)
                    task = asyncio.create_task(owner())
                    await asyncio.sleep(1)
                    task.cancel()
                    log(await attempt(task))
                """
        ) { _, log in
            let task = spawn {
                try await withErrorCollectingTaskGroup { group in
                    group.addTask {
                        try? await AsyncIO.sleep(for: .seconds(10))
                        throw Refusal(name: "child")
                    }
                    group.addTask { try await AsyncIO.sleep(for: .seconds(10)) }
                    try await AsyncIO.sleep(for: .seconds(10))
                }
            }
            try await AsyncIO.sleep(for: .seconds(1))
            task.cancel()
            log(await attempt { try await task.value })
        },
        DifferentialCase(
            "a group that fails within another is one error of that one",
            74,
            throughPool: true,
            python: """
                async def main():
                    try:
                        async with asyncio.TaskGroup() as outer:
                            async def child():
                                async with asyncio.TaskGroup() as inner:
                                    inner.create_task(late(1, Refusal("inner")))
                                    inner.create_task(late(10))
                            outer.create_task(child())
                            outer.create_task(late(10))
                    except BaseException as error:
                        log(told(error))
                """
        ) { _, log in
            do {
                try await withErrorCollectingTaskGroup { outer in
                    outer.addTask {
                        try await withErrorCollectingTaskGroup { inner in
                            inner.addTask { _ = try await late(1, .failure(Refusal(name: "inner"))) }
                            inner.addTask { try await AsyncIO.sleep(for: .seconds(10)) }
                        }
                    }
                    outer.addTask { try await AsyncIO.sleep(for: .seconds(10)) }
                }
            } catch { log(told(error)) }
        },
        DifferentialCase(
            "a limit of time around a group ends its children, and is a limit",
            76,
            throughPool: true,
            python: """
                async def main():
                    async def waits():
                        try:
                            await asyncio.sleep(10)
                        finally:
                            log("child ends")
                    try:
                        async with asyncio.timeout(2):
                            async with asyncio.TaskGroup() as group:
                                group.create_task(waits())
                    except TimeoutError as error:
                        log(told(error))
                    await asyncio.sleep(1)
                    log("goes on")
                """
        ) { _, log in
            do {
                try await withTimeout(.seconds(2)) {
                    try await withErrorCollectingTaskGroup { group in
                        group.addTask { try await noting(log, "child") }
                    }
                }
            } catch { log(told(error)) }
            try await AsyncIO.sleep(for: .seconds(1))
            log("goes on")
        },
    ]

    static let races: [DifferentialCase] = [
        raceCase("the first attempt succeeds before the next is due", 2, [(1, true), (1, true)]),
        raceCase("an attempt that fails brings the next at once", 5, [(1, false), (3, true)]),
        raceCase("an attempt that takes long is joined by the next, which wins", 2, [(9, true), (1, true), (1, true)]),
        raceCase("without a delay the next begins when the one before has failed", nil, [(3, false), (2, true)]),
        raceCase("if all fail, all errors are told", 1, [(3, false), (1, false), (4, false)]),
    ]

    /// Attempts, each of which takes so many seconds and succeeds or not.
    private static func raceCase(_ name: String, _ delay: Int?, _ attempts: [(Int, Bool)]) -> DifferentialCase {
        let list = attempts.map { "(\($0.0), \($0.1 ? "True" : "False"))" }.joined(separator: ", ")
        return DifferentialCase(
            name,
            77,
            throughPool: true,
            python: """
                async def main():
                    def operation(number, seconds, succeeds):
                        async def run():
                            log(f"{number} begins")
                            try:
                                await asyncio.sleep(seconds)
                            except asyncio.CancelledError:
                                log(f"{number} cancelled")
                                raise
                            if not succeeds:
                                raise Refusal(f"error {number}")
                            return number
                        return run
                    operations = [operation(number, *spec) for number, spec in enumerate([\(list)])]
                    value, index, errors = await staggered_race(operations, \(delay.map { "\($0)" } ?? "None"))
                    if index is not None:
                        log(f"{index} wins with {value}")
                    log(" ".join(told(error) for error in errors if isinstance(error, Refusal)))
                """
        ) { _, log in
            typealias Attempt = @Sendable @isolated(any) () async throws -> Int
            let operations = attempts.enumerated().map { number, spec -> Attempt in
                {
                    log("\(number) begins")
                    do { try await AsyncIO.sleep(for: .seconds(spec.0)) } catch {
                        log("\(number) cancelled")
                        throw error
                    }
                    if !spec.1 { throw Refusal(name: "error \(number)") }
                    return number
                }
            }
            let errors: [(any Error)?]
            do {
                let winner = try await staggeredRace(delay: delay.map { .seconds($0) }, operations)
                log("\(winner.index) wins with \(winner.value)")
                errors = winner.errors
            } catch let error as StaggeredRaceError { errors = error.errors }
            log(errors.compactMap { $0 as? Refusal }.map(told).joined(separator: " "))
        }
    }
}

/// A child that adds a child, three times.
private nonisolated(nonsending) func grow(
    _ group: ErrorCollectingTaskGroup,
    _ depth: Int,
    _ log: CaseLog
) async throws {
    try await AsyncIO.sleep(for: .seconds(1))
    log("child \(depth)")
    if depth < 3 { group.addTask { try await grow(group, depth + 1, log) } }
}
