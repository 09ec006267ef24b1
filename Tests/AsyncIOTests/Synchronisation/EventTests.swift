// A flag that tasks wait for: who is let through by which setting, and in which order. Behaviour 81 of asyncio.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct EventTests {
        @Test func `an event that is set is not waited for, and needs no loop`() async throws {
            let event = AsyncEvent(isSet: true)
            try await event.wait()
            event.clear()
            event.set()
            event.set()
            try await event.wait()
            #expect(event.isSet)
            try await onLoop { loop in
                let event = AsyncEvent()
                #expect(!event.isSet)
                event.set()
                let turns = try await turnsTaken(on: loop) { for _ in 0..<10_000 { try await event.wait() } }
                #expect(turns == 0)
            }
        }

        @Test(.testsOrder)
        func `set wakes all who wait, later and in the order in which they came`() async throws {
            let order = Recorder<Int>()
            try await onLoop { loop in
                let event = Transfer(AsyncEvent())
                let tasks = spawnEach(100, on: loop) { number in
                    try await event.value.wait()
                    order.append(number)
                }
                await letAllRun()
                #expect(order.all.isEmpty)
                event.value.set()
                #expect(event.value.isSet)
                #expect(order.all.isEmpty, "nobody goes on within the call")
                await AsyncIO.yield()
                #expect(order.all == Array(0..<100))
                #expect(tasks.allSatisfy { $0.isDone })
            }
        }

        @Test func `set and clear at once still wake who waits, and nobody who comes later, behaviour 81`() async throws
        {
            try await onLoop { loop in
                let event = Transfer(AsyncEvent())
                let waits = spawnEach(3, on: loop, eager: true) { _ in try await event.value.wait() }
                await AsyncIO.yield()
                event.value.set()
                event.value.clear()
                #expect(!event.value.isSet)
                let comes = spawn { try await event.value.wait() }
                await letAllRun()
                #expect(waits.allSatisfy { $0.outcome == "ok" })
                #expect(comes.outcome == "waits")
                event.value.set()
                await letAllRun()
                #expect(comes.outcome == "ok")
            }
        }

        @Test func `who waits again after a clear waits for the next set`() async throws {
            try await onLoop { _ in
                let event = Transfer(AsyncEvent())
                let passes = Transfer(LoopCount())
                let task = spawn {
                    while passes.value.count < 100 {
                        try await event.value.wait()
                        event.value.clear()
                        passes.value.count += 1
                    }
                }
                for expected in 1...100 {
                    event.value.set()
                    await letAllRun(3)
                    #expect(passes.value.count == expected)
                }
                try await task.value
            }
        }

        // MARK: Cancelling

        @Test func `who is cancelled before the flag is set gets an error, and the others do not`() async throws {
            try await onLoop { loop in
                let event = Transfer(AsyncEvent())
                let tasks = spawnEach(5, on: loop) { _ in try await event.value.wait() }
                await letAllRun()
                for number in [0, 2, 4] { tasks[number].cancel() }
                event.value.set()
                await letAllRun()
                #expect(tasks.map(\.wasCancelled) == [true, false, true, false, true])
                #expect(tasks.allSatisfy { $0.isDone })
            }
        }

        @Test func `who is cancelled after the flag was set goes on all the same`() async throws {
            try await onLoop { _ in
                let event = Transfer(AsyncEvent())
                let task = spawn {
                    try await event.value.wait()
                    return Task.isCancelled
                }
                await letAllRun()
                event.value.set()
                event.value.clear()
                task.cancel()
                await letAllRun()
                #expect(task.outcome == "true")
            }
        }

        @Test func `a task that is cancelled before it begins passes a set flag, and does not wait for another`()
            async throws
        {
            try await onLoop { _ in
                let event = Transfer(AsyncEvent(isSet: true))
                let passes = spawn { try await event.value.wait() }
                passes.cancel()
                await letAllRun()
                #expect(passes.outcome == "ok")
                event.value.clear()
                let waits = spawn { try await event.value.wait() }
                waits.cancel()
                await letAllRun()
                #expect(waits.wasCancelled)
            }
        }

        // MARK: Many, the end, mistakes

        @Test(.testsMany)
        func `twenty thousand wait, some are cancelled, and the others go on in order`() async throws {
            try await onLoop { loop in
                let event = Transfer(AsyncEvent())
                let order = Transfer(NumberLog())
                let tasks = spawnEach(20_000, on: loop) { number in
                    try await event.value.wait()
                    order.value.numbers.append(number)
                }
                await AsyncIO.yield()
                for number in (0..<20_000).reversed() where number % 2 == 1 { tasks[number].cancel() }
                event.value.set()
                for task in tasks { _ = await failure { try await task.value } }
                let expected = stride(from: 0, to: 20_000, by: 2)
                #expect(order.value.numbers.elementsEqual(expected))
            }
        }

        @Test func `the end of the loop ends those who wait`() async throws {
            let ends = Recorder<String>()
            let event = Transfer(AsyncEvent())
            try await onLoop { loop in
                spawn { ends.append(await ending { try await event.value.wait() }) }
                Task {
                    _ = loop
                    ends.append(await ending { try await event.value.wait() })
                    ends.append(await ending { try await event.value.wait() })
                    event.value.set()
                    ends.append(await ending { try await event.value.wait() })
                }
                await AsyncIO.yield()
            }
            #expect(ends.all == Array(repeating: "CancellationError", count: 3) + ["ok"])
        }

        @Test(.testsProcess)
        func `to wait where no loop runs is a mistake that traps`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                try await AsyncEvent().wait()
            }
            #expect(says(result, "AsyncEvent has to wait, and no EventLoop runs here."))
        }
    }
}
