// Trying again: how often, how soon, for which errors, what is told in the end, and that a cancellation always comes through.
// asyncio has no counterpart; tenacity's cases.

import AsyncIO
import AsyncIOTesting
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct RetryTests {
        /// Without chance: 100 ms, 200 ms, 400 ms and so on.
        private static let exact = RetryPolicy(jitter: 0)

        /// When the attempts of an operation that always fails began, and what came of it.
        private static func attempts(
            _ policy: RetryPolicy,
            if isWorthIt: (any Error) -> Bool = { _ in true },
            on loop: isolated EventLoop
        ) async -> (times: [Duration], error: RetryError?) {
            var times: [Duration] = []
            let start = loop.now
            let error = await failure {
                try await AsyncIO.retry(policy, if: isWorthIt) {
                    times.append(start.duration(to: loop.now))
                    throw Refusal(name: "\(times.count)")
                }
            }
            return (times, error as? RetryError)
        }

        // MARK: Attempts

        @Test func `what succeeds at once is run once`() async throws {
            try await onLoop { loop in
                let page = try await RetryExample.run { path in "the page \(path)" }
                #expect(page == "the page /index.html")
                #expect(loop.elapsed == .zero)
            }
        }

        @Test func `what succeeds later is tried until then, with longer and longer waits`() async throws {
            try await onLoop { loop in
                // Neither what the operation captures nor what it returns is Sendable.
                final class Box { var times: [Duration] = [] }
                let box = Box()
                let same = try await AsyncIO.retry(Self.exact) {
                    loop.assertIsolated()
                    box.times.append(loop.elapsed)
                    try await AsyncIO.sleep(for: .milliseconds(1))
                    if box.times.count < 4 { throw Refusal() }
                    return box
                }
                #expect(same === box)
                #expect(box.times == [0, 101, 302, 703].map { .milliseconds($0) })
                #expect(loop.timers == 0)
            }
        }

        @Test func `after the last attempt the error tells of all`() async throws {
            try await onLoop { loop in
                let (times, error) = await Self.attempts(Self.exact, on: loop)
                #expect(times == [0, 100, 300, 700, 1_500].map { .milliseconds($0) })
                #expect(error?.attempts == 5)
                #expect(error?.errors.compactMap { ($0 as? Refusal)?.name } == ["1", "2", "3", "4", "5"])
                #expect(error?.lastError as? Refusal == Refusal(name: "5"))
                #expect(error?.reason == .attempts)
                #expect(error?.description == "Given up after 5 attempts: Refusal(name: \"5\")")
                #expect(loop.elapsed == .milliseconds(1_500))
                let once = await Self.attempts(RetryPolicy(maximumAttempts: 1), on: loop)
                #expect(once.times == [.zero])
                #expect(once.error?.description == "Given up after 1 attempt: Refusal(name: \"1\")")
            }
        }

        @Test func `no attempt begins after the total time, nor is it waited for in vain`() async throws {
            try await onLoop { loop in
                var policy = Self.exact
                policy.totalTime = .milliseconds(700)
                let (times, error) = await Self.attempts(policy, on: loop)
                #expect(times == [0, 100, 300, 700].map { .milliseconds($0) })
                #expect(error?.reason == .time && error?.attempts == 4)
                #expect(error?.description.hasPrefix("Given up after 4 attempts, as the time was over: ") == true)
                #expect(loop.elapsed == .milliseconds(700))
                policy.totalTime = .milliseconds(699)
                let shorter = await Self.attempts(policy, on: loop)
                #expect(shorter.times == [0, 100, 300].map { .milliseconds($0) })
                #expect(loop.elapsed == .milliseconds(1_000))
                policy.totalTime = .zero
                let none = await Self.attempts(policy, on: loop)
                #expect(none.times == [.zero])
                policy.totalTime = nil
                policy.maximumAttempts = 12
                let unlimited = await Self.attempts(policy, on: loop)
                #expect(unlimited.times.last == .milliseconds(100 * 511) + .seconds(60))
            }
        }

        @Test func `an error that is not worth it is the last`() async throws {
            try await onLoop { loop in
                let (times, error) = await Self.attempts(
                    Self.exact,
                    if: { ($0 as? Refusal)?.name != "3" },
                    on: loop
                )
                #expect(times == [0, 100, 300].map { .milliseconds($0) })
                #expect(error?.reason == .notWorthIt && error?.attempts == 3)
                let words = "Given up after 3 attempts, as it was not worth another: Refusal(name: \"3\")"
                #expect(error?.description == words)
                #expect(loop.elapsed == .milliseconds(300))
            }
        }

        @Test func `of very many attempts the last hundred errors are kept`() async throws {
            try await onLoop { loop in
                let policy = RetryPolicy(maximumAttempts: 1_000, initialDelay: .zero, totalTime: nil)
                let (times, error) = await Self.attempts(policy, on: loop)
                #expect(times == Array(repeating: .zero, count: 1_000))
                #expect(error?.attempts == 1_000 && error?.errors.count == 100)
                #expect((error?.errors.first as? Refusal)?.name == "901")
                #expect((error?.lastError as? Refusal)?.name == "1000")
            }
        }

        @Test func `others run between attempts, also without a wait`() async throws {
            try await onLoop { loop in
                let ran = Recorder<Int>()
                var policy = Self.exact
                policy.initialDelay = .zero
                loop.schedule { ran.append(1) }
                let error = await failure {
                    try await AsyncIO.retry(policy) {
                        #expect(loop.isCurrent)
                        if ran.count == 1 { return }
                        throw Refusal()
                    }
                }
                #expect(error == nil)
            }
        }

        // MARK: Cancellation

        @Test func `a cancellation out of the operation is passed on at once`() async throws {
            try await onLoop { loop in
                var count = 0
                let error = await failure {
                    try await AsyncIO.retry(Self.exact) {
                        count += 1
                        if count == 2 { throw CancellationError() }
                        throw Refusal()
                    }
                }
                #expect(error is CancellationError)
                #expect(count == 2)
                #expect(loop.elapsed == .milliseconds(100))
            }
        }

        @Test func `cancelling the task ends the wait for the next attempt`() async throws {
            let began = Recorder<Duration>()
            try await onLoop { loop in
                let task = spawn {
                    try await AsyncIO.retry(Self.exact) {
                        began.append(loop.elapsed)
                        throw Refusal()
                    }
                }
                try await AsyncIO.sleep(for: .milliseconds(250))
                task.cancel()
                #expect(await isCancelled { try await task.value })
                #expect(loop.elapsed == .milliseconds(250))
                #expect(loop.timers == 0)
            }
            #expect(began.all == [.zero, .milliseconds(100)])
        }

        @Test func `a task that was cancelled already does not try again`() async throws {
            let began = Recorder<Int>()
            try await onLoop { loop in
                let task = spawn {
                    _ = loop
                    cancelThisTask()
                    try await AsyncIO.retry(RetryPolicy(initialDelay: .zero)) {
                        began.append(1)
                        throw Refusal()
                    }
                }
                #expect(await isCancelled { try await task.value })
                #expect(loop.elapsed == .zero)
            }
            #expect(began.count == 1)
        }

        @Test func `a limit around it cuts it off, and one inside counts as a failure`() async throws {
            try await onLoop(.paced) { loop in
                let start = loop.now
                let policy = RetryPolicy(
                    maximumAttempts: 3,
                    initialDelay: ticks(10),
                    jitter: 0,
                    totalTime: nil
                )
                let outer = await failure {
                    try await withTimeout(ticks(15)) { try await AsyncIO.retry(policy) { throw Refusal() } }
                }
                #expect(outer as? TimeoutError == TimeoutError(limit: ticks(15)))
                #expect(isTicks(start.duration(to: loop.now), 15))
                let inner = await failure {
                    try await AsyncIO.retry(policy) {
                        try await withTimeout(ticks(1)) { try await AsyncIO.sleep(for: ticks(3_600)) }
                    }
                }
                #expect((inner as? RetryError)?.attempts == 3)
                #expect((inner as? RetryError)?.lastError as? TimeoutError == TimeoutError(limit: ticks(1)))
                #expect(isTicks(start.duration(to: loop.now), 15 + 1 + 10 + 1 + 20 + 1))
            }
        }

        @Test func `the end of the loop ends the waits`() async throws {
            let ends = Recorder<String>()
            try await onLoop(.paced) { loop in
                for _ in 0..<3 {
                    spawn {
                        _ = loop
                        do {
                            try await AsyncIO.retry(RetryPolicy(initialDelay: .seconds(10))) { throw Refusal() }
                        } catch { ends.append(word(error)) }
                    }
                }
                await settle()
            }
            #expect(ends.all == ["cancelled", "cancelled", "cancelled"])
        }

        // MARK: Waits

        @Test func `waits grow up to the longest, whatever the numbers are`() {
            var policy = RetryPolicy(initialDelay: .milliseconds(3), multiplier: 10, maximumDelay: .seconds(2))
            #expect(
                [1, 2, 3, 4].map { policy.delay(afterAttempts: $0) } == [3, 30, 300, 2_000].map { .milliseconds($0) }
            )
            #expect(policy.delay(afterAttempts: .max) == .seconds(2))
            policy.multiplier = 1.5
            #expect(policy.delay(afterAttempts: 3) == .microseconds(6_750))
            policy.multiplier = 0
            #expect(policy.delay(afterAttempts: 2) == .zero)
            policy.multiplier = 1
            #expect(policy.delay(afterAttempts: .max) == .milliseconds(3))
            policy.initialDelay = .seconds(-1)
            #expect(policy.delay(afterAttempts: 5) == .zero)
            policy = RetryPolicy(initialDelay: .zero, multiplier: 1e300)
            #expect(policy.delay(afterAttempts: 1_000) == .zero)
            policy = RetryPolicy(initialDelay: .seconds(Int64.max), maximumDelay: .seconds(Int64.max))
            #expect(policy.delay(afterAttempts: 7) >= .seconds(9_000_000_000))
        }

        @Test(arguments: [0.25, 0.5, 1])
        func `chance takes its part of a wait and no more, and the same seed gives the same waits`(
            jitter: Double
        ) async throws {
            let policy = RetryPolicy(
                maximumAttempts: 200,
                multiplier: 1,
                jitter: jitter,
                totalTime: nil
            )
            func waits(_ seed: UInt64) async throws -> [Duration] {
                try await onLoop { loop in
                    var (chance, times): (Chance, [Duration]) = (Chance(seed: seed), [])
                    _ = await failure {
                        try await AsyncIO.retry(policy, using: &chance) {
                            times.append(loop.elapsed)
                            throw Refusal()
                        }
                    }
                    return zip(times, times.dropFirst()).map { $1 - $0 }
                }
            }
            let first = try await waits(1)
            let shortest = Duration.nanoseconds(Int64(100_000_000 * (1 - jitter)))
            #expect(first.count == 199)
            #expect(first.allSatisfy { shortest <= $0 && $0 <= .milliseconds(100) })
            // All of the part is used.
            let tenth = Duration.nanoseconds(Int64(10_000_000 * jitter))
            #expect(first.contains { $0 < shortest + tenth } && first.contains { $0 > .milliseconds(100) - tenth })
            #expect(try await waits(1) == first)
            #expect(try await waits(2) != first)
        }

        @Test func `outside a loop it waits by Swift's own clock`() async throws {
            let policy = RetryPolicy(maximumAttempts: 3, initialDelay: .milliseconds(1), jitter: 0)
            let error = await failure { try await AsyncIO.retry(policy) { throw Refusal() } }
            #expect((error as? RetryError)?.attempts == 3)
        }
    }
}
