// Which item is the next: first in, last in, by priority, and that a queue of any length is served in good time.

import AsyncIO
import AsyncIOTesting
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct QueueOrderTests {
        @Test func `first in, first out, which is what one gets without asking`() async throws {
            for queue in [AsyncQueue<Int>(), AsyncQueue(order: .firstInFirstOut)] {
                for item in [1, 3, 2] { try await queue.put(item) }
                #expect(try drain(queue) == [1, 3, 2])
            }
        }

        @Test func `last in, first out`() async throws {
            let queue = AsyncQueue<Int>(order: .lastInFirstOut)
            for item in [1, 3, 2] { try await queue.put(item) }
            let first = try await queue.get()
            #expect(first == 2)
            try await queue.put(4)
            #expect(try drain(queue) == [4, 3, 1])
        }

        @Test func `the smallest first`() async throws {
            for queue in [AsyncQueue<Int>.priority(), AsyncQueue(order: .priority { $0 < $1 })] {
                for item in [1, 3, 2] { try await queue.put(item) }
                #expect(try drain(queue) == [1, 2, 3])
            }
            let largest = AsyncQueue<Int>(order: .priority(by: >))
            for item in [1, 3, 2] { try await largest.put(item) }
            #expect(try drain(largest) == [3, 2, 1])
            #expect(AsyncQueue<Int>.priority(capacity: 5).capacity == 5)
        }

        @Test func `of equal ones that which was put in first`() async throws {
            let queue = AsyncQueue<(rank: Int, number: Int)>(order: .priority { $0.rank < $1.rank })
            for number in 0..<300 { try await queue.put((number % 3, number)) }
            var items: [(rank: Int, number: Int)] = []
            while let item = try queue.tryGet() { items.append(item) }
            #expect(items.map(\.rank) == (0..<300).map { $0 / 100 })
            for rank in 0..<3 {
                #expect(items.filter { $0.rank == rank }.map(\.number) == (0..<100).map { $0 * 3 + rank })
            }
        }

        @Test(.testsOrder)
        func `who gets later gets what is first then`() async throws {
            // A task that was woken for an item takes the first when it runs, not the one that woke it.
            try await onLoop { loop in
                for (isLast, expected) in [(true, ["2", "1"]), (false, ["1", "2"])] {
                    let queue = Transfer(
                        isLast ? AsyncQueue<Int>(order: .lastInFirstOut) : AsyncQueue<Int>.priority()
                    )
                    let gets = spawnEach(2, on: loop) { _ in try await queue.value.get() }
                    await AsyncIO.yield()
                    for item in isLast ? [1, 2] : [2, 1] { try await queue.value.put(item) }
                    await letAllRun()
                    #expect(gets.map(\.outcome) == expected)
                }
            }
        }

        @Test(.testsMany, arguments: ["first in", "last in", "priority"])
        func `random puts and gets are in the order of a simple model`(kind: String) throws {
            for seed in modelSeeds {
                var chance = Chance(seed: seed)
                let findings = Findings()
                let queue = AsyncQueue<Ranked>(capacity: .max, order: Ranked.order(kind))
                var model: [Ranked] = []
                // In waves, so that the storage grows, wraps around and becomes empty.
                for number in 0..<400 {
                    let isFilling = (number / 50) % 2 == 0
                    if chance.roll(10) < (isFilling ? 8 : 2) {
                        let item = Ranked(rank: chance.roll(5), number: number)
                        findings.expect(try queue.tryPut(item), "no room")
                        model.append(item)
                    } else {
                        let item = try queue.tryGet()
                        let expected = Ranked.takeNext(from: &model, kind)
                        findings.expect(item == expected, "\(number): \(String(describing: item))")
                    }
                    findings.expect(queue.count == model.count, "\(number): count")
                }
                findings.report(seed)
            }
        }

        @Test(.testsMany)
        func `removing all of a long queue, and twenty thousand items in each order`() async throws {
            for kind in ["first in", "last in", "priority"] {
                let queue = AsyncQueue<Ranked>(capacity: 20_000, order: Ranked.order(kind))
                for number in 0..<20_000 { try await queue.put(Ranked(rank: number % 7, number: number)) }
                #expect(try queue.isFull && !queue.tryPut(Ranked(rank: 0, number: 0)))
                var last: Ranked?
                for number in 0..<10_000 {
                    let item = try await queue.get()
                    let isNext =
                        switch kind {
                        case "first in": item.number == number
                        case "last in": item.number == 19_999 - number
                        default: last.map { ($0.rank, $0.number) < (item.rank, item.number) } ?? true
                        }
                    if !isNext { Issue.record("\(kind): \(item) after \(String(describing: last))") }
                    last = item
                }
                queue.finish(discardingItems: true)
                #expect(queue.isEmpty && queue.unfinishedCount == 10_000)
            }
        }

        @Test(.testsMany)
        func `twenty thousand wait for items, and as many for room`() async throws {
            try await onLoop { loop in
                let queue = Transfer(AsyncQueue<Int>(capacity: 10_000))
                let got = Transfer(NumberLog())
                let gets = spawnEach(20_000, on: loop) { _ in got.value.numbers.append(try await queue.value.get()) }
                await AsyncIO.yield()
                for number in (0..<20_000).reversed() where number % 2 == 1 { gets[number].cancel() }
                for number in 0..<10_000 { try await queue.value.put(number) }
                for task in gets { _ = await failure { try await task.value } }
                #expect(got.value.numbers.elementsEqual(0..<10_000) && queue.value.isEmpty)
                for number in 0..<10_000 { try await queue.value.put(-number) }
                let puts = spawnEach(20_000, on: loop) { number in try await queue.value.put(number) }
                await AsyncIO.yield()
                for number in (0..<20_000).reversed() where number % 4 != 0 { puts[number].cancel() }
                for number in 0..<15_000 {
                    let item = try await queue.value.get()
                    if item != (number < 10_000 ? -number : (number - 10_000) * 4) {
                        Issue.record("\(item) at \(number)")
                    }
                }
                for task in puts { _ = await failure { try await task.value } }
                #expect(queue.value.isEmpty && queue.value.unfinishedCount == 25_000)
            }
        }

        private func drain(_ queue: AsyncQueue<Int>) throws -> [Int] {
            var items: [Int] = []
            while let item = try queue.tryGet() { items.append(item) }
            return items
        }
    }
}

/// An item with a rank, and a number that tells it from all others.
struct Ranked: Hashable, Sendable {
    var rank: Int
    var number: Int

    static func order(_ kind: String) -> AsyncQueue<Ranked>.Order {
        switch kind {
        case "first in": .firstInFirstOut
        case "last in": .lastInFirstOut
        default: .priority { $0.rank < $1.rank }
        }
    }

    /// What a queue with the items of `model`, in the order in which they were put in, gives out next.
    static func takeNext(from model: inout [Ranked], _ kind: String) -> Ranked? {
        switch kind {
        case "first in": return model.isEmpty ? nil : model.removeFirst()
        case "last in": return model.popLast()
        default:
            guard let rank = model.map(\.rank).min(), let place = model.firstIndex(where: { $0.rank == rank }) else {
                return nil
            }
            return model.remove(at: place)
        }
    }
}
