// Events and watches: each setting of an event lets through whoever waits then and nobody else; who watches a value
// sees it grow, and its last.

import AsyncIO

enum EventCheck {
    static func run(_ input: inout FuzzInput, on loop: isolated EventLoop) async throws {
        let game = Transfer(EventGame())
        let crowd = game.value.crowd
        while let step = input.step(14) {
            switch step {
            case 0...2 where !crowd.isFull: game.value.spawnWait(eager: step != 0, game, on: loop)
            case 3...4 where !crowd.isFull: game.value.spawnWatch(changes: step == 3, game, on: loop)
            case 5 where !crowd.isFull: game.value.spawnWait(until: input.roll(16), game, on: loop)
            case 6...7: game.value.cancelOne(&input)
            case 8: game.value.set()
            case 9: game.value.clear()
            case 10: game.value.grow()
            case 11: if input.roll(8) == 7 { game.value.finish() }
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
        game.value.set()
        game.value.finish()
        try await crowd.end()
    }
}

private final class EventGame {
    let crowd = Crowd()
    private let event = AsyncEvent()
    private var isSet = false
    private var line = ModelLine()
    private let watch = Watch(0)
    private var level = 0
    /// What each task that watches has seen, or that for which it waits, less one.
    private var seen: [Int: Int] = [:]

    func spawnWait(eager: Bool, _ game: Transfer<EventGame>, on loop: isolated EventLoop) {
        let number = crowd.next
        let task = spawn(eager: eager) {
            _ = loop
            let atOnce = game.value.isSet
            if !atOnce && !game.value.crowd.isCancelled(number) { game.value.line.join(number) }
            do {
                try await game.value.event.wait()
                game.value.crowd.ledger.expect(atOnce || game.value.line.run(number), "\(number) passed too early")
            } catch {
                game.value.crowd.expectCancelled(number, error)
                game.value.crowd.ledger.expect(!atOnce && !game.value.line.run(number), "\(number) was let through")
            }
        }
        crowd.add(task)
    }

    func spawnWatch(changes: Bool, _ game: Transfer<EventGame>, on loop: isolated EventLoop) {
        let number = crowd.next
        let task = spawn(eager: true) {
            _ = loop
            let watch = game.value.watch
            game.value.seen[number] = changes ? game.value.level : -1
            do {
                for try await value in changes ? watch.changes : watch.values { game.value.saw(number, value) }
                game.value.crowd.ledger.expect(watch.isFinished, "\(number) ended too early")
                game.value.crowd.ledger.expect(
                    game.value.seen[number] == game.value.level,
                    "\(number) has not seen the last"
                )
            } catch {
                game.value.crowd.expectCancelled(number, error)
            }
            game.value.seen[number] = nil
        }
        crowd.add(task)
    }

    private func saw(_ number: Int, _ value: Int) {
        crowd.ledger.expect(value == level, "\(number) saw \(value), and it is \(level)")
        crowd.ledger.expect(value > seen[number] ?? .max, "\(number) saw \(value) again")
        seen[number] = value
    }

    func spawnWait(until least: Int, _ game: Transfer<EventGame>, on loop: isolated EventLoop) {
        let number = crowd.next
        let task = spawn(eager: true) {
            _ = loop
            do {
                game.value.seen[number] = least - 1
                let value = try await game.value.watch.wait { $0 >= least }
                game.value.crowd.ledger.expect(value >= least, "\(number) was satisfied with \(value)")
            } catch is WatchError {
                game.value.crowd.ledger.expect(game.value.watch.isFinished, "it is not finished")
                game.value.crowd.ledger.expect(game.value.level < least, "\(number) missed \(game.value.level)")
            } catch {
                game.value.crowd.expectCancelled(number, error)
            }
            game.value.seen[number] = nil
        }
        crowd.add(task)
    }

    func cancelOne(_ input: inout FuzzInput) { line.cancel(crowd.cancelOne(&input)) }

    func set() {
        event.set()
        isSet = true
        line.wakeAll()
    }

    func clear() {
        event.clear()
        isSet = false
    }

    func grow() {
        guard !watch.isFinished else { return }
        level += 1
        watch.value = level
    }

    func finish() { watch.finish() }

    func check() { crowd.ledger.expect(event.isSet == isSet, "isSet") }

    func checkAtRest() {
        crowd.ledger.expect(line.woken.isEmpty, "\(line.woken) were let through and do not run")
        let watching = seen.keys
        crowd.ledger.expect(
            crowd.waiting == (line.waiting + watching).sorted(),
            "\(crowd.waiting) wait, not \(line.waiting) and \(watching)"
        )
        crowd.ledger.expect(seen.values.allSatisfy { $0 >= level }, "somebody has not seen \(level)")
        crowd.ledger.expect(!watching.contains(where: crowd.isCancelled), "a cancelled task watches")
        crowd.ledger.expect(!watch.isFinished || watching.isEmpty, "somebody watches what is finished")
    }
}
