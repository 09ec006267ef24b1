// Conditions: one task at a time holds the lock, a wait always ends with the lock, no notification is lost by a
// cancellation, and nobody waits for a ticket that is there.

import AsyncIO

enum ConditionCheck {
    static func run(_ input: inout FuzzInput, on loop: isolated EventLoop) async throws {
        let game = Transfer(ConditionGame())
        let crowd = game.value.crowd
        while let step = input.step(10) {
            switch step {
            case 0...3 where !crowd.isFull: game.value.spawnWait(eager: step != 0, input.roll(2), game, on: loop)
            case 4...5: _ = crowd.cancelOne(&input)
            case 6...7: await game.value.notify(1 + input.roll(3), turns: input.roll(3))
            case 8: await letRun(input.roll(4))
            default:
                await crowd.rest()
                await crowd.rest()
                game.value.checkAtRest()
            }
            try crowd.ledger.settle()
        }
        await crowd.rest()
        await game.value.notify(64, turns: 0)
        await crowd.rest()
        try await crowd.end()
        game.value.checkAtRest()
        try crowd.ledger.settle()
    }
}

private final class ConditionGame {
    let crowd = Crowd()
    private let condition = AsyncCondition()
    private var isInside = false
    private var tickets = 0
    private var made = 0
    private var used = 0

    func spawnWait(eager: Bool, _ turns: Int, _ game: Transfer<ConditionGame>, on loop: isolated EventLoop) {
        let number = crowd.next
        let task = spawn(eager: eager) {
            _ = loop
            do {
                try await game.value.condition.withLock {
                    _ = loop
                    try await game.value.useTicket(turns)
                }
            } catch {
                game.value.crowd.expectCancelled(number, error)
            }
        }
        crowd.add(task)
    }

    private func useTicket(_ turns: Int) async throws {
        enter("the lock was taken")
        do {
            while tickets == 0 {
                isInside = false
                defer { enter("a wait has ended") }
                try await condition.wait()
            }
        } catch {
            isInside = false
            throw error
        }
        tickets -= 1
        used += 1
        await letRun(turns)
        isInside = false
    }

    private func enter(_ what: String) {
        crowd.ledger.expect(!isInside, "\(what), and two are inside")
        crowd.ledger.expect(condition.lock.isLocked, "\(what), and the lock is free")
        isInside = true
    }

    /// Makes tickets and wakes as many, if the lock is free, which is kept for some turns.
    func notify(_ count: Int, turns: Int) async {
        guard condition.lock.tryAcquire() else { return }
        enter("the script took the lock")
        tickets += count
        made += count
        condition.notify(count)
        await letRun(turns)
        isInside = false
        condition.lock.release()
    }

    func checkAtRest() {
        let waiting = crowd.waiting
        crowd.ledger.expect(!condition.lock.isLocked, "somebody holds the lock")
        crowd.ledger.expect(tickets == 0 || waiting.isEmpty, "\(waiting) wait, and there are \(tickets) tickets")
        crowd.ledger.expect(!waiting.contains(where: crowd.isCancelled), "a cancelled task waits")
        crowd.ledger.expect(made == used + tickets, "\(made) tickets were made, \(used) used, and \(tickets) are left")
    }
}
