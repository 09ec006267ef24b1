// A result that comes later: who waits for it and who is told, in which order, and what cancelling means. Behaviours 34,
// 36, 38, 39, 41 and 43 of asyncio. Failures that nobody sees are in UnobservedTests.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct FutureTests {
        // MARK: Waiting

        @Test func `those who wait go on in the order in which they came, and not within the call`() async throws {
            let order = Recorder<String>()
            try await onLoop { loop in
                let promise = Promise<Int>()
                var waiters: [LoopTask<Void>] = []
                for number in 0..<20 {
                    let waiter = spawn {
                        let value = try await promise.future.value
                        #expect(loop.isCurrent)
                        order.append("\(number) \(value)")
                    }
                    waiters.append(waiter)
                }
                await someTurns()
                #expect(promise.future.result == nil)
                #expect(!promise.future.isDone)
                #expect(promise.succeed(7))
                #expect(promise.future.isDone)
                order.append("completed")
                for waiter in waiters { try await waiter.value }
            }
            #expect(order.all.first == "completed" && told(order.all.dropFirst(), (0..<20).map { "\($0) 7" }))
        }

        @Test func `a result that is there comes without a turn, also to a task that was cancelled`() async throws {
            try await onLoop { loop in
                let promise = Promise<String>()
                promise.succeed("here")
                let passed = Recorder<Int>()
                loop.schedule { passed.append(1) }
                let value = try await promise.future.value
                #expect(value == "here" && passed.all.isEmpty)
                let task = spawn {
                    cancelThisTask()
                    return try await promise.future.value
                }
                let late = try await task.value
                #expect(late == "here")
                if case .success(let result) = promise.future.result {
                    #expect(result == "here")
                } else {
                    Issue.record("there is no result")
                }
            }
        }

        @Test func `an error goes to all who ask`() async throws {
            try await onLoop { _ in
                let promise = Promise<Int>()
                let waiter = spawn { try await promise.future.value }
                await AsyncIO.yield()
                #expect(promise.fail(Refusal(name: "no")))
                let (early, late) = (
                    await failure { try await waiter.value }, await failure { try await promise.future.value }
                )
                #expect(early as? Refusal == Refusal(name: "no"))
                #expect(late as? Refusal == Refusal(name: "no"))
                #expect(!promise.future.isCancelled)
            }
        }

        @Test(arguments: bothModes)
        func `a future is awaited from another loop, an actor and Swift's pool, behaviour 38`(
            mode: EventLoop.GlobalExecutor
        ) async throws {
            // test_other_loop_future, where Swift differs: asyncio refuses, ours goes on where it waited.
            try await onLoop(.virtual(mode)) { loop in
                let promise = Promise<Int>()
                let future = promise.future
                let places = Recorder<String>()
                let other = spawn {
                    try await onPool {
                        try await withEventLoop { other in
                            let value = try await future.value
                            places.append("other \(other.isCurrent) \(loop.isCurrent)")
                            return value
                        }
                    }
                }
                let actor = spawn { try await Stranger().value(of: future) }
                let pool = spawn { try await onPool { try await future.value } }
                await someTurns()
                onForeignThread { promise.succeed(5) }
                let sum = try await other.value + actor.value + pool.value
                #expect(sum == 15)
                #expect(places.all == ["other true false"])
                let again = try await Stranger().value(of: future)
                #expect(again == 5)
            }
        }

        // MARK: Callbacks

        @Test(.testsOrder)
        func `callbacks come in order, after the call and after those who wait, behaviour 34`() async throws {
            // test_callbacks_invoked_on_set_result
            let order = Recorder<String>()
            try await onLoop { loop in
                let promise = Promise<Int>()
                for number in 0..<3 {
                    promise.future.onComplete { here, result in
                        #expect(here === loop && loop.isCurrent)
                        order.append("\(number) \((try? result.get()) ?? -1)")
                    }
                }
                spawn { order.append("waiter \(try await promise.future.value)") }
                await AsyncIO.yield()
                promise.succeed(4)
                order.append("completed")
                await someTurns(2)
                // Those that come later are not called within the call either.
                promise.future.onComplete { _, _ in order.append("late") }
                order.append("registered")
                await someTurns(2)
            }
            #expect(order.all == ["completed", "waiter 4", "0 4", "1 4", "2 4", "registered", "late"])
        }

        @Test(.testsOrder)
        func `a callback that was taken back is not called, even at the last moment, behaviour 34`() async throws {
            // test_remove_done_callback, test_remove_done_callbacks_list_mutation
            let order = Recorder<Int>()
            try await onLoop { _ in
                let promise = Promise<Int>()
                let kept = Recorder<FutureCallback>()
                promise.future.onComplete { _, _ in
                    order.append(0)
                    kept.all[1].cancel()
                }
                for number in 1...4 { kept.append(promise.future.onComplete { _, _ in order.append(number) }) }
                kept.all[0].cancel()
                promise.succeed(1)
                kept.all[2].cancel()
                await someTurns()
                for callback in kept.all { callback.cancel() }
            }
            #expect(order.all == [0, 4])
        }

        @Test func `callbacks may register callbacks and complete other futures, behaviour 34`() async throws {
            // test_schedule_callbacks_list_mutation_1 and _2
            let order = Recorder<String>()
            try await onLoop { _ in
                let (first, second) = (Promise<Int>(), Promise<Int>())
                first.future.onComplete { _, _ in
                    order.append("one")
                    first.future.onComplete { _, _ in order.append("three") }
                    second.succeed(2)
                    order.append("completed")
                }
                first.future.onComplete { _, _ in order.append("two") }
                second.future.onComplete { _, result in order.append("second \((try? result.get()) ?? -1)") }
                first.succeed(1)
                await someTurns()
            }
            #expect(told(order.all, ["one", "completed", "two", "three", "second 2"]))
        }

        @Test func `a callback that is registered on another thread is called on the loop`() async throws {
            try await onLoop { loop in
                let promise = Promise<Int>()
                let calls = Recorder<Bool>()
                let crowd = Crowd(8) { number in
                    for _ in 0..<50 {
                        promise.future.onComplete { _, _ in calls.append(loop.isCurrent) }
                    }
                    if number == 0 { promise.succeed(1) }
                }
                try await crowd.join()
                await someTurns()
                #expect(calls.all == [Bool](repeating: true, count: 400))
            }
        }

        @Test func `callbacks that were taken back do not pile up`() async throws {
            final class Witness: Sendable {
                let log: Recorder<Int>
                init(_ log: Recorder<Int>) { self.log = log }
                deinit { log.append(0) }
            }
            let gone = Recorder<Int>()
            try await onLoop { _ in
                let promise = Promise<Int>()
                for _ in 0..<10_000 {
                    let witness = Witness(gone)
                    promise.future.onComplete { _, _ in witness.log.append(1) }.cancel()
                }
                #expect(gone.count > 9_900)
                promise.succeed(1)
                await someTurns()
            }
            #expect(gone.all == [Int](repeating: 0, count: 10_000))
        }

        // MARK: Completion from anywhere

        @Test func `of eight threads exactly one completes it, and all who wait see that, behaviour 36`() async throws {
            try await onLoop { loop in
                for _ in 0..<100 {
                    let promise = Promise<Int>()
                    let future = promise.future
                    var waiters: [LoopTask<Int>] = []
                    for _ in 0..<4 { waiters.append(spawn { try await future.value }) }
                    await AsyncIO.yield()
                    let (winners, seen, told) = (Recorder<Int>(), Recorder<Int>(), Recorder<Int>())
                    future.onComplete { _, result in told.append((try? result.get()) ?? -1) }
                    let crowd = Crowd(8) { number in
                        if promise.succeed(number) { winners.append(number) }
                        // Whoever was too late finds a result as well.
                        seen.append((try? future.result?.get()) ?? -1)
                    }
                    try await crowd.join()
                    #expect(winners.count == 1)
                    let winner = winners.all.first ?? -2
                    #expect(seen.all == [Int](repeating: winner, count: 8))
                    for waiter in waiters {
                        let value = try await waiter.value
                        #expect(value == winner)
                    }
                    await someTurns(2)
                    #expect(told.all == [winner])
                }
                #expect(loop.timers == 0)
            }
        }

        // MARK: Cancelling

        @Test func `cancelling the future ends all waits, and nobody completes it any more, behaviour 39`() async throws
        {
            try await onLoop { _ in
                let promise = Promise<Int>()
                let waiters = (0..<3).map { _ in spawn { try await promise.future.value } }
                await AsyncIO.yield()
                #expect(promise.future.cancel())
                #expect(!promise.future.cancel())
                #expect(promise.future.isCancelled)
                #expect(!promise.succeed(1))
                #expect(!promise.fail(Refusal()))
                for waiter in waiters {
                    #expect(await isCancelled { try await waiter.value })
                    #expect(!waiter.isCancelled)
                }
                let done = Promise<Int>()
                done.succeed(1)
                #expect(!done.future.cancel())
                #expect(!done.future.isCancelled)
            }
        }

        @Test func `cancelling who waits leaves the future alone, where Swift differs from behaviour 39`() async throws
        {
            // test_cancel_inner_future: asyncio cancels the future, which is an option here.
            try await onLoop { _ in
                let promise = Promise<Int>()
                let (first, second) = (
                    spawn { try await promise.future.value }, spawn { try await promise.future.value }
                )
                await AsyncIO.yield()
                first.cancel()
                #expect(await isCancelled { try await first.value })
                #expect(!promise.future.isDone)
                #expect(promise.succeed(3))
                let value = try await second.value
                #expect(value == 3)
            }
        }

        @Test func `with the option it cancels the future, behaviours 39 and 43`() async throws {
            // test_cancel, test_yield_future_passes_cancel
            try await onLoop { _ in
                let promise = Promise<Int>(cancelsWithAwaiter: true)
                let caught = Recorder<String>()
                let outer = spawn {
                    do { _ = try await promise.future.value } catch {
                        caught.append("\(type(of: error))")
                        throw error
                    }
                }
                let other = spawn { try await promise.future.value }
                await AsyncIO.yield()
                outer.cancel()
                #expect(await isCancelled { try await outer.value })
                #expect(promise.future.isCancelled)
                #expect(!promise.succeed(1))
                #expect(await isCancelled { try await other.value })
                #expect(!other.isCancelled)
                #expect(caught.all == ["CancellationError"])
            }
        }

        @Test func `a result that comes before the cancellation counts, behaviour 41`() async throws {
            try await onLoop { _ in
                let promise = Promise<Int>(cancelsWithAwaiter: true)
                let task = spawn { try await promise.future.value }
                await someTurns()
                promise.succeed(1)
                task.cancel()
                let value = try await task.value
                #expect(value == 1)
                // The other way round the wait has ended, and the result stays.
                let second = Promise<Int>(cancelsWithAwaiter: true)
                let late = spawn { try await second.future.value }
                await someTurns()
                late.cancel()
                #expect(second.succeed(2))
                #expect(await isCancelled { try await late.value })
                #expect(!second.future.isCancelled)
            }
        }

        @Test func `in a task that was cancelled already a wait ends at once, and takes the future along`() async throws
        {
            try await onLoop { _ in
                let (alone, along) = (Promise<Int>(), Promise<Int>(cancelsWithAwaiter: true))
                let task = spawn {
                    cancelThisTask()
                    #expect(await isCancelled { try await alone.future.value })
                    #expect(await isCancelled { try await along.future.value })
                }
                try await task.value
                #expect(!alone.future.isDone)
                #expect(along.future.isCancelled)
                alone.succeed(1)
            }
        }
    }
}
