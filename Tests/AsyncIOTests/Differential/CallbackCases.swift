// Callbacks and timers of the loop itself, in both languages.

import AsyncIO
import AsyncIOTesting

extension DifferentialCase {
    static let callbacks: [DifferentialCase] = [
        DifferentialCase(
            "callbacks run in order, and what one schedules waits for the next turn",
            6,
            python: """
                async def main():
                    def first():
                        log("first")
                        loop.call_soon(log, "third")
                    loop.call_soon(first)
                    loop.call_soon(log, "second")
                    log("none has run")
                    await asyncio.sleep(0)
                    log("one turn later")
                    await asyncio.sleep(0)
                    log("two turns later")
                """
        ) { loop, log in
            loop.schedule {
                log("first")
                loop.schedule { log("third") }
            }
            loop.schedule { log("second") }
            log("none has run")
            await AsyncIO.yield()
            log("one turn later")
            await AsyncIO.yield()
            log("two turns later")
        },
        DifferentialCase(
            "callbacks from elsewhere are in the same line as those of the loop",
            7,
            python: """
                async def main():
                    loop.call_soon(log, "soon")
                    loop.call_soon_threadsafe(log, "from elsewhere")
                    loop.call_soon(log, "soon again")
                    task = asyncio.create_task(asyncio.sleep(0))
                    loop.call_soon_threadsafe(log, "last")
                    await task
                """
        ) { loop, log in
            loop.schedule { log("soon") }
            try loop.submit { _ in log("from elsewhere") }
            loop.schedule { log("soon again") }
            let task = spawn { await AsyncIO.yield() }
            try loop.submit { _ in log("last") }
            try await task.value
        },
        DifferentialCase(
            "timers come by their deadlines, and one that is overdue at once",
            14,
            python: """
                async def main():
                    loop.call_later(3, log, "three")
                    loop.call_later(1, log, "one")
                    loop.call_later(-5, log, "overdue")
                    loop.call_at(loop.time() + 2.5, log, "two and a half")
                    loop.call_soon(log, "soon")
                    await asyncio.sleep(2)
                    log("two")
                    await asyncio.sleep(2)
                """
        ) { loop, log in
            loop.schedule(after: .seconds(3)) { log("three") }
            loop.schedule(after: .seconds(1)) { log("one") }
            loop.schedule(after: .seconds(-5)) { log("overdue") }
            loop.schedule(at: loop.now.advanced(by: .milliseconds(2_500))) { log("two and a half") }
            loop.schedule { log("soon") }
            try await AsyncIO.sleep(for: .seconds(2))
            log("two")
            try await AsyncIO.sleep(for: .seconds(2))
        },
        DifferentialCase(
            "a callback that is cancelled does not run, also by one of its own batch",
            13,
            python: """
                async def main():
                    handles = []
                    loop.call_soon(lambda: [handle.cancel() for handle in handles])
                    handles.append(loop.call_soon(log, "soon"))
                    handles.append(loop.call_later(1, log, "later"))
                    loop.call_soon(log, "kept")
                    await asyncio.sleep(2)
                    handles[0].cancel()
                """
        ) { loop, log in
            let handles = Transfer(Handles())
            loop.schedule { for handle in handles.value.all { handle.cancel() } }
            handles.value.all.append(loop.schedule { log("soon") })
            handles.value.all.append(loop.schedule(after: .seconds(1)) { log("later") })
            loop.schedule { log("kept") }
            try await AsyncIO.sleep(for: .seconds(2))
            handles.value.all[0].cancel()
        },
        DifferentialCase(
            "the nearest timer, once cancelled, wakes nobody, and still knows when it was due",
            13,
            20,
            python: """
                async def main():
                    near = loop.call_later(1, log, "near")
                    far = loop.call_later(5, log, "far")
                    near.cancel()
                    await asyncio.sleep(5)
                    log(f"{round(near.when())} {round(far.when())}")
                """
        ) { loop, log in
            let near = loop.schedule(after: .seconds(1)) { log("near") }
            let far = loop.schedule(after: .seconds(5)) { log("far") }
            near.cancel()
            try await AsyncIO.sleep(for: .seconds(5))
            log("\(seconds(near.deadline)) \(seconds(far.deadline))")
        },
        DifferentialCase(
            "a timer counts from the moment that sets it, after work that took time",
            16,
            python: """
                async def main():
                    def works():
                        advance(2)
                        log("has worked")
                        loop.call_later(1, log, "one after the work")
                    loop.call_later(1, works)
                    await asyncio.sleep(2)
                    log("slept, and waited for the work")
                    await asyncio.sleep(2)
                """
        ) { loop, log in
            loop.schedule(after: .seconds(1)) {
                log.clock.advance(by: .seconds(2))
                log("has worked")
                loop.schedule(after: .seconds(1)) { log("one after the work") }
            }
            try await AsyncIO.sleep(for: .seconds(2))
            log("slept, and waited for the work")
            try await AsyncIO.sleep(for: .seconds(2))
        },
        DifferentialCase(
            "an error of a callback is reported once, and the loop goes on",
            21,
            python: """
                async def main():
                    def fails(name):
                        log("fails " + name)
                        raise Refusal(name)
                    loop.call_soon(fails, "soon")
                    loop.call_later(1, fails, "later")
                    loop.call_soon(log, "the next one runs")
                    await asyncio.sleep(2)
                    log("and the task goes on")
                """
        ) { loop, log in
            loop.schedule {
                log("fails soon")
                throw Refusal(name: "soon")
            }
            loop.schedule(after: .seconds(1)) {
                log("fails later")
                throw Refusal(name: "later")
            }
            loop.schedule { log("the next one runs") }
            try await AsyncIO.sleep(for: .seconds(2))
            log("and the task goes on")
        },
    ]
}

/// Tokens, for a callback that cancels them.
private final class Handles {
    var all: [Scheduled] = []
}

private func seconds(_ instant: LoopInstant?) -> Int64 { (instant?.nanoseconds ?? -1) / 1_000_000_000 }
