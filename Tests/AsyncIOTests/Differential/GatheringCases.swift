// Several operations at once in both languages. That asyncio's siblings of one that fails go on is among the known
// differences.

import AsyncIO
import AsyncIOTesting

extension DifferentialCase {
    static let gathering: [DifferentialCase] = [
        DifferentialCase(
            "results come in the order of the operations, after as long as the longest takes",
            52,
            throughPool: true,
            python: """
                async def main():
                    async def work(seconds):
                        log(f"begins {seconds}")
                        await asyncio.sleep(seconds)
                        log(f"ends {seconds}")
                        return seconds * 10
                    log(told(await asyncio.gather(work(3), work(1), work(2))))
                    log(told(await asyncio.gather()))
                """
        ) { _, log in
            @Sendable func work(_ seconds: Int) async throws -> Int {
                log("begins \(seconds)")
                try await AsyncIO.sleep(for: .seconds(seconds))
                log("ends \(seconds)")
                return seconds * 10
            }
            let results = try await gather({ try await work(3) }, { try await work(1) }, { try await work(2) })
            log("\([results.0, results.1, results.2])")
            let none: [@Sendable @isolated(any) () async throws -> Int] = []
            log("\(try await gather(none))")
        },
        DifferentialCase(
            "the first error in time is what gathering throws, as soon as it is there",
            52,
            throughPool: true,
            python: """
                async def main():
                    log(await attempt(asyncio.gather(
                        late(3, Refusal("three")), late(1, Refusal("one")), late(2, 2))))
                """
        ) { _, log in
            log(
                await attempt {
                    try await gather(
                        { try await late(3, .failure(Refusal(name: "three"))) },
                        { try await late(1, .failure(Refusal(name: "one"))) },
                        { try await late(2, .success(2)) }
                    )
                }
            )
        },
        DifferentialCase(
            "results and errors of all, in order, where none is cancelled because another fails",
            52,
            throughPool: true,
            python: """
                async def main():
                    results = await asyncio.gather(
                        late(2, 2), late(1, Refusal("no")), late(1, asyncio.CancelledError()), late(3, 3),
                        return_exceptions=True)
                    log(", ".join(told(result) for result in results))
                """
        ) { _, log in
            let results = try await gatherResults([
                { @Sendable in try await late(2, .success(2)) },
                { @Sendable in try await late(1, .failure(Refusal(name: "no"))) },
                { @Sendable in try await late(1, .failure(CancellationError())) },
                { @Sendable in try await late(3, .success(3)) },
            ])
            log(results.map { told($0) }.joined(separator: ", "))
        },
        DifferentialCase(
            "cancelling the one who gathers cancels all operations, in order",
            53,
            throughPool: true,
            python: """
                async def main():
                    async def work(name):
                        try:
                            await asyncio.sleep(10)
                        finally:
                            log(f"{name} ends")
                    async def gather():
                        await asyncio.gather(work("one"), work("two"), work("three"))
                    task = asyncio.create_task(gather())
                    await asyncio.sleep(1)
                    task.cancel()
                    log(await attempt(task))
                """
        ) { _, log in
            let task = spawn {
                try await gather(
                    { try await noting(log, "one") },
                    { try await noting(log, "two") },
                    { try await noting(log, "three") }
                )
            }
            try await AsyncIO.sleep(for: .seconds(1))
            task.cancel()
            log(await attempt { _ = try await task.value })
        },
        DifferentialCase(
            "who gathers results and errors, and is cancelled, is told so when all have ended",
            54,
            throughPool: true,
            python: """
                async def main():
                    async def work(name):
                        try:
                            await asyncio.sleep(10)
                        finally:
                            log(f"{name} ends")
                    async def gather():
                        await asyncio.gather(work("one"), work("two"), return_exceptions=True)
                        log("never")
                    task = asyncio.create_task(gather())
                    await asyncio.sleep(1)
                    task.cancel()
                    log(await attempt(task))
                """
        ) { _, log in
            let task = spawn {
                try await gatherResults([
                    { @Sendable in try await noting(log, "one") }, { @Sendable in try await noting(log, "two") },
                ])
                log("never")
            }
            try await AsyncIO.sleep(for: .seconds(1))
            task.cancel()
            log(await attempt { try await task.value })
        },
        DifferentialCase(
            "a second operation that fails at the same time is not reported",
            55,
            throughPool: true,
            python: """
                async def main():
                    log(await attempt(asyncio.gather(late(1, Refusal("first")), late(1, Refusal("second")))))
                    await asyncio.sleep(1)
                """
        ) { _, log in
            log(
                await attempt {
                    _ = try await gather(
                        { try await late(1, .failure(Refusal(name: "first"))) },
                        { try await late(1, .failure(Refusal(name: "second"))) }
                    )
                }
            )
            try await AsyncIO.sleep(for: .seconds(1))
        },
        DifferentialCase(
            "one who gathers can gather again within",
            52,
            throughPool: true,
            python: """
                async def main():
                    async def tree(depth):
                        if depth == 0:
                            await asyncio.sleep(1)
                            return 1
                        return sum(await asyncio.gather(tree(depth - 1), tree(depth - 1)))
                    log(told(await tree(5)))
                """
        ) { _, log in
            log("\(try await tree(5))")
        },
    ]
}

/// Two operations for each level, one below the other.
private nonisolated(nonsending) func tree(_ depth: Int) async throws -> Int {
    if depth == 0 {
        try await AsyncIO.sleep(for: .seconds(1))
        return 1
    }
    let (left, right) = try await gather({ try await tree(depth - 1) }, { try await tree(depth - 1) })
    return left + right
}

/// An end that comes after so many seconds.
func late(_ seconds: Int, _ result: Result<Int, any Error>) async throws -> Int {
    try await AsyncIO.sleep(for: .seconds(seconds))
    return try result.get()
}

/// Waits for long, and tells that it ends.
func noting(_ log: CaseLog, _ name: String) async throws {
    defer { log("\(name) ends") }
    try await AsyncIO.sleep(for: .seconds(10))
}
