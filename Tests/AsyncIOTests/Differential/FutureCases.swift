// Futures in both languages. A promise here is asyncio's future seen by the one who completes it.

import AsyncIO
import AsyncIOTesting

extension DifferentialCase {
    static let futures: [DifferentialCase] = [
        DifferentialCase(
            "done-callbacks come in order and never at once, also when the result is there already",
            34,
            python: """
                async def main():
                    future = loop.create_future()
                    future.add_done_callback(lambda f: log(f"first {told(f)}"))
                    future.add_done_callback(lambda f: log(f"second {told(f)}"))
                    future.set_result(7)
                    log("completed")
                    await settle()
                    future.add_done_callback(lambda f: log(f"late {told(f)}"))
                    log("added")
                    await settle()
                """
        ) { _, log in
            let promise = Promise<Int>()
            promise.future.onComplete { _, result in log("first \(told(result))") }
            promise.future.onComplete { _, result in log("second \(told(result))") }
            promise.succeed(7)
            log("completed")
            await letAllRun()
            promise.future.onComplete { _, result in log("late \(told(result))") }
            log("added")
            await letAllRun()
        },
        DifferentialCase(
            "a done-callback that is taken back in time is not called, and the others are",
            34,
            python: """
                async def main():
                    future = loop.create_future()
                    def second(_):
                        log("second")
                    future.add_done_callback(lambda _: log("first"))
                    future.add_done_callback(second)
                    future.add_done_callback(lambda _: log("third"))
                    future.remove_done_callback(second)
                    future.set_result(None)
                    await settle()
                """
        ) { _, log in
            let promise = Promise<Void>()
            promise.future.onComplete { _, _ in log("first") }
            let second = promise.future.onComplete { _, _ in log("second") }
            promise.future.onComplete { _, _ in log("third") }
            second.cancel()
            promise.succeed()
            await letAllRun()
        },
        DifferentialCase(
            "a done-callback may add another, whose turn comes after all that are there",
            34,
            python: """
                async def main():
                    future = loop.create_future()
                    def first(f):
                        log("first")
                        f.add_done_callback(lambda _: log("added"))
                    future.add_done_callback(first)
                    future.add_done_callback(lambda _: log("second"))
                    future.set_result(None)
                    await settle()
                """
        ) { _, log in
            let promise = Promise<Void>()
            let future = promise.future
            future.onComplete { _, _ in
                log("first")
                future.onComplete { _, _ in log("added") }
            }
            future.onComplete { _, _ in log("second") }
            promise.succeed()
            await letAllRun()
        },
        DifferentialCase(
            "a future is completed once, and refuses everything after that",
            34,
            python: """
                async def main():
                    future = loop.create_future()
                    log(told(future.done()))
                    future.set_result(1)
                    for again in (lambda: future.set_result(2), lambda: future.set_exception(Refusal("no"))):
                        try:
                            again()
                        except asyncio.InvalidStateError:
                            log("refused")
                    log(told(future.cancel()))
                    for _ in range(2):
                        log(await attempt(future))
                """
        ) { _, log in
            let promise = Promise<Int>()
            log("\(promise.future.isDone)")
            promise.succeed(1)
            if !promise.succeed(2) { log("refused") }
            if !promise.fail(Refusal(name: "no")) { log("refused") }
            log("\(promise.future.cancel())")
            for _ in 0..<2 { log(await attempt { try await promise.future.value }) }
        },
        DifferentialCase(
            "a future that is cancelled ends all who wait for it, once, and its callbacks hear of it",
            39,
            python: """
                async def main():
                    future = loop.create_future()
                    async def wait(name):
                        log(f"{name} {await attempt(future)}")
                    asyncio.create_task(wait("one"))
                    asyncio.create_task(wait("two"))
                    await settle()
                    future.add_done_callback(lambda f: log(f"callback {told(f)}"))
                    log(f"{told(future.cancel())} {told(future.cancel())} {told(future.cancelled())}")
                    await settle()
                """
        ) { _, log in
            let promise = Promise<Void>()
            spawn { log("one \(await attempt { try await promise.future.value })") }
            spawn { log("two \(await attempt { try await promise.future.value })") }
            await letAllRun()
            promise.future.onComplete { _, result in log("callback \(told(result))") }
            let answers = (promise.future.cancel(), promise.future.cancel())
            log("\(answers.0) \(answers.1) \(promise.future.isCancelled)")
            await letAllRun()
        },
        DifferentialCase(
            "cancelling a task cancels the future that it waits for, if they are linked",
            39,
            python: """
                async def main():
                    future = loop.create_future()
                    async def wait():
                        try:
                            await future
                        finally:
                            log(f"the task ends, the future {told(future)}")
                    task = asyncio.create_task(wait())
                    await settle()
                    task.cancel()
                    log(await attempt(task))
                    log(told(future))
                """
        ) { _, log in
            let promise = Promise<Void>(cancelsWithAwaiter: true)
            let task = spawn {
                defer { log("the task ends, the future \(told(promise.future.result!))") }
                try await promise.future.value
            }
            await letAllRun()
            task.cancel()
            log(await attempt { try await task.value })
            log(told(promise.future.result!))
        },
        DifferentialCase(
            "the failure of a future reaches each who waits, and who comes later",
            34,
            python: """
                async def main():
                    future = loop.create_future()
                    async def wait(name):
                        log(f"{name} {await attempt(future)}")
                    asyncio.create_task(wait("one"))
                    asyncio.create_task(wait("two"))
                    await settle()
                    future.set_exception(Refusal("no"))
                    await settle()
                    await wait("late")
                """
        ) { _, log in
            let promise = Promise<Void>()
            spawn { log("one \(await attempt { try await promise.future.value })") }
            spawn { log("two \(await attempt { try await promise.future.value })") }
            await letAllRun()
            promise.fail(Refusal(name: "no"))
            await letAllRun()
            log("late \(await attempt { try await promise.future.value })")
        },
        DifferentialCase(
            "only the failures of futures that nobody has looked at are reported",
            35,
            python: """
                async def main():
                    unseen, seen, cancelled = (loop.create_future() for _ in range(3))
                    unseen.set_exception(Refusal("unseen"))
                    seen.set_exception(Refusal("seen"))
                    cancelled.cancel()
                    log(await attempt(seen))
                    log(told(unseen.done()))
                """
        ) { _, log in
            let (unseen, seen, cancelled) = (Promise<Void>(), Promise<Void>(), Promise<Void>())
            unseen.fail(Refusal(name: "unseen"))
            seen.fail(Refusal(name: "seen"))
            cancelled.future.cancel()
            log(await attempt { try await seen.future.value })
            log("\(unseen.future.isDone)")
        },
    ]
}
