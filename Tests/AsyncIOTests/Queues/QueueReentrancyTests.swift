// Items whose end uses the queue that they were in, and orders that look at it: neither loses nor doubles an item.

import AsyncIO
import AsyncIOTesting
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct QueueReentrancyTests {
        @Test(arguments: 0..<12)
        func `items that put and get as they end, under random operations`(seed: Int) async throws {
            let (made, ended) = (Recorder<Int>(), Recorder<Int>())
            try await onLoop { loop in
                let orders: [AsyncQueue<Item>.Order] = [
                    .firstInFirstOut, .lastInFirstOut, .priority { $0.number < $1.number },
                ]
                let world = World(AsyncQueue(capacity: 20, order: orders[seed % 3]), Chance(seed: seed), made, ended)
                for _ in 0..<500 {
                    world.step()
                    if world.chance.roll(50) == 0 { await AsyncIO.yield() }
                    #expect(world.queue.count <= 20)
                }
                world.isQuiet = true
                #expect(world.queue.count == made.count - ended.count)
                world.queue.finish(discardingItems: true)
                #expect(world.queue.isEmpty && world.queue.isFinished)
                _ = loop
            }
            #expect(ended.count == made.count && made.count > 100)
            #expect(ended.all.sorted() == made.all)
        }

        @Test func `tasks wait for items that end as others are got`() async throws {
            try await onLoop { loop in
                let (made, ended) = (Recorder<Int>(), Recorder<Int>())
                let world = World(AsyncQueue(capacity: 3), Chance(seed: 1), made, ended)
                let queue = world.queue
                let consumer = spawn {
                    _ = loop
                    var count = 0
                    for try await _ in queue { count += 1 }
                    return count
                }
                let producer = spawn {
                    _ = loop
                    for _ in 0..<200 { try await queue.put(world.item()) }
                    world.isQuiet = true
                    queue.finish()
                }
                try await producer.value
                let count = try await consumer.value
                // Some ends have taken an item themselves, and some have put one in.
                #expect(count > 0 && ended.count == made.count)
            }
        }

        @Test func `an order may look at its queue`() throws {
            final class Lengths { var queue: AsyncQueue<Int>? }
            let lengths = Lengths()
            let queue = AsyncQueue<Int>(
                order: .priority { a, b in
                    let isUsable = lengths.queue.map { !$0.isFull && !$0.isFinished && $0.count >= 0 }
                    return isUsable == true && a < b
                }
            )
            lengths.queue = queue
            for number in [3, 1, 2, 5, 4] { #expect(try queue.tryPut(number)) }
            var got: [Int] = []
            while let number = try queue.tryGet() { got.append(number) }
            #expect(got == [1, 2, 3, 4, 5])
            lengths.queue = nil
        }

        @Test func `an order that puts into its queue or gets from it is a mistake that traps`() async {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                final class Use { var queue: AsyncQueue<Int>? }
                let use = Use()
                let queue = AsyncQueue<Int>(
                    order: .priority { a, b in
                        _ = try? use.queue?.tryGet()
                        return a < b
                    }
                )
                use.queue = queue
                for number in 0..<3 { _ = try queue.tryPut(number) }
            }
            #expect(says(result, "The order of an AsyncQueue used the queue itself."))
        }
    }
}

/// A queue whose items use it as they end.
private final class World {
    let queue: AsyncQueue<Item>
    var chance: Chance
    /// Whether items only end.
    var isQuiet = false
    private let made: Recorder<Int>
    fileprivate let ended: Recorder<Int>

    init(_ queue: AsyncQueue<Item>, _ chance: Chance, _ made: Recorder<Int>, _ ended: Recorder<Int>) {
        (self.queue, self.chance, self.made, self.ended) = (queue, chance, made, ended)
    }

    func item() -> Item {
        made.append(made.count)
        return Item(made.count - 1, self)
    }

    func step() {
        do {
            if chance.roll(5) < 3 { _ = try queue.tryPut(item()) } else { _ = try queue.tryGet() }
        } catch {
            // The queue has ended meanwhile.
        }
    }
}

private final class Item {
    let number: Int
    private let world: World

    init(_ number: Int, _ world: World) { (self.number, self.world) = (number, world) }

    deinit {
        world.ended.append(number)
        // Less than one each, or there would be no end.
        if !world.isQuiet, world.chance.roll(3) == 0 { world.step() }
    }
}
