// A queue between tasks: who waits and who does not, in which order they are served, and that a cancellation at any
// moment loses neither an item nor room for one. Behaviours 87, 88 and 89 of asyncio.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct QueueTests {
        // MARK: Without waiting

        @Test func `while there is room and there are items nobody waits, and no loop is needed`() async throws {
            let free = AsyncQueue<Int>(capacity: 2)
            #expect(free.isEmpty && !free.isFull && free.count == 0 && free.capacity == 2)
            try await free.put(1)
            #expect(try free.tryPut(2))
            #expect(free.isFull && free.count == 2 && free.unfinishedCount == 2)
            #expect(try !free.tryPut(3))
            let first = try await free.get()
            let second = try free.tryGet()
            let third = try free.tryGet()
            #expect(first == 1 && second == 2 && third == nil && free.isEmpty)
            try await onLoop { loop in
                let queue = AsyncQueue<Int>()
                let turns = try await turnsTaken(on: loop) {
                    for number in 0..<10_000 {
                        try await queue.put(number)
                        let got = try await queue.get()
                        if got != number { Issue.record("\(got) instead of \(number)") }
                        queue.taskDone()
                    }
                    try await queue.join()
                }
                #expect(turns == 0)
            }
        }

        @Test func `nil is an item like any other`() async throws {
            let queue = AsyncQueue<Int?>()
            for item in [nil, 1, nil] { try await queue.put(item) }
            for expected in [nil, 1, nil] as [Int?] {
                let item = try await queue.get()
                #expect(item == expected)
            }
            #expect(try queue.tryGet() == .none)
        }

        @Test func `an item that is got is let go`() async throws {
            let queue = AsyncQueue<LoopCount>(capacity: 3)
            weak var seen: LoopCount?
            for _ in 0..<20 {
                try await put(&seen, into: queue)
                #expect(seen != nil)
                _ = try await queue.get()
                #expect(seen == nil)
            }
        }

        private func put(_ seen: inout LoopCount?, into queue: AsyncQueue<LoopCount>) async throws {
            let item = LoopCount()
            seen = item
            try await queue.put(item)
        }

        // MARK: Waiting

        @Test func `a get waits for an item, gets are served in order`() async throws {
            try await onLoop { loop in
                let queue = Transfer(AsyncQueue<Int>())
                let tasks = spawnEach(5, on: loop, eager: true) { _ in try await queue.value.get() }
                await letAllRun()
                #expect(tasks.allSatisfy { $0.outcome == "waits" })
                for number in 0..<3 { try await queue.value.put(number) }
                #expect(tasks.allSatisfy { $0.outcome == "waits" }, "they go on later")
                await letAllRun()
                #expect(told(tasks.map(\.outcome), ["0", "1", "2", "waits", "waits"]))
                for number in 3..<6 { try await queue.value.put(number) }
                await letAllRun()
                #expect(told(tasks.map(\.outcome), ["0", "1", "2", "3", "4"]) && queue.value.count == 1)
            }
        }

        @Test func `a put waits for room, puts are served in order`() async throws {
            try await onLoop { loop in
                let queue = Transfer(AsyncQueue<Int>(capacity: 2))
                let tasks = spawnEach(5, on: loop, eager: true) { number in try await queue.value.put(number) }
                await letAllRun()
                #expect(tasks.map(\.isDone) == [true, true, false, false, false])
                for expected in 0..<5 {
                    let item = try await queue.value.get()
                    #expect(item == expected)
                    await letAllRun()
                    #expect(tasks.count { $0.isDone } == min(5, expected + 3))
                }
            }
        }

        @Test func `what is on its way to who waited is not taken by who comes`() async throws {
            try await onLoop { _ in
                let queue = Transfer(AsyncQueue<String>(capacity: 1))
                let gets = spawn { try await queue.value.get() }
                await letAllRun()
                #expect(try queue.value.tryPut("first"))
                #expect(try queue.value.tryGet() == nil && queue.value.count == 1)
                let comes = spawn(eager: true) { try await queue.value.get() }
                await letAllRun()
                #expect(gets.outcome == "first" && comes.outcome == "waits")
                try await queue.value.put("second")
                await letAllRun()
                #expect(comes.outcome == "second")
                // The same with room.
                try await queue.value.put("third")
                let puts = spawn { try await queue.value.put("fourth") }
                await letAllRun()
                #expect(try queue.value.tryGet() == "third")
                #expect(try !queue.value.tryPut("fifth") && !queue.value.isFull)
                await letAllRun()
                #expect(puts.outcome == "ok")
                #expect(try queue.value.tryGet() == "fourth")
            }
        }

        @Test func `producers and consumers, of which neither starve, behaviour 88, test_why_are_getters_waiting`()
            async throws
        {
            try await onLoop { loop in
                let queue = Transfer(AsyncQueue<Int>(capacity: 2))
                let got = Transfer(NumberLog())
                let producers = spawnEach(4, on: loop) { producer in
                    for number in 0..<50 { try await queue.value.put(producer * 1_000 + number) }
                }
                let consumers = spawnEach(5, on: loop) { _ in
                    for _ in 0..<40 { got.value.numbers.append(try await queue.value.get()) }
                }
                for task in producers + consumers { try await task.value }
                #expect(queue.value.isEmpty && got.value.numbers.count == 200)
                for producer in 0..<4 {
                    let own = got.value.numbers.filter { $0 / 1_000 == producer }
                    #expect(own == (0..<50).map { producer * 1_000 + $0 })
                }
            }
        }

        @Test func `many puts in one moment wake as many gets, behaviour 88, test_why_are_putters_waiting`()
            async throws
        {
            try await onLoop { loop in
                let queue = Transfer(AsyncQueue<Int>(capacity: 2))
                let puts = spawnEach(4, on: loop, eager: true) { number in try await queue.value.put(number) }
                await letAllRun()
                let gets = spawnEach(4, on: loop, eager: true) { _ in try await queue.value.get() }
                await letAllRun()
                #expect(puts.allSatisfy { $0.outcome == "ok" })
                #expect(told(gets.map(\.outcome), ["0", "1", "2", "3"]))
            }
        }

        // MARK: Cancelling

        @Test func `a get that is cancelled takes nothing, behaviour 87, test_get_cancelled_race`() async throws {
            try await onLoop { loop in
                let queue = Transfer(AsyncQueue<String>())
                let tasks = spawnEach(2, on: loop, eager: true) { _ in try await queue.value.get() }
                await AsyncIO.yield()
                tasks[0].cancel()
                try await queue.value.put("a")
                await letAllRun()
                #expect(tasks.map(\.outcome) == ["CancellationError", "a"])
            }
        }

        @Test
        func `a get that is cancelled when its item is there, behaviour 87, test_get_cancel_drop_one_pending_reader`()
            async throws
        {
            try await onLoop { _ in
                let queue = Transfer(AsyncQueue<Int>())
                let reader = spawn { try await queue.value.get() }
                await letAllRun()
                try await queue.value.put(1)
                try await queue.value.put(2)
                reader.cancel()
                await letAllRun()
                #expect(reader.wasCancelled)
                let first = try await queue.value.get()
                let second = try await queue.value.get()
                #expect(first == 1 && second == 2)
            }
        }

        @Test func `of many only one is cancelled, behaviour 87, test_get_cancel_drop_many_pending_readers`()
            async throws
        {
            try await onLoop { loop in
                let queue = Transfer(AsyncQueue<Int>())
                let readers = spawnEach(3, on: loop, eager: true) { _ in try await queue.value.get() }
                await AsyncIO.yield()
                try await queue.value.put(1)
                try await queue.value.put(2)
                readers[0].cancel()
                await letAllRun()
                #expect(readers.map(\.outcome).contains("CancellationError"))
                #expect(Set(readers[1...].map(\.outcome)) == ["1", "2"] && queue.value.isEmpty)
            }
        }

        @Test func `a put that is cancelled puts nothing in, behaviour 87, test_put_cancel_drop`() async throws {
            try await onLoop { _ in
                let queue = Transfer(AsyncQueue<Int>(capacity: 1))
                try await queue.value.put(1)
                let writer = spawn { try await queue.value.put(2) }
                await AsyncIO.yield()
                #expect(try queue.value.tryGet() == 1)
                // It was woken, and is cancelled before it runs: the room goes on to others.
                writer.cancel()
                let comes = spawn(eager: true) { try await queue.value.put(3) }
                await letAllRun()
                #expect(writer.wasCancelled && comes.outcome == "ok")
                #expect(try queue.value.tryGet() == 3)
                #expect(try queue.value.tryPut(4) && !queue.value.tryPut(5))
            }
        }

        @Test func `a put that is cancelled between others, behaviour 87, test_put_cancelled_race`() async throws {
            try await onLoop { loop in
                let queue = Transfer(AsyncQueue<Int>(capacity: 1))
                let puts = spawnEach(4, on: loop, eager: true) { number in try await queue.value.put(number) }
                await AsyncIO.yield()
                puts[2].cancel()
                await letAllRun()
                #expect(puts.map(\.outcome) == ["ok", "waits", "CancellationError", "waits"])
                for expected in [0, 1, 3] {
                    let item = try await queue.value.get()
                    #expect(item == expected)
                }
                #expect(queue.value.isEmpty && queue.value.unfinishedCount == 3)
            }
        }

        @Test
        func `who was cancelled leaves nothing, behaviour 88, test_cancelled_getters_not_being_held_in_self_getters`()
            async throws
        {
            try await onLoop { loop in
                let queue = Transfer(AsyncQueue<Int>(capacity: 1))
                for _ in 0..<100 {
                    let gets = spawnEach(3, on: loop, eager: true) { _ in try await queue.value.get() }
                    await AsyncIO.yield()
                    for get in gets { get.cancel() }
                    try await queue.value.put(1)
                    #expect(try !queue.value.tryPut(2))
                    let puts = spawnEach(3, on: loop, eager: true) { number in try await queue.value.put(number) }
                    await AsyncIO.yield()
                    for put in puts { put.cancel() }
                    let item = try await queue.value.get()
                    #expect(item == 1 && queue.value.isEmpty)
                    #expect(try queue.value.tryGet() == nil)
                    await letAllRun(3)
                    #expect((gets.map(\.outcome) + puts.map(\.outcome)).allSatisfy { $0 == "CancellationError" })
                }
            }
        }

        @Test(.testsOrder)
        func `an item is passed on as often as need be, and so is room`() async throws {
            try await onLoop { loop in
                let queue = Transfer(AsyncQueue<Int>(capacity: 1))
                let gets = spawnEach(50, on: loop, eager: true) { _ in try await queue.value.get() }
                await AsyncIO.yield()
                try await queue.value.put(7)
                for get in gets.dropLast() {
                    get.cancel()
                    #expect(try queue.value.tryGet() == nil)
                    await AsyncIO.yield()
                }
                await letAllRun()
                #expect(gets[49].outcome == "7" && gets.dropLast().allSatisfy { $0.wasCancelled })
                try await queue.value.put(8)
                let puts = spawnEach(50, on: loop, eager: true) { number in try await queue.value.put(number) }
                await AsyncIO.yield()
                #expect(try queue.value.tryGet() == 8)
                for put in puts.dropLast() {
                    put.cancel()
                    #expect(try !queue.value.tryPut(9))
                    await AsyncIO.yield()
                }
                await letAllRun()
                #expect(puts[49].outcome == "ok")
                #expect(try queue.value.tryGet() == 49)
            }
        }

        @Test(.testsOrder)
        func `a task that is cancelled before it begins gets what is there, and does not wait`() async throws {
            try await onLoop { _ in
                let queue = Transfer(AsyncQueue<Int>(capacity: 1))
                let puts = spawn { try await queue.value.put(1) }
                let waitsToPut = spawn { try await queue.value.put(2) }
                let gets = spawn { try await queue.value.get() }
                let waitsToGet = spawn { try await queue.value.get() }
                for task in [puts, waitsToPut] { task.cancel() }
                for task in [gets, waitsToGet] { task.cancel() }
                await letAllRun()
                #expect(puts.outcome == "ok" && waitsToPut.wasCancelled)
                #expect(gets.outcome == "1" && waitsToGet.wasCancelled)
                #expect(queue.value.isEmpty && queue.value.unfinishedCount == 1)
            }
        }
    }
}
