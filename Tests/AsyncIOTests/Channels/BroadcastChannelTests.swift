// Broadcast channels: who gets what, what becomes of slow subscribers under both policies, and that nobody waits for one who
// has gone. asyncio has no counterpart; the cases are those of tokio::sync::broadcast, and waiting for the slowest.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct BroadcastChannelTests {
        // MARK: Who gets what

        @Test func `every subscriber gets what is sent after it subscribed, in order`() async throws {
            let got = Recorder<String>()
            try await onLoop { loop in
                let channel = BroadcastChannel<Int>()
                try await channel.send(0)
                let early = channel.subscribe()
                try await channel.send(1)
                let late = channel.subscribe()
                let heard = try await channel.send(2)
                #expect(heard == 2 && channel.subscriberCount == 2)
                #expect(early.count == 2 && late.count == 1 && channel.count == 2)
                channel.close()
                for try await element in early { got.append("early \(element)") }
                for try await element in late { got.append("late \(element)") }
                #expect(channel.count == 0)
                _ = loop
            }
            #expect(got.all == ["early 1", "early 2", "late 2"])
        }

        @Test(.testsOrder)
        func `subscribers that wait are woken in the order in which they subscribed`() async throws {
            let got = Recorder<[Int]>()
            try await onLoop { loop in
                let channel = BroadcastChannel<Int>(capacity: 1)
                let subscriptions = (0..<20).map { _ in channel.subscribe() }
                var tasks: [LoopTask<Void>] = []
                // They begin to wait in the other order.
                for (number, subscription) in subscriptions.enumerated().reversed() {
                    let task = spawn {
                        _ = loop
                        for try await element in subscription { got.append([element, number]) }
                    }
                    tasks.append(task)
                }
                await settle()
                for element in 0..<3 { try await channel.send(element) }
                channel.close()
                for task in tasks { try await task.value }
            }
            #expect(got.all == (0..<3).flatMap { element in (0..<20).map { [element, $0] } })
        }

        @Test func `without subscribers an element is dropped and nobody waits`() async throws {
            try await onLoop { _ in
                let channel = BroadcastChannel<Token>(capacity: 1)
                let log = Recorder<Int>()
                for number in 0..<5 {
                    let heard = try await channel.send(Token(number, log))
                    #expect(heard == 0)
                }
                #expect(log.all == [0, 1, 2, 3, 4])
                #expect(channel.count == 0)
            }
        }

        @Test(arguments: [BroadcastChannel<Token>.Overflow.waitForSlowest, .dropOldest])
        func `an element goes when all have it`(overflow: BroadcastChannel<Token>.Overflow) async throws {
            try await onLoop { _ in
                let log = Recorder<Int>()
                let channel = BroadcastChannel<Token>(capacity: 2, overflow: overflow)
                let (first, second) = (channel.subscribe(), channel.subscribe())
                for number in 0..<2 { try await channel.send(Token(number, log)) }
                _ = try first.tryReceive()
                _ = try first.tryReceive()
                #expect(log.all.isEmpty)
                _ = try second.tryReceive()
                #expect(log.all == [0])
                if overflow == .dropOldest {
                    for number in 2..<4 { try await channel.send(Token(number, log)) }
                    #expect(log.all == [0, 1])
                }
                second.cancel()
                first.cancel()
                #expect(log.count == (overflow == .dropOldest ? 4 : 2))
            }
        }

        @Test func `tasks that share a subscription share its elements, in the order in which they came`() async throws
        {
            try await onLoop { loop in
                let channel = BroadcastChannel<Int>()
                let subscription = channel.subscribe()
                var tasks: [LoopTask<Int?>] = []
                for _ in 0..<3 {
                    let task = spawn(eager: true) {
                        _ = loop
                        return try await subscription.receive()
                    }
                    tasks.append(task)
                }
                await settle()
                for number in 0..<3 { try await channel.send(number) }
                // They are meant for those who wait.
                let early = try subscription.tryReceive()
                #expect(early == nil)
                var ends: [String] = []
                for task in tasks { ends.append(await end(of: task)) }
                #expect(told(ends, ["0", "1", "2"]))
            }
        }

        // MARK: Slow subscribers

        @Test func `a sender waits for the slowest, and senders are served in order`() async throws {
            let order = Recorder<Int>()
            try await onLoop { loop in
                let channel = BroadcastChannel<Int>(capacity: 2)
                let (fast, slow) = (channel.subscribe(), channel.subscribe())
                var senders: [LoopTask<Void>] = []
                for number in 0..<5 {
                    let sender = spawn(eager: true) {
                        _ = loop
                        try await channel.send(number)
                        order.append(number)
                    }
                    senders.append(sender)
                }
                await settle()
                #expect(order.all == [0, 1])
                for number in 0..<2 { #expect(try fast.tryReceive() == number) }
                await settle()
                #expect(order.all == [0, 1])
                #expect(try !channel.trySend(9))
                #expect(try slow.tryReceive() == 0)
                // The room is the next sender's, though it has not run yet.
                #expect(try !channel.trySend(9))
                await settle()
                #expect(order.all == [0, 1, 2])
                slow.cancel()
                #expect(try fast.tryReceive() == 2)
                await settle()
                #expect(told(order.all, [0, 1, 2, 3, 4]))
                for sender in senders { try await sender.value }
            }
        }

        @Test func `dropping or cancelling the last subscription lets all senders go`() async throws {
            for isDropped in [true, false] {
                try await onLoop { loop in
                    let channel = BroadcastChannel<Int>(capacity: 1)
                    var subscription: BroadcastSubscription<Int>? = channel.subscribe()
                    try await channel.send(0)
                    var senders: [LoopTask<Int>] = []
                    for number in 1..<6 {
                        let sender = spawn {
                            _ = loop
                            return try await channel.send(number)
                        }
                        senders.append(sender)
                    }
                    await settle()
                    if isDropped { subscription = nil } else { subscription?.cancel() }
                    #expect(channel.subscriberCount == 0)
                    for sender in senders {
                        let heard = try await sender.value
                        #expect(heard == 0)
                    }
                    #expect(subscription?.count ?? 0 == 0)
                }
            }
        }

        @Test func `with dropping, a slow subscriber is told how many it missed, once, and goes on`() async throws {
            let got = Recorder<String>()
            try await onLoop { loop in
                let channel = BroadcastChannel<Int>(capacity: 3, overflow: .dropOldest)
                let (slow, fast) = (channel.subscribe(), channel.subscribe())
                for number in 0..<10 {
                    #expect(try channel.trySend(number))
                    #expect(try fast.tryReceive() == number)
                }
                #expect(slow.count == 3)
                #expect(throws: BroadcastError.missed(7)) { try slow.tryReceive() }
                channel.close()
                for try await element in slow { got.append("\(element)") }
                #expect(slow.missedCount == 7 && fast.missedCount == 0)
                _ = loop
            }
            #expect(got.all == ["7", "8", "9"])
            #expect(
                BroadcastError.missed(7).description
                    == "The subscriber was too slow and missed 7 elements of the BroadcastChannel."
            )
        }

        @Test func `with dropping, tasks that share a subscription keep their places in line`() async throws {
            try await onLoop { loop in
                let channel = BroadcastChannel<Int>(capacity: 1, overflow: .dropOldest)
                let subscription = channel.subscribe()
                var tasks: [LoopTask<Int?>] = []
                for number in 0..<4 {
                    if number == 3 { for element in 1...3 { try await channel.send(element) } }
                    let task = spawn(eager: true) {
                        _ = loop
                        return try await subscription.receive()
                    }
                    tasks.append(task)
                }
                await settle()
                for element in 4...5 {
                    try await channel.send(element)
                    await settle()
                }
                var ends: [String] = []
                for task in tasks { ends.append(await end(of: task)) }
                #expect(ends == ["missed 2", "3", "4", "5"])
            }
        }

        @Test func `a loop that was told that it missed something can be begun again`() async throws {
            let got = Recorder<String>()
            try await onLoop { loop in
                let channel = BroadcastChannel<Int>(capacity: 2, overflow: .dropOldest)
                let subscription = channel.subscribe()
                let task = spawn {
                    _ = loop
                    while true {
                        do {
                            for try await element in subscription { got.append("\(element)") }
                            return
                        } catch BroadcastError.missed(let count) {
                            got.append("missed \(count)")
                        }
                    }
                }
                await settle()
                for number in 0..<5 { try await channel.send(number) }
                await settle()
                for number in 5..<8 { try await channel.send(number) }
                channel.close()
                try await task.value
            }
            #expect(got.all == ["missed 3", "3", "4", "missed 1", "6", "7"])
        }

        @Test func `nobody who comes later sends or receives before one whose turn has come`() async throws {
            let order = Recorder<String>()
            try await onLoop { loop in
                let channel = BroadcastChannel<Int>(capacity: 2)
                let subscription = channel.subscribe()
                for number in 0..<2 { try await channel.send(number) }
                let first = spawn {
                    _ = loop
                    try await channel.send(2)
                }
                await settle()
                #expect(try subscription.tryReceive() == 0)
                #expect(try subscription.tryReceive() == 1)
                // There is room for two, but the first has not had its turn.
                #expect(try !channel.trySend(9))
                try await channel.send(3)
                try await first.value
                let receiver = spawn {
                    _ = loop
                    for _ in 0..<3 { order.append("waited \(try await subscription.receive() ?? -1)") }
                }
                await settle()
                #expect(order.all == ["waited 2", "waited 3"])
                for number in 4..<6 { try await channel.send(number) }
                // There are two elements, but the first has not had its turn.
                let early = try subscription.tryReceive()
                #expect(early == nil)
                order.append("came \(try await subscription.receive() ?? -1)")
                try await receiver.value
                #expect(order.all.suffix(2) == ["waited 4", "came 5"])
                // The same with nothing left for the second.
                let last = spawn {
                    _ = loop
                    return try await subscription.receive()
                }
                await settle()
                try await channel.send(6)
                channel.close()
                let nothing = try await subscription.receive()
                #expect(nothing == nil)
                #expect(await end(of: last) == "6")
            }
        }

        @Test func `an element that goes may use the channel`() async throws {
            try await onLoop { _ in
                let channel = BroadcastChannel<Box>(capacity: 2, overflow: .dropOldest)
                var subscriptions = (0..<3).map { _ in channel.subscribe() }
                let last = subscriptions.removeLast()
                var sent = 0
                for _ in 0..<2 {
                    try await channel.send(
                        Box { [unowned channel] in
                            sent += (try? channel.trySend(Box {})) == true ? 1 : 0
                            subscriptions.popLast()?.cancel()
                        }
                    )
                }
                try await channel.send(Box {})
                #expect(sent >= 1 && channel.count <= 2 && subscriptions.isEmpty)
                #expect(throws: BroadcastError.self) { try last.tryReceive() }
                last.cancel()
                #expect(channel.count == 0 && channel.subscriberCount == 0)
            }
        }
    }
}

/// Does something when it goes.
private final class Box {
    private let end: () -> Void
    init(_ end: @escaping () -> Void) { self.end = end }
    deinit { end() }
}

/// Says when it goes.
final class Token: Sendable {
    private let number: Int
    private let log: Recorder<Int>

    init(_ number: Int, _ log: Recorder<Int>) { (self.number, self.log) = (number, log) }

    deinit { log.append(number) }
}
