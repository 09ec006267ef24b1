// Channels on one loop: order, waiting, closing, and that no element is lost and none comes twice, whatever is cancelled.
// Behaviours 87, 88 and 90 of asyncio, whose queues do the same within one loop.

import AsyncIO
import AsyncIOTesting
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct ChannelTests {
        // MARK: Order

        @Test func `elements come out in the order in which they went in`() async throws {
            try await onLoop { _ in
                let channel = Channel<Int>(capacity: 3)
                let receiver = spawn {
                    var all: [Int] = []
                    for try await element in channel { all.append(element) }
                    return all
                }
                for number in 0..<100 { try await channel.send(number) }
                channel.close()
                let all = try await receiver.value
                #expect(all == Array(0..<100))
            }
        }

        @Test func `a send waits while the channel is full, and senders are served in order`() async throws {
            let order = Recorder<Int>()
            try await onLoop { loop in
                let channel = Channel<Int>(capacity: 2)
                let senders = spawnEach(5, on: loop, eager: true) { number in
                    try await channel.send(number)
                    order.append(number)
                }
                await settle()
                #expect(order.all == [0, 1])
                #expect(channel.count == 2)
                #expect(try !channel.trySend(9))
                for number in 0..<5 {
                    #expect(try channel.tryReceive() == number)
                    // A newcomer finds no room that somebody waits for.
                    if number < 3 { #expect(try !channel.trySend(9)) }
                }
                #expect(try channel.tryReceive() == nil)
                for sender in senders { try await sender.value }
                #expect(told(order.all, [0, 1, 2, 3, 4]))
            }
        }

        @Test func `a receive waits while the channel is empty, and receivers are served in order`() async throws {
            try await onLoop { loop in
                let channel = Channel<Int>()
                let receivers = spawnEach(4, on: loop, eager: true) { _ in try await channel.receive() }
                await settle()
                for number in 0..<4 { try await channel.send(number) }
                // A newcomer finds no element that is somebody else's.
                #expect(channel.count == 0)
                #expect(try channel.tryReceive() == nil)
                var elements: [Int] = []
                for receiver in receivers { elements.append(try await receiver.value ?? -1) }
                #expect(told(elements, Array(0..<4)))
            }
        }

        @Test func `with no capacity a send waits until its element is received`() async throws {
            let order = Recorder<String>()
            try await onLoop { _ in
                let channel = Channel<Int>(capacity: 0)
                #expect(try !channel.trySend(1))
                let sender = spawn {
                    for number in 0..<3 {
                        try await channel.send(number)
                        order.append("sent \(number)")
                    }
                }
                await settle()
                #expect(order.all.isEmpty)
                for number in 0..<3 {
                    let element = try await channel.receive()
                    #expect(element == number)
                    order.append("received \(number)")
                    await settle()
                }
                try await sender.value
                let receiver = spawn { try await channel.receive() }
                await settle()
                #expect(try channel.trySend(7))
                let element = try await receiver.value
                #expect(element == 7)
            }
            #expect(order.all == (0..<3).flatMap { ["received \($0)", "sent \($0)"] })
        }

        @Test func `a call that need not wait lets nobody run in between`() async throws {
            try await onLoop { loop in
                let channel = Channel<Int>(capacity: 2)
                let ran = Recorder<Int>()
                loop.schedule { ran.append(1) }
                try await channel.send(1)
                try await channel.send(2)
                _ = try await channel.receive()
                for try await _ in channel { break }
                channel.close()
                let last = try await channel.receive()
                #expect(last == nil)
                #expect(loop.isCurrent)
                #expect(ran.all.isEmpty)
                await settle()
                #expect(ran.all == [1])
            }
        }

        @Test(.testsOrder)
        func `who is served goes on in the next turn, before what is scheduled later`() async throws {
            let order = Recorder<String>()
            try await onLoop { loop in
                let channel = Channel<Int>(capacity: 1)
                let receiver = spawn {
                    _ = try await channel.receive()
                    order.append("received \(loop.isCurrent)")
                }
                await settle()
                loop.schedule { order.append("before") }
                #expect(try channel.trySend(1))
                loop.schedule { order.append("after") }
                try await receiver.value
                await settle()
            }
            #expect(order.all == ["before", "received true", "after"])
        }

        // MARK: Closing

        @Test func `after closing, what is there can be received, and nothing can be sent, behaviour 90`() async throws
        {
            try await onLoop { _ in
                let channel = Channel<Int>()
                for number in 0..<3 { try await channel.send(number) }
                channel.close()
                channel.close()
                #expect(channel.isClosed && channel.count == 3)
                #expect(await problem { try await channel.send(9) } == "closed")
                #expect(throws: ChannelError.closed) { try channel.trySend(9) }
                var all: [Int] = []
                for try await element in channel { all.append(element) }
                #expect(all == [0, 1, 2])
                #expect(throws: ChannelError.closed) { try channel.tryReceive() }
                let end = try await channel.receive()
                #expect(end == nil)
                #expect(ChannelError.closed.description == "The channel is closed.")
            }
        }

        @Test func `closing ends all who wait: receivers with the end, senders with an error, behaviour 90`()
            async throws
        {
            try await onLoop { _ in
                let empty = Channel<Int>(), full = Channel<Int>(capacity: 1)
                try await full.send(0)
                let receivers = (0..<3).map { _ in spawn { try await empty.receive() } }
                let senders = (1..<4).map { number in spawn { try await full.send(number) } }
                await settle()
                empty.close()
                full.close()
                for receiver in receivers { #expect(await end(of: receiver) == "end") }
                for sender in senders { #expect(await problem { try await sender.value } == "closed") }
                // Their elements were not sent.
                #expect(try full.tryReceive() == 0)
                #expect(throws: ChannelError.closed) { try full.tryReceive() }
            }
        }

        // MARK: Cancelling

        @Test func `a send that is cancelled sends nothing, and others keep their turn, behaviour 87`() async throws {
            try await onLoop { loop in
                let channel = Channel<Int>(capacity: 1)
                try await channel.send(0)
                let senders = spawnEach(4, on: loop, eager: true) { number in try await channel.send(number + 1) }
                await settle()
                senders[0].cancel()
                senders[2].cancel()
                // In the same turn: the cancelled have not run yet, and are passed over all the same.
                for number in [0, 2, 4] { #expect(try channel.tryReceive() == number) }
                #expect(await isCancelled { try await senders[2].value })
                #expect(await isCancelled { try await senders[0].value })
                #expect(try channel.tryReceive() == nil)
                try await senders[1].value
                try await senders[3].value
            }
        }

        @Test func `a send whose turn came before the cancellation has sent, behaviour 87`() async throws {
            try await onLoop { _ in
                let channel = Channel<Int>(capacity: 1)
                try await channel.send(0)
                let sender = spawn { try await channel.send(1) }
                await settle()
                #expect(try channel.tryReceive() == 0)
                sender.cancel()
                try await sender.value
                #expect(try channel.tryReceive() == 1)
            }
        }

        @Test func `a receive that is cancelled takes nothing, and others keep their turn, behaviour 87`() async throws
        {
            try await onLoop { loop in
                let channel = Channel<Int>()
                let receivers = spawnEach(4, on: loop, eager: true) { _ in try await channel.receive() }
                await settle()
                receivers[0].cancel()
                receivers[2].cancel()
                // In the same turn: the cancelled have not run yet, and are passed over all the same.
                for number in 0..<3 { #expect(try channel.trySend(number)) }
                let ends = [
                    await end(of: receivers[0]), await end(of: receivers[1]), await end(of: receivers[2]),
                    await end(of: receivers[3]),
                ]
                #expect(told(ends, ["cancelled", "0", "cancelled", "1"]))
                let rest = try channel.tryReceive()
                #expect(rest == 2)
            }
        }

        @Test func `an element that was given before the cancellation is received, behaviour 87`() async throws {
            try await onLoop { _ in
                let channel = Channel<Int>()
                let receiver = spawn {
                    let element = try await channel.receive()
                    #expect(Task.isCancelled)
                    return element
                }
                await settle()
                let isSent = try channel.trySend(5)
                #expect(isSent)
                receiver.cancel()
                #expect(await end(of: receiver) == "5")
            }
        }

        @Test func `a task that was cancelled already receives and sends what needs no waiting`() async throws {
            try await onLoop { _ in
                let channel = Channel<Int>(capacity: 1)
                let task = spawn {
                    cancelThisTask()
                    #expect(await isCancelled { try await channel.receive() })
                    try await channel.send(1)
                    #expect(await isCancelled { try await channel.send(2) })
                    return try await channel.receive()
                }
                #expect(await end(of: task) == "1")
                #expect(try channel.tryReceive() == nil)
                try await channel.send(3)
                #expect(channel.count == 1)
            }
        }

        @Test func `a limit on a receive leaves nothing behind, behaviour 88`() async throws {
            try await onLoop(.paced) { _ in
                let channel = Channel<Int>(capacity: 1)
                for _ in 0..<3 {
                    let error = await failure { try await withTimeout(ticks(1)) { try await channel.receive() } }
                    #expect(error is TimeoutError)
                }
                try await channel.send(1)
                let element = try await channel.receive()
                #expect(element == 1)
            }
        }

        // MARK: The end of the loop

        @Test func `the end of the loop ends the waits, and what was sent stays in the channel`() async throws {
            let (empty, full, ends) = (Channel<Int>(), Channel<Int>(capacity: 1), Recorder<String>())
            try await onLoop { loop in
                try await full.send(0)
                for number in 1...3 {
                    spawn { ends.append(await problem { try await empty.receive() }) }
                    spawn { ends.append(await problem { try await full.send(number) }) }
                    Task {
                        _ = loop
                        ends.append(await problem { try await empty.receive() })
                    }
                    Task {
                        _ = loop
                        ends.append(await problem { try await full.send(number) })
                    }
                }
                await settle()
            }
            #expect(ends.all == Array(repeating: "cancelled", count: 12))
            #expect(try full.tryReceive() == 0)
            #expect(try full.tryReceive() == nil)
            #expect(try empty.trySend(1))
            #expect(empty.count == 1)
        }

        // MARK: Chance

        @Test(arguments: Seeds.few(of: 0..<30))
        func `whatever is cancelled and when: what was sent is received once, and in order, behaviour 87`(seed: UInt64)
            async throws
        {
            let (sent, received) = (Recorder<[Int]>(), Recorder<[Int]>())
            try await onLoop { _ in
                var chance = Chance(seed: seed)
                let channel = Channel<[Int]>(capacity: Int.random(in: 0...4, using: &chance))
                let lives = (0..<400).map { _ in Int.random(in: 0...6, using: &chance) }
                var tasks: [LoopTask<Void>] = []
                for sender in 0..<3 {
                    let task = spawn {
                        for (number, life) in lives.enumerated() {
                            let attempt = spawn {
                                try await channel.send([sender, number])
                                sent.append([sender, number])
                            }
                            if life < 3 {
                                for _ in 0..<life { await AsyncIO.yield() }
                                attempt.cancel()
                            }
                            _ = try? await attempt.value
                        }
                    }
                    tasks.append(task)
                }
                // With one receiver, what it gets is in order.
                let receivers = (0..<(seed % 2 == 0 ? 1 : 3)).map { receiver in
                    spawn {
                        var round = receiver
                        while true {
                            let attempt = spawn {
                                guard let element = try await channel.receive() else { return false }
                                received.append(element)
                                return true
                            }
                            round += 1
                            if lives[round % lives.count] < 3 {
                                for _ in 0..<lives[(round * 7) % lives.count] { await AsyncIO.yield() }
                                attempt.cancel()
                            }
                            if case false? = try? await attempt.value { return }
                        }
                    }
                }
                for task in tasks { try await task.value }
                channel.close()
                for receiver in receivers { try await receiver.value }
                #expect(channel.count == 0)
            }
            #expect(sent.count > 200)
            let isSame = received.all.sorted(by: comesBefore) == sent.all.sorted(by: comesBefore)
            #expect(isSame)
            for sender in 0..<3 where seed % 2 == 0 {
                let own = received.all.filter { $0[0] == sender }.map { $0[1] }
                #expect(own == own.sorted())
            }
        }
    }
}

/// The order of pairs.
func comesBefore(_ left: [Int], _ right: [Int]) -> Bool { left.lexicographicallyPrecedes(right) }
