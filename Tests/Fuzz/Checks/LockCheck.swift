// Locks and semaphores: never more holders than permits, permits conserved, first come first served, and whoever is
// cancelled after his turn has come passes it on.

import AsyncIO

enum LockCheck {
    static func run(_ input: inout FuzzInput, on loop: isolated EventLoop) async throws {
        let permits = input.roll(5)
        let game = Transfer(LockGame(permits == 0 ? .lock(AsyncLock()) : .semaphore(permits)))
        let crowd = game.value.crowd
        while let step = input.step(12) {
            switch step {
            case 0...3 where !crowd.isFull: game.value.spawnAcquire(eager: step != 0, game, on: loop)
            case 4 where !crowd.isFull: game.value.spawnHold(turns: input.roll(3), game, on: loop)
            case 5...6: game.value.cancelOne(&input)
            case 7...8: game.value.release()
            case 9: game.value.tryAcquire()
            case 10: await letRun(input.roll(4))
            default:
                await crowd.rest()
                game.value.checkAtRest()
            }
            game.value.check()
            try crowd.ledger.settle()
        }
        await crowd.rest()
        game.value.checkAtRest()
        while game.value.release() { await crowd.rest() }
        try await crowd.end()
        game.value.check()
        game.value.checkAtRest()
        try crowd.ledger.settle()
    }
}

private final class LockGame {
    enum Subject {
        case lock(AsyncLock)
        case semaphore(AsyncSemaphore, Int)

        static func semaphore(_ permits: Int) -> Subject {
            .semaphore(AsyncSemaphore(permits: permits, isBounded: true), permits)
        }

        var permits: Int { if case .semaphore(_, let permits) = self { permits } else { 1 } }

        var free: Int {
            switch self {
            case .lock(let lock): lock.isLocked ? 0 : 1
            case .semaphore(let semaphore, _): semaphore.availablePermits
            }
        }

        func acquire() async throws {
            switch self {
            case .lock(let lock): try await lock.acquire()
            case .semaphore(let semaphore, _): try await semaphore.acquire()
            }
        }

        func hold(_ body: nonisolated(nonsending) () async throws -> Void) async throws {
            switch self {
            case .lock(let lock): try await lock.withLock(body)
            case .semaphore(let semaphore, _): try await semaphore.withPermit(body)
            }
        }

        func tryAcquire() -> Bool {
            switch self {
            case .lock(let lock): lock.tryAcquire()
            case .semaphore(let semaphore, _): semaphore.tryAcquire()
            }
        }

        func release() {
            switch self {
            case .lock(let lock): lock.release()
            case .semaphore(let semaphore, _): semaphore.release()
            }
        }
    }

    let crowd = Crowd()
    private let subject: Subject
    private var free: Int
    /// How many hold one whom the script makes give it back.
    private var holders = 0
    private var line = ModelLine()

    init(_ subject: Subject) {
        self.subject = subject
        free = subject.permits
    }

    func spawnAcquire(eager: Bool, _ game: Transfer<LockGame>, on loop: isolated EventLoop) {
        let number = crowd.next
        let task = spawn(eager: eager) {
            _ = loop
            let atOnce = game.value.comes(number)
            do {
                try await game.value.subject.acquire()
                game.value.took(number, atOnce)
                game.value.holders += 1
            } catch {
                game.value.failed(number, atOnce, error)
            }
        }
        crowd.add(task)
    }

    /// One that gives back what it took by itself.
    func spawnHold(turns: Int, _ game: Transfer<LockGame>, on loop: isolated EventLoop) {
        let number = crowd.next
        let task = spawn(eager: true) {
            _ = loop
            let atOnce = game.value.comes(number)
            var isInside = false
            do {
                try await game.value.subject.hold {
                    _ = loop
                    isInside = true
                    game.value.took(number, atOnce)
                    await letRun(turns)
                    game.value.modelRelease()
                }
            } catch {
                game.value.crowd.ledger.expect(!isInside, "\(number) threw from inside")
                game.value.failed(number, atOnce, error)
            }
        }
        crowd.add(task)
    }

    /// Whether it gets one at once; otherwise it is in line, unless it was cancelled before.
    private func comes(_ number: Int) -> Bool {
        if free > 0 {
            free -= 1
            return true
        }
        if !crowd.isCancelled(number) { line.join(number) }
        return false
    }

    private func took(_ number: Int, _ atOnce: Bool) {
        guard !atOnce else { return }
        crowd.ledger.expect(line.run(number), "\(number) took one, and it was not its turn")
        crowd.ledger.expect(!crowd.isCancelled(number), "\(number) took one, and was cancelled")
    }

    private func failed(_ number: Int, _ atOnce: Bool, _ error: any Error) {
        crowd.expectCancelled(number, error)
        crowd.ledger.expect(!atOnce, "\(number) did not get what was free")
        if line.run(number) { modelRelease() }
    }

    private func modelRelease() { if !line.wakeFirst() { free += 1 } }

    func cancelOne(_ input: inout FuzzInput) { line.cancel(crowd.cancelOne(&input)) }

    /// Gives one back, if there is one to be given back.
    @discardableResult
    func release() -> Bool {
        guard holders > 0 else { return false }
        holders -= 1
        modelRelease()
        subject.release()
        return true
    }

    func tryAcquire() {
        let isFree = free > 0
        if isFree {
            free -= 1
            holders += 1
        }
        crowd.ledger.expect(subject.tryAcquire() == isFree, "tryAcquire says \(!isFree)")
    }

    func check() {
        crowd.ledger.expect(subject.free == free, "\(subject.free) are free, not \(free)")
        crowd.ledger.expect(free == 0 || line.waiting.isEmpty, "\(line.waiting) wait for what is free")
    }

    func checkAtRest() {
        crowd.ledger.expect(line.woken.isEmpty, "\(line.woken) have their turn and do not run")
        crowd.ledger.expect(crowd.waiting == line.waiting.sorted(), "\(crowd.waiting) wait, not \(line.waiting)")
        crowd.ledger.expect(free + holders == subject.permits, "\(free) free and \(holders) held of \(subject.permits)")
    }
}
