// Deadlines: what becomes a `TimeoutError` and what does not, and when. Behaviours 61 to 68 of asyncio, with the names of
// CPython's tests.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct TimeoutTests {
        @Test func `a body that ends in time returns its value, and the limit is gone`() async throws {
            try await onLoop(.paced) { loop in
                let start = loop.now
                let value = try await withTimeout(ticks(1_000)) {
                    try await AsyncIO.sleep(for: ticks(9))
                    return "in time"
                }
                #expect(value == "in time")
                #expect(isTicks(start.duration(to: loop.now), 9))
                #expect(loop.timers == 0)
                #expect(try await withTimeout(.seconds(Int64.max)) { 1 } == 1)
                #expect(loop.timers == 0)
            }
        }

        @Test func `a body that does not is cancelled at the limit`() async throws {
            try await onLoop(.paced) { loop in
                let start = loop.now
                let cancelled = Recorder<Duration>()
                let error = await failure {
                    try await withTimeout(ticks(10)) {
                        do {
                            try await AsyncIO.sleep(for: ticks(3_600))
                        } catch {
                            cancelled.append(start.duration(to: loop.now))
                            throw error
                        }
                    }
                }
                #expect(error as? TimeoutError == TimeoutError(limit: ticks(10)))
                #expect(cancelled.count == 1 && cancelled.all.allSatisfy { isTicks($0, 10) })
                #expect(!Task.isCancelled)
                #expect(loop.timers == 0)
            }
            #expect(TimeoutError(limit: .seconds(1)).description == "The operation did not end within 1.0 seconds.")
        }

        @Test(arguments: [Duration.zero, .nanoseconds(-1), .seconds(Int64.min)])
        func `with no time at all the body does not begin, behaviours 61 and 65`(limit: Duration) async throws {
            let began = Recorder<Int>()
            try await onLoop { loop in
                let error = await failure {
                    try await withTimeout(limit) { began.append(1) }
                }
                #expect(error as? TimeoutError == TimeoutError(limit: limit))
                #expect(loop.elapsed == .zero)
            }
            #expect(began.all.isEmpty)
        }

        @Test func `it returns only when a slow clean-up has ended, behaviour 62`() async throws {
            try await onLoop(.paced) { loop in
                let start = loop.now
                let error = await failure {
                    try await withTimeout(ticks(1)) {
                        do {
                            try await AsyncIO.sleep(for: ticks(3_600))
                        } catch {
                            await uncancellable(ticks(5), on: loop)
                            throw error
                        }
                    }
                }
                #expect(error as? TimeoutError == TimeoutError(limit: ticks(1)))
                #expect(isTicks(start.duration(to: loop.now), 6))
            }
        }

        @Test func `another error beats the TimeoutError, behaviours 63 and 66`() async throws {
            try await onLoop(.paced) { loop in
                // test_wait_for_reraises_exception_during_cancellation, test_foreign_exception_on_timeout
                let late = await failure {
                    try await withTimeout(ticks(1)) {
                        do { try await AsyncIO.sleep(for: ticks(3_600)) } catch { throw Refusal(name: "cleaning up") }
                    }
                }
                #expect(late as? Refusal == Refusal(name: "cleaning up"))
                // test_foreign_exception_passed
                let early = await failure {
                    try await withTimeout(ticks(1)) { throw Refusal(name: "early") }
                }
                #expect(early as? Refusal == Refusal(name: "early"))
                #expect(loop.timers == 0)
            }
        }

        @Test func `a value that comes late counts, behaviour 63`() async throws {
            // test_wait_for_cancel_suppressed
            try await onLoop(.paced) { loop in
                let start = loop.now
                let value = try await withTimeout(ticks(1)) {
                    do { try await AsyncIO.sleep(for: ticks(3_600)) } catch { return "suppressed" }
                    return "not cancelled"
                }
                #expect(value == "suppressed")
                #expect(isTicks(start.duration(to: loop.now), 1))
                #expect(!Task.isCancelled)
            }
        }

        @Test func `cancelling the caller cancels the body and stays a cancellation, behaviours 64 and 67`()
            async throws
        {
            // test_cancel_wait_for, test_foreign_cancel_doesnt_timeout_if_not_expired
            try await onLoop(.paced) { loop in
                let inner = Recorder<String>()
                let task = spawn {
                    try await withTimeout(ticks(1_000)) {
                        do {
                            try await AsyncIO.sleep(for: ticks(3_600))
                        } catch {
                            inner.append("\(type(of: error))")
                            throw error
                        }
                    }
                }
                let start = loop.now
                try await AsyncIO.sleep(for: ticks(3))
                task.cancel()
                #expect(await isCancelled { try await task.value })
                #expect(isTicks(start.duration(to: loop.now), 3))
                #expect(inner.all == ["CancellationError"])
                #expect(loop.timers == 0)
            }
        }

        @Test func `a cancellation in the turn in which the body ends is not swallowed, behaviour 64`() async throws {
            // test_wait_for_issue86296: the value is kept, and the next wait tells.
            try await onLoop(.paced) { loop in
                let (value, next) = (Recorder<String>(), Recorder<Bool>())
                let place = LoopBound(Park(on: loop), on: loop)
                let task = spawn {
                    let result = try await withTimeout(ticks(1_000)) {
                        _ = loop
                        try await place.ifHere?.wait()
                        return "done"
                    }
                    value.append(result)
                    next.append(await isCancelled { try await AsyncIO.sleep(for: ticks(1)) })
                }
                for _ in 0..<5 { await AsyncIO.yield() }
                #expect(place.ifHere?.wake() == true)
                task.cancel()
                try await task.value
                #expect(value.all == ["done"])
                #expect(next.all == [true])
            }
        }

        @Test(.enabled(if: keepsJobs))
        func `the time counts from the call, also if the body keeps the loop at first, behaviour 65`() async throws {
            let clock = VirtualClock()
            try await onLoop(.virtual(clock: clock)) { loop in
                let error = await failure {
                    try await withTimeout(.seconds(1)) {
                        clock.advance(by: .seconds(2))
                        try await AsyncIO.sleep(for: .milliseconds(1))
                        try await AsyncIO.sleep(for: .seconds(3_600))
                    }
                }
                #expect(error as? TimeoutError == TimeoutError(limit: .seconds(1)))
                #expect(loop.elapsed <= .milliseconds(2_001))
            }
        }

        @Test func `in a task that was cancelled already the body does not begin, behaviour 67`() async throws {
            // test_cancel_in_timeout_after_cancellation
            let began = Recorder<Int>()
            try await onLoop { loop in
                let task = spawn {
                    cancelThisTask()
                    try await withTimeout(.seconds(1)) { began.append(1) }
                }
                #expect(await isCancelled { try await task.value })
                // test_timeout_after_cancellation
                let late = spawn {
                    cancelThisTask()
                    try await withTimeout(.zero) {}
                }
                #expect(await failure { try await late.value } as? TimeoutError == TimeoutError(limit: .zero))
                #expect(loop.elapsed == .zero)
            }
            #expect(began.all.isEmpty)
        }

        @Test func `each of two nested limits catches its own, behaviour 68`() async throws {
            // test_nested_timeouts
            try await onLoop(.paced) { loop in
                let start = loop.now
                let order = Recorder<String>()
                let error = await failure {
                    try await withTimeout(ticks(30)) {
                        do {
                            try await withTimeout(ticks(10)) { try await AsyncIO.sleep(for: ticks(3_600)) }
                        } catch let error as TimeoutError {
                            order.append(
                                "inner \(error.limit == ticks(10)) \(isTicks(start.duration(to: loop.now), 10))"
                            )
                        }
                        try await AsyncIO.sleep(for: ticks(3_600))
                    }
                }
                #expect(error as? TimeoutError == TimeoutError(limit: ticks(30)))
                #expect(order.all == ["inner true true"])
                #expect(isTicks(start.duration(to: loop.now), 30))
            }
        }

        @Test func `an outer limit that passes first is the outer one's, behaviour 68`() async throws {
            try await onLoop(.paced) { loop in
                let start = loop.now
                let inner = Recorder<String>()
                let error = await failure {
                    try await withTimeout(ticks(1)) {
                        do {
                            try await withTimeout(ticks(300)) { try await AsyncIO.sleep(for: ticks(3_600)) }
                        } catch {
                            inner.append("\(type(of: error))")
                            throw error
                        }
                    }
                }
                #expect(error as? TimeoutError == TimeoutError(limit: ticks(1)))
                #expect(inner.all == ["CancellationError"])
                #expect(isTicks(start.duration(to: loop.now), 1))
            }
        }

        @Test(.enabled(if: keepsJobs))
        func `an outer limit that passes while the loop is busy is still effective, behaviour 68`() async throws {
            // test_nested_timeouts_loop_busy
            let clock = VirtualClock()
            try await onLoop(.virtual(clock: clock)) { loop in
                let order = Recorder<String>()
                let error = await failure {
                    try await withTimeout(.seconds(10)) {
                        do {
                            try await withTimeout(.seconds(1)) { try await AsyncIO.sleep(for: .seconds(3_600)) }
                        } catch is TimeoutError {
                            order.append("inner")
                        }
                        clock.advance(by: .seconds(20))
                        try await AsyncIO.sleep(for: .seconds(3_600))
                    }
                }
                #expect(error as? TimeoutError == TimeoutError(limit: .seconds(10)))
                #expect(order.all == ["inner"])
                #expect(loop.elapsed == .seconds(21))
            }
        }

        @Test func `code after a limit that passed runs as ever, behaviour 42`() async throws {
            try await onLoop(.paced) { loop in
                for round in 1...3 {
                    try? await withTimeout(ticks(1)) { try await AsyncIO.sleep(for: ticks(3_600)) }
                    #expect(!Task.isCancelled)
                    let before = loop.now
                    try await AsyncIO.sleep(for: ticks(round))
                    #expect(isTicks(before.duration(to: loop.now), round))
                }
            }
        }

        @Test func `neither what the body captures nor what it returns needs to be Sendable`() async throws {
            final class Box { var content: [String] = [] }
            try await onLoop(.paced) { loop in
                let box = Box()
                let same = try await withTimeout(ticks(1_000)) {
                    loop.assertIsolated()
                    box.content.append("body")
                    try await AsyncIO.sleep(for: ticks(1))
                    loop.assertIsolated()
                    box.content.append("later")
                    return box
                }
                #expect(same === box)
                #expect(box.content == ["body", "later"])
            }
        }

        @Test func `the body begins at once`() async throws {
            let order = Recorder<String>()
            try await onLoop { loop in
                loop.schedule { order.append("callback") }
                try await withTimeout(.seconds(1)) { order.append("body") }
                #expect(loop.timers == 0)
                await AsyncIO.yield()
            }
            #expect(order.all == ["body", "callback"])
        }

        @Test(.testsMany)
        func `a thousand limits that pass together and as many that do not`() async throws {
            try await onLoop(.paced) { loop in
                var tasks: [LoopTask<Bool>] = []
                for number in 0..<2_000 {
                    let task = spawn {
                        let error = await failure {
                            try await withTimeout(ticks(number % 2 == 0 ? 1 : 3_600)) {
                                try await AsyncIO.sleep(for: ticks(number % 2 == 0 ? 3_600 : 1))
                            }
                        }
                        return error is TimeoutError
                    }
                    tasks.append(task)
                }
                for (number, task) in tasks.enumerated() {
                    let isTimeout = try await task.value
                    #expect(isTimeout == (number % 2 == 0))
                }
                #expect(loop.timers == 0)
            }
        }

        @Test func `outside a loop it works by Swift's own clock`() async throws {
            #expect(try await withTimeout(.seconds(60)) { 1 } == 1)
            let error = await failure {
                try await withTimeout(.milliseconds(1)) { try await AsyncIO.sleep(for: .seconds(60)) }
            }
            #expect(error as? TimeoutError == TimeoutError(limit: .milliseconds(1)))
        }
    }
}

/// Waits for a while, whatever is cancelled.
private func uncancellable(_ duration: Duration, on loop: isolated EventLoop) async {
    let park = Park(on: loop)
    loop.schedule(after: duration) { park.wake() }
    await park.waitUncancellable()
}
