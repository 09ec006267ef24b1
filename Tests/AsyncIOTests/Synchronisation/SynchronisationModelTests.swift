// Locks, semaphores, conditions, events and barriers under random operations and cancellations, against models of a few
// lines: mutual exclusion, permits conserved, first come first served, and nobody left waiting for what is there.

import AsyncIO
import AsyncIOTesting
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(2)))) struct SynchronisationModelTests {
        @Test func `a lock has one owner at a time, in the order in which they came`() async throws {
            try await onLoop { loop in
                for seed in modelSeeds {
                    var chance = Chance(seed: seed)
                    let lock = Transfer(AsyncLock())
                    let game = Transfer(Game(bound: 1))
                    for step in 0..<120 {
                        switch chance.roll(10) {
                        case 0...2:
                            game.value.spawn(eager: chance.roll(3) > 0, on: loop, game) {
                                try await lock.value.acquire()
                            }
                        case 3...4: game.value.cancelOne(&chance)
                        case 5...6: if game.value.giveBack() { lock.value.release() }
                        case 7: if lock.value.tryAcquire() { game.value.took(nil) }
                        case 8: await letAllRun(chance.roll(4))
                        default:
                            await letAllRun(game.value.tasks.count + 3)
                            game.value.checkAtRest(step, isFree: !lock.value.isLocked)
                        }
                        game.value.check(step)
                    }
                    await letAllRun(game.value.tasks.count + 3)
                    while game.value.giveBack() {
                        lock.value.release()
                        await letAllRun(game.value.tasks.count + 3)
                    }
                    game.value.checkAtEnd(isFree: !lock.value.isLocked)
                    game.value.findings.report(seed)
                }
            }
        }

        @Test func `permits are conserved, and given out in the order in which tasks came`() async throws {
            try await onLoop { loop in
                for seed in modelSeeds {
                    var chance = Chance(seed: seed)
                    let permits = 1 + chance.roll(4)
                    let semaphore = Transfer(AsyncSemaphore(permits: permits, isBounded: true))
                    let game = Transfer(Game(bound: permits))
                    for step in 0..<120 {
                        switch chance.roll(11) {
                        case 0...3:
                            game.value.spawn(eager: chance.roll(3) > 0, on: loop, game) {
                                try await semaphore.value.acquire()
                            }
                        case 4...5: game.value.cancelOne(&chance)
                        case 6...7: if game.value.giveBack() { semaphore.value.release() }
                        case 8: if semaphore.value.tryAcquire() { game.value.took(nil) }
                        case 9: await letAllRun(chance.roll(4))
                        default:
                            await letAllRun(game.value.tasks.count + 3)
                            game.value.checkAtRest(step, isFree: !semaphore.value.isLocked)
                            let sum = semaphore.value.availablePermits + game.value.holders
                            game.value.findings.expect(sum == permits, "\(step): \(sum) permits of \(permits)")
                        }
                        game.value.check(step)
                    }
                    await letAllRun(game.value.tasks.count + 3)
                    while game.value.giveBack() {
                        semaphore.value.release()
                        await letAllRun(game.value.tasks.count + 3)
                    }
                    game.value.checkAtEnd(isFree: semaphore.value.availablePermits == permits)
                    game.value.findings.report(seed)
                }
            }
        }

        @Test func `no notification of a condition is lost, and the lock is always taken again`() async throws {
            try await onLoop { loop in
                for seed in modelSeeds {
                    var chance = Chance(seed: seed)
                    let (findings, condition) = (Transfer(Findings()), Transfer(AsyncCondition()))
                    let (tickets, inside, used) = (Transfer(LoopCount()), Transfer(LoopCount()), Transfer(LoopCount()))
                    var tasks: [LoopTask<Void>] = []
                    var (made, cancelled) = (0, Set<Int>())
                    for step in 0..<100 {
                        switch chance.roll(10) {
                        case 0...2:
                            let task = spawn(eager: chance.roll(2) == 0) {
                                _ = loop
                                try await condition.value.withLock {
                                    defer { findings.value.expect(condition.value.lock.isLocked, "the lock is free") }
                                    try await condition.value.wait { tickets.value.count > 0 }
                                    inside.value.count += 1
                                    findings.value.expect(inside.value.count == 1, "two are inside")
                                    tickets.value.count -= 1
                                    used.value.count += 1
                                    await AsyncIO.yield()
                                    inside.value.count -= 1
                                }
                            }
                            tasks.append(task)
                        case 3...4:
                            guard !tasks.isEmpty else { continue }
                            let number = max(0, tasks.count - 1 - chance.roll(8))
                            cancelled.insert(number)
                            tasks[number].cancel()
                        case 5...6:
                            guard condition.value.lock.tryAcquire() else { continue }
                            let count = 1 + chance.roll(3)
                            tickets.value.count += count
                            made += count
                            condition.value.notify(count)
                            if chance.roll(2) == 0 { await letAllRun(chance.roll(3)) }
                            condition.value.lock.release()
                        case 7...8: await letAllRun(chance.roll(4))
                        default:
                            await letAllRun(4 * tasks.count + 3)
                            let waiting = tasks.indices.filter { !tasks[$0].isDone }
                            findings.value.expect(cancelled.isDisjoint(with: waiting), "\(step): a cancelled one waits")
                            findings.value.expect(!condition.value.lock.isLocked, "\(step): somebody has the lock")
                            findings.value.expect(
                                tickets.value.count == 0 || waiting.isEmpty,
                                "\(step): \(waiting) wait, and there are \(tickets.value.count)"
                            )
                        }
                    }
                    try await condition.value.withLock {
                        tickets.value.count += tasks.count
                        made += tasks.count
                        condition.value.notifyAll()
                    }
                    await letAllRun(4 * tasks.count + 3)
                    findings.value.expect(tasks.allSatisfy { $0.isDone }, "some still wait")
                    findings.value.expect(made == used.value.count + tickets.value.count, "tickets are lost")
                    for (number, task) in tasks.enumerated() where !cancelled.contains(number) {
                        findings.value.expect(task.outcome == "ok", "\(number): \(task.outcome)")
                    }
                    findings.value.report(seed)
                }
            }
        }

        @Test func `each setting of an event lets through whoever waits then, and nobody else`() async throws {
            try await onLoop { loop in
                for seed in modelSeeds {
                    var chance = Chance(seed: seed)
                    let (findings, event) = (Findings(), Transfer(AsyncEvent()))
                    let passed = Transfer(NumberLog())
                    var tasks: [LoopTask<Void>] = []
                    var (isSet, waiting, expected) = (false, [Int](), [String]())
                    for step in 0..<120 {
                        switch chance.roll(10) {
                        case 0...3:
                            let number = tasks.count
                            let task = spawn(eager: true) {
                                _ = loop
                                try await event.value.wait()
                                passed.value.numbers.append(number)
                            }
                            tasks.append(task)
                            if !isSet { waiting.append(number) }
                            expected.append(isSet ? "ok" : "waits")
                        case 4...5:
                            guard !tasks.isEmpty else { continue }
                            let number = chance.roll(tasks.count)
                            tasks[number].cancel()
                            if waiting.contains(number) { expected[number] = "CancellationError" }
                            waiting.removeAll { $0 == number }
                        case 6:
                            event.value.set()
                            for number in waiting { expected[number] = "ok" }
                            (isSet, waiting) = (true, [])
                        case 7:
                            event.value.clear()
                            isSet = false
                        default:
                            await letAllRun(2)
                            findings.expect(tasks.map(\.outcome) == expected, "\(step): \(tasks.map(\.outcome))")
                        }
                        findings.expect(event.value.isSet == isSet, "\(step): isSet")
                    }
                    event.value.set()
                    await letAllRun(3)
                    findings.expect(tasks.allSatisfy { $0.isDone }, "some still wait")
                    findings.report(seed)
                }
            }
        }

        @Test func `at a barrier whoever leaves together has all the numbers, and a cancelled one has none`()
            async throws
        {
            try await onLoop { loop in
                for seed in modelSeeds {
                    var chance = Chance(seed: seed)
                    let parties = 1 + chance.roll(5)
                    let (findings, barrier) = (Findings(), Transfer(AsyncBarrier(parties: parties)))
                    let numbers = Transfer(NumberLog())
                    var tasks: [LoopTask<Void>] = []
                    var cancelled: Set<Int> = []
                    for step in 0..<120 {
                        switch chance.roll(8) {
                        case 0...3:
                            let task = spawn(eager: chance.roll(2) == 0) {
                                _ = loop
                                numbers.value.numbers.append(try await barrier.value.wait())
                            }
                            tasks.append(task)
                        case 4...5:
                            guard !tasks.isEmpty else { continue }
                            let number = max(0, tasks.count - 1 - chance.roll(6))
                            cancelled.insert(number)
                            tasks[number].cancel()
                        case 6: await letAllRun(chance.roll(3))
                        default:
                            await letAllRun(2 * tasks.count + 3)
                            let waiting = tasks.indices.filter { !tasks[$0].isDone }
                            findings.expect(waiting.count < parties, "\(step): \(waiting.count) of \(parties) wait")
                            findings.expect(barrier.value.waitingCount == waiting.count, "\(step): waitingCount")
                            findings.expect(cancelled.isDisjoint(with: waiting), "\(step): a cancelled one waits")
                            // Those who leave together do so before any of the next round.
                            let left = numbers.value.numbers
                            findings.expect(left.count.isMultiple(of: parties), "\(step): \(left) left")
                            for start in stride(from: 0, to: left.count, by: parties) {
                                let round = left[start..<min(start + parties, left.count)].sorted()
                                findings.expect(round == Array(0..<parties), "\(step): \(round) left together")
                            }
                        }
                    }
                    await letAllRun(2 * tasks.count + 3)
                    barrier.value.reset()
                    await letAllRun(3)
                    findings.expect(tasks.allSatisfy { $0.isDone }, "some still wait")
                    for (number, task) in tasks.enumerated() where task.wasCancelled {
                        findings.expect(cancelled.contains(number), "\(number) was not cancelled")
                    }
                    findings.report(seed)
                }
            }
        }

        @Test func `a barrier that is reset and broken at random is whole after a reset`() async throws {
            try await onLoop { loop in
                for seed in modelSeeds {
                    var chance = Chance(seed: seed)
                    let parties = 1 + chance.roll(5)
                    let (findings, barrier) = (Findings(), Transfer(AsyncBarrier(parties: parties)))
                    var tasks: [LoopTask<Int>] = []
                    var isBroken = false
                    for step in 0..<120 {
                        switch chance.roll(10) {
                        case 0...3: tasks.append(spawn(eager: chance.roll(2) == 0) { try await barrier.value.wait() })
                        case 4...5: if !tasks.isEmpty { tasks[chance.roll(tasks.count)].cancel() }
                        case 6:
                            barrier.value.reset()
                            isBroken = false
                        case 7:
                            barrier.value.abort()
                            isBroken = true
                        case 8: await letAllRun(chance.roll(3))
                        default:
                            await letAllRun(2 * tasks.count + 3)
                            let waiting = tasks.filter { !$0.isDone }.count
                            findings.expect(waiting < (isBroken ? 1 : parties), "\(step): \(waiting) wait")
                            findings.expect(barrier.value.waitingCount == waiting, "\(step): waitingCount")
                        }
                        findings.expect(barrier.value.isBroken == isBroken, "\(step): isBroken")
                    }
                    barrier.value.reset()
                    await letAllRun(2 * tasks.count + 3)
                    barrier.value.reset()
                    await letAllRun(3)
                    let outcomes = Set(tasks.map(\.outcome))
                    let possible = Set((0..<parties).map(String.init) + ["BrokenBarrierError", "CancellationError"])
                    findings.expect(outcomes.isSubset(of: possible), "\(outcomes)")
                    let next = spawnEach(parties, on: loop) { _ in try await barrier.value.wait() }
                    await letAllRun(3)
                    findings.expect(next.map(\.outcome).sorted() == (0..<parties).map(String.init), "it is not whole")
                    findings.report(seed)
                }
            }
        }
    }
}

/// Tasks that take something of which there are so many, each in its turn.
private final class Game {
    let bound: Int
    let findings = Findings()
    private(set) var holders = 0
    /// How much has happened: a task that sees the same number before and after has not waited.
    private var moment = 0
    private(set) var tasks: [LoopTask<Void>] = []
    private var came: [Int] = []
    /// Those that waited.
    private var served: [Int] = []
    private var cancelled: Set<Int> = []

    init(bound: Int) { self.bound = bound }

    func spawn(
        eager: Bool,
        on loop: isolated EventLoop,
        _ game: Transfer<Game>,
        @_inheritActorContext(always) _ take: @escaping @Sendable @isolated(any) () async throws -> Void
    ) {
        let number = tasks.count
        moment += 1
        let task = AsyncIO.spawn(eager: eager) {
            _ = loop
            game.value.came.append(number)
            let moment = game.value.moment
            try await take()
            game.value.took(game.value.moment == moment ? nil : number)
        }
        tasks.append(task)
    }

    func took(_ number: Int?) {
        holders += 1
        moment += 1
        findings.expect(holders <= bound, "\(holders) hold it")
        if let number { served.append(number) }
    }

    /// Whether somebody holds it, who is to give it back now.
    func giveBack() -> Bool {
        guard holders > 0 else { return false }
        holders -= 1
        moment += 1
        return true
    }

    func cancelOne(_ chance: inout Chance) {
        guard !tasks.isEmpty else { return }
        let number = max(0, tasks.count - 1 - chance.roll(8))
        cancelled.insert(number)
        tasks[number].cancel()
    }

    /// What is true at any moment.
    func check(_ step: Int) {
        findings.expect(isInOrder(served, of: came), "\(step): \(served) of \(came)")
    }

    /// What is true when all has run that can run.
    func checkAtRest(_ step: Int, isFree: Bool) {
        let waiting = tasks.indices.filter { !tasks[$0].isDone }
        findings.expect(cancelled.isDisjoint(with: waiting), "\(step): a cancelled task waits")
        findings.expect(isFree == (holders < bound), "\(step): \(holders) hold it, and it is free: \(isFree)")
        findings.expect(!isFree || waiting.isEmpty, "\(step): \(waiting) wait for what is free")
    }

    /// What is true when all was given back.
    func checkAtEnd(isFree: Bool) {
        checkAtRest(-1, isFree: isFree)
        findings.expect(isFree, "it is not free")
        for (number, task) in tasks.enumerated() {
            let isFine = task.outcome == "ok" || task.wasCancelled && cancelled.contains(number)
            findings.expect(isFine, "\(number): \(task.outcome)")
        }
    }
}
