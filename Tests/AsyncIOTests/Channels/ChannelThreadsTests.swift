// Channels between loops, actors, Swift's pool and threads that are nobody's. What must be exact is counted, and what comes
// when is left to the threads.

import AsyncIO
import AsyncIOTesting
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct ChannelThreadsTests {
        @Test func `a channel needs no loop`() async throws {
            let channel = Channel<Int>(capacity: 1)
            let receiver = Task.detached {
                #expect(EventLoop.current == nil)
                var all: [Int] = []
                for try await element in channel { all.append(element) }
                return all
            }
            let sender = Task.detached {
                for number in 0..<1_000 { try await channel.send(number) }
                channel.close()
            }
            try await sender.value
            #expect(try await receiver.value == Array(0..<1_000))
        }

        @Test(arguments: [0, 1, 100])
        func `from one loop to another, in order, each side on its own`(capacity: Int) async throws {
            let (there, back) = (Channel<Int>(capacity: capacity), Channel<Int>(capacity: capacity))
            let all = try await onLoop(.real) { loop in
                async let echo: Void = withEventLoop(.real) { loop in
                    for try await element in there {
                        #expect(loop.isCurrent)
                        try await back.send(element)
                        #expect(loop.isCurrent)
                    }
                    back.close()
                }
                let sender = spawn {
                    for number in 0..<2_000 { try await there.send(number) }
                    #expect(loop.isCurrent)
                    there.close()
                }
                var all: [Int] = []
                for try await element in back { all.append(element) }
                #expect(loop.isCurrent)
                try await sender.value
                try await echo
                return all
            }
            let isSame = all == Array(0..<2_000)
            #expect(isSame)
        }

        @Test func `a foreign thread sends and receives without waiting, and wakes who waits`() async throws {
            let (there, back) = (Channel<Int>(), Channel<Int>(capacity: 1))
            try await onLoop(.real) { loop in
                let ended = Gate()
                onForeignThread {
                    do {
                        for number in 0..<500 { while try !there.trySend(number) {} }
                        there.close()
                        var all: [Int] = []
                        while all.count < 500 { if let element = try back.tryReceive() { all.append(element) } }
                        #expect(all == Array(0..<500))
                    } catch {
                        Issue.record(error)
                    }
                    ended.open()
                }
                for try await element in there {
                    #expect(loop.isCurrent)
                    try await back.send(element)
                }
                try await AsyncIO.offload { _ = ended.pass() }
            }
        }

        @Test func `an actor that is not the loop's receives and sends`() async throws {
            try await onLoop(.real) { loop in
                let (there, back) = (Channel<Int>(capacity: 2), Channel<Int>(capacity: 2))
                let doubler = Doubler()
                let doubling = spawn { try await doubler.work(there, back) }
                let sender = spawn {
                    for number in 0..<100 { try await there.send(number) }
                    there.close()
                }
                var all: [Int] = []
                for try await element in back { all.append(element) }
                #expect(loop.isCurrent)
                try await sender.value
                try await doubling.value
                #expect(all == (0..<100).map { 2 * $0 })
            }
        }

        @Test func `code that is isolated to nothing waits on the loop that it runs on`() async throws {
            try await onLoop { loop in
                let (there, back) = (Channel<Int>(capacity: 1), Channel<Int>(capacity: 1))
                let task = nowhere(loop, there, back)
                for number in 0..<50 {
                    try await there.send(number)
                    let element = try await back.receive()
                    #expect(element == number)
                }
                there.close()
                try await task.value
            }
        }

        @Test func `cancelling a task of the pool ends its wait, and nothing is lost`() async throws {
            let (empty, full) = (Channel<Int>(), Channel<Int>(capacity: 1))
            try await full.send(0)
            let receiver = Task.detached { try await empty.receive() }
            let sender = Task.detached { try await full.send(1) }
            receiver.cancel()
            sender.cancel()
            #expect(await isCancelled { try await receiver.value })
            #expect(await isCancelled { try await sender.value })
            #expect(try empty.trySend(7))
            #expect(try empty.tryReceive() == 7)
            #expect(try full.tryReceive() == 0)
            #expect(try full.tryReceive() == nil)
        }

        @Test func `closing from another thread ends the waits of all kinds of tasks`() async throws {
            let (empty, full) = (Channel<Int>(), Channel<Int>(capacity: 1))
            try await full.send(0)
            let pool = Task.detached { try await empty.receive() }
            try await onLoop(.real) { _ in
                let receiver = spawn { try await empty.receive() }
                let sender = spawn { try await full.send(1) }
                await settle()
                onForeignThread {
                    empty.close()
                    full.close()
                }
                #expect(await end(of: receiver) == "end")
                #expect(await problem { try await sender.value } == "closed")
            }
            #expect(try await pool.value == nil)
        }

        @Test func `a loop that ends takes no element with it`() async throws {
            // The loop's end and another thread's sends run into each other.
            for _ in 0..<30 {
                let (channel, got) = (Channel<Int>(capacity: 10_000), Recorder<Int>())
                let (started, ended) = (Gate(), Gate())
                onForeignThread {
                    started.pass()
                    do { for number in 0..<2_000 { #expect(try channel.trySend(number)) } } catch {
                        Issue.record(error)
                    }
                    ended.open()
                }
                // A word to a task that has gone may be on its way when the loop closes.
                try await onLoop(.real, leaving: Recorder()) { loop in
                    for _ in 0..<20 {
                        spawn { for try await element in channel { got.append(element) } }
                        Task {
                            _ = loop
                            while let element = try await channel.receive() { got.append(element) }
                        }
                    }
                    started.open()
                    await settle(3)
                }
                #expect(try await AsyncIO.offload { ended.pass() })
                while let element = try channel.tryReceive() { got.append(element) }
                // A task that the loop's end cut off may be on its way with its last element.
                for _ in 0..<20_000 where got.count < 2_000 { await Task.yield() }
                let isSame = got.all.sorted() == Array(0..<2_000)
                #expect(isSame, "\(got.count)")
            }
        }

        @Test(arguments: 0..<6)
        func `loops, pool and threads at once, with cancellations: each element once`(seed: UInt64) async throws {
            let (sent, received, done) = (Recorder<[Int]>(), Recorder<[Int]>(), Recorder<Int>())
            let channel = Channel<[Int]>(capacity: [0, 1, 3, 50, 1_000, 2][Int(seed)])
            /// Sends, and cancels some of what it does.
            @Sendable func sendAll(_ sender: Int) async {
                var chance = Chance(seed: seed * 10 + UInt64(sender))
                for number in 0..<300 {
                    let attempt = Task {
                        try await channel.send([sender, number])
                        sent.append([sender, number])
                    }
                    if Int.random(in: 0...4, using: &chance) == 0 { attempt.cancel() }
                    _ = await attempt.result
                }
                done.append(sender)
                if done.count == 3 { channel.close() }
            }
            @Sendable func receiveAll(_ receiver: Int) async {
                var chance = Chance(seed: seed * 10 + 5 + UInt64(receiver))
                while true {
                    let attempt = Task {
                        guard let element = try await channel.receive() else { return false }
                        received.append(element)
                        return true
                    }
                    if Int.random(in: 0...4, using: &chance) == 0 { attempt.cancel() }
                    if case .success(false) = await attempt.result { return }
                }
            }
            try await onLoop(.real) { _ in
                async let otherLoop: Void = withEventLoop(.real) { _ in
                    let receiving = spawn { await receiveAll(1) }
                    await sendAll(1)
                    try await receiving.value
                }
                let pool = [Task.detached { await receiveAll(2) }, Task.detached { await sendAll(2) }]
                let receiving = spawn { await receiveAll(0) }
                await sendAll(0)
                try await receiving.value
                for task in pool { await task.value }
                try await otherLoop
            }
            #expect(sent.count > 600)
            let isSame = received.all.sorted(by: comesBefore) == sent.all.sorted(by: comesBefore)
            #expect(isSame)
        }
    }
}

/// Receives and sends on whatever thread it has.
private actor Doubler {
    func work(_ source: Channel<Int>, _ target: Channel<Int>) async throws {
        for try await element in source { try await target.send(2 * element) }
        target.close()
    }
}

/// A task of the loop without an isolation.
private func nowhere(_ loop: EventLoop, _ source: Channel<Int>, _ target: Channel<Int>) -> LoopTask<Void> {
    spawn {
        for try await element in source {
            #expect(loop.isCurrent)
            try await target.send(element)
            #expect(loop.isCurrent)
        }
    }
}
