// Broadcast channels: each subscriber gets all that is sent while it is there, in order, or is told how much it
// missed; a sender waits for the slowest and for nobody else; whoever is cancelled takes nothing with him.

import AsyncIO

enum BroadcastCheck {
    static func run(_ input: inout FuzzInput, on loop: isolated EventLoop) async throws {
        let game = Transfer(BroadcastGame(capacity: 1 + input.roll(4), drops: input.flip()))
        let crowd = game.value.crowd
        while let step = input.step(16) {
            switch step {
            case 0...2 where !crowd.isFull: game.value.spawnSend(eager: step != 0, game, on: loop)
            case 3...5 where !crowd.isFull:
                game.value.spawnReceive(input.roll(4), iterates: step == 5, eager: step != 3, game, on: loop)
            case 6: game.value.trySend()
            case 7...8: game.value.tryReceive(input.roll(4))
            case 9...10: game.value.subscribe()
            case 11: if input.roll(3) == 2 { game.value.unsubscribe(input.roll(4)) }
            case 12...13: game.value.cancelOne(&input)
            case 14: input.roll(16) == 15 ? game.value.close() : await letRun(input.roll(4))
            default:
                await crowd.rest()
                game.value.checkAtRest()
            }
            game.value.check()
            try crowd.ledger.settle()
        }
        await crowd.rest()
        game.value.checkAtRest()
        game.value.close()
        try await crowd.end()
        game.value.checkAtRest()
        try crowd.ledger.settle()
    }
}

private final class BroadcastGame {
    /// A subscriber as it should be: all that it is to get.
    private final class Subscriber {
        let subscription: BroadcastSubscription<Int>
        var pending: [Int] = []
        var missed = 0
        var isCancelled: Bool
        /// The tasks that wait here and were not cancelled, in the order in which they came.
        var waiting: [Int] = []

        init(_ subscription: BroadcastSubscription<Int>, isCancelled: Bool) {
            (self.subscription, self.isCancelled) = (subscription, isCancelled)
        }
    }

    let crowd = Crowd()
    private let channel: BroadcastChannel<Int>
    private var subscribers: [Subscriber] = []
    /// Those who wait to send and were not cancelled.
    private var senders: [Int] = []
    private var isClosed = false
    private var last = 0

    init(capacity: Int, drops: Bool) {
        channel = BroadcastChannel(capacity: capacity, overflow: drops ? .dropOldest : .waitForSlowest)
    }

    private var drops: Bool { channel.overflow == .dropOldest }
    private var active: [Subscriber] { subscribers.filter { !$0.isCancelled } }
    private var isFull: Bool { active.contains { $0.pending.count == channel.capacity } }

    func subscribe() {
        guard subscribers.count < 4 else { return }
        subscribers.append(Subscriber(channel.subscribe(), isCancelled: isClosed))
    }

    func unsubscribe(_ place: Int) {
        guard !subscribers.isEmpty else { return }
        let subscriber = subscribers.remove(at: place % subscribers.count)
        subscriber.subscription.cancel()
        (subscriber.isCancelled, subscriber.pending, subscriber.missed) = (true, [], 0)
    }

    // MARK: Sending

    private func nextElement() -> Int {
        last += 1
        return last
    }

    private func wasSent(_ element: Int, to count: Int?) {
        crowd.ledger.expect(!isClosed, "\(element) was sent after the end")
        crowd.ledger.expect(drops || !isFull, "\(element) was sent, and there was no room")
        crowd.ledger.expect(count ?? active.count == active.count, "\(element) went to \(String(describing: count))")
        for subscriber in active {
            subscriber.pending.append(element)
            guard subscriber.pending.count > channel.capacity else { continue }
            subscriber.pending.removeFirst()
            subscriber.missed += 1
        }
    }

    func spawnSend(eager: Bool, _ game: Transfer<BroadcastGame>, on loop: isolated EventLoop) {
        let number = crowd.next
        let element = nextElement()
        let task = spawn(eager: eager) {
            _ = loop
            game.value.senders.append(number)
            do {
                let count = try await game.value.channel.send(element)
                game.value.expectFirst(number, of: game.value.senders, "sends")
                game.value.wasSent(element, to: count)
            } catch is ChannelError {
                game.value.crowd.ledger.expect(game.value.isClosed, "\(number) was told of an end")
            } catch {
                game.value.crowd.expectCancelled(number, error)
            }
            game.value.senders.removeAll { $0 == number }
        }
        crowd.add(task)
    }

    /// Nobody waits who came before; a task that was cancelled after its turn had come is not in line any more.
    private func expectFirst(_ number: Int, of line: [Int], _ what: String) {
        let isFine = line.first == number || crowd.isCancelled(number)
        crowd.ledger.expect(isFine, "\(number) \(what) before those of \(line) who came earlier")
    }

    func trySend() {
        let element = nextElement()
        do {
            let isSent = try channel.trySend(element)
            let mustWait = !drops && (isFull || !senders.isEmpty)
            // One who was cancelled after his turn had come still sends.
            let mayWait = mustWait || !drops && crowd.waiting.contains(where: crowd.isCancelled)
            crowd.ledger.expect(isSent ? !mustWait : mayWait, "trySend says \(isSent), and \(senders) wait")
            if isSent { wasSent(element, to: nil) }
        } catch {
            crowd.ledger.expect(isClosed, "trySend says that it is closed")
        }
    }

    // MARK: Receiving

    func spawnReceive(
        _ place: Int,
        iterates: Bool,
        eager: Bool,
        _ game: Transfer<BroadcastGame>,
        on loop: isolated EventLoop
    ) {
        guard !subscribers.isEmpty else { return }
        let number = crowd.next
        let subscriber = Transfer(subscribers[place % subscribers.count])
        let task = spawn(eager: eager) {
            _ = loop
            subscriber.value.waiting.append(number)
            do {
                var iterator = subscriber.value.subscription.makeAsyncIterator()
                let element =
                    iterates ? try await iterator.next() : try await subscriber.value.subscription.receive()
                game.value.received(element, number, subscriber.value)
            } catch let error as BroadcastError {
                game.value.missed(error, subscriber.value)
            } catch {
                game.value.crowd.expectCancelled(number, error)
            }
            subscriber.value.waiting.removeAll { $0 == number }
        }
        crowd.add(task)
    }

    private func received(_ element: Int?, _ number: Int, _ subscriber: Subscriber) {
        guard let element else {
            let hasEnded = subscriber.isCancelled || (isClosed && subscriber.pending.isEmpty)
            return crowd.ledger.expect(hasEnded, "\(number) was told of an end")
        }
        expectFirst(number, of: subscriber.waiting, "receives")
        took(element, subscriber)
    }

    private func took(_ element: Int, _ subscriber: Subscriber) {
        guard !subscriber.pending.isEmpty, subscriber.missed == 0 else {
            return crowd.ledger.expect(false, "received \(element), with \(subscriber.missed) missed")
        }
        let expected = subscriber.pending.removeFirst()
        crowd.ledger.expect(element == expected, "received \(element), not \(expected)")
    }

    private func missed(_ error: BroadcastError, _ subscriber: Subscriber) {
        crowd.ledger.expect(error == .missed(subscriber.missed), "\(error), and it was \(subscriber.missed)")
        subscriber.missed = 0
    }

    func tryReceive(_ place: Int) {
        guard !subscribers.isEmpty else { return }
        let subscriber = subscribers[place % subscribers.count]
        do {
            if let element = try subscriber.subscription.tryReceive() { return took(element, subscriber) }
            let isFree = subscriber.pending.isEmpty || !crowd.waiting.isEmpty
            crowd.ledger.expect(isFree, "tryReceive gets nothing of \(subscriber.pending)")
        } catch let error as BroadcastError {
            missed(error, subscriber)
        } catch {
            crowd.ledger.expect(subscriber.isCancelled || isClosed, "tryReceive says that it has ended")
        }
    }

    func cancelOne(_ input: inout FuzzInput) {
        guard let number = crowd.cancelOne(&input) else { return }
        senders.removeAll { $0 == number }
        for subscriber in subscribers { subscriber.waiting.removeAll { $0 == number } }
    }

    func close() {
        channel.close()
        isClosed = true
    }

    func check() {
        crowd.ledger.expect(channel.isClosed == isClosed, "isClosed")
        crowd.ledger.expect(channel.subscriberCount == active.count, "\(channel.subscriberCount) subscribers")
        let slowest = active.map(\.pending.count).max() ?? 0
        crowd.ledger.expect(channel.count == slowest, "it holds \(channel.count), not \(slowest)")
        for subscriber in subscribers {
            let count = subscriber.subscription.count
            crowd.ledger.expect(count == subscriber.pending.count, "there are \(count), not \(subscriber.pending)")
        }
    }

    func checkAtRest() {
        let waiting = crowd.waiting
        crowd.ledger.expect(!waiting.contains(where: crowd.isCancelled), "a cancelled task waits")
        crowd.ledger.expect(senders.isEmpty || isFull && !drops, "\(senders) wait to send, and there is room")
        crowd.ledger.expect(!isClosed || waiting.isEmpty, "\(waiting) wait after the end")
        for subscriber in subscribers where !subscriber.waiting.isEmpty {
            let isEmpty = subscriber.pending.isEmpty && subscriber.missed == 0 && !subscriber.isCancelled
            crowd.ledger.expect(isEmpty, "\(subscriber.waiting) wait for \(subscriber.pending)")
        }
    }
}
