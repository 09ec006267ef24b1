// Barriers: whoever leaves together has all the numbers, whoever is cancelled has none, a reset and a break end the
// waits of those who are there, and nobody waits at a broken one or with enough others.

import AsyncIO

enum BarrierCheck {
    static func run(_ input: inout FuzzInput, on loop: isolated EventLoop) async throws {
        let game = Transfer(BarrierGame(parties: 1 + input.roll(5)))
        let crowd = game.value.crowd
        while let step = input.step(11) {
            switch step {
            case 0...4 where !crowd.isFull: game.value.spawnWait(eager: step > 1, game, on: loop)
            case 5...6: _ = crowd.cancelOne(&input)
            case 7: await letRun(input.roll(3))
            case 8: if input.roll(3) == 2 { game.value.reset() }
            case 9: if input.roll(6) == 5 { game.value.abort() }
            default:
                await crowd.rest()
                game.value.checkAtRest()
            }
            game.value.check()
            try crowd.ledger.settle()
        }
        await crowd.rest()
        game.value.checkAtRest()
        game.value.reset()
        await crowd.rest()
        game.value.reset()
        try await crowd.end()
        game.value.checkAtRest()
        try crowd.ledger.settle()
    }
}

private final class BarrierGame {
    let crowd = Crowd()
    private let parties: Int
    private let barrier: AsyncBarrier
    private var isBroken = false
    /// How often it was reset or broken.
    private var breaks = 0
    /// The numbers of those who have left since it was last reset or broken, in that order.
    private var left: [Int] = []

    init(parties: Int) {
        self.parties = parties
        barrier = AsyncBarrier(parties: parties)
    }

    func spawnWait(eager: Bool, _ game: Transfer<BarrierGame>, on loop: isolated EventLoop) {
        let number = crowd.next
        let task = spawn(eager: eager) {
            _ = loop
            let breaks = game.value.breaks
            do {
                game.value.left.append(try await game.value.barrier.wait())
            } catch is BrokenBarrierError {
                let isFine = game.value.isBroken || game.value.breaks > breaks
                game.value.crowd.ledger.expect(isFine, "\(number) was told of a break that there was not")
            } catch {
                game.value.crowd.expectCancelled(number, error)
            }
        }
        crowd.add(task)
    }

    func reset() {
        barrier.reset()
        (isBroken, left) = (false, [])
        breaks += 1
    }

    func abort() {
        barrier.abort()
        (isBroken, left) = (true, [])
        breaks += 1
    }

    func check() { crowd.ledger.expect(barrier.isBroken == isBroken, "isBroken is \(!isBroken)") }

    func checkAtRest() {
        let waiting = crowd.waiting
        crowd.ledger.expect(waiting.count < (isBroken ? 1 : parties), "\(waiting.count) of \(parties) wait")
        crowd.ledger.expect(barrier.waitingCount == waiting.count, "\(barrier.waitingCount) wait, says the barrier")
        crowd.ledger.expect(!waiting.contains(where: crowd.isCancelled), "a cancelled task waits")
        crowd.ledger.expect(left.count.isMultiple(of: parties), "\(left) have left")
        for start in stride(from: 0, to: left.count, by: parties) {
            let round = left[start..<min(start + parties, left.count)].sorted()
            crowd.ledger.expect(round == Array(0..<parties), "\(round) have left together")
        }
    }
}
