// A queue under random puts, gets and cancellations, against a list: every item is got exactly once and in order, tasks
// are served in the order in which they came, and nobody waits for what is there.

import AsyncIO
import AsyncIOTesting
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(2)))) struct QueueModelTests {
        @Test(arguments: ["first in", "last in", "priority"])
        func `random puts, gets and cancellations lose nothing and leave nobody waiting`(kind: String) async throws {
            try await onLoop { loop in
                for seed in modelSeeds { try await play(seed, kind, on: loop) }
            }
        }

        private func play(_ seed: UInt64, _ kind: String, on loop: isolated EventLoop) async throws {
            var chance = Chance(seed: seed)
            let game = Transfer(QueueGame(kind, capacity: 1 + chance.roll(4)))
            let (queue, findings) = (game.value.queue, game.value.findings)
            // Now more is put, now more is got.
            var bias = 4
            for step in 0..<150 {
                game.value.moment += 1
                if step % 30 == 0 { bias = 2 + chance.roll(5) }
                switch chance.roll(16) {
                case 0..<bias: game.value.spawnPut(chance.roll(4), eager: chance.roll(2) == 0, on: loop, game)
                case bias..<8: game.value.spawnGet(eager: chance.roll(2) == 0, on: loop, game)
                case 8: game.value.tryPut(chance.roll(4))
                case 9: game.value.tryGet()
                case 10...12: game.value.cancelOne(&chance)
                case 13: await letAllRun(game.value.tasks.count + 5)
                default: await AsyncIO.yield()
                }
                if chance.roll(16) == 13 {
                    await letAllRun(game.value.tasks.count + 5)
                    game.value.checkAtRest(step)
                }
                game.value.check(step)
            }
            // The end: with what is in it, or without.
            await letAllRun(game.value.tasks.count + 5)
            game.value.checkAtRest(150)
            let isDiscarding = chance.roll(2) == 0
            if chance.roll(2) == 0 { game.value.spawnGet(eager: true, on: loop, game) }
            if chance.roll(2) == 0 { game.value.tryPut(0) }
            queue.finish(discardingItems: isDiscarding)
            if isDiscarding { game.value.model = [] }
            game.value.moment += 1
            game.value.cancelOne(&chance)
            while !queue.isEmpty {
                game.value.spawnGet(eager: chance.roll(2) == 0, on: loop, game)
                game.value.cancelOne(&chance)
                await letAllRun(3)
            }
            await letAllRun(game.value.tasks.count + 5)
            game.value.checkAtEnd()
            findings.expect(game.value.model.isEmpty, "items are lost: \(game.value.model)")
            findings.report(seed)
        }
    }
}

/// A queue, a list of what must be in it, and the tasks that use it.
private final class QueueGame {
    let kind: String
    let queue: AsyncQueue<Ranked>
    let findings = Findings()
    var model: [Ranked] = []
    private(set) var tasks: [LoopTask<Void>] = []
    private var cancelled: Set<Int> = []
    private var lastNumber = 0
    /// How much has happened: a task that sees the same number before and after has not waited.
    var moment = 0
    /// The tasks in the order in which they came, and those that waited in the order in which they were served.
    private var putsCame: [Int] = []
    private var putsServed: [Int] = []
    private var getsCame: [Int] = []
    private var getsServed: [Int] = []
    private var putCount = 0

    init(_ kind: String, capacity: Int) {
        self.kind = kind
        queue = AsyncQueue(capacity: capacity, order: Ranked.order(kind))
    }

    func spawnPut(_ rank: Int, eager: Bool, on loop: isolated EventLoop, _ game: Transfer<QueueGame>) {
        let number = tasks.count
        let item = nextItem(rank)
        let task = spawn(eager: eager) {
            _ = loop
            game.value.putsCame.append(number)
            let moment = game.value.moment
            try await game.value.queue.put(item)
            if game.value.moment != moment { game.value.putsServed.append(number) }
            game.value.wasPut(item)
        }
        tasks.append(task)
    }

    func spawnGet(eager: Bool, on loop: isolated EventLoop, _ game: Transfer<QueueGame>) {
        let number = tasks.count
        let task = spawn(eager: eager) {
            _ = loop
            game.value.getsCame.append(number)
            let moment = game.value.moment
            let item = try await game.value.queue.get()
            if game.value.moment != moment { game.value.getsServed.append(number) }
            game.value.wasGot(item)
        }
        tasks.append(task)
    }

    func tryPut(_ rank: Int) {
        let item = nextItem(rank)
        if (try? queue.tryPut(item)) == true { wasPut(item) }
    }

    func tryGet() {
        if let item = try? queue.tryGet() { wasGot(item) }
    }

    func cancelOne(_ chance: inout Chance) {
        guard !tasks.isEmpty else { return }
        // Mostly one of the last, as the others have ended.
        let number = max(0, tasks.count - 1 - chance.roll(8))
        cancelled.insert(number)
        tasks[number].cancel()
    }

    private func nextItem(_ rank: Int) -> Ranked {
        lastNumber += 1
        return Ranked(rank: rank, number: lastNumber)
    }

    private func wasPut(_ item: Ranked) {
        model.append(item)
        putCount += 1
        moment += 1
    }

    private func wasGot(_ item: Ranked) {
        moment += 1
        let expected = Ranked.takeNext(from: &model, kind)
        findings.expect(item == expected, "got \(item) instead of \(String(describing: expected))")
    }

    /// What is true at any moment.
    func check(_ step: Int) {
        findings.expect(queue.count == model.count, "\(step): holds \(queue.count) instead of \(model.count)")
        findings.expect(queue.count <= queue.capacity, "\(step): more than it has room for")
        findings.expect(queue.unfinishedCount == putCount, "\(step): unfinished \(queue.unfinishedCount)")
        findings.expect(isInOrder(putsServed, of: putsCame), "\(step): puts \(putsServed) of \(putsCame)")
        findings.expect(isInOrder(getsServed, of: getsCame), "\(step): gets \(getsServed) of \(getsCame)")
    }

    /// What is true when it is finished and empty.
    func checkAtEnd() {
        for (number, task) in tasks.enumerated() {
            let isFine = task.wasCancelled ? cancelled.contains(number) : ["ok", "QueueError"].contains(task.outcome)
            findings.expect(isFine, "task \(number) at the end: \(task.outcome)")
        }
    }

    /// What is true when all has run that can run.
    func checkAtRest(_ step: Int) {
        let waiting = tasks.indices.filter { !tasks[$0].isDone }
        findings.expect(cancelled.isDisjoint(with: waiting), "\(step): a cancelled task waits")
        let (puts, gets) = (Set(putsCame), Set(getsCame))
        if waiting.contains(where: gets.contains) {
            findings.expect(queue.isEmpty, "\(step): a get waits, and there are items")
        }
        if waiting.contains(where: puts.contains) {
            findings.expect(queue.isFull, "\(step): a put waits, and there is room")
        }
        for (number, task) in tasks.enumerated() where task.isDone && task.outcome != "ok" {
            findings.expect(cancelled.contains(number), "\(step): task \(number) was not cancelled: \(task.outcome)")
        }
    }
}
