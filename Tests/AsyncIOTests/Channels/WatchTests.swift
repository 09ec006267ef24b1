// Watches: who sees which value, and when. asyncio has no counterpart; the cases are those of tokio::sync::watch.

import AsyncIO
import AsyncIOTesting
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct WatchTests {
        @Test func `changes come without those in between, and end when the watch is finished`() async throws {
            let seen = Recorder<Int>()
            try await onLoop { loop in
                let watch = Watch(0)
                let task = spawn {
                    _ = loop
                    for try await value in watch.changes { seen.append(value) }
                }
                await settle()
                #expect(seen.all.isEmpty)
                watch.value = 1
                await settle()
                for number in 2...9 { watch.value = number }
                await settle()
                watch.value = 9
                watch.finish()
                watch.finish()
                try await task.value
                #expect(watch.isFinished && watch.value == 9)
            }
            #expect(seen.all == [1, 9, 9])
        }

        @Test func `a change between asking for changes and looking at them is seen`() async throws {
            try await onLoop { _ in
                let watch = Watch("old")
                let (changes, values) = (watch.changes, watch.values)
                watch.value = "new"
                watch.finish()
                var seen: [String] = []
                for try await value in changes { seen.append("change \(value)") }
                for try await value in values { seen.append("value \(value)") }
                for try await value in watch.changes { seen.append("late \(value)") }
                for try await value in watch.values { seen.append("latest \(value)") }
                #expect(seen == ["change new", "value new", "latest new"])
            }
        }

        @Test func `values begin with the one that is there`() async throws {
            let seen = Recorder<Int>()
            try await onLoop { loop in
                let watch = Watch(5)
                let task = spawn {
                    _ = loop
                    for try await value in watch.values { seen.append(value) }
                }
                await settle()
                #expect(seen.all == [5])
                watch.value = 6
                await settle()
                watch.finish()
                try await task.value
            }
            #expect(seen.all == [5, 6])
        }

        @Test(.testsOrder)
        func `all who watch see a change, in the order in which they came`() async throws {
            let seen = Recorder<[Int]>()
            try await onLoop { loop in
                let watch = Watch(0)
                var tasks: [LoopTask<Void>] = []
                for number in 0..<10 {
                    let task = spawn {
                        _ = loop
                        for try await value in watch.changes { seen.append([value, number]) }
                    }
                    tasks.append(task)
                }
                await settle()
                for value in 1...3 {
                    watch.value = value
                    await settle()
                }
                watch.finish()
                for task in tasks { try await task.value }
            }
            #expect(seen.all == (1...3).flatMap { value in (0..<10).map { [value, $0] } })
        }

        @Test func `changing in place is one change, also if it throws`() async throws {
            let seen = Recorder<[Int]>()
            try await onLoop { loop in
                let watch = Watch([1])
                let task = spawn {
                    _ = loop
                    for try await value in watch.changes { seen.append(value) }
                }
                await settle()
                watch.value.append(2)
                await settle()
                let count = watch.update { value in
                    value.append(3)
                    return value.count
                }
                #expect(count == 3)
                await settle()
                #expect(throws: Refusal()) {
                    try watch.update { value in
                        value = []
                        throw Refusal()
                    }
                }
                await settle()
                watch.finish()
                try await task.value
            }
            #expect(seen.all == [[1, 2], [1, 2, 3], []])
        }

        @Test func `waiting until something is true looks now and after changes`() async throws {
            try await onLoop { loop in
                let watch = Watch(3)
                let now = try await watch.wait { $0 == 3 }
                #expect(now == 3)
                let looked = Recorder<Int>()
                let task = spawn {
                    _ = loop
                    return try await watch.wait { value in
                        looked.append(value)
                        return value > 10
                    }
                }
                await settle()
                watch.value = 5
                await settle()
                // Nobody has the time to see it.
                watch.value = 11
                watch.value = 6
                await settle()
                watch.value = 12
                let value = try await task.value
                #expect(value == 12)
                #expect(looked.all == [3, 5, 6, 12])
            }
        }

        @Test func `waiting ends with what the predicate throws, or in vain when the watch is finished`() async throws {
            try await onLoop { loop in
                let watch = Watch(0)
                let refusing = spawn {
                    _ = loop
                    try await watch.wait { if $0 == 1 { throw Refusal(name: "no") } else { false } }
                }
                let waiting = spawn {
                    _ = loop
                    try await watch.wait { $0 == 2 }
                }
                await settle()
                watch.value = 1
                #expect(await problem { try await refusing.value } == "no")
                watch.finish()
                #expect(await problem { try await waiting.value } == "finished")
                #expect(await problem { try await watch.wait { $0 == 1 } } == "none")
                #expect(await problem { try await watch.wait { $0 == 2 } } == "finished")
                watch.value = 2
                #expect(await problem { try await watch.wait { $0 == 2 } } == "none")
                #expect(WatchError.finished.description == "The Watch is finished.")
            }
        }

        @Test func `cancelling ends a wait, and no change is lost by it`() async throws {
            try await onLoop { loop in
                let watch = Watch(0)
                let (changing, waiting) = (
                    spawn {
                        _ = loop
                        var changes = watch.changes.makeAsyncIterator()
                        #expect(await isCancelled { try await changes.next() })
                        watch.value = 1
                        return try await changes.next()
                    },
                    spawn {
                        _ = loop
                        try await watch.wait { $0 == 9 }
                    }
                )
                await settle()
                changing.cancel()
                waiting.cancel()
                #expect(await end(of: changing) == "1")
                #expect(await isCancelled { try await waiting.value })
                // Told before the cancellation: it sees the change, and the next wait ends.
                let told = spawn {
                    _ = loop
                    var changes = watch.changes.makeAsyncIterator()
                    let value = try await changes.next()
                    #expect(Task.isCancelled)
                    #expect(await isCancelled { try await changes.next() })
                    return value
                }
                await settle()
                watch.value = 7
                told.cancel()
                #expect(await end(of: told) == "7")
            }
        }

        @Test func `the end of the loop ends waits as a cancellation does`() async throws {
            let ends = Recorder<String>()
            try await onLoop { loop in
                let watch = Watch(0)
                spawn {
                    _ = loop
                    do { for try await _ in watch.changes {} } catch { ends.append(word(error)) }
                }
                spawn {
                    _ = loop
                    do { try await watch.wait { $0 > 0 } } catch { ends.append(word(error)) }
                }
                await settle()
            }
            #expect(ends.all == ["cancelled", "cancelled"])
        }

        @Test(arguments: 0..<10)
        func `whatever is set and when: values only rise, and the last is seen by all`(seed: UInt64) async throws {
            let seen = Recorder<[Int]>()
            try await onLoop { loop in
                var chance = Chance(seed: seed)
                let watch = Watch(0)
                let pauses = (0..<300).map { _ in Int.random(in: 0...3, using: &chance) }
                var tasks: [LoopTask<Void>] = []
                for watcher in 0..<4 {
                    let task = spawn {
                        _ = loop
                        var round = watcher
                        for try await value in watch.changes {
                            seen.append([watcher, value])
                            round += 1
                            for _ in 0..<pauses[(round * 7) % 300] { await AsyncIO.yield() }
                        }
                    }
                    tasks.append(task)
                }
                await settle()
                for number in 1...300 {
                    watch.value = number
                    for _ in 0..<pauses[number - 1] { await AsyncIO.yield() }
                }
                watch.finish()
                for task in tasks { try await task.value }
            }
            for watcher in 0..<4 {
                let own = seen.all.filter { $0[0] == watcher }.map { $0[1] }
                #expect(own.last == 300)
                #expect(zip(own, own.dropFirst()).allSatisfy { $0 < $1 })
                #expect(own.count > 50)
            }
        }
    }
}
