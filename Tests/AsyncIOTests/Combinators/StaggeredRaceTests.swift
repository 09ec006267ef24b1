// Several ways to the same end, begun one after the other: which wins, when, and what becomes of the rest. Behaviour 77 of
// asyncio.

import AsyncIO
import AsyncIOTesting
import Testing

private typealias Attempt = @Sendable @isolated(any) () async throws -> String

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct StaggeredRaceTests {
        @Test func `one that succeeds, behaviour 77`() async throws {
            // test_one_successful
            try await onLoop(.paced) { loop in
                let start = loop.now
                let winner = try await race(delay: nil, [{ "only" }])
                #expect(winner.value == "only" && winner.index == 0)
                #expect(winner.errors.count == 1 && winner.errors[0] == nil)
                let timed = try await race(
                    delay: ticks(1_000),
                    [
                        { "first" },
                        {
                            Issue.record("begun")
                            return ""
                        },
                    ]
                )
                #expect(timed.value == "first" && timed.errors.count == 1)
                #expect(loop.timers == 0 && start.duration(to: loop.now) < ticks(1_000))
            }
        }

        @Test func `the second begins when the first has failed, behaviour 77`() async throws {
            // test_first_error_second_successful
            try await onLoop(.paced) { loop in
                let start = loop.now
                for delay in [nil, ticks(1_000)] {
                    let winner = try await race(
                        delay: delay,
                        [failing(after: 1, "first"), { try await after(1, "second") }, { "third" }]
                    )
                    #expect(winner.value == "second" && winner.index == 1)
                    #expect(winner.errors.count == 2)
                    #expect(winner.errors[0] as? Refusal == Refusal(name: "first") && winner.errors[1] == nil)
                }
                #expect(isTicks(start.duration(to: loop.now), 4))
                #expect(loop.timers == 0)
            }
        }

        @Test func `the second begins when the first takes too long, which is then cancelled, behaviour 77`()
            async throws
        {
            // test_first_timeout_second_successful
            try await onLoop(.paced) { loop in
                let start = loop.now
                let cancelled = Recorder<Bool>()
                let winner = try await race(
                    delay: ticks(2),
                    [
                        {
                            cancelled.append(await isCancelled { try await AsyncIO.sleep(for: ticks(3_600)) })
                            throw CancellationError()
                        },
                        { try await after(1, "second") },
                    ]
                )
                #expect(winner.value == "second" && winner.index == 1)
                #expect(winner.errors.count == 2 && winner.errors.allSatisfy { $0 == nil })
                #expect(cancelled.all == [true])
                #expect(isTicks(start.duration(to: loop.now), 3))
                #expect(loop.timers == 0)
            }
        }

        @Test func `none that succeeds, and all errors in their order, behaviour 77`() async throws {
            // test_none_successful
            try await onLoop(.paced) { loop in
                let error = await failure {
                    try await race(
                        delay: ticks(1),
                        [failing(after: 4, "first"), failing(after: 1, "second"), failing(after: 0, "third")]
                    )
                }
                let errors = try #require(error as? StaggeredRaceError)
                #expect(errors.errors.map { ($0 as? Refusal)?.name } == ["first", "second", "third"])
                #expect(errors.description.hasPrefix("None of 3 attempts succeeded: Refusal"))
                #expect(loop.timers == 0)
            }
        }

        @Test func `a thousand attempts that fail at once, and the last succeeds`() async throws {
            try await onLoop { loop in
                var attempts = (0..<1_000).map { failing(after: 0, "\($0)") }
                attempts.append { "last" }
                let winner = try await race(delay: nil, attempts)
                #expect(winner.index == 1_000 && winner.errors.count == 1_001)
                #expect(loop.timers == 0)
            }
        }

        @Test func `with no delay at all they begin one turn after the other, and the first to end wins`() async throws
        {
            try await onLoop(.paced) { loop in
                let began = Recorder<Int>()
                var attempts: [Attempt] = []
                for number in 0..<5 {
                    attempts.append {
                        began.append(number)
                        return try await after(number == 4 ? 6 : 3_600, "\(number)")
                    }
                }
                let start = loop.now
                let winner = try await race(delay: .zero, attempts)
                #expect(winner.value == "4" && winner.index == 4)
                #expect(began.all == [0, 1, 2, 3, 4])
                #expect(isTicks(start.duration(to: loop.now), 6))
            }
        }

        @Test func `those that were begun fail while others are yet to begin`() async throws {
            // The delay counts for the last one that was begun; an earlier one's failure begins nothing.
            try await onLoop(.paced) { loop in
                let start = loop.now
                let began = Recorder<String>()
                let winner = try await race(
                    delay: ticks(10),
                    [
                        failing(after: 12, "first"),
                        {
                            began.append("second \(isTicks(start.duration(to: await loop.now), 10))")
                            return try await after(3_600, "second")
                        },
                        {
                            began.append("third \(isTicks(start.duration(to: await loop.now), 20))")
                            return "third"
                        },
                    ]
                )
                #expect(winner.value == "third")
                #expect(began.all == ["second true", "third true"])
                #expect(winner.errors.count == 3 && winner.errors[0] is Refusal && winner.errors[1] == nil)
            }
        }

        @Test func `losers are awaited, whatever they do`() async throws {
            let order = Recorder<String>()
            try await onLoop(.paced) { _ in
                let winner = try await race(
                    delay: ticks(1),
                    [
                        {
                            try? await AsyncIO.sleep(for: ticks(3_600))
                            for _ in 0..<5 { await AsyncIO.yield() }
                            order.append("cleaned up")
                            return "too late"
                        },
                        {
                            order.append("wins")
                            return "winner"
                        },
                    ]
                )
                order.append(winner.value)
            }
            #expect(order.all == ["wins", "cleaned up", "winner"])
        }

        @Test func `cancelling the caller cancels those that were begun, and begins no other`() async throws {
            let (began, ended) = (Recorder<Int>(), Recorder<Bool>())
            try await onLoop(.paced) { loop in
                let second = Promise<Void>()
                let task = spawn {
                    _ = loop
                    var attempts: [Attempt] = []
                    for number in 0..<3 {
                        attempts.append {
                            began.append(number)
                            if number == 1 { second.succeed() }
                            ended.append(await isCancelled { try await AsyncIO.sleep(for: ticks(3_600)) })
                            throw Refusal(name: "\(number)")
                        }
                    }
                    return try await race(delay: ticks(200), attempts).index
                }
                try await second.future.value
                task.cancel()
                #expect(await isCancelled { try await task.value })
                #expect(loop.timers == 0)
            }
            #expect(began.all == [0, 1] && ended.all == [true, true])
        }

        @Test func `one that succeeds although the caller is cancelled wins`() async throws {
            try await onLoop(.paced) { loop in
                let task = spawn {
                    _ = loop
                    return try await race(
                        delay: nil,
                        [
                            {
                                try? await AsyncIO.sleep(for: ticks(3_600))
                                return "kept"
                            }, { "never" },
                        ]
                    ).value
                }
                try await AsyncIO.sleep(for: ticks(1))
                task.cancel()
                let value = try await task.value
                #expect(value == "kept")
            }
        }

        @Test func `an attempt that throws CancellationError of its own has failed`() async throws {
            try await onLoop { _ in
                let winner = try await race(delay: nil, [{ throw CancellationError() }, { "second" }])
                #expect(winner.index == 1 && winner.errors[0] is CancellationError)
                let error = await failure { try await race(delay: nil, [{ throw CancellationError() }]) }
                #expect((error as? StaggeredRaceError)?.errors.count == 1)
            }
        }

        @Test(arguments: bothModes)
        func `attempts run on the loop`(mode: EventLoop.GlobalExecutor) async throws {
            try await onLoop(.virtual(mode)) { loop in
                let winner = try await race(
                    delay: nil,
                    [
                        {
                            await AsyncIO.yield()
                            throw Refusal(name: "\(loop.isCurrent)")
                        },
                        {
                            await AsyncIO.yield()
                            return "\(loop.isCurrent)"
                        },
                    ]
                )
                #expect(winner.value == "true")
                #expect(winner.errors[0] as? Refusal == Refusal(name: "true"))
                #expect(loop.isCurrent)
            }
        }

        @Test(.testsProcess)
        func `without an attempt it traps with a sentence`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                try await withEventLoop { _ in _ = try await race(delay: nil, [Attempt]()) }
            }
            #expect(says(result, "staggeredRace was called without an operation."))
        }
    }
}

/// With a type that the compiler need not find out.
private func race(delay: Duration?, _ attempts: [Attempt]) async throws -> StaggeredRaceWinner<String> {
    try await staggeredRace(delay: delay, attempts)
}

private func after(_ count: Int, _ value: String) async throws -> String {
    try await AsyncIO.sleep(for: ticks(count))
    return value
}

private func failing(after count: Int, _ name: String) -> Attempt {
    {
        if count > 0 { try await AsyncIO.sleep(for: ticks(count)) }
        throw Refusal(name: name)
    }
}
