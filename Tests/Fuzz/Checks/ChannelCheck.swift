// Channels: every element that was sent is received once and in order, by whoever has waited longest; one that is
// handed to a task is that task's, also if it is cancelled then; one that was not sent nobody gets.

import AsyncIO

enum ChannelCheck {
    static func run(_ input: inout FuzzInput, on loop: isolated EventLoop) async throws {
        let game = Transfer(ChannelGame(capacity: input.roll(4)))
        let crowd = game.value.crowd
        while let step = input.step(14) {
            switch step {
            case 0...2 where !crowd.isFull: game.value.spawnSend(eager: step != 0, game, on: loop)
            case 3...5 where !crowd.isFull:
                game.value.spawnReceive(iterates: step == 5, eager: step != 3, game, on: loop)
            case 6: game.value.trySend()
            case 7: game.value.tryReceive()
            case 8...10: game.value.cancelOne(&input)
            case 11: if input.roll(16) == 15 { game.value.close() }
            case 12: await letRun(input.roll(4))
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
        while game.value.tryReceive() {}
        try await crowd.end()
        game.value.checkAtRest()
        try crowd.ledger.settle()
    }
}

private final class ChannelGame {
    /// What must come of a task's call.
    private enum Outcome: Equatable {
        case sent
        case received(Int)
        case closed
    }

    let crowd = Crowd()
    private let channel: Channel<Int>
    private var last = 0
    // The channel as it should be.
    private var held: [Int] = []
    private var senders: [(number: Int, element: Int)] = []
    private var receivers: [Int] = []
    private var isClosed = false
    /// What has been decided for tasks that have not told it yet.
    private var decided: [Int: Outcome] = [:]

    init(capacity: Int) { channel = Channel(capacity: capacity) }

    private func nextElement() -> Int {
        last += 1
        return last
    }

    /// What comes of a send at once; nil if it has to wait.
    private func modelSend(_ element: Int) -> Outcome? {
        if isClosed { return .closed }
        if !receivers.isEmpty {
            decided[receivers.removeFirst()] = .received(element)
        } else if held.count < channel.capacity {
            held.append(element)
        } else {
            return nil
        }
        return .sent
    }

    /// What comes of a receive at once; nil if it has to wait.
    private func modelReceive() -> Outcome? {
        if let sender = senders.first {
            senders.removeFirst()
            decided[sender.number] = .sent
            held.append(sender.element)
        }
        if !held.isEmpty { return .received(held.removeFirst()) }
        return isClosed ? .closed : nil
    }

    func spawnSend(eager: Bool, _ game: Transfer<ChannelGame>, on loop: isolated EventLoop) {
        let number = crowd.next
        let element = nextElement()
        let task = spawn(eager: eager) {
            _ = loop
            let outcome = game.value.modelSend(element)
            game.value.decided[number] = outcome
            if outcome == nil && !game.value.crowd.isCancelled(number) {
                game.value.senders.append((number, element))
            }
            do {
                try await game.value.channel.send(element)
                game.value.ended(number, .sent)
            } catch is ChannelError {
                game.value.ended(number, .closed)
            } catch {
                game.value.wasCancelled(number, error)
            }
        }
        crowd.add(task)
    }

    func spawnReceive(iterates: Bool, eager: Bool, _ game: Transfer<ChannelGame>, on loop: isolated EventLoop) {
        let number = crowd.next
        let task = spawn(eager: eager) {
            _ = loop
            let outcome = game.value.modelReceive()
            game.value.decided[number] = outcome
            if outcome == nil && !game.value.crowd.isCancelled(number) { game.value.receivers.append(number) }
            do {
                let channel = game.value.channel
                var iterator = channel.makeAsyncIterator()
                let element = iterates ? try await iterator.next() : try await channel.receive()
                game.value.ended(number, element.map { .received($0) } ?? .closed)
            } catch {
                game.value.wasCancelled(number, error)
            }
        }
        crowd.add(task)
    }

    private func ended(_ number: Int, _ outcome: Outcome) {
        let expected = decided.removeValue(forKey: number)
        crowd.ledger.expect(outcome == expected, "\(number): \(outcome), not \(String(describing: expected))")
    }

    private func wasCancelled(_ number: Int, _ error: any Error) {
        crowd.expectCancelled(number, error)
        let expected = decided.removeValue(forKey: number)
        crowd.ledger.expect(expected == nil, "\(number) was cancelled after \(String(describing: expected))")
    }

    func trySend() {
        let element = nextElement()
        let expected = modelSend(element)
        do {
            let isSent = try channel.trySend(element)
            crowd.ledger.expect(expected == (isSent ? .sent : nil), "trySend says \(isSent)")
        } catch {
            crowd.ledger.expect(expected == .closed, "trySend throws \(error)")
        }
    }

    /// Whether there was one.
    @discardableResult
    func tryReceive() -> Bool {
        let expected = modelReceive()
        do {
            let element = try channel.tryReceive()
            let gets = String(describing: element)
            crowd.ledger.expect(expected == element.map { .received($0) }, "tryReceive gets \(gets)")
            return element != nil
        } catch {
            crowd.ledger.expect(expected == .closed, "tryReceive throws \(error)")
            return false
        }
    }

    func cancelOne(_ input: inout FuzzInput) {
        guard let number = crowd.cancelOne(&input) else { return }
        senders.removeAll { $0.number == number }
        receivers.removeAll { $0 == number }
    }

    func close() {
        channel.close()
        isClosed = true
        for number in senders.map(\.number) + receivers { decided[number] = .closed }
        (senders, receivers) = ([], [])
    }

    func check() {
        crowd.ledger.expect(channel.count == held.count, "it holds \(channel.count), not \(held.count)")
        crowd.ledger.expect(channel.isClosed == isClosed, "isClosed")
    }

    func checkAtRest() {
        crowd.ledger.expect(decided.isEmpty, "\(decided) is not told")
        let expected = (senders.map(\.number) + receivers).sorted()
        crowd.ledger.expect(crowd.waiting == expected, "\(crowd.waiting) wait, not \(expected)")
    }
}
