// How broadcast channels, subscriptions and waits for them end: by closing, cancelling and the end of the loop.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct BroadcastEndingTests {
        // MARK: Closing

        @Test func `closing ends subscribers after what was sent, and refuses senders`() async throws {
            try await onLoop { loop in
                let channel = BroadcastChannel<Int>(capacity: 1)
                let (subscription, idle) = (channel.subscribe(), channel.subscribe())
                try await channel.send(0)
                #expect(try idle.tryReceive() == 0)
                let sender = spawn {
                    _ = loop
                    return try await channel.send(1)
                }
                let waiting = spawn {
                    _ = loop
                    return try await idle.receive()
                }
                await settle()
                channel.close()
                channel.close()
                #expect(channel.isClosed)
                #expect(await problem { try await sender.value } == "closed")
                #expect(await end(of: waiting) == "end")
                #expect(await problem { try await channel.send(2) } == "closed")
                #expect(throws: ChannelError.closed) { try channel.trySend(2) }
                let last = try await subscription.receive()
                #expect(last == 0)
                let end = try await subscription.receive()
                #expect(end == nil)
                #expect(throws: ChannelError.closed) { try subscription.tryReceive() }
                let late = channel.subscribe()
                let nothing = try await late.receive()
                #expect(nothing == nil && late.count == 0)
            }
        }

        @Test func `who waited when the channel was closed gets what is left before who comes then`() async throws {
            try await onLoop { loop in
                let channel = BroadcastChannel<Int>()
                let subscription = channel.subscribe()
                let first = spawn(eager: true) {
                    _ = loop
                    return try await subscription.receive()
                }
                try await channel.send(1)
                try await channel.send(2)
                let second = spawn(eager: true) {
                    _ = loop
                    return try await subscription.receive()
                }
                let third = spawn {
                    _ = loop
                    return try await subscription.receive()
                }
                channel.close()
                let ends = [await end(of: first), await end(of: second), await end(of: third)]
                #expect(ends == ["1", "2", "end"])
            }
        }

        @Test func `a subscription that is cancelled ends for all who wait, and lets go what it had`() async throws {
            try await onLoop { loop in
                let channel = BroadcastChannel<Int>()
                let subscription = channel.subscribe()
                var tasks: [LoopTask<Int?>] = []
                for _ in 0..<2 {
                    let task = spawn {
                        _ = loop
                        return try await subscription.receive()
                    }
                    tasks.append(task)
                }
                await settle()
                subscription.cancel()
                subscription.cancel()
                for task in tasks { #expect(await end(of: task) == "end") }
                let heard = try await channel.send(1)
                #expect(heard == 0)
                #expect(throws: ChannelError.closed) { try subscription.tryReceive() }
            }
        }

        // MARK: Cancelling

        @Test func `a receive that is cancelled takes nothing; one that was served before returns`() async throws {
            try await onLoop { loop in
                let channel = BroadcastChannel<Int>()
                let subscription = channel.subscribe()
                var receivers: [LoopTask<Int?>] = []
                for _ in 0..<2 {
                    let receiver = spawn {
                        _ = loop
                        return try await subscription.receive()
                    }
                    receivers.append(receiver)
                }
                let (cancelled, served) = (receivers[0], receivers[1])
                await settle()
                cancelled.cancel()
                try await channel.send(1)
                served.cancel()
                #expect(await end(of: cancelled) == "cancelled")
                #expect(await end(of: served) == "1")
                try await channel.send(2)
                #expect(try subscription.tryReceive() == 2)
            }
        }

        @Test func `a send that is cancelled sends nothing, and the next in line has its turn`() async throws {
            try await onLoop { loop in
                let channel = BroadcastChannel<Int>(capacity: 1)
                let subscription = channel.subscribe()
                try await channel.send(0)
                var senders: [LoopTask<Int>] = []
                for number in 1...3 {
                    let sender = spawn(eager: true) {
                        _ = loop
                        return try await channel.send(number)
                    }
                    senders.append(sender)
                }
                await settle()
                senders[0].cancel()
                #expect(try subscription.tryReceive() == 0)
                // Its turn has come, so it sends.
                senders[1].cancel()
                #expect(await isCancelled { try await senders[0].value })
                let heard = try await senders[1].value
                #expect(heard == 1)
                #expect(try subscription.tryReceive() == 2)
                await settle()
                #expect(try subscription.tryReceive() == 3)
                _ = try await senders[2].value
            }
        }

        @Test func `the end of the loop ends waits as a cancellation does`() async throws {
            let ends = Recorder<String>()
            try await onLoop { loop in
                let channel = BroadcastChannel<Int>(capacity: 1)
                let (full, empty) = (channel.subscribe(), channel.subscribe())
                try await channel.send(0)
                _ = try empty.tryReceive()
                spawn {
                    _ = loop
                    do { try await channel.send(1) } catch { ends.append(word(error)) }
                    #expect(full.count == 1)
                }
                spawn {
                    _ = loop
                    do { _ = try await empty.receive() } catch { ends.append(word(error)) }
                }
                await settle()
            }
            #expect(ends.all == ["cancelled", "cancelled"])
        }
    }
}
