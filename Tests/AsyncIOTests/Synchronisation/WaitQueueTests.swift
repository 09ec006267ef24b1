// The line under every lock, semaphore and queue: who is woken, who is passed over, what is left of those who went away,
// and that one line belongs to one loop.

import AsyncIO
import AsyncIOTesting
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct WaitQueueTests {
        @Test func `an empty line wakes nobody`() async throws {
            let line = WaitQueue("a test")
            #expect(line.isEmpty && line.count == 0 && line.length == 0)
            #expect(!line.wakeFirst())
            #expect(line.wakeAll() == 0)
        }

        @Test func `first come, first woken, one at a time`() async throws {
            try await onLoop { loop in
                let line = Transfer(WaitQueue("a test"))
                let tasks = spawnEach(10, on: loop, eager: true) { _ in try await line.value.wait() }
                await letAllRun()
                for number in 0..<10 {
                    #expect(line.value.count == 10 - number && line.value.length == 10 - number)
                    #expect(line.value.wakeFirst())
                    await letAllRun()
                    #expect(tasks.map(\.isDone) == (0..<10).map { $0 <= number })
                }
                #expect(line.value.isEmpty && !line.value.wakeFirst())
            }
        }

        @Test func `who comes after waking all is not among them`() async throws {
            try await onLoop { loop in
                let line = Transfer(WaitQueue("a test"))
                let tasks = spawnEach(3, on: loop, eager: true) { _ in
                    try await line.value.wait()
                    try await line.value.wait()
                }
                await AsyncIO.yield()
                for _ in 0..<2 {
                    #expect(line.value.wakeAll() == 3)
                    #expect(line.value.isEmpty)
                    await letAllRun()
                }
                #expect(tasks.allSatisfy { $0.outcome == "ok" })
            }
        }

        @Test func `a wake-up between joining the line and suspending is not missed`() async throws {
            try await onLoop { loop in
                // An eager task has joined when `spawn` returns.
                let line = Transfer(WaitQueue("a test"))
                for _ in 0..<100 {
                    let task = spawn(eager: true) { try await line.value.wait() }
                    #expect(line.value.count == 1)
                    #expect(line.value.wakeFirst())
                    try await task.value
                }
                // A task that is isolated to nothing changes its isolation in between.
                for _ in 0..<100 {
                    let tasks = waitWithoutIsolation(line, count: 3)
                    var woken = 0
                    while woken < 3 {
                        await AsyncIO.yield()
                        woken += line.value.wakeAll()
                    }
                    for task in tasks { try await task.value }
                }
                _ = loop
            }
        }

        @Test func `who is cancelled is passed over at once, wherever it is in line`() async throws {
            try await onLoop { loop in
                for order in [
                    [0], [1], [2], [0, 1], [1, 0], [2, 1], [0, 2], [1, 2], [0, 1, 2], [2, 1, 0], [1, 2, 0],
                ] {
                    for runsBefore in [false, true] {
                        let line = Transfer(WaitQueue("a test"))
                        let tasks = spawnEach(3, on: loop, eager: true) { _ in try await line.value.wait() }
                        await letAllRun()
                        for number in order { tasks[number].cancel() }
                        if runsBefore {
                            await letAllRun()
                            #expect(line.value.length == 3 - order.count)
                        }
                        let rest = [0, 1, 2].filter { !order.contains($0) }
                        #expect(line.value.isEmpty == rest.isEmpty)
                        #expect(line.value.count == rest.count && line.value.length == rest.count)
                        for number in rest {
                            #expect(line.value.wakeFirst())
                            await letAllRun(3)
                            #expect(tasks[number].outcome == "ok")
                        }
                        #expect(!line.value.wakeFirst() && line.value.length == 0)
                        await letAllRun(3)
                        #expect(order.allSatisfy { tasks[$0].wasCancelled })
                    }
                }
            }
        }

        @Test func `once its turn has come a wait returns, even to a task that is cancelled then`() async throws {
            try await onLoop { _ in
                let line = Transfer(WaitQueue("a test"))
                let task = spawn {
                    try await line.value.wait()
                    return Task.isCancelled
                }
                await letAllRun()
                #expect(line.value.wakeFirst())
                task.cancel()
                await letAllRun()
                #expect(task.outcome == "true")
            }
        }

        @Test func `a wait that cannot be cancelled lasts until it is woken, or until the loop ends`() async throws {
            let ends = Recorder<Bool>()
            let line = Transfer(WaitQueue("a test"))
            try await onLoop { loop in
                let task = spawn { await line.value.waitUncancellable() }
                await letAllRun()
                task.cancel()
                await letAllRun()
                #expect(task.outcome == "waits" && line.value.count == 1)
                #expect(line.value.wakeFirst())
                await letAllRun()
                #expect(task.outcome == "true")
                Task {
                    _ = loop
                    for _ in 0..<3 { ends.append(await line.value.waitUncancellable()) }
                }
                await letAllRun()
            }
            #expect(ends.all == [false, false, false])
            #expect(line.value.isEmpty)
        }

        @Test func `a line is left in order by the end of its loop, and another loop can use it`() async throws {
            let line = Transfer(WaitQueue("a test"))
            for _ in 0..<3 {
                try await onLoop { loop in
                    let woken = spawnEach(2, on: loop) { _ in try await line.value.wait() }
                    await letAllRun()
                    #expect(line.value.wakeAll() == 2)
                    for task in woken { try await task.value }
                    for _ in 0..<10 { Task { _ = await (loop, ending { try await line.value.wait() }) } }
                    spawnEach(10, on: loop) { _ in try await line.value.wait() }.forEach { _ in }
                    await letAllRun()
                    #expect(line.value.count == 20)
                }
                #expect(line.value.isEmpty && line.value.length == 0)
            }
        }

        @Test func `a task that outlives its loop waits for nothing any more`() async throws {
            let (line, lock) = (Transfer(WaitQueue("a test")), Transfer(AsyncLock()))
            let (closed, ends, ended) = (Recorder<Bool>(), Recorder<String>(), Gate())
            try await onLoop { loop in
                Task {
                    while closed.count == 0 { await Task.yield() }
                    ends.append(await ending { try await line.value.wait() })
                    ends.append("\(await line.value.waitUncancellable())")
                    ends.append(await ending { try await lock.value.withLock { try await lock.value.acquire() } })
                    ends.append("\(lock.value.isLocked) \(loop.isCurrent)")
                    ended.open()
                }
                await AsyncIO.yield()
            }
            closed.append(true)
            #expect(try await AsyncIO.offload { ended.pass() })
            #expect(ends.all == ["CancellationError", "false", "CancellationError", "false true"])
        }

        @Test func `random comings, goings and wakings leave the line as a list would be`() async throws {
            try await onLoop { loop in
                for seed in modelSeeds {
                    var chance = Chance(seed: seed)
                    let findings = Findings()
                    let line = Transfer(WaitQueue("a test"))
                    let woken = Transfer(NumberLog())
                    var tasks: [LoopTask<Void>] = []
                    var model: [Int] = []
                    var expected: [Int] = []
                    for _ in 0..<100 {
                        switch chance.roll(8) {
                        case 0...2:
                            let number = tasks.count
                            model.append(number)
                            let task = spawn(eager: true) {
                                try await line.value.wait()
                                woken.value.numbers.append(number)
                            }
                            tasks.append(task)
                        case 3...4:
                            guard !tasks.isEmpty else { continue }
                            let number = chance.roll(tasks.count)
                            tasks[number].cancel()
                            model.removeAll { $0 == number }
                        case 5:
                            findings.expect(line.value.wakeFirst() == !model.isEmpty, "wakeFirst")
                            if !model.isEmpty { expected.append(model.removeFirst()) }
                        case 6 where chance.roll(5) == 0:
                            findings.expect(line.value.wakeAll() == model.count, "wakeAll")
                            expected += model
                            model = []
                        default:
                            await letAllRun(Seeds.current == nil ? 1 : 3)
                            findings.expect(told(woken.value.numbers, expected), "\(woken.value.numbers) \(expected)")
                        }
                        findings.expect(line.value.length >= model.count, "length \(line.value.length), \(model)")
                        if chance.roll(2) == 0 {
                            findings.expect(line.value.isEmpty == model.isEmpty, "isEmpty, \(model)")
                        }
                        if chance.roll(3) == 0 {
                            findings.expect(line.value.count == model.count, "\(line.value.count), \(model)")
                        }
                    }
                    line.value.wakeAll()
                    await letAllRun(3)
                    findings.expect(tasks.allSatisfy { $0.isDone }, "some still wait")
                    findings.report(seed)
                }
                _ = loop
            }
        }

        @Test(.testsProcess)
        func `to wait for what another loop waits for is a mistake that traps`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                exitIfStuck()
                let event = Transfer(AsyncEvent())
                try await withEventLoop(.virtual()) { _ in
                    spawn { try await event.value.wait() }
                    await AsyncIO.yield()
                    try await withEventLoop(.virtual()) { _ in try await event.value.wait() }
                }
            }
            #expect(says(result, "AsyncEvent is waited for on one EventLoop and used on another."))
        }

        @Test(.testsProcess)
        func `to wake who waits on another loop is a mistake that traps`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                exitIfStuck()
                let lock = Transfer(AsyncLock())
                try await withEventLoop(.virtual()) { _ in
                    try await lock.value.acquire()
                    spawn { try await lock.value.acquire() }
                    await AsyncIO.yield()
                    try await withEventLoop(.virtual()) { _ in lock.value.release() }
                }
            }
            #expect(says(result, "AsyncLock is waited for on one EventLoop and used on another."))
            let elsewhere = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                exitIfStuck()
                let event = Transfer(AsyncEvent())
                try await withEventLoop(.virtual()) { _ in
                    spawn { try await event.value.wait() }
                    await AsyncIO.yield()
                    onForeignThread { event.value.set() }
                    // Another one: this one may be set already, and be passed, when the thread finds who waits.
                    try await AsyncEvent().wait()
                }
            }
            #expect(says(elsewhere, "AsyncEvent is waited for on one EventLoop and used on another."))
        }
    }
}

private func waitWithoutIsolation(_ line: Transfer<WaitQueue>, count: Int) -> [LoopTask<Void>] {
    (0..<count).map { _ in spawn { try await line.value.wait() } }
}
