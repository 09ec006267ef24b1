// Deadlines: what ends by them and what does not. Behaviours 62 to 68 of asyncio (timeout_at). Those that are moved and
// those that are inherited are in DeadlineChangeTests; withTimeout has tests of its own.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct DeadlineTests {
        @Test func `a body that ends in time returns its value, and the timer is gone`() async throws {
            try await onLoop(.paced) { loop in
                let start = loop.now
                let value = try await withDeadline(start.advanced(by: ticks(1_000))) { deadline in
                    #expect(deadline.instant == start.advanced(by: ticks(1_000)))
                    try await AsyncIO.sleep(for: ticks(3))
                    #expect(!deadline.isExpired)
                    return "in time"
                }
                #expect(value == "in time" && loop.timers == 0)
                #expect(isTicks(start.duration(to: loop.now), 3))
                #expect(await failure { try await withDeadline(nil) { _ in throw Refusal() } } is Refusal)
            }
        }

        @Test func `a body that does not is cancelled when the time has come`() async throws {
            try await onLoop(.paced) { loop in
                let start = loop.now
                let instant = start.advanced(by: ticks(5))
                let seen = Recorder<Bool>()
                let error = await failure {
                    try await withDeadline(instant) { deadline in
                        seen.append(await isCancelled { try await AsyncIO.sleep(for: ticks(3_600)) })
                        seen.append(deadline.isExpired)
                        try Task.checkCancellation()
                    }
                }
                #expect(error as? DeadlineError == DeadlineError(deadline: instant))
                #expect(seen.all == [true, true])
                #expect(isTicks(start.duration(to: loop.now), 5))
                #expect(!Task.isCancelled && loop.timers == 0)
                #expect("\(error!)".contains("did not end before its deadline"))
            }
        }

        @Test(arguments: [0, -1, Int64.min])
        func `one that has passed cancels the body at its first wait, behaviour 65`(nanoseconds: Int64) async throws {
            // test_timeout_zero_sleep_zero, test_timeout_in_the_past_sleep_zero
            try await onLoop { loop in
                let order = Recorder<String>()
                let instant = loop.now.advanced(by: .nanoseconds(nanoseconds))
                let error = await failure {
                    try await withDeadline(instant) { _ in
                        order.append("begins")
                        try await AsyncIO.sleep(for: .zero)
                        order.append("goes on")
                    }
                }
                #expect(error as? DeadlineError == DeadlineError(deadline: instant))
                // What need not wait ends with its value.
                let value = try await withDeadline(instant) { _ in 7 }
                #expect(value == 7)
                #expect(order.all == ["begins"])
                #expect(loop.elapsed == .zero && loop.timers == 0)
            }
        }

        @Test func `none, and one that never comes`() async throws {
            try await onLoop { loop in
                for instant in [nil, LoopInstant.distantFuture] {
                    let value = try await withDeadline(instant) { _ in
                        try await AsyncIO.sleep(for: .seconds(100_000))
                        return 1
                    }
                    #expect(value == 1)
                }
                #expect(loop.timers == 0 && loop.elapsed == .seconds(200_000))
            }
        }

        @Test
        func `it returns only when the body has ended, and a late value or error counts, behaviours 62, 63 and 66`()
            async throws
        {
            // test_wait_for_waits_for_task_cancellation, test_wait_for_cancel_suppressed, test_foreign_exception_on_timeout
            try await onLoop(.paced) { loop in
                let start = loop.now
                let value = try await withDeadline(start.advanced(by: ticks(1))) { deadline in
                    try? await AsyncIO.sleep(for: ticks(3_600))
                    await deaf(ticks(4), on: loop)
                    return "late \(deadline.isExpired)"
                }
                #expect(value == "late true")
                #expect(isTicks(start.duration(to: loop.now), 5))
                let error = await failure {
                    try await withDeadline(loop.now.advanced(by: ticks(1))) { _ in
                        do { try await AsyncIO.sleep(for: ticks(3_600)) } catch { throw Refusal(name: "cleaning up") }
                    }
                }
                #expect(error as? Refusal == Refusal(name: "cleaning up"))
            }
        }

        @Test func `a CancellationError of the body's own is not the deadline's, behaviour 66`() async throws {
            try await onLoop(.paced) { loop in
                let instant = loop.now.advanced(by: ticks(2_000))
                let error = await failure { try await withDeadline(instant) { _ in throw CancellationError() } }
                #expect(error is CancellationError && !Task.isCancelled && loop.now < instant)
            }
        }

        @Test func `a body that keeps the loop beyond the time, behaviour 65`() async throws {
            let clock = VirtualClock()
            try await onLoop(.virtual(clock: clock)) { loop in
                let busy = try await withDeadline(loop.now.advanced(by: .seconds(1))) { _ in
                    clock.advance(by: .seconds(2))
                    return "not interrupted"
                }
                #expect(busy == "not interrupted")
                let instant = loop.now.advanced(by: .seconds(1))
                let error = await failure {
                    try await withDeadline(instant) { _ in
                        clock.advance(by: .seconds(2))
                        try await AsyncIO.sleep(for: .zero)
                    }
                }
                #expect(error as? DeadlineError == DeadlineError(deadline: instant))
            }
        }

        // MARK: Cancellation from outside

        @Test func `cancelling the caller stays a cancellation, behaviours 64 and 67`() async throws {
            // test_foreign_cancel_doesnt_timeout_if_not_expired
            try await onLoop(.paced) { loop in
                let start = loop.now
                let task = spawn {
                    try await withDeadline(start.advanced(by: ticks(1_000))) { _ in
                        try await AsyncIO.sleep(for: ticks(3_600))
                    }
                }
                try await AsyncIO.sleep(for: ticks(2))
                task.cancel()
                #expect(await isCancelled { try await task.value })
                #expect(loop.timers == 0 && isTicks(start.duration(to: loop.now), 2))
            }
        }

        @Test(.enabled(if: keepsJobs), arguments: [true, false])
        func `cancelled in the turn in which the time passes it is a cancellation, behaviour 67`(
            cancelledFirst: Bool
        ) async throws {
            try await onLoop { loop in
                let holder = Recorder<LoopTask<Void>>()
                if cancelledFirst { loop.schedule(after: .seconds(5)) { holder.all[0].cancel() } }
                let task = spawn {
                    try await withDeadline(loop.now.advanced(by: .seconds(5))) { _ in
                        try await AsyncIO.sleep(for: .seconds(3_600))
                    }
                }
                holder.append(task)
                await AsyncIO.yield()
                if !cancelledFirst { loop.schedule(after: .seconds(5)) { task.cancel() } }
                #expect(await isCancelled { try await task.value })
                #expect(loop.elapsed == .seconds(5) && loop.timers == 0)
            }
        }

        @Test func `cancelled while the body cleans up after the deadline it is a cancellation, behaviour 67`()
            async throws
        {
            try await onLoop(.paced) { loop in
                let cleaning = Promise<Void>()
                let place = LoopBound(Park(on: loop), on: loop)
                let task = spawn {
                    try await withDeadline(loop.now.advanced(by: ticks(1))) { _ in
                        do { try await AsyncIO.sleep(for: ticks(3_600)) } catch {
                            cleaning.succeed()
                            await place.value(on: loop).waitUncancellable()
                            throw error
                        }
                    }
                }
                try await cleaning.future.value
                task.cancel()
                place.value(on: loop).wake()
                #expect(await isCancelled { try await task.value })
            }
        }

        @Test func `in a task that was cancelled already the body does not begin, behaviour 67`() async throws {
            // test_cancel_in_timeout_after_cancellation
            let began = Recorder<Int>()
            try await onLoop { loop in
                let task = spawn {
                    cancelThisTask()
                    try await withDeadline(loop.now.advanced(by: .seconds(1))) { _ in began.append(1) }
                }
                #expect(await isCancelled { try await task.value })
            }
            #expect(began.all.isEmpty)
        }

        // MARK: Nested

        @Test func `each of two nested ones catches its own, behaviour 68`() async throws {
            // test_nested_timeouts, test_nested_timeout_in_finally
            try await onLoop(.paced) { loop in
                let start = loop.now
                let (outer, inner) = (start.advanced(by: ticks(150)), start.advanced(by: ticks(10)))
                let order = Recorder<Bool>()
                let error = await failure {
                    try await withDeadline(outer) { _ in
                        let error = await failure {
                            try await withDeadline(inner) { _ in try await AsyncIO.sleep(for: ticks(3_600)) }
                        }
                        order.append(error as? DeadlineError == DeadlineError(deadline: inner))
                        order.append(!Task.isCancelled)
                        try await AsyncIO.sleep(for: ticks(3_600))
                    }
                }
                #expect(error as? DeadlineError == DeadlineError(deadline: outer))
                #expect(order.all == [true, true])
                #expect(isTicks(start.duration(to: loop.now), 150))
            }
        }

        @Test func `an outer one that passes first, or at the same time, is the outer one's, behaviour 68`()
            async throws
        {
            // test_nested_timeouts_concurrent, where Swift differs: the inner one is cancelled with its task.
            try await onLoop(.paced) { loop in
                for later in [0, 5] {
                    let outer = loop.now.advanced(by: ticks(2))
                    let inner = outer.advanced(by: ticks(later))
                    let error = await failure {
                        try await withDeadline(outer) { _ in
                            try await withDeadline(inner) { _ in try await AsyncIO.sleep(for: ticks(3_600)) }
                        }
                    }
                    // At the same instant either may be first; both say the same.
                    #expect(error as? DeadlineError == DeadlineError(deadline: outer))
                }
                #expect(loop.timers == 0)
            }
        }

        @Test func `limits and deadlines nest in one another, behaviour 68`() async throws {
            try await onLoop(.paced) { loop in
                let limit = await failure {
                    try await withTimeout(ticks(2)) {
                        try await withDeadline(loop.now.advanced(by: ticks(100))) { _ in
                            try await AsyncIO.sleep(for: ticks(3_600))
                        }
                    }
                }
                #expect(limit is TimeoutError)
                let deadline = await failure {
                    try await withDeadline(loop.now.advanced(by: ticks(2))) { _ in
                        try await withTimeout(ticks(100)) { try await AsyncIO.sleep(for: ticks(3_600)) }
                    }
                }
                #expect(deadline is DeadlineError)
                let spent = await failure {
                    try await withDeadline(loop.now.advanced(by: ticks(100))) { _ in
                        try await withTimeout(ticks(2)) { try await AsyncIO.sleep(for: ticks(3_600)) }
                    }
                }
                #expect(spent is TimeoutError)
            }
        }

        @Test func `a hundred within one another leave no residue, behaviour 42`() async throws {
            // test_uncancel_structured_blocks
            try await onLoop(.paced) { loop in
                let innermost = loop.now.advanced(by: ticks(1))
                let error = await failure { try await nest(100, innermost, on: loop) }
                #expect(error as? DeadlineError == DeadlineError(deadline: innermost))
                #expect(!Task.isCancelled && loop.timers == 0)
                try await AsyncIO.sleep(for: ticks(1))
            }
        }

        @Test func `what the body captures and returns need not be Sendable, and it stays where it is`() async throws {
            final class Box { var content = 0 }
            try await onLoop(.paced) { loop in
                let box = Box()
                let same = try await withDeadline(loop.now.advanced(by: ticks(1_000))) { _ in
                    loop.assertIsolated()
                    box.content += 1
                    try await AsyncIO.sleep(for: ticks(1))
                    loop.assertIsolated()
                    return box
                }
                #expect(same === box && box.content == 1)
            }
        }

        @Test(arguments: bothModes)
        func `the body is on the loop, also where nothing names it`(mode: EventLoop.GlobalExecutor) async throws {
            let places = Recorder<Bool>()
            try await onLoop(.virtual(mode)) { _ in
                try await withDeadline(.distantFuture) { _ in
                    places.append(EventLoop.current != nil)
                    try await withDeadline(nil) { _ in places.append(EventLoop.current != nil) }
                    await AsyncIO.yield()
                    places.append(EventLoop.current != nil)
                }
            }
            #expect(places.all == [true, true, true])
        }

        @Test(.testsProcess)
        func `where no loop runs it traps with a sentence`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                try await withDeadline(nil) { _ in }
            }
            #expect(says(result, "withDeadline was called where no event loop runs."))
        }
    }
}

/// Waits for a while, whatever is cancelled.
private func deaf(_ duration: Duration, on loop: isolated EventLoop) async {
    let park = Park(on: loop)
    loop.schedule(after: duration) { park.wake() }
    await park.waitUncancellable()
}

/// So many deadlines, each a little earlier than the one around it.
private func nest(_ depth: Int, _ innermost: LoopInstant, on loop: isolated EventLoop) async throws {
    try await withDeadline(innermost.advanced(by: ticks(depth * 300))) { _ in
        if depth > 0 { return try await nest(depth - 1, innermost, on: loop) }
        try await AsyncIO.sleep(for: ticks(3_600))
    }
}
