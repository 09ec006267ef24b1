// Ticks: when they come, to the nanosecond, and what becomes of those for which nobody came in time. asyncio has no
// counterpart; the cases are those of tokio::time::interval.

import AsyncIO
import AsyncIOTesting
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct IntervalTests {
        /// When ticks were due and when they came, in milliseconds, by pauses after each.
        private static func ticks(
            every period: Int,
            after delay: Int = 0,
            _ policy: Interval.MissedTicks,
            pauses: [Int]
        ) async throws -> (due: [Int], came: [Int]) {
            try await onLoop { loop in
                var (due, came): ([Int], [Int]) = ([], [])
                let interval = Interval(
                    every: .milliseconds(period),
                    after: .milliseconds(delay),
                    missedTicks: policy
                )
                for pause in pauses + [0] {
                    let tick = try await interval.tick()
                    due.append(Int(tick.nanoseconds / 1_000_000))
                    came.append(Int(loop.now.nanoseconds / 1_000_000))
                    if pause > 0 { try await AsyncIO.sleep(for: .milliseconds(pause)) }
                }
                #expect(loop.timers == 0)
                return (due, came)
            }
        }

        // MARK: Time

        @Test(arguments: [Interval.MissedTicks.burst, .delay, .skip])
        func `the first tick is at once, or after the delay, and then one every period`(
            policy: Interval.MissedTicks
        ) async throws {
            let atOnce = try await Self.ticks(every: 100, policy, pauses: [0, 30, 99, 100, 10])
            #expect(atOnce.due == [0, 100, 200, 300, 400, 500])
            #expect(atOnce.came == atOnce.due)
            let later = try await Self.ticks(every: 100, after: 30, policy, pauses: [0, 0])
            #expect(later.due == [30, 130, 230])
            #expect(later.came == later.due)
        }

        @Test func `a loop over an interval gets the instants, and an odd period does not drift`() async throws {
            try await onLoop { loop in
                var count: Int64 = 0
                for try await instant in Interval(every: .nanoseconds(333_333_333)) {
                    #expect(instant.nanoseconds == count * 333_333_333)
                    #expect(loop.now == instant)
                    count += 1
                    if count == 1_000 { break }
                    try await AsyncIO.sleep(for: .nanoseconds(count * 300_000))
                }
                #expect(count == 1_000)
            }
        }

        @Test func `the example reports every second`() async throws {
            try await onLoop { loop in
                var seconds: [Int64] = []
                let error = await failure {
                    try await IntervalExample.run { instant in
                        seconds.append(instant.nanoseconds / 1_000_000_000)
                        if seconds.count == 4 { throw Refusal() }
                    }
                }
                #expect(error is Refusal)
                #expect(seconds == [0, 1, 2, 3])
                #expect(loop.elapsed == .seconds(3))
            }
        }

        // MARK: Late ticks

        @Test func `a burst makes up for all that was missed`() async throws {
            let (due, came) = try await Self.ticks(every: 100, .burst, pauses: [350, 0, 0, 0, 0])
            #expect(due == [0, 100, 200, 300, 400, 500])
            #expect(came == [0, 350, 350, 350, 400, 500])
        }

        @Test func `a delay begins anew with the late tick`() async throws {
            let (due, came) = try await Self.ticks(every: 100, .delay, pauses: [350, 0, 120, 0])
            #expect(due == [0, 100, 450, 550, 670])
            #expect(came == [0, 350, 450, 570, 670])
        }

        @Test func `skipping leaves out what was missed, and keeps to the grid`() async throws {
            let (due, came) = try await Self.ticks(every: 100, .skip, pauses: [350, 0, 120, 0, 0])
            #expect(due == [0, 100, 400, 500, 600, 700])
            #expect(came == [0, 350, 400, 520, 600, 700])
            // What comes just when a tick is due takes the place of that one.
            let exact = try await Self.ticks(every: 100, .skip, pauses: [300, 0])
            #expect(exact.due == [0, 100, 400])
            #expect(exact.came == [0, 300, 400])
        }

        @Test(arguments: [Interval.MissedTicks.burst, .delay, .skip])
        func `a tick that is late by the loop's fault moves none, unless one was missed`(
            policy: Interval.MissedTicks
        ) async throws {
            let clock = VirtualClock()
            let came = try await onLoop(.virtual(clock: clock)) { loop in
                var came: [Int64] = []
                let interval = Interval(every: .milliseconds(100), missedTicks: policy)
                // Busy from 95 to 130, and from 295 to 620.
                loop.schedule(after: .milliseconds(95)) { clock.advance(by: .milliseconds(35)) }
                loop.schedule(after: .milliseconds(295)) { clock.advance(by: .milliseconds(325)) }
                for _ in 0..<6 {
                    _ = try await interval.tick()
                    came.append(loop.now.nanoseconds / 1_000_000)
                }
                return came
            }
            switch policy {
            case .burst: #expect(came == [0, 130, 200, 620, 620, 620])
            case .delay: #expect(came == [0, 130, 200, 620, 720, 820])
            case .skip: #expect(came == [0, 130, 200, 620, 700, 800])
            }
        }

        @Test func `a burst lets others run between its ticks`() async throws {
            let order = Recorder<String>()
            try await onLoop { loop in
                let interval = Interval(every: .milliseconds(1))
                try await AsyncIO.sleep(for: .milliseconds(10))
                for number in 0..<3 {
                    loop.schedule { order.append("callback \(number)") }
                    _ = try await interval.tick()
                    order.append("tick \(number)")
                }
            }
            #expect(order.all == (0..<3).flatMap { ["callback \($0)", "tick \($0)"] })
        }

        // MARK: Waiting

        @Test func `each tick goes to one of those who wait, in turn`() async throws {
            let order = Recorder<String>()
            try await onLoop { loop in
                let interval = Interval(every: .seconds(1))
                var tasks: [LoopTask<Void>] = []
                for name in ["a", "b", "c"] {
                    let task = spawn(eager: true) {
                        for _ in 0..<2 {
                            let tick = try await interval.tick()
                            #expect(loop.now == tick)
                            order.append("\(name)\(tick.nanoseconds / 1_000_000_000)")
                        }
                    }
                    tasks.append(task)
                }
                for task in tasks { try await task.value }
            }
            #expect(order.all == ["a0", "b1", "c2", "a3", "b4", "c5"])
        }

        @Test func `who is cancelled takes no tick`() async throws {
            try await onLoop { loop in
                let interval = Interval(every: .seconds(1), after: .seconds(1))
                let task = spawn {
                    _ = loop
                    return try await interval.tick()
                }
                try await AsyncIO.sleep(for: .milliseconds(500))
                task.cancel()
                #expect(await isCancelled { try await task.value })
                #expect(loop.timers == 0)
                let tick = try await interval.tick()
                #expect(tick.nanoseconds == 1_000_000_000)
                let late = spawn {
                    _ = loop
                    cancelThisTask()
                    return try await interval.tick()
                }
                try await AsyncIO.sleep(for: .seconds(2))
                #expect(await isCancelled { try await late.value })
                let next = try await interval.tick()
                #expect(next.nanoseconds == 2_000_000_000)
            }
        }

        @Test func `the end of the loop ends a loop over an interval`() async throws {
            let ends = Recorder<String>()
            try await onLoop(.paced) { loop in
                spawn {
                    _ = loop
                    var count = 0
                    do {
                        for try await _ in Interval(every: .seconds(3_600)) { count += 1 }
                    } catch {
                        ends.append("\(word(error)) after \(count)")
                    }
                }
                try await AsyncIO.sleep(for: .milliseconds(1))
            }
            #expect(ends.all == ["cancelled after 1"])
        }

        @Test func `extreme periods neither trap nor come`() async throws {
            try await onLoop { loop in
                let never = Interval(every: .seconds(Int64.max))
                let first = try await never.tick()
                #expect(first == loop.now)
                let waiting = spawn {
                    _ = loop
                    return try await never.tick()
                }
                await settle()
                waiting.cancel()
                #expect(await isCancelled { try await waiting.value })
                let early = Interval(every: .nanoseconds(1), after: .seconds(Int64.min), missedTicks: .skip)
                let tick = try await early.tick()
                #expect(tick == loop.now)
            }
        }

        // MARK: Chance

        @Test(arguments: Seeds.few(of: 0..<20))
        func `whatever the pauses are: ticks are where their policy says`(seed: UInt64) async throws {
            var chance = Chance(seed: seed)
            let period = Int.random(in: 1...50, using: &chance)
            let pauses = (0..<300).map { _ in
                Int.random(in: 0...(period * 3), using: &chance) / Int.random(in: 1...4, using: &chance)
            }
            let burst = try await Self.ticks(every: period, .burst, pauses: pauses)
            #expect(burst.due == (0...300).map { $0 * period })
            let skip = try await Self.ticks(every: period, .skip, pauses: pauses)
            let delay = try await Self.ticks(every: period, .delay, pauses: pauses)
            for (ticks, isOnGrid) in [(burst, true), (skip, true), (delay, false)] {
                #expect(zip(ticks.due, ticks.came).allSatisfy { $0 <= $1 })
                #expect(zip(ticks.due, ticks.due.dropFirst()).allSatisfy { $0 + period <= $1 })
                #expect(!isOnGrid || ticks.due.allSatisfy { $0 % period == 0 })
                // As soon as it is due and somebody is there.
                let asked = [0] + zip(ticks.came, pauses).map { $0 + $1 }
                #expect(zip(zip(ticks.due, asked).map { max($0, $1) }, ticks.came).allSatisfy { $0 == $1 })
            }
            for (index, tick) in skip.due.enumerated().dropFirst() {
                // None that was still to come is left out.
                let before = skip.came[index - 1]
                #expect(tick == max(skip.due[index - 1] + period, tick) && tick - period <= before)
            }
            for index in delay.due.indices.dropFirst() {
                let isLate = delay.came[index - 1] > delay.due[index - 1]
                #expect(delay.due[index] == (isLate ? delay.came : delay.due)[index - 1] + period)
            }
        }
    }
}
