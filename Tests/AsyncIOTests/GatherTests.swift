// Several operations at once: results in the order of the operations, the first error in time, and what becomes of the
// others. Behaviours 52 to 55 of asyncio. Isolation is inherited: on a loop all of them run there.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct GatherTests {
        @TaskLocal static var label = "none"

        // MARK: Results

        @Test func `operations of different types may fail one by one, behaviour 53`() async throws {
            try await onLoop { loop in
                func description<Value>(_ result: Result<Value, any Error>) -> String {
                    switch result {
                    case .success(let value): "\(value)"
                    case .failure(let error): "\(error)"
                    }
                }
                let two = try await gatherResults({ 1 }, { () async throws -> String in throw Refusal(name: "b") })
                #expect(description(two.0) == "1" && description(two.1).contains("b"))
                let three = try await gatherResults({ "a" }, { 2.5 }, { [3] })
                #expect((try three.0.get(), try three.1.get(), try three.2.get()) == ("a", 2.5, [3]))
                let four = try await gatherResults({ 1 }, { 2 }, { 3 }, { 4 })
                #expect(try four.3.get() == 4)
                let five = try await gatherResults({ 1 }, { 2 }, { 3 }, { 4 }, { loop.isCurrent })
                #expect(try five.4.get())
                let six = try await gatherResults({ 1 }, { 2 }, { 3 }, { 4 }, { 5 }, { "six" })
                #expect(try six.5.get() == "six")
            }
        }

        @Test func `whoever gathers results and is cancelled is told so when all have ended`() async throws {
            let ended = Recorder<Int>()
            try await onLoop { _ in
                let gatherer = spawn {
                    try await gatherResults(
                        {
                            defer { ended.append(1) }
                            try await AsyncIO.sleep(for: .seconds(1))
                        },
                        {
                            defer { ended.append(2) }
                            try await AsyncIO.sleep(for: .seconds(2))
                        }
                    )
                    return true
                }
                await AsyncIO.yield()
                gatherer.cancel()
                #expect(await isCancelled { try await gatherer.value })
                #expect(ended.all.sorted() == [1, 2])
            }
        }

        @Test func `results come in the order of the operations, of any type, whoever ends first`() async throws {
            try await onLoop(.paced) { loop in
                let start = loop.now
                let two = try await gather({ try await late(2, "a") }, { try await late(1, 2) })
                #expect(two == ("a", 2))
                let three = try await gather(
                    { try await late(3, "a") },
                    { try await late(1, 2) },
                    { try await late(2, 3.5) }
                )
                #expect(three == ("a", 2, 3.5))
                let four = try await gather(
                    { try await late(1, 1) },
                    { try await late(2, "b") },
                    { try await late(1, [3]) },
                    { try await late(2, Optional(4)) }
                )
                #expect(four == (1, "b", [3], 4))
                let five = try await gather(
                    { try await late(1, 1) },
                    { try await late(2, 2) },
                    { try await late(1, 3) },
                    { try await late(2, "d") },
                    { 5.5 }
                )
                #expect(five == (1, 2, 3, "d", 5.5))
                let six = try await gather({ 1 }, { "b" }, { 3 }, { "d" }, { 5 }, { true })
                #expect(six == (1, "b", 3, "d", 5, true))
                // As long as the longest, each time.
                #expect(isTicks(start.duration(to: loop.now), 2 + 3 + 2 + 2))
            }
        }

        @Test(arguments: [0, 1, 7, 1_000])
        func `any number of operations`(count: Int) async throws {
            try await onLoop(.paced) { loop in
                var operations: [@Sendable @isolated(any) () async throws -> Int] = []
                for number in 0..<count {
                    operations.append {
                        try await AsyncIO.sleep(for: ticks(1 + (count - number) % 3))
                        return number
                    }
                }
                let results = try await gather(operations)
                #expect(results == Array(0..<count))
            }
        }

        @Test func `nothing at all is also a result`() async throws {
            try await onLoop { _ in
                let results = try await gather({}, { nil as Int? }, { () as Void })
                #expect(results.1 == nil)
            }
        }

        @Test func `operations begin in order`() async throws {
            let order = Recorder<Int>()
            try await onLoop { _ in
                _ = try await gather(
                    { order.append(0) },
                    { order.append(1) },
                    { order.append(2) },
                    { order.append(3) },
                    { order.append(4) },
                    { order.append(5) }
                )
            }
            #expect(order.all == Array(0..<6))
        }

        // MARK: Errors

        @Test func `an error is thrown when the others have been cancelled and have ended`() async throws {
            let order = Recorder<String>()
            try await onLoop(.paced) { loop in
                let error = await failure {
                    try await gather(
                        {
                            do {
                                try await AsyncIO.sleep(for: ticks(3_600))
                            } catch {
                                for _ in 0..<5 { await AsyncIO.yield() }
                                order.append("cleaned up after \(type(of: error))")
                            }
                        },
                        {
                            try await AsyncIO.sleep(for: ticks(1))
                            order.append("throws")
                            throw Refusal(name: "first")
                        }
                    )
                }
                order.append("thrown")
                #expect(error as? Refusal == Refusal(name: "first"))
                #expect(loop.timers == 0)
                #expect(!Task.isCancelled)
            }
            #expect(order.all == ["throws", "cleaned up after CancellationError", "thrown"])
        }

        @Test func `the first error in time is thrown, and later ones are dropped, behaviour 55`() async throws {
            try await onLoop(.paced) { loop in
                let start = loop.now
                let error = await failure {
                    try await gather(
                        {
                            do { try await AsyncIO.sleep(for: ticks(3_600)) } catch { throw Refusal(name: "cancelled") }
                        },
                        {
                            try await AsyncIO.sleep(for: ticks(2))
                            throw Refusal(name: "second in place, first in time")
                        },
                        {
                            try await AsyncIO.sleep(for: ticks(3_000))
                            throw Refusal(name: "third")
                        }
                    )
                }
                #expect(error as? Refusal == Refusal(name: "second in place, first in time"))
                #expect(isTicks(start.duration(to: loop.now), 2))
            }
        }

        @Test func `an operation that throws at once keeps none from beginning`() async throws {
            let began = Recorder<Int>()
            try await onLoop { loop in
                let error = await failure {
                    try await gather(
                        {
                            began.append(0)
                            throw Refusal()
                        },
                        { began.append(1) },
                        { began.append(2) }
                    )
                }
                #expect(error is Refusal)
                #expect(loop.elapsed == .zero)
            }
            #expect(began.all.sorted() == [0, 1, 2])
        }

        @Test func `an operation that ends as cancelled is an error like any other, behaviour 52`() async throws {
            try await onLoop(.paced) { loop in
                let start = loop.now
                let error = await failure {
                    try await gather(
                        { try await AsyncIO.sleep(for: ticks(3_600)) },
                        { throw CancellationError() }
                    )
                }
                #expect(error is CancellationError)
                #expect(!Task.isCancelled)
                #expect(start.duration(to: loop.now) < ticks(1_000))
            }
        }

        // MARK: Cancellation

        @Test func `cancelling the caller cancels all of them, behaviour 53`() async throws {
            let ends = Recorder<Int>()
            try await onLoop(.paced) { loop in
                let task = spawn {
                    let operation: @Sendable (Int) async throws -> Void = { number in
                        do {
                            try await AsyncIO.sleep(for: ticks(3_600))
                        } catch {
                            ends.append(number)
                            throw error
                        }
                    }
                    _ = try await gather({ try await operation(1) }, { try await operation(2) })
                }
                let start = loop.now
                try await AsyncIO.sleep(for: ticks(1))
                task.cancel()
                #expect(await isCancelled { try await task.value })
                #expect(isTicks(start.duration(to: loop.now), 1))
                #expect(loop.timers == 0)
            }
            #expect(ends.all.sorted() == [1, 2])
        }

        @Test func `results that are there when the caller is cancelled are kept, behaviour 54`() async throws {
            try await onLoop { _ in
                let task = spawn {
                    let results = try await gather({ 1 }, { cancelThisTask() }, { 3 })
                    cancelThisTask()
                    return results.0 + results.2
                }
                let sum = try await task.value
                #expect(sum == 4)
                let late = spawn {
                    cancelThisTask()
                    return try await gather({ 1 }, { 2 })
                }
                let pair = try await late.value
                #expect(pair == (1, 2))
            }
        }

        @Test func `operations may suppress the cancellation`() async throws {
            try await onLoop(.paced) { loop in
                let task = spawn {
                    _ = loop
                    return try await gather(
                        {
                            try? await AsyncIO.sleep(for: ticks(3_600))
                            return "kept"
                        },
                        { 2 }
                    )
                }
                try await AsyncIO.sleep(for: ticks(1))
                task.cancel()
                let results = try await task.value
                #expect(results == ("kept", 2))
            }
        }

        // MARK: Isolation

        @Test func `operations share the loop's state without a lock`() async throws {
            try await onLoop { loop in
                let tally = LoopBound(Tally(), on: loop)
                // Nothing in these names the loop.
                let here = try await gather(
                    { await add(to: tally) },
                    { await add(to: tally) },
                    { await add(to: tally) }
                )
                #expect(here == (true, true, true))
                #expect(tally.ifHere?.count == 600)
                #expect(loop.isCurrent)
            }
        }

        @Test func `each operation has the isolation of the place where it is written`() async throws {
            try await onLoop { loop in
                let places = try await gather({ loop.isCurrent }, mainActor(loop), { loop.isCurrent })
                #expect(places == (true, false, true))
                #expect(loop.isCurrent)
            }
        }

        @Test(arguments: bothModes)
        func `so have those of an array`(mode: EventLoop.GlobalExecutor) async throws {
            try await onLoop(.virtual(mode)) { loop in
                var operations: [@Sendable @isolated(any) () async throws -> Bool] = []
                for _ in 0..<2 { operations.append { loop.isCurrent } }
                let places = try await gather(operations)
                #expect(places == [true, true])
                #expect(loop.isCurrent)
            }
        }

        @Test func `task-local values are the caller's`() async throws {
            try await onLoop { _ in
                let labels = try await Self.$label.withValue("outer") {
                    try await gather({ Self.label }, { Self.label })
                }
                #expect(labels == ("outer", "outer"))
            }
        }

        @Test func `gathering within what is gathered`() async throws {
            try await onLoop(.paced) { loop in
                let start = loop.now
                let nested = try await gather(
                    { try await gather({ try await late(1, 1) }, { try await late(2, 2) }) },
                    { try await gather({ try await late(2, 3) }, { try await late(1, 4) }) }
                )
                #expect(nested.0 == (1, 2) && nested.1 == (3, 4))
                #expect(isTicks(start.duration(to: loop.now), 2))
            }
        }

        @Test func `outside a loop it works as well`() async throws {
            let pair = try await gather({ 1 }, { try await AsyncIO.offload { "b" } })
            #expect(pair == (1, "b"))
        }
    }
}

private final class Tally { var count = 0 }

/// Counts in turns, and says whether that was always possible.
private func add(to tally: LoopBound<Tally>) async -> Bool {
    for _ in 0..<200 {
        guard let tally = tally.ifHere else { return false }
        tally.count += 1
        await AsyncIO.yield()
    }
    return tally.ifHere != nil
}

private func late<Value: Sendable>(_ count: Int, _ value: Value) async throws -> Value {
    try await AsyncIO.sleep(for: ticks(count))
    return value
}

private func mainActor(_ loop: EventLoop) -> @Sendable @isolated(any) () async throws -> Bool {
    { @MainActor in loop.isCurrent }
}
