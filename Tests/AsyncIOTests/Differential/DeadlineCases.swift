// Limits of time in both languages: `wait_for` and `timeout` of asyncio, `withTimeout` and `withDeadline` here.

import AsyncIO
import AsyncIOTesting

extension DifferentialCase {
    static let timeouts: [DifferentialCase] = [
        DifferentialCase(
            "what ends in time ends as it does, and what does not is cancelled",
            61,
            throughPool: true,
            python: """
                async def main():
                    log(await attempt(asyncio.wait_for(late(1, 7), 2)))
                    log(await attempt(asyncio.wait_for(late(1, Refusal("no")), 2)))
                    async def work():
                        try:
                            await asyncio.sleep(10)
                        finally:
                            log("work ends")
                    log(await attempt(asyncio.wait_for(work(), 2)))
                """
        ) { _, log in
            log(await attempt { try await withTimeout(.seconds(2)) { try await late(1, .success(7)) } })
            log(
                await attempt {
                    try await withTimeout(.seconds(2)) { try await late(1, .failure(Refusal(name: "no"))) }
                }
            )
            log(await attempt { try await withTimeout(.seconds(2)) { try await noting(log, "work") } })
        },
        DifferentialCase(
            "with no time at all, or less, the body does not begin",
            61,
            throughPool: true,
            python: """
                async def main():
                    async def work():
                        log("never")
                    for seconds in (0, -1):
                        log(await attempt(asyncio.wait_for(work(), seconds)))
                """
        ) { _, log in
            for seconds in [0, -1] {
                log(await attempt { try await withTimeout(.seconds(seconds)) { log("never") } })
            }
        },
        DifferentialCase(
            "a limit waits for the body to clean up",
            62,
            throughPool: true,
            python: """
                async def main():
                    async def work():
                        try:
                            await asyncio.sleep(10)
                        except asyncio.CancelledError:
                            log("cleans up")
                            await asyncio.sleep(3)
                            log("has cleaned up")
                            raise
                    log(await attempt(asyncio.wait_for(work(), 1)))
                """
        ) { loop, log in
            log(
                await attempt {
                    try await withTimeout(.seconds(1)) {
                        do { try await AsyncIO.sleep(for: .seconds(10)) } catch {
                            log("cleans up")
                            await cleanUp(.seconds(3), on: loop)
                            log("has cleaned up")
                            throw error
                        }
                    }
                }
            )
        },
        DifferentialCase(
            "an error of the cleaning up counts more than the limit, and so does a value",
            63,
            throughPool: true,
            python: """
                async def main():
                    async def work(value):
                        try:
                            await asyncio.sleep(10)
                        except asyncio.CancelledError:
                            if value is None:
                                raise Refusal("instead")
                            return value
                    log(await attempt(asyncio.wait_for(work(None), 1)))
                    log(await attempt(asyncio.wait_for(work(7), 1)))
                """
        ) { _, log in
            @Sendable func work(_ value: Int?) async throws -> Int {
                do { try await AsyncIO.sleep(for: .seconds(10)) } catch {
                    guard let value else { throw Refusal(name: "instead") }
                    return value
                }
                return 0
            }
            log(await attempt { try await withTimeout(.seconds(1)) { try await work(nil) } })
            log(await attempt { try await withTimeout(.seconds(1)) { try await work(7) } })
        },
        DifferentialCase(
            "cancelling the one who waits within a limit cancels the body, and stays a cancellation",
            64,
            throughPool: true,
            python: """
                async def main():
                    async def work():
                        try:
                            await asyncio.sleep(10)
                        finally:
                            log("work ends")
                    async def wait():
                        await asyncio.wait_for(work(), 5)
                    task = asyncio.create_task(wait())
                    await asyncio.sleep(1)
                    task.cancel()
                    log(await attempt(task))
                """
        ) { _, log in
            let task = spawn { try await withTimeout(.seconds(5)) { try await noting(log, "work") } }
            try await AsyncIO.sleep(for: .seconds(1))
            task.cancel()
            log(await attempt { try await task.value })
        },
        DifferentialCase(
            "cancelling the one who waits counts, if the body has cleaned up after both",
            67,
            throughPool: true,
            python: """
                async def main():
                    async def work():
                        async with asyncio.timeout(2):
                            try:
                                await asyncio.sleep(10)
                            finally:
                                log("work ends")
                    task = asyncio.create_task(work())
                    loop.call_later(2, task.cancel)
                    await asyncio.sleep(1)
                    loop.call_later(1, lambda: log("cancelled"))
                    log(await attempt(task))
                """
        ) { loop, log in
            let task = spawn { try await withTimeout(.seconds(2)) { try await noting(log, "work") } }
            loop.schedule(after: .seconds(2)) { task.cancel() }
            try await AsyncIO.sleep(for: .seconds(1))
            loop.schedule(after: .seconds(1)) { log("cancelled") }
            log(await attempt { try await task.value })
        },
    ]

    static let deadlines: [DifferentialCase] = [
        DifferentialCase(
            "after a limit that has struck, code goes on as if nothing had been cancelled",
            42,
            throughPool: true,
            python: """
                async def main():
                    async def work():
                        try:
                            async with asyncio.timeout(1):
                                await asyncio.sleep(10)
                        except TimeoutError as error:
                            log(told(error))
                        await asyncio.sleep(1)
                        log("goes on")
                        async with asyncio.timeout(1):
                            log("in another limit")
                    log(await attempt(asyncio.create_task(work())))
                """
        ) { _, log in
            let task = spawn {
                do { try await withTimeout(.seconds(1)) { try await AsyncIO.sleep(for: .seconds(10)) } } catch {
                    log(told(error))
                }
                try await AsyncIO.sleep(for: .seconds(1))
                log("goes on")
                try await withTimeout(.seconds(1)) { log("in another limit") }
            }
            log(await attempt { try await task.value })
        },
        DifferentialCase(
            "a deadline that has passed strikes at the first wait, be it the shortest",
            65,
            throughPool: true,
            python: """
                async def main():
                    for seconds in (0, -11):
                        try:
                            async with asyncio.timeout(seconds):
                                log("begins")
                                await asyncio.sleep(0)
                                log("never")
                        except TimeoutError as error:
                            log(told(error))
                """
        ) { loop, log in
            for seconds in [0, -11] {
                do {
                    try await withDeadline(loop.now.advanced(by: .seconds(seconds))) { _ in
                        log("begins")
                        try await AsyncIO.sleep(for: .zero)
                        log("never")
                    }
                } catch { log(told(error)) }
            }
        },
        DifferentialCase(
            "errors other than the cancellation by the limit pass through it",
            66,
            throughPool: true,
            python: """
                async def main():
                    async def fails(late):
                        async with asyncio.timeout(1):
                            try:
                                if late:
                                    await asyncio.sleep(10)
                            finally:
                                raise Refusal("late" if late else "early")
                    log(await attempt(fails(False)))
                    log(await attempt(fails(True)))
                """
        ) { _, log in
            for isLate in [false, true] {
                log(
                    await attempt {
                        try await withTimeout(.seconds(1)) {
                            if isLate { try? await AsyncIO.sleep(for: .seconds(10)) }
                            throw Refusal(name: isLate ? "late" : "early")
                        }
                    }
                )
            }
        },
        DifferentialCase(
            "a cancellation that the body throws before the time has passed is none of the limit's",
            67,
            throughPool: true,
            python: """
                async def main():
                    async def work():
                        async with asyncio.timeout(5):
                            raise asyncio.CancelledError
                    log(await attempt(asyncio.create_task(work())))
                """
        ) { _, log in
            let task = spawn { try await withTimeout(.seconds(5)) { throw CancellationError() } }
            log(await attempt { try await task.value })
        },
        DifferentialCase(
            "of nested limits each catches its own, the inner first",
            68,
            throughPool: true,
            python: """
                async def main():
                    try:
                        async with asyncio.timeout(2):
                            try:
                                async with asyncio.timeout(1):
                                    await asyncio.sleep(10)
                            except TimeoutError as error:
                                log(f"inner {told(error)}")
                            await asyncio.sleep(10)
                    except TimeoutError as error:
                        log(f"outer {told(error)}")
                """
        ) { _, log in
            do {
                try await withTimeout(.seconds(2)) {
                    do { try await withTimeout(.seconds(1)) { try await AsyncIO.sleep(for: .seconds(10)) } } catch {
                        log("inner \(told(error))")
                    }
                    try await AsyncIO.sleep(for: .seconds(10))
                }
            } catch { log("outer \(told(error))") }
        },
        DifferentialCase(
            "an outer limit that strikes first is not caught by the inner one",
            68,
            throughPool: true,
            python: """
                async def main():
                    try:
                        async with asyncio.timeout(1):
                            try:
                                async with asyncio.timeout(2):
                                    await asyncio.sleep(10)
                            except TimeoutError:
                                log("never")
                            finally:
                                log("inner ends")
                    except TimeoutError as error:
                        log(f"outer {told(error)}")
                """
        ) { _, log in
            do {
                try await withTimeout(.seconds(1)) {
                    defer { log("inner ends") }
                    do {
                        try await withTimeout(.seconds(2)) { try await AsyncIO.sleep(for: .seconds(10)) }
                    } catch is TimeoutError { log("never") }
                }
            } catch { log("outer \(told(error))") }
        },
        DifferentialCase(
            "a deadline can be moved, taken away and set, and says whether it has passed",
            69,
            throughPool: true,
            python: """
                async def main():
                    try:
                        async with asyncio.timeout(1) as limit:
                            limit.reschedule(loop.time() + 3)
                            await asyncio.sleep(2)
                            log("moved")
                            limit.reschedule(None)
                            await asyncio.sleep(5)
                            log(f"taken away, {told(limit.when() is None)} {told(limit.expired())}")
                            limit.reschedule(loop.time() + 1)
                            try:
                                await asyncio.sleep(5)
                            finally:
                                log(told(limit.expired()))
                    except TimeoutError as error:
                        log(told(error))
                """
        ) { loop, log in
            do {
                try await withDeadline(loop.now.advanced(by: .seconds(1))) { limit in
                    limit.reschedule(to: LoopInstant(nanoseconds: 3_000_000_000))
                    try await AsyncIO.sleep(for: .seconds(2))
                    log("moved")
                    limit.reschedule(to: nil)
                    try await AsyncIO.sleep(for: .seconds(5))
                    log("taken away, \(limit.instant == nil) \(limit.isExpired)")
                    limit.reschedule(to: LoopInstant(nanoseconds: 8_000_000_000))
                    defer { log("\(limit.isExpired)") }
                    try await AsyncIO.sleep(for: .seconds(5))
                }
            } catch { log(told(error)) }
        },
        DifferentialCase(
            "without a deadline the body has all the time in the world",
            69,
            throughPool: true,
            python: """
                async def main():
                    async with asyncio.timeout(None) as limit:
                        await asyncio.sleep(1_000_000)
                        log(told(limit.expired()))
                """
        ) { _, log in
            try await withDeadline(nil) { limit in
                try await AsyncIO.sleep(for: .seconds(1_000_000))
                log("\(limit.isExpired)")
            }
        },
    ]
}

/// Waits for a while, whatever is cancelled.
func cleanUp(_ duration: Duration, on loop: isolated EventLoop) async {
    let park = Park(on: loop)
    loop.schedule(after: duration) { park.wake() }
    await park.waitUncancellable()
}
