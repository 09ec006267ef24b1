// Several operations at once, and what became of each: none is cancelled because another fails. Behaviours 52 to 54 of
// asyncio, with return_exceptions.

import AsyncIO
import AsyncIOTesting
import Testing

private typealias Operation = @Sendable @isolated(any) () async throws -> Int

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct GatherResultsTests {
        @Test func `results and errors in the order of the operations, behaviour 52`() async throws {
            // test_return_exceptions, test_result_exception_one_cancellation
            try await onLoop(.paced) { loop in
                let start = loop.now
                let operations: [Operation] = [
                    { try await after(3, 0) },
                    { throw Refusal(name: "at once") },
                    {
                        _ = try await after(2, 0)
                        throw Refusal(name: "late")
                    },
                    { throw CancellationError() },
                    { try await after(4, 4) },
                ]
                let results = try await gatherResults(operations)
                #expect(isTicks(start.duration(to: loop.now), 4))
                #expect(
                    results.map(brief) == ["0", "at once", "late", "CancellationError", "4"]
                )
            }
        }

        @Test func `no operation, and a thousand`() async throws {
            try await onLoop { _ in
                let none = try await gatherResults([Operation]())
                #expect(none.isEmpty)
                var operations: [Operation] = []
                for number in 0..<1_000 {
                    operations.append {
                        if number % 3 == 0 { throw Refusal(name: "\(number)") }
                        return number
                    }
                }
                let results = try await gatherResults(operations)
                #expect(results.map(brief) == (0..<1_000).map(String.init))
            }
        }

        @Test func `cancelling the caller cancels all, waits for all, and is thrown, behaviours 53 and 54`()
            async throws
        {
            // test_cancellation_broadcast, test_cancel_gather_2
            let ends = Recorder<Bool>()
            try await onLoop(.paced) { loop in
                let task = spawn {
                    _ = loop
                    var operations: [Operation] = []
                    for _ in 0..<3 {
                        operations.append {
                            ends.append(await isCancelled { try await AsyncIO.sleep(for: ticks(3_600)) })
                            return 1
                        }
                    }
                    return try await gatherResults(operations).count
                }
                try await AsyncIO.sleep(for: ticks(1))
                task.cancel()
                #expect(await isCancelled { try await task.value })
                #expect(ends.all == [true, true, true])
                #expect(loop.timers == 0)
            }
        }

        @Test(arguments: bothModes)
        func `operations run on the loop`(mode: EventLoop.GlobalExecutor) async throws {
            try await onLoop(.virtual(mode)) { loop in
                var operations: [Operation] = []
                for _ in 0..<3 {
                    operations.append {
                        await AsyncIO.yield()
                        return loop.isCurrent ? 1 : 0
                    }
                }
                let results = try await gatherResults(operations)
                #expect(results.map(brief) == ["1", "1", "1"])
                #expect(loop.isCurrent)
            }
        }

        @Test func `outside a loop it works as well`() async throws {
            let operations: [Operation] = [{ 1 }, { throw Refusal(name: "no") }]
            let results = try await gatherResults(operations)
            #expect(results.map(brief) == ["1", "no"])
        }
    }
}

private func after(_ count: Int, _ value: Int) async throws -> Int {
    try await AsyncIO.sleep(for: ticks(count))
    return value
}

private func brief(_ result: Result<Int, any Error>) -> String {
    switch result {
    case .success(let value): "\(value)"
    case .failure(let error as Refusal): error.name
    case .failure(let error): "\(type(of: error))"
    }
}
