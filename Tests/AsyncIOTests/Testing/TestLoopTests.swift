// The loop that users test with: its orders, its reports, its proofs that nothing is left.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite struct TestLoopTests {
        @Test func `an hour passes at once and exactly`() async throws {
            let elapsed = try await withTestLoop { loop in
                let start = loop.now
                try await AsyncIO.sleep(for: .seconds(3_600))
                return start.duration(to: loop.now)
            }
            #expect(elapsed == .seconds(3_600))
        }

        @Test func `what is ready together runs in an order that the seed decides, again and again the same`()
            async throws
        {
            @Sendable func order(_ seed: UInt64?) async throws -> [Int] {
                try await withTestLoop(seed: seed) { _ in
                    let order = Recorder<Int>()
                    let tasks = (0..<8).map { number in spawn { order.append(number) } }
                    for task in tasks { try await task.value }
                    return order.all
                }
            }
            #expect(try await order(nil) == Array(0..<8))
            var orders: Set<[Int]> = []
            for seed in 0..<20 as Range<UInt64> {
                let first = try await order(seed), second = try await order(seed)
                #expect(first == second && first.sorted() == Array(0..<8))
                orders.insert(first)
            }
            #expect(orders.count > 15)
        }

        @Test func `a test that depends on an order fails under some seed, which is named and fails again`()
            async throws
        {
            let body: @Sendable (isolated EventLoop) async throws -> Void = { _ in
                let order = Recorder<Int>()
                let tasks = (0..<2).map { number in spawn { order.append(number) } }
                for task in tasks { try await task.value }
                if order.all != [0, 1] { throw Refusal(name: "out of order") }
            }
            let failed = await failure { try await withTestLoops(seeds: 0..<100, body) } as? SeededFailure
            let seed = try #require(failed?.seed)
            #expect(failed?.error as? Refusal == Refusal(name: "out of order"))
            #expect(failed?.description.contains("seed \(seed)") == true)
            let again = await failure { try await withTestLoop(seed: seed) { try await body($0) } }
            #expect(again as? Refusal == Refusal(name: "out of order"))
        }

        @Test func `tasks that wait for one another are reported with what they wait for`() async throws {
            let error = await failure {
                try await withTestLoop(deadlockAfter: .milliseconds(1)) { _ in
                    let (first, second) = (AsyncLock(), AsyncLock())
                    func take(_ one: AsyncLock, _ other: AsyncLock) async throws {
                        try await one.withLock {
                            await AsyncIO.yield()
                            try await other.withLock {}
                        }
                    }
                    let task = spawn(name: "one") { try await take(first, second) }
                    let other = spawn(name: "other") { try await take(second, first) }
                    try await task.value
                    try await other.value
                }
            }
            let report = try #require(error as? DeadlockError).description
            #expect(report.contains("one") && report.contains("other") && report.contains("waits for AsyncLock"))
            #expect(report.contains("a task: waits for task one"))
        }

        @Test(arguments: [Duration.seconds(Int64.max), .seconds(Int64.max / 1_000), .seconds(Int64.min), .zero])
        func `patience may be as long as one likes`(patience: Duration) async throws {
            let value = try await withTestLoop(deadlockAfter: patience) { loop in
                let (promise, timed) = (Promise<Int>(), Promise<Int>())
                _ = loop.schedule(after: .seconds(1)) { timed.succeed(1) }
                let first = try await timed.future.value
                // Another thread is waited for, where there is time for that.
                if patience > .zero { onForeignThread { promise.succeed(2) } } else { promise.succeed(2) }
                let second = try await promise.future.value
                return first + second
            }
            #expect(value == 3)
        }

        @Test func `other threads are waited for, and a timer is no deadlock`() async throws {
            let value = try await withTestLoop(deadlockAfter: .milliseconds(1)) { _ in
                let promise = Promise<Int>()
                let waiting = spawn { try await promise.future.value }
                try await AsyncIO.sleep(for: .seconds(1_000))
                _ = try await AsyncIO.offload { promise.succeed(7) }
                return try await waiting.value
            }
            #expect(value == 7)
        }

        @Test func `what is left open or scheduled fails the test`() async throws {
            let error = await failure {
                try await withTestLoop { loop in _ = loop.schedule(after: .seconds(1)) {} }
            }
            #expect((error as? LeakError)?.description.contains("callbacks that never ran: 1") == true)
        }

        @Test func `a scope without leaks is one, and others are told by what they leave`() async throws {
            try await withTestLoop { loop in
                let five = try await expectNoLeaks(on: loop) { loop in
                    let timer = loop.schedule(after: .seconds(1)) {}
                    timer.cancel()
                    return try await spawn { 5 }.value
                }
                #expect(five == 5)
                let (promise, line) = (Promise<Void>(), #line)
                do {
                    try await expectNoLeaks(on: loop) { loop in
                        _ = loop.schedule(after: .seconds(1)) {}
                        spawn(name: "left") { try await promise.future.value }
                        await AsyncIO.yield()
                    }
                    Issue.record("the leak was not seen")
                } catch let error as LeakError {
                    let wait = "waits for Future of AsyncIOTests/TestLoopTests.swift:\(line)"
                    #expect(error.left == ["1 spawned tasks", "1 scheduled callbacks", wait])
                }
                promise.succeed()
                try await AsyncIO.sleep(for: .seconds(2))
            }
        }
    }
}
