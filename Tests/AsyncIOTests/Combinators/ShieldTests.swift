// Work that goes on although the task that waits for it is cancelled. Behaviour 44 of asyncio.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct ShieldTests {
        @Test func `results and errors come through, behaviour 44`() async throws {
            // test_shield_result, test_shield_exception
            try await onLoop { loop in
                let value = try await shield {
                    try await AsyncIO.sleep(for: .seconds(1))
                    return loop.isCurrent
                }
                #expect(value && loop.elapsed == .seconds(1))
                #expect(
                    await failure { try await shield { throw Refusal(name: "inner") } } as? Refusal
                        == Refusal(name: "inner")
                )
            }
        }

        @Test func `cancelling the caller ends its wait at once, and the work goes on, behaviour 44`() async throws {
            // test_shield_effect, test_shield_cancel_outer
            let done = Recorder<String>()
            try await onLoop { loop in
                let caller = spawn {
                    try await shield {
                        try await AsyncIO.sleep(for: .seconds(5))
                        done.append("done \(Task.isCancelled)")
                    }
                }
                await someTurns()
                caller.cancel()
                #expect(await isCancelled { try await caller.value })
                #expect(loop.elapsed == .zero && done.all.isEmpty)
                try await AsyncIO.sleep(for: .seconds(6))
            }
            #expect(done.all == ["done false"])
        }

        @Test func `work that ends as cancelled cancels the caller's wait, behaviour 44`() async throws {
            // test_shield_cancel_inner
            try await onLoop { _ in
                let error = await failure {
                    try await shield {
                        cancelThisTask()
                        try await AsyncIO.sleep(for: .seconds(1))
                    }
                }
                #expect(error is CancellationError && !Task.isCancelled)
            }
        }

        @Test func `an error that comes after the caller has gone counts as seen, behaviour 44`() async throws {
            // `onLoop` fails if it is reported.
            try await onLoop { _ in
                let caller = spawn {
                    try await shield {
                        try await AsyncIO.sleep(for: .seconds(1))
                        throw Refusal(name: "late")
                    }
                }
                await someTurns()
                caller.cancel()
                #expect(await isCancelled { try await caller.value })
                try await AsyncIO.sleep(for: .seconds(2))
            }
        }

        @Test func `in a task that was cancelled already the work begins all the same, where Swift differs`()
            async throws
        {
            let ran = Recorder<Bool>()
            try await onLoop { _ in
                let caller = spawn {
                    cancelThisTask()
                    try await shield { ran.append(Task.isCancelled) }
                }
                #expect(await isCancelled { try await caller.value })
                await someTurns()
            }
            #expect(ran.all == [false])
        }

        @Test func `within a gather only the wait is cancelled, behaviour 44`() async throws {
            // test_gather_shield, test_shield_gather
            let done = Recorder<Int>()
            try await onLoop { _ in
                let gate = Promise<Void>()
                let error = await failure {
                    try await gather(
                        {
                            try await shield {
                                try await gate.future.value
                                done.append(1)
                            }
                        },
                        {
                            await someTurns()
                            throw Refusal()
                        }
                    )
                }
                #expect(error is Refusal && done.all.isEmpty)
                gate.succeed()
                await someTurns()
            }
            #expect(done.all == [1])
        }

        @Test func `a task that exists is shielded by awaiting it, behaviour 44`() async throws {
            // test_shield_shortcut
            try await onLoop { _ in
                let inner = spawn { 1 }
                _ = try await inner.value
                let caller = spawn {
                    cancelThisTask()
                    return try await inner.value
                }
                let value = try await caller.value
                #expect(value == 1)
            }
        }

        @Test(arguments: ["withTimeout", "withDeadline"])
        func `time that passes for the caller does not pass for the work`(function: String) async throws {
            let done = Recorder<String>()
            try await onLoop(.paced) { loop in
                let start = loop.now
                let body: @Sendable () async throws -> Void = {
                    try await shield {
                        let inherited = Deadline.inherited
                        try await AsyncIO.sleep(for: ticks(5))
                        done.append("done \(Task.isCancelled) \(inherited == nil)")
                    }
                }
                let error = await failure {
                    if function == "withTimeout" {
                        try await withTimeout(ticks(1)) { try await body() }
                    } else {
                        try await withDeadline(loop.now.advanced(by: ticks(1))) { _ in try await body() }
                    }
                }
                #expect(error is TimeoutError || error is DeadlineError)
                #expect(isTicks(start.duration(to: loop.now), 1))
                try await AsyncIO.sleep(for: ticks(10))
            }
            #expect(done.all == ["done false true"])
        }

        @Test func `the end of the run cancels the work and waits for it, behaviour 27`() async throws {
            let ends = Recorder<String>()
            try await onLoop(.paced) { _ in
                spawn {
                    try await shield {
                        ends.append("\(await isCancelled { try await AsyncIO.sleep(for: .seconds(3_600)) })")
                        await AsyncIO.yield()
                        ends.append("cleaned up")
                    }
                }
                await someTurns()
            }
            #expect(ends.all == ["true", "cleaned up"])
        }
    }
}
