// Deadlines that a bare `Task { }` inherits: nobody awaits it and could cancel it, so it is cancelled where it waits. What
// belongs to asyncio's timeouts otherwise is in DeadlineTests; asyncio has no such thing.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct DeadlineBareTaskTests {
        @Test func `a bare task is cancelled where it waits when the deadline that it inherited passes`() async throws {
            try await onLoop(.paced) { loop in
                let start = loop.now
                let lock = Transfer(AsyncLock()), event = Transfer(AsyncEvent()), queue = Transfer(AsyncQueue<Int>())
                try await lock.value.acquire()
                let waits: [@Sendable (isolated EventLoop) async throws -> Void] = [
                    { _ in try await AsyncIO.sleep(for: ticks(3_600)) }, { _ in try await lock.value.acquire() },
                    { _ in try await event.value.wait() }, { _ in _ = try await queue.value.get() },
                    { loop in try await Park(on: loop).wait() },
                ]
                let ends = Transfer(Ends())
                try await withDeadline(start.advanced(by: ticks(5))) { _ in
                    for wait in waits {
                        Task {
                            _ = loop
                            let end = await ending { try await wait(loop) }
                            ends.value.all.append("\(end) \(Task.isCancelled)")
                        }
                    }
                }
                // The scope is over, and the tasks go on.
                try await AsyncIO.sleep(until: start.advanced(by: ticks(4)))
                #expect(ends.value.all.isEmpty)
                try await AsyncIO.sleep(until: start.advanced(by: ticks(5)))
                await letAllRun()
                #expect(ends.value.all == Array(repeating: "CancellationError true", count: 5))
                #expect(loop.timers == 0)
                lock.value.release()
            }
        }

        @Test(arguments: Driver.allCases)
        func `a bare task that reads in a deadline ends by it, and the bytes stay`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    let ended = Transfer(Ends())
                    _ = try await withDeadline(loop.now.advanced(by: .milliseconds(20))) { _ in
                        Task {
                            _ = loop
                            ended.value.all.append(await ending { _ = try await client.read() })
                            // Cancelled it stays.
                            ended.value.all.append(await ending { _ = try await client.read() })
                        }
                    }
                    try await AsyncIO.sleep(for: .milliseconds(30))
                    while ended.value.all.count < 2 { await AsyncIO.yield() }
                    #expect(ended.value.all == ["CancellationError", "CancellationError"])
                    try await accepted.write("x")
                    #expect(try await client.text(1) == "x")
                }
            }
        }

        @Test func `one that has passed cancels the task at its first wait, not before`() async throws {
            try await onLoop { loop in
                let queue = Transfer(AsyncQueue<Int>())
                for number in 0..<3 { try await queue.value.put(number) }
                let (ends, got) = (Transfer(Ends()), Transfer(NumberLog()))
                let passed = loop.now.advanced(by: .seconds(-1))
                #expect(
                    await failure {
                        try await withDeadline(passed) { _ in
                            Task {
                                _ = loop
                                await AsyncIO.yield()
                                for _ in 0..<3 { got.value.numbers.append(try await queue.value.get()) }
                                ends.value.all.append(await ending { _ = try await queue.value.get() })
                            }
                            try await AsyncIO.sleep(for: .seconds(1))
                        }
                    } is DeadlineError
                )
                await letAllRun()
                #expect(got.value.numbers == [0, 1, 2] && ends.value.all == ["CancellationError"])
            }
        }

        @Test func `a task without one, and children in one that was moved, wait as long as it takes`() async throws {
            try await onLoop(.paced) { loop in
                let start = loop.now
                let ends = Transfer(Ends())
                Task {
                    _ = loop
                    ends.value.all.append(await ending { try await AsyncIO.sleep(for: ticks(100)) })
                }
                try await withDeadline(start.advanced(by: ticks(5))) { deadline in
                    deadline.reschedule(to: start.advanced(by: ticks(50)))
                    try await AsyncIO.gather({ try await AsyncIO.sleep(for: ticks(20)) }, {})
                }
                #expect(isTicks(start.duration(to: loop.now), 20))
                try await AsyncIO.sleep(for: ticks(100))
                #expect(ends.value.all == ["ok"] && loop.timers == 0)
            }
        }

        @Test func `a timer goes with the wait that had it`() async throws {
            try await onLoop { loop in
                let event = Transfer(AsyncEvent())
                let ends = Transfer(Ends())
                try await withDeadline(loop.now.advanced(by: .seconds(5))) { _ in
                    for _ in 0..<3 {
                        Task {
                            _ = loop
                            ends.value.all.append(await ending { try await event.value.wait() })
                        }
                    }
                    await letAllRun()
                    // Those of the three tasks, and the scope's.
                    #expect(loop.timers == 4)
                    event.value.set()
                    await letAllRun()
                    #expect(loop.timers == 1)
                }
                #expect(ends.value.all == ["ok", "ok", "ok"] && loop.timers == 0)
            }
        }

        @Test func `a shield and a value of nil keep it out`() async throws {
            try await onLoop { loop in
                let start = loop.now
                let ends = Transfer(Ends())
                try await withDeadline(start.advanced(by: .seconds(5))) { _ in
                    Deadline.$inherited.withValue(nil) {
                        _ = Task {
                            _ = loop
                            ends.value.all.append(await ending { try await AsyncIO.sleep(for: .seconds(10)) })
                        }
                    }
                }
                try await AsyncIO.sleep(for: .seconds(11))
                #expect(ends.value.all == ["ok"])
            }
        }
    }
}

/// How tasks of one loop ended, in order.
private final class Ends { var all: [String] = [] }
