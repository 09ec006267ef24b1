// The line under every lock, semaphore and queue: who is woken has been first, who is cancelled has left, a turn that
// has come is not taken back, and everybody is resumed once.

import AsyncIO

enum WaitQueueCheck {
    static func run(_ input: inout FuzzInput, on loop: isolated EventLoop) async throws {
        let game = Transfer(WaitQueueGame())
        let crowd = game.value.crowd
        while let step = input.step(12) {
            switch step {
            case 0...3 where !crowd.isFull: game.value.spawnWait(eager: step != 0, game, on: loop)
            case 4 where !crowd.isFull: game.value.spawnStubbornWait(game, on: loop)
            case 5...6: game.value.cancelOne(&input)
            case 7...8: game.value.wakeFirst()
            case 9: if input.roll(4) == 3 { game.value.wakeAll() }
            case 10: await letRun(input.roll(4))
            default:
                await crowd.rest()
                game.value.checkAtRest()
            }
            game.value.check(countsAll: step == 11)
            try crowd.ledger.settle()
        }
        await crowd.rest()
        game.value.checkAtRest()
        game.value.wakeAll()
        try await crowd.end()
        game.value.checkAtRest()
        try crowd.ledger.settle()
    }
}

private final class WaitQueueGame {
    let crowd = Crowd()
    private let queue = WaitQueue("a fuzzed line")
    private var line = ModelLine()
    private var stubborn: Set<Int> = []

    func spawnWait(eager: Bool, _ game: Transfer<WaitQueueGame>, on loop: isolated EventLoop) {
        let number = crowd.next
        let task = spawn(eager: eager) {
            _ = loop
            if !game.value.crowd.isCancelled(number) { game.value.line.join(number) }
            do {
                try await game.value.queue.wait()
                game.value.ran(number)
            } catch {
                game.value.crowd.expectCancelled(number, error)
                game.value.crowd.ledger.expect(!game.value.line.run(number), "the turn of \(number) was taken back")
            }
        }
        crowd.add(task)
    }

    func spawnStubbornWait(_ game: Transfer<WaitQueueGame>, on loop: isolated EventLoop) {
        let number = crowd.next
        stubborn.insert(number)
        let task = spawn(eager: true) {
            _ = loop
            game.value.line.join(number)
            let wasWoken = await game.value.queue.waitUncancellable()
            game.value.crowd.ledger.expect(wasWoken, "\(number) was told that the loop ends")
            game.value.ran(number)
        }
        crowd.add(task)
    }

    private func ran(_ number: Int) {
        crowd.ledger.expect(line.run(number), "\(number) runs, and was not woken")
    }

    func cancelOne(_ input: inout FuzzInput) {
        if let number = crowd.cancelOne(&input), !stubborn.contains(number) { line.cancel(number) }
    }

    func wakeFirst() {
        let expected = line.wakeFirst()
        crowd.ledger.expect(queue.wakeFirst() == expected, "wakeFirst says \(!expected)")
    }

    func wakeAll() {
        let expected = line.waiting.count
        line.wakeAll()
        let count = queue.wakeAll()
        crowd.ledger.expect(count == expected, "\(count) of \(expected) were woken")
    }

    /// What is true at any moment; counting walks along the line, which repairs what it finds.
    func check(countsAll: Bool) {
        let expected = line.waiting.count
        crowd.ledger.expect(queue.length >= expected, "the length is \(queue.length), and \(expected) wait")
        crowd.ledger.expect(queue.isEmpty == (expected == 0), "isEmpty, and \(expected) wait")
        if countsAll { crowd.ledger.expect(queue.count == expected, "\(queue.count) of \(expected) wait") }
    }

    func checkAtRest() {
        crowd.ledger.expect(line.woken.isEmpty, "\(line.woken) were woken and do not run")
        crowd.ledger.expect(crowd.waiting == line.waiting.sorted(), "\(crowd.waiting) wait, not \(line.waiting)")
        crowd.ledger.expect(queue.length == line.waiting.count, "the length is \(queue.length)")
    }
}
