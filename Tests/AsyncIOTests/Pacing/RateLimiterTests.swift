// Token buckets: when tokens are there, to the nanosecond, who gets them, and what lateness and cancellation change. asyncio
// has no counterpart.

import AsyncIO
import AsyncIOTesting
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct RateLimiterTests {
        // MARK: The rate

        @Test func `a burst at once, and then evenly`() async throws {
            try await onLoop { loop in
                let limiter = RateLimiter(rate: 10, burst: 3)
                #expect(limiter.availableTokens == 3)
                var times: [Duration] = []
                for _ in 0..<7 {
                    try await limiter.acquire()
                    times.append(loop.elapsed)
                }
                #expect(times == [0, 0, 0, 100, 200, 300, 400].map { .milliseconds($0) })
                #expect(limiter.availableTokens == 0)
                try await AsyncIO.sleep(for: .milliseconds(250))
                #expect(limiter.availableTokens == 2)
                try await AsyncIO.sleep(for: .seconds(3_600))
                #expect(limiter.availableTokens == 3)
                try await limiter.acquire(3)
                #expect(loop.elapsed == .milliseconds(650) + .seconds(3_600))
                #expect(loop.timers == 0)
            }
        }

        @Test func `fractions of nanoseconds do not add up`() async throws {
            try await onLoop { loop in
                let limiter = RateLimiter(rate: 3, per: .seconds(1))
                try await limiter.acquire()
                for number in 1...3_000 {
                    try await limiter.acquire()
                    let expected = Duration.nanoseconds((number * 1_000_000_000 + 2) / 3)
                    if loop.elapsed != expected { Issue.record("\(number): \(loop.elapsed), not \(expected)") }
                }
                #expect(loop.elapsed == .seconds(1_000))
            }
        }

        @Test func `a token is there in the nanosecond in which it is complete`() async throws {
            try await onLoop { loop in
                let limiter = RateLimiter(rate: 7, per: .seconds(1), burst: 2)
                #expect(limiter.tryAcquire(2))
                #expect(!limiter.tryAcquire())
                try await AsyncIO.sleep(until: LoopInstant(nanoseconds: 142_857_142))
                #expect(!limiter.tryAcquire())
                try await AsyncIO.sleep(until: LoopInstant(nanoseconds: 142_857_143))
                #expect(limiter.tryAcquire())
                #expect(!limiter.tryAcquire())
                try await AsyncIO.sleep(until: LoopInstant(nanoseconds: 428_571_429))
                #expect(limiter.tryAcquire(2))
                _ = loop
            }
        }

        @Test func `more than the burst is kept for who waits for it`() async throws {
            try await onLoop { loop in
                let limiter = RateLimiter(rate: 10, burst: 2)
                #expect(!limiter.tryAcquire(5))
                try await limiter.acquire(5)
                #expect(loop.elapsed == .milliseconds(300))
                try await limiter.acquire()
                #expect(loop.elapsed == .milliseconds(400))
            }
        }

        @Test func `extreme rates and times neither trap nor pass`() async throws {
            try await onLoop { loop in
                let fast = RateLimiter(rate: .max, per: .nanoseconds(1), burst: .max)
                try await fast.acquire(.max)
                try await fast.acquire(.max)
                #expect(loop.elapsed == .nanoseconds(1))
                let slow = RateLimiter(rate: 1, per: .seconds(Int64.max), burst: .max)
                #expect(slow.availableTokens == .max)
                #expect(slow.tryAcquire(.max))
                try await AsyncIO.sleep(for: .seconds(1_000_000))
                #expect(!slow.tryAcquire())
                let error = await failure { try await withTimeout(.seconds(1)) { try await slow.acquire() } }
                #expect(error is TimeoutError)
            }
        }

        // MARK: Who is next

        @Test func `who waits is served in order, a large request before small ones`() async throws {
            let served = Recorder<String>()
            try await onLoop { loop in
                let limiter = RateLimiter(rate: 1, burst: 4)
                #expect(limiter.tryAcquire(2))
                var tasks: [LoopTask<Void>] = []
                for (name, count) in [("four", 4), ("one", 1), ("two", 2)] {
                    let task = spawn(eager: true) {
                        try await limiter.acquire(count)
                        served.append("\(name) \(loop.elapsed)")
                    }
                    tasks.append(task)
                }
                await settle()
                // There are two, but not for newcomers.
                #expect(!limiter.tryAcquire())
                #expect(limiter.availableTokens == 0)
                for task in tasks { try await task.value }
            }
            #expect(served.all == ["four 2.0 seconds", "one 3.0 seconds", "two 5.0 seconds"])
        }

        // MARK: Lateness

        @Test func `a token that comes late delays none of the next`() async throws {
            let clock = VirtualClock()
            try await onLoop(.virtual(clock: clock)) { loop in
                let limiter = RateLimiter(rate: 1)
                try await limiter.acquire()
                var times: [Duration] = []
                loop.schedule(after: .milliseconds(999)) { clock.advance(by: .milliseconds(300)) }
                for _ in 0..<3 {
                    try await limiter.acquire()
                    times.append(loop.elapsed)
                    try await AsyncIO.sleep(
                        until: LoopInstant(nanoseconds: Int64(times.count) * 1_000_000_000 + 400_000_000)
                    )
                    // Nobody waits now: what comes is kept.
                    _ = limiter.availableTokens
                }
                #expect(times == [1_299, 2_000, 3_000].map { .milliseconds($0) })
            }
        }

        @Test func `what came while the loop was busy is made up for, up to a burst`() async throws {
            let clock = VirtualClock()
            let served = Recorder<Duration>()
            try await onLoop(.virtual(clock: clock)) { loop in
                let limiter = RateLimiter(rate: 1)
                try await limiter.acquire()
                var tasks: [LoopTask<Void>] = []
                for _ in 0..<6 {
                    let task = spawn {
                        try await limiter.acquire()
                        served.append(loop.elapsed)
                    }
                    tasks.append(task)
                }
                await settle()
                clock.advance(by: .seconds(10))
                for task in tasks { try await task.value }
            }
            // One was due and comes late, one is in the bucket, one is made up for.
            #expect(served.all == [10, 10, 10, 11, 12, 13].map { .seconds($0) })
        }

        // MARK: Cancelling

        @Test func `who is cancelled has taken nothing, and the next is served as if it had not come`() async throws {
            let served = Recorder<Duration>()
            try await onLoop { loop in
                let limiter = RateLimiter(rate: 1)
                try await limiter.acquire()
                let large = spawn(eager: true) {
                    _ = loop
                    try await limiter.acquire(5)
                }
                var tasks: [LoopTask<Void>] = []
                for _ in 0..<4 {
                    let task = spawn(eager: true) {
                        try await limiter.acquire()
                        served.append(loop.elapsed)
                    }
                    tasks.append(task)
                }
                try await AsyncIO.sleep(for: .milliseconds(2_500))
                tasks[1].cancel()
                large.cancel()
                #expect(await isCancelled { try await large.value })
                #expect(await isCancelled { try await tasks[1].value })
                for index in [0, 2, 3] { try await tasks[index].value }
                #expect(loop.timers == 0)
            }
            #expect(served.all == [.milliseconds(2_500), .milliseconds(2_500), .milliseconds(3_500)])
        }

        @Test(.testsOrder)
        func `a cancellation that comes after the time has no effect, and the token is taken`() async throws {
            try await onLoop { loop in
                let limiter = RateLimiter(rate: 1)
                try await limiter.acquire()
                let task = spawn {
                    _ = loop
                    try await limiter.acquire()
                    return Task.isCancelled
                }
                await settle()
                loop.schedule(after: .seconds(1)) { task.cancel() }
                let isCancelled = try await task.value
                #expect(isCancelled)
                try await limiter.acquire()
                #expect(loop.elapsed == .seconds(2))
            }
        }

        @Test func `a task that was cancelled already takes what is there, and does not wait`() async throws {
            try await onLoop { loop in
                let limiter = RateLimiter(rate: 1)
                let task = spawn {
                    _ = loop
                    cancelThisTask()
                    try await limiter.acquire()
                    do { try await limiter.acquire() } catch { return word(error) }
                    return "acquired"
                }
                let end = try await task.value
                #expect(end == "cancelled")
                #expect(loop.elapsed == .zero)
                try await limiter.acquire()
                #expect(loop.elapsed == .seconds(1))
            }
        }

        @Test func `the end of the loop ends all who wait`() async throws {
            let ends = Recorder<String>()
            try await onLoop(.paced) { loop in
                let limiter = RateLimiter(rate: 1, per: .seconds(3_600))
                try await limiter.acquire()
                for _ in 0..<3 {
                    spawn {
                        _ = loop
                        do { try await limiter.acquire() } catch { ends.append(word(error)) }
                    }
                }
                await settle()
            }
            #expect(ends.all == ["cancelled", "cancelled", "cancelled"])
        }

        // MARK: Chance

        private struct Grant {
            var count: Int
            var arrival: Int64
            var time: Int64
        }

        @Test(arguments: Seeds.few(of: 0..<15))
        func `never too many, never too late, always in order`(seed: UInt64) async throws {
            let grants = Recorder<[Int64]>()
            var chance = Chance(seed: seed)
            let (rate, burst) = (Int.random(in: 1...9, using: &chance), Int.random(in: 1...5, using: &chance))
            let period = Int64.random(in: 1...1_000, using: &chance)
            let requests = (0..<200).map { _ in
                (Int.random(in: 1...burst, using: &chance), Int64.random(in: 0...(period * 2), using: &chance))
            }
            let cancelled = Set((0..<200).filter { _ in Int.random(in: 0...5, using: &chance) == 0 })
            try await onLoop { loop in
                let limiter = RateLimiter(rate: rate, per: .nanoseconds(period), burst: burst)
                var tasks: [LoopTask<Void>] = []
                for (number, (count, pause)) in requests.enumerated() {
                    if pause > period { try await AsyncIO.sleep(for: .nanoseconds(pause - period)) }
                    let arrival = loop.now.nanoseconds
                    let task = spawn(eager: true) {
                        try await limiter.acquire(count)
                        grants.append([Int64(number), Int64(count), arrival, loop.now.nanoseconds])
                    }
                    if cancelled.contains(number) { task.cancel() }
                    tasks.append(task)
                }
                for task in tasks { _ = try? await task.value }
                #expect(loop.timers == 0)
            }
            let all = grants.all.map { (number: $0[0], count: $0[1], arrival: $0[2], time: $0[3]) }
            #expect(all.count > 150)
            #expect(all.map(\.number) == all.map(\.number).sorted())
            for last in all.indices {
                // The tightest of all the windows that end here, and how much of it is left.
                var (sum, slack) = (Int64(0), Int64.max)
                for first in (0...last).reversed() {
                    sum += all[first].count
                    let room = Int64(burst) * period + (all[last].time - all[first].time) * Int64(rate)
                    slack = min(slack, room - sum * period)
                }
                // Within the part of a token that comes in a nanosecond.
                if slack <= -rate { Issue.record("too many at \(last)") }
                let couldHaveBeenEarlier = slack >= rate && all[last].time > all[last].arrival
                let waitedForOthers = last > 0 && all[last].time == all[last - 1].time
                if couldHaveBeenEarlier && !waitedForOthers { Issue.record("too late at \(last)") }
            }
        }
    }
}
