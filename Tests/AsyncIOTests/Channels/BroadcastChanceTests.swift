// Broadcast channels under chance: against a simple model, and with tasks that come, go and are cancelled at any moment.

import AsyncIO
import AsyncIOTesting
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct BroadcastChanceTests {
        /// A subscriber as it should be: all that it is to get, one list for each.
        private struct Model {
            var pending: [Int] = []
            var missed = 0
        }

        @Test(arguments: Seeds.few(of: 0..<20))
        func `what subscribers get and miss is what a list for each would give`(seed: UInt64) async throws {
            try await onLoop { loop in
                var chance = Chance(seed: seed)
                let capacity = Int.random(in: 1...6, using: &chance)
                let channel = BroadcastChannel<Int>(
                    capacity: capacity,
                    overflow: seed % 2 == 0 ? .dropOldest : .waitForSlowest
                )
                var subscribers: [(BroadcastSubscription<Int>, Model)] = []
                for number in 0..<3_000 {
                    switch Int.random(in: 0...9, using: &chance) {
                    case 0 where subscribers.count < 6:
                        subscribers.append((channel.subscribe(), Model()))
                    case 1 where !subscribers.isEmpty:
                        subscribers.remove(at: Int.random(in: 0..<subscribers.count, using: &chance))
                    case 2...4:
                        let isFull = subscribers.contains { $0.1.pending.count == capacity }
                        let isSent = try channel.trySend(number)
                        #expect(isSent == (!isFull || channel.overflow == .dropOldest))
                        guard isSent else { continue }
                        for index in subscribers.indices {
                            subscribers[index].1.pending.append(number)
                            guard subscribers[index].1.pending.count > capacity else { continue }
                            subscribers[index].1.pending.removeFirst()
                            subscribers[index].1.missed += 1
                        }
                    case _ where !subscribers.isEmpty:
                        let index = Int.random(in: 0..<subscribers.count, using: &chance)
                        let expected: String
                        if subscribers[index].1.missed > 0 {
                            expected = "missed \(subscribers[index].1.missed)"
                            subscribers[index].1.missed = 0
                        } else if subscribers[index].1.pending.isEmpty {
                            expected = "nothing"
                        } else {
                            expected = "\(subscribers[index].1.pending.removeFirst())"
                        }
                        var got: String
                        do { got = try subscribers[index].0.tryReceive().map(String.init) ?? "nothing" } catch {
                            got = word(error)
                        }
                        #expect(got == expected)
                    default: continue
                    }
                    #expect(channel.count == subscribers.map(\.1.pending.count).max() ?? 0)
                    #expect(subscribers.allSatisfy { $0.0.count == $0.1.pending.count })
                }
                _ = loop
            }
        }

        @Test(arguments: Seeds.few(of: 0..<20))
        func `with cancellations: each subscriber gets all that was sent while it was there`(seed: UInt64) async throws
        {
            let (sent, got) = (Recorder<Int>(), Recorder<[Int]>())
            try await onLoop { loop in
                var chance = Chance(seed: seed)
                let channel = BroadcastChannel<Int>(capacity: Int.random(in: 1...5, using: &chance))
                let luck = (0..<1_000).map { _ in Int.random(in: 0...9, using: &chance) }
                var tasks: [LoopTask<Void>] = []
                for subscriber in 0..<4 {
                    let subscription = channel.subscribe()
                    let task = spawn {
                        _ = loop
                        var round = subscriber
                        while true {
                            let attempt = spawn {
                                _ = loop
                                guard let element = try await subscription.receive() else { return false }
                                got.append([subscriber, element])
                                return true
                            }
                            round += 1
                            for _ in 0..<luck[(round * 3) % luck.count] / 3 { await AsyncIO.yield() }
                            if luck[round % luck.count] < 3 { attempt.cancel() }
                            if case false? = try? await attempt.value { return }
                        }
                    }
                    tasks.append(task)
                }
                // One that is there for a while, and does not look.
                let passer = spawn {
                    _ = loop
                    for _ in 0..<20 {
                        let subscription = channel.subscribe()
                        for _ in 0..<4 { await AsyncIO.yield() }
                        _ = subscription.count
                    }
                }
                for number in 0..<400 {
                    let attempt = spawn {
                        _ = loop
                        try await channel.send(number)
                        sent.append(number)
                    }
                    for _ in 0..<luck[number] / 2 { await AsyncIO.yield() }
                    if luck[number] < 4 { attempt.cancel() }
                    _ = try? await attempt.value
                }
                try await passer.value
                channel.close()
                for task in tasks { try await task.value }
                #expect(channel.count == 0)
            }
            #expect(sent.count > 200)
            for subscriber in 0..<4 {
                #expect(got.all.filter { $0[0] == subscriber }.map { $0[1] } == sent.all)
            }
        }
    }
}
