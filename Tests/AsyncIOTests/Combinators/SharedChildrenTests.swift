// Operations that are gathered run in tasks that others had. No operation can tell; whoever gathers goes on when all have
// ended, whatever happens meanwhile. What they return and throw, the tests of gathering see to: behaviours 52 to 55.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct SharedChildrenTests {
        @TaskLocal static var label = "none"

        @Test func `operations that end at once run in one task, and others have one each`() async throws {
            try await onLoop { _ in
                for _ in 0..<5 {
                    let tasks = try await gather(operations(100) { _ in thisTask() })
                    #expect(Set(tasks).count == 1)
                    let waiting = operations(100) { _ in
                        await AsyncIO.yield()
                        return thisTask()
                    }
                    let others = try await gather(waiting)
                    #expect(Set(others).count == 100)
                }
            }
        }

        @Test func `a spawned body has the task of an operation, and the other way round`() async throws {
            try await onLoop { _ in
                let spawned = try await spawn { thisTask() }.value
                let pair = try await gather({ thisTask() }, { thisTask() })
                let last = try await spawn { thisTask() }.value
                #expect(Set([spawned, pair.0, pair.1, last]).count == 1)
                #expect(spawned != thisTask())
            }
        }

        @Test func `so do those of a handler`() async throws {
            try await onNetwork(.memory) { loop in
                let found = Recorder<Bool>()
                try await serving(on: loop) { connection in
                    for _ in 0..<3 {
                        let pair = try await gather(
                            {
                                _ = loop
                                return thisTask()
                            },
                            {
                                _ = loop
                                return thisTask()
                            }
                        )
                        found.append(pair.0 == pair.1 && pair.0 != thisTask())
                    }
                    try await connection.write("!")
                } while: { server in
                    let client = try await server.client()
                    let answer = try await client.text(1)
                    #expect(answer == "!")
                    try await client.close()
                }
                #expect(found.all == [true, true, true])
            }
        }

        @Test func `what an operation holds is gone when all have ended`() async throws {
            try await onLoop { _ in
                let ends = Recorder<Int>()
                for number in 0..<3 {
                    do {
                        let held = Held(number, ends)
                        let pair = try await gather({ held.number }, { held.number })
                        #expect(pair == (number, number))
                    }
                    #expect(ends.count == number + 1)
                }
            }
        }

        @Test(arguments: [129, 500])
        func `more than a loop keeps tasks for are run as well`(count: Int) async throws {
            try await onLoop { _ in
                let waiting = operations(count) { number in
                    await AsyncIO.yield()
                    return number
                }
                let numbers = try await gather(waiting)
                #expect(numbers == Array(0..<count))
                let nested = operations(20) { number in
                    try await gather(
                        operations(20) { other in
                            await AsyncIO.yield()
                            return number * 20 + other
                        }
                    )
                }
                let all = try await gather(nested)
                #expect(all.flatMap { $0 } == Array(0..<400))
            }
        }

        // MARK: Cancellation

        @Test func `nobody hears of the cancellation of those before`() async throws {
            try await onLoop { _ in
                for _ in 0..<20 {
                    let error = await failure {
                        try await gather({ try await AsyncIO.sleep(for: .seconds(1)) }, { throw Refusal(name: "one") })
                    }
                    #expect(error as? Refusal == Refusal(name: "one"))
                    let found = try await gather({ Task.isCancelled }, { Task.isCancelled })
                    #expect(found == (false, false))
                    let spawned = spawn { Task.isCancelled }
                    let wasCancelled = try await spawned.value
                    #expect(!wasCancelled)
                }
            }
        }

        @Test func `an operation that cancels its own task has it alone`() async throws {
            try await onLoop { _ in
                let found = try await gather(
                    {
                        cancelThisTask()
                        return Task.isCancelled
                    },
                    { Task.isCancelled }
                )
                #expect(found == (true, false))
                let next = try await gather({ Task.isCancelled }, { Task.isCancelled })
                #expect(next == (false, false))
            }
        }

        @Test func `those that begin after a failure begin cancelled`() async throws {
            try await onLoop { loop in
                let began = Recorder<Bool>()
                let begin = inheriting {
                    _ = loop
                    began.append(Task.isCancelled)
                }
                let fail = inheriting {
                    _ = loop
                    throw Refusal()
                }
                let error = await failure { try await gather([begin, fail, begin]) }
                #expect(error is Refusal)
                #expect(began.all == [false, true])
            }
        }

        @Test func `those that begin after the caller was cancelled begin cancelled`() async throws {
            try await onLoop { loop in
                let began = Recorder<Bool>()
                let box = Recorder<LoopTask<Void>>()
                let gatherer = spawn {
                    _ = loop
                    try await gather(
                        {
                            _ = loop
                            began.append(Task.isCancelled)
                            box.all.first?.cancel()
                        },
                        {
                            _ = loop
                            began.append(Task.isCancelled)
                        }
                    )
                }
                box.append(gatherer)
                try await gatherer.value
                #expect(began.all == [false, true])
            }
        }

        @Test func `threads that cancel at any moment reach all operations, or none`() async throws {
            try await onLoop(.real) { _ in
                for round in 0..<200 {
                    let ended = Recorder<Bool>()
                    let victim = spawn {
                        try await gather(
                            operations(5) { number in
                                for _ in 0..<(round + number) % 5 { await AsyncIO.yield() }
                                ended.append(Task.isCancelled)
                                return number
                            }
                        )
                    }
                    let crowd = Crowd(2) { _ in victim.cancel() }
                    let numbers = try await victim.value
                    #expect(numbers == Array(0..<5))
                    #expect(ended.count == 5)
                    let found = try await gather({ Task.isCancelled }, { Task.isCancelled })
                    #expect(found == (false, false))
                    try await crowd.join()
                }
            }
        }

        // MARK: Ends

        @Test(arguments: bothModes)
        func `on a loop that is closed whoever gathers goes on when all have ended`(
            mode: EventLoop.GlobalExecutor
        ) async throws {
            let order = Recorder<String>()
            let (numbers, feed) = AsyncStream<Int>.makeStream()
            try await onLoop(.virtual(mode), leaving: Recorder()) { loop in
                Task {
                    loop.assertIsolated()
                    let error = await failure {
                        try await gather(
                            {
                                _ = loop
                                for await number in numbers { order.append("got \(number)") }
                                order.append("end")
                            },
                            {
                                _ = loop
                                try await AsyncEvent().wait()
                            }
                        )
                    }
                    loop.assertIsolated()
                    order.append("gathered \(error is CancellationError)")
                }
                for _ in 0..<5 { await AsyncIO.yield() }
            }
            feed.yield(1)
            feed.finish()
            for _ in 0..<1_000_000 {
                if order.all.last?.hasPrefix("gathered") == true { break }
                await Task.yield()
            }
            // The stream is cancelled with its task, and may have ended before.
            #expect(order.all.suffix(2) == ["end", "gathered true"])
        }

        @Test func `the end of a run cancels what is gathered, and waits for it`() async throws {
            let order = Recorder<String>()
            try await onLoop { _ in
                spawn {
                    try await gather(
                        operations(3) { number in
                            do { try await AsyncEvent().wait() } catch {
                                for _ in 0..<5 { await AsyncIO.yield() }
                                order.append("cleaned up")
                            }
                            return number
                        }
                    )
                    order.append("gathered")
                }
                await someTurns()
            }
            #expect(order.all == ["cleaned up", "cleaned up", "cleaned up", "gathered"])
        }

        // MARK: What a group runs

        @Test func `with operations of an actor all results come as well`() async throws {
            try await onLoop { _ in
                let ledger = Entries()
                var mixed = operations(3) { $0 }
                for number in 3..<6 { mixed.append { await ledger.add(number) } }
                let numbers = try await gather(mixed)
                #expect(numbers == Array(0..<6))
                let entries = await ledger.all
                #expect(entries.sorted() == [3, 4, 5])
            }
        }

        @Test func `operations see the values of whoever gathers`() async throws {
            var configuration = EventLoop.Configuration.virtual()
            configuration.testing = nil
            try await Task.detached {
                try await withEventLoop(configuration) { loop in
                    for _ in 0..<3 {
                        let outer = try await gather({ Self.label }, { Self.label })
                        #expect(outer == ("none", "none"))
                        let inner = try await Self.$label.withValue("inner") {
                            _ = loop
                            return try await gather({ Self.label }, { try await gather({ Self.label }, { 1 }).0 })
                        }
                        #expect(inner == ("inner", "inner"))
                    }
                }
            }.value
        }

        @Test func `operations have the deadline of whoever gathers`() async throws {
            try await onLoop(.paced) { loop in
                let start = loop.now
                await #expect(throws: TimeoutError.self) {
                    try await withTimeout(ticks(2)) {
                        try await gather(
                            { try await AsyncIO.sleep(for: ticks(1)) },
                            { try await AsyncIO.sleep(for: ticks(3_600)) }
                        )
                    }
                }
                #expect(isTicks(start.duration(to: loop.now), 2))
            }
        }
    }
}

/// So many of the same operation, each with its number and the isolation of a test.
private func operations<Value: Sendable>(
    _ count: Int,
    isolation: isolated (any Actor)? = #isolation,
    _ body: @escaping @Sendable (Int) async throws -> Value
) -> [@Sendable @isolated(any) () async throws -> Value] {
    (0..<count).map { number in
        inheriting {
            _ = isolation
            return try await body(number)
        }
    }
}

/// An operation with the isolation of the place where it is written.
func inheriting<Value: Sendable>(
    @_inheritActorContext(always) _ operation: @escaping @Sendable @isolated(any) () async throws -> Value
) -> @Sendable @isolated(any) () async throws -> Value {
    operation
}

private actor Entries {
    private(set) var all: [Int] = []

    func add(_ number: Int) -> Int {
        all.append(number)
        return number
    }
}

private final class Held: Sendable {
    let number: Int
    private let ends: Recorder<Int>

    init(_ number: Int, _ ends: Recorder<Int>) { (self.number, self.ends) = (number, ends) }

    deinit { ends.append(number) }
}

/// Which task this is.
private func thisTask() -> Int { unsafe withUnsafeCurrentTask { unsafe $0?.hashValue ?? 0 } }
