// Sleeping and yielding on a loop: how long it takes, in which order sleepers wake, and what is left of a sleep that was
// cancelled. The clock is virtual, so that every time is exact; the real one only shows that no sleep is short. And
// where the standard library's own sleep goes on.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct SleepTests {
        @Test func `a sleep takes exactly its time`() async throws {
            try await onLoop { loop in
                var expected = Duration.zero
                for nanoseconds: Int64 in [1, 3_000, 70_000_000, 5_000_000_000, 86_400_000_000_000] {
                    let duration = Duration.nanoseconds(nanoseconds)
                    try await AsyncIO.sleep(for: duration)
                    expected += duration
                    #expect(loop.elapsed == expected)
                }
                try await AsyncIO.sleep(until: LoopInstant(nanoseconds: 0).advanced(by: .seconds(100_000)))
                #expect(loop.elapsed == .seconds(100_000))
                #expect(loop.timers == 0)
            }
        }

        @Test func `sleepers wake in the order of their deadlines`() async throws {
            let woken = Recorder<Int>()
            try await onLoop { loop in
                var tasks: [LoopTask<Void>] = []
                for number in [3, 1, 2, 5, 4] {
                    let task = spawn {
                        try await AsyncIO.sleep(for: .seconds(number))
                        #expect(loop.elapsed == .seconds(number))
                        woken.append(number)
                    }
                    tasks.append(task)
                }
                for task in tasks { try await task.value }
            }
            #expect(woken.all == [1, 2, 3, 4, 5])
        }

        @Test(.testsOrder)
        func `sleepers with equal deadlines wake in the order in which they began`() async throws {
            let woken = Recorder<Int>()
            try await onLoop { loop in
                let deadline = loop.now.advanced(by: .seconds(7))
                var tasks: [LoopTask<Void>] = []
                for number in 0..<100 {
                    let task = spawn {
                        if number % 2 == 0 {
                            try await AsyncIO.sleep(until: deadline)
                        } else {
                            try await AsyncIO.sleep(for: .seconds(7))
                        }
                        woken.append(number)
                    }
                    tasks.append(task)
                }
                for task in tasks { try await task.value }
                #expect(loop.elapsed == .seconds(7))
            }
            #expect(woken.all == Array(0..<100))
        }

        @Test(.testsOrder, arguments: [Duration.zero, .nanoseconds(-1), .seconds(-3_600), .seconds(Int64.min)])
        func `a sleep of zero or less is one turn, behaviour 47`(duration: Duration) async throws {
            #expect(try await turnsOf { try await AsyncIO.sleep(for: duration) } == ["before", "resumed", "after"])
        }

        @Test(.testsOrder)
        func `yield is one turn`() async throws {
            #expect(try await turnsOf { await AsyncIO.yield() } == ["before", "resumed", "after"])
        }

        @Test(arguments: [Duration.zero, .seconds(-1)])
        func `a sleep until an instant that has passed is short, and takes no time`(offset: Duration) async throws {
            try await onLoop { loop in
                try await AsyncIO.sleep(for: .seconds(10))
                try await AsyncIO.sleep(until: loop.now.advanced(by: offset))
                #expect(loop.elapsed == .seconds(10))
            }
        }

        @Test(.testsOrder, arguments: [1, 2, 10])
        func `tasks that sleep for zero take turns in order, behaviour 47`(count: Int) async throws {
            let turns = Recorder<Int>()
            try await onLoop { loop in
                var tasks: [LoopTask<Void>] = []
                for number in 0..<count {
                    let task = spawn {
                        for turn in 0..<50 {
                            turns.append(turn * count + number)
                            if turn % 2 == 0 { try await AsyncIO.sleep(for: .zero) } else { await AsyncIO.yield() }
                        }
                    }
                    tasks.append(task)
                }
                for task in tasks { try await task.value }
                #expect(loop.elapsed == .zero)
            }
            #expect(turns.all == Array(0..<(50 * count)))
        }

        @Test func `tasks that only yield keep neither timers nor callbacks from running`() async throws {
            let clock = VirtualClock()
            let seen = Recorder<String>()
            try await onLoop(.virtual(clock: clock)) { loop in
                loop.schedule { seen.append("callback") }
                loop.schedule(after: .seconds(1)) { seen.append("timer") }
                clock.advance(by: .seconds(1))
                for _ in 0..<200 { await AsyncIO.yield() }
                #expect(seen.count == 2)
            }
            #expect(seen.all == ["callback", "timer"])
        }

        @Test(arguments: [Duration.seconds(3_600), .seconds(Int64.max), .seconds(292 * 365 * 86_400)])
        func `cancelling a sleep ends it at once and removes the timer, behaviour 46`(duration: Duration) async throws {
            try await onLoop { loop in
                let before = loop.timers
                let task = spawn { try await AsyncIO.sleep(for: duration) }
                await someTurns()
                #expect(loop.timers == before + 1)
                task.cancel()
                await #expect(throws: CancellationError.self) { try await task.value }
                #expect(loop.timers == before)
                #expect(loop.elapsed == .zero)
            }
        }

        @Test func `a sleep for ever can be cancelled by another thread`() async throws {
            try await onLoop(.real) { loop in
                let task = spawn { try await AsyncIO.sleep(until: LoopInstant(nanoseconds: .max)) }
                await AsyncIO.yield()
                onForeignThread { task.cancel() }
                await #expect(throws: CancellationError.self) { try await task.value }
                #expect(loop.timers == 0)
            }
        }

        @Test func `a thousand sleeps that are cancelled leave the heap empty, behaviour 46`() async throws {
            try await onLoop { loop in
                var tasks: [LoopTask<Void>] = []
                for number in 0..<1_000 { tasks.append(spawn { try await AsyncIO.sleep(for: .seconds(number + 1)) }) }
                await someTurns()
                #expect(loop.timers == 1_000)
                for (number, task) in tasks.enumerated() where number % 10 != 0 { task.cancel() }
                for _ in 0..<5 { await AsyncIO.yield() }
                #expect(loop.timers == 100)
                for task in tasks { try? await task.value }
                #expect(loop.timers == 0)
                #expect(loop.elapsed == .seconds(991))
            }
        }

        @Test func `in a task that was cancelled already a sleep throws at once, and a yield is a turn`() async throws {
            let order = Recorder<String>()
            try await onLoop { loop in
                let task = spawn {
                    cancelThisTask()
                    loop.schedule { order.append("next turn") }
                    for duration in [Duration.seconds(1), .zero, .seconds(-1)] {
                        #expect(await isCancelled { try await AsyncIO.sleep(for: duration) })
                    }
                    #expect(await isCancelled { try await AsyncIO.sleep(until: loop.now) })
                    order.append("thrown")
                    await AsyncIO.yield()
                    order.append("yielded")
                }
                try await task.value
                #expect(loop.elapsed == .zero)
                #expect(loop.timers == 0)
            }
            #expect(order.all.first == "thrown" && told(order.all, ["thrown", "next turn", "yielded"]))
        }

        @Test func `a sleep of zero notices a cancellation that comes during its turn`() async throws {
            try await onLoop { loop in
                let task = spawn { try await AsyncIO.sleep(for: .zero) }
                loop.schedule { task.cancel() }
                await #expect(throws: CancellationError.self) { try await task.value }
            }
        }

        @Test func `sleeping again after a cancellation that was caught throws again, behaviour 40`() async throws {
            try await onLoop { loop in
                let task = spawn {
                    try? await AsyncIO.sleep(for: .seconds(1))
                    try await AsyncIO.sleep(for: .seconds(1))
                }
                await AsyncIO.yield()
                task.cancel()
                await #expect(throws: CancellationError.self) { try await task.value }
                #expect(loop.elapsed == .zero)
            }
        }

        @Test(arguments: [1, 70_000, 999_999, 1_000_000, 3_300_000])
        func `a real sleep is never short`(nanoseconds: Int64) async throws {
            try await onLoop(.real) { loop in
                let start = loop.now
                try await AsyncIO.sleep(for: .nanoseconds(nanoseconds))
                #expect(start.duration(to: loop.now) >= .nanoseconds(nanoseconds))
            }
        }

        @Test func `sleeps below the clock's resolution do not spin, behaviour 18`() async throws {
            try await onLoop(.real) { loop in
                let before = loop.statistics.turns
                for exponent in 2...9 { try await AsyncIO.sleep(for: .seconds(1) / pow10(exponent)) }
                #expect(loop.statistics.turns - before <= 30)
            }
        }

        @Test func `outside a loop both work by Swift's own clock`() async throws {
            let start = ContinuousClock.now
            try await AsyncIO.sleep(for: .milliseconds(2))
            try await AsyncIO.sleep(for: .zero)
            await AsyncIO.yield()
            #expect(start.duration(to: .now) >= .milliseconds(2))
            let task = Task { try await AsyncIO.sleep(for: .seconds(3_600)) }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
        }

        // MARK: Task.sleep

        @Test(arguments: SleepForm.allCases)
        func `Task.sleep in all its forms takes the loop's time and stays there`(form: SleepForm) async throws {
            try await onLoop(.virtual(.loop)) { loop in
                // The runtime counts from its own clock, and so the loop gets what is left of an hour.
                try await form.sleep(.seconds(3_600))
                #expect(loop.isCurrent)
                #expect(loop.elapsed > .seconds(3_590) && loop.elapsed <= .seconds(3_600))
                #expect(await taskWithoutIsolation(loop) { try? await form.sleep(.seconds(3_600)) })
                #expect(loop.elapsed > .seconds(7_180) && loop.elapsed <= .seconds(7_200))
                #expect(loop.timers == 0)
            }
        }

        @Test func `in code without isolation that began on the spot it takes real time and leaves`() async throws {
            try await onLoop(.virtual(.loop)) { loop in
                await withKnownIssue("The runtime asks its own default executor, past all hooks.") {
                    #expect(await goesOn(loop) { try? await SwiftSleep.sleep(for: .milliseconds(1)) })
                    #expect(loop.elapsed > .zero)
                }
            }
        }

        @Test(arguments: SleepForm.allCases)
        func `without a loop that keeps jobs Task.sleep takes real time, and isolated code comes back`(
            form: SleepForm
        ) async throws {
            try await onLoop(.virtual(.pool)) { loop in
                let start = ContinuousClock.now
                try await form.sleep(.milliseconds(1))
                #expect(loop.isCurrent)
                #expect(start.duration(to: .now) >= .milliseconds(1))
                #expect(await !taskWithoutIsolation(loop) { try? await form.sleep(.milliseconds(1)) })
                #expect(loop.elapsed == .zero)
            }
        }

        @Test(arguments: bothModes)
        func `Task.sleep that is cancelled ends at once and leaves nothing that counts`(mode: EventLoop.GlobalExecutor)
            async throws
        {
            var configuration = EventLoop.Configuration.real
            configuration.globalExecutor = mode
            try await onLoop(configuration) { loop in
                let start = loop.now
                let sleeper = Task {
                    loop.assertIsolated()
                    do { try await SwiftSleep.sleep(for: .seconds(3_600)) } catch { return error is CancellationError }
                    return false
                }
                // Until it sleeps.
                for _ in 0..<10 { await AsyncIO.yield() }
                sleeper.cancel()
                #expect(await sleeper.value)
                #expect(start.duration(to: loop.now) < .seconds(60))
            }
        }

        @Test(arguments: bothModes)
        func `a detached task of the loop sleeps on it if it keeps jobs`(mode: EventLoop.GlobalExecutor) async throws {
            let span = mode == .loop ? Duration.seconds(60) : .milliseconds(1)
            try await onLoop(.virtual(mode)) { loop in
                let task = Task.detached {
                    try await SwiftSleep.sleep(for: span)
                    return loop.isCurrent
                }
                let here = try await task.value
                #expect(here == (mode == .loop))
                #expect(loop.elapsed > (mode == .loop ? .seconds(59) : .seconds(-1)) && loop.elapsed <= span)
            }
        }
    }
}

/// What happens around a wait: one turn is that what was ready before has run and what that made ready has not.
private func turnsOf(_ wait: @escaping @Sendable () async throws -> Void) async throws -> [String] {
    let order = Recorder<String>()
    try await onLoop { loop in
        loop.schedule {
            order.append("before")
            loop.schedule { order.append("after") }
        }
        try await wait()
        order.append("resumed")
        await AsyncIO.yield()
        #expect(loop.elapsed == .zero)
    }
    return order.all
}

private func pow10(_ exponent: Int) -> Int { (0..<exponent).reduce(1) { power, _ in power * 10 } }

/// The ways in which the standard library sleeps.
enum SleepForm: CaseIterable {
    case `for`
    case forSuspending
    case untilContinuous
    case untilSuspending
    case nanoseconds
    case unlabelled

    func sleep(_ duration: Duration) async throws {
        switch self {
        case .for: try await SwiftSleep.sleep(for: duration)
        case .forSuspending: try await SwiftSleep.sleep(for: duration, clock: .suspending)
        case .untilContinuous: try await SwiftSleep.sleep(until: .now + duration, clock: .continuous)
        case .untilSuspending: try await SwiftSleep.sleep(until: .now + duration, clock: .suspending)
        case .nanoseconds: try await SwiftSleep.sleep(nanoseconds: UInt64(duration / .nanoseconds(1)))
        case .unlabelled: await (Old() as any Unlabelled).doze(UInt64(duration / .nanoseconds(1)))
        }
    }
}

/// Calls what is deprecated by way of a requirement that is not.
private protocol Unlabelled { func doze(_ nanoseconds: UInt64) async }

private struct Old: Unlabelled {
    @available(*, deprecated)
    func doze(_ nanoseconds: UInt64) async { await SwiftSleep.sleep(nanoseconds) }
}
