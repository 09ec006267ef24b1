// Work that leaves the loop for the pool of threads: it runs there, its result comes back, the loop goes on meanwhile,
// and never more of it runs at once than the pool has threads. Behaviours 24 and 25 of asyncio.

import AsyncIO
import AsyncIOTesting
import Foundation
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct OffloadTests {
        private static var limit: Int { OffloadPool.shared.threadLimit }

        // MARK: From a loop

        @Test func `work runs elsewhere, and its result comes back to the loop`() async throws {
            try await onLoop { loop in
                #expect(try await AsyncIO.offload { loop.isCurrent ? 0 : 42 } == 42)
                let text = try await AsyncIO.offload { "text" }
                #expect(text == "text")
                #expect(loop.isCurrent)
            }
        }

        @Test func `what work throws is thrown`() async throws {
            try await onLoop { loop in
                await #expect(throws: Refusal(name: "no")) {
                    try await AsyncIO.offload { throw Refusal(name: "no") }
                }
                #expect(loop.isCurrent)
            }
        }

        @Test func `the loop goes on meanwhile`() async throws {
            let gate = Gate()
            try await onLoop { loop in
                let task = spawn { try await AsyncIO.offload { gate.pass() } }
                let before = loop.statistics.turns
                while loop.statistics.turns < before + 10 { await AsyncIO.yield() }
                gate.open()
                let passed = try await task.value
                #expect(passed)
            }
        }

        @Test func `real timers run meanwhile, and a virtual clock stands still`() async throws {
            let order = Recorder<String>()
            for configuration in [EventLoop.Configuration.real, .virtual()] {
                let gate = Gate()
                try await onLoop(configuration) { loop in
                    let sleeper = spawn {
                        _ = loop
                        try await AsyncIO.sleep(for: .milliseconds(1))
                        order.append("timer")
                        gate.open()
                    }
                    let worker = spawn {
                        let isReal = loop.configuration.clock == nil
                        try await AsyncIO.offload { _ = gate.pass(within: isReal ? 30 : 0.01) }
                        order.append("work")
                    }
                    try await worker.value
                    try await sleeper.value
                }
            }
            #expect(order.all == ["timer", "work", "work", "timer"])
        }

        @Test func `a thousand pieces of work all come back, each to its own task`() async throws {
            try await onLoop { loop in
                var tasks: [LoopTask<Int>] = []
                for number in 0..<1_000 { tasks.append(spawn { try await AsyncIO.offload { number * number } }) }
                for (number, task) in tasks.enumerated() {
                    let square = try await task.value
                    #expect(square == number * number)
                }
                #expect(loop.isCurrent)
            }
        }

        // MARK: The bound

        @Test func `as many pieces of work run at once as the pool has threads, and never more`() async throws {
            let (running, started, finish) = (Level(), Gate(), Gate())
            try await onLoop { _ in
                var tasks: [LoopTask<Void>] = []
                for _ in 0..<(3 * Self.limit) {
                    let task = spawn {
                        try await AsyncIO.offload {
                            running.rise()
                            started.open()
                            finish.pass()
                            running.fall()
                        }
                    }
                    tasks.append(task)
                }
                // All threads at once, or this waits in vain.
                let allStarted = await reached(Self.limit, started)
                #expect(allStarted)
                finish.open(times: 3 * Self.limit)
                for task in tasks { try await task.value }
            }
            #expect(running.highest == Self.limit)
        }

        @Test func `two pieces of work run at once where one thread is idle`() async throws {
            try await onLoop { _ in
                // The pool has at least one idle thread now, and after this test's pieces of work two.
                try await AsyncIO.offload {}
                await allIdle()
                for _ in 0..<50 {
                    let (first, second) = (Gate(), Gate())
                    // Each waits for the other.
                    let one = spawn {
                        try await AsyncIO.offload {
                            first.open()
                            return second.pass(within: 2)
                        }
                    }
                    let other = spawn {
                        try await AsyncIO.offload {
                            second.open()
                            return first.pass(within: 2)
                        }
                    }
                    let met = try await [one.value, other.value]
                    #expect(met == [true, true])
                    guard met == [true, true] else { break }
                }
            }
        }

        // MARK: Cancellation

        @Test func `in a task that was cancelled already work does not begin`() async throws {
            let ran = Recorder<Int>()
            try await onLoop { _ in
                let task = spawn {
                    cancelThisTask()
                    try await AsyncIO.offload { ran.append(1) }
                }
                #expect(await isCancelled { try await task.value })
            }
            let task = Task {
                cancelThisTask()
                try await AsyncIO.offload { ran.append(2) }
            }
            #expect(await isCancelled { try await task.value })
            #expect(ran.all.isEmpty)
        }

        @Test func `cancelling who waits drops the result, and the work goes on`() async throws {
            let (started, gate, ended) = (Gate(), Gate(), Gate())
            try await onLoop { loop in
                let task = spawn {
                    try await AsyncIO.offload {
                        started.open()
                        gate.pass()
                        ended.open()
                    }
                }
                await someTurns()
                started.pass()
                task.cancel()
                #expect(await isCancelled { try await task.value })
                #expect(loop.elapsed == .zero)
                gate.open()
                let hasEnded = await reached(1, ended)
                #expect(hasEnded)
            }
        }

        @Test func `cancelling who waits takes work back that has not begun`() async throws {
            let (started, finish) = (Gate(), Gate())
            let ran = Recorder<String>()
            try await onLoop { _ in
                var blockers: [LoopTask<Void>] = []
                for _ in 0..<Self.limit {
                    let blocker = spawn {
                        try await AsyncIO.offload {
                            started.open()
                            finish.pass()
                        }
                    }
                    blockers.append(blocker)
                }
                let isFull = await reached(Self.limit, started)
                #expect(isFull)
                let (taken, kept) = (
                    spawn { try await AsyncIO.offload { ran.append("taken back") } },
                    spawn { try await AsyncIO.offload { ran.append("kept") } }
                )
                let outside = Task.detached { try await AsyncIO.offload { ran.append("taken back outside") } }
                for _ in 0..<3 { await AsyncIO.yield() }
                taken.cancel()
                outside.cancel()
                #expect(await isCancelled { try await taken.value })
                #expect(await isCancelled { try await outside.value })
                finish.open(times: Self.limit)
                for blocker in blockers { try await blocker.value }
                try await kept.value
            }
            #expect(ran.all == ["kept"])
        }

        @Test func `work that ends when its loop is closed disturbs nothing, behaviour 24`() async throws {
            let (started, gate, ended) = (Gate(), Gate(), Gate())
            let outcome = Recorder<String>()
            try await onLoop { loop in
                spawn {
                    do {
                        try await AsyncIO.offload {
                            started.open()
                            gate.pass()
                            ended.open()
                        }
                    } catch {
                        outcome.append("\(type(of: error)), on the loop: \(loop.isCurrent)")
                    }
                }
                await someTurns()
                started.pass()
            }
            #expect(outcome.all == ["CancellationError, on the loop: true"])
            gate.open()
            #expect(await reached(1, ended))
        }

        // MARK: From elsewhere

        @Test func `off any loop it works as well`() async throws {
            #expect(EventLoop.current == nil)
            #expect(try await AsyncIO.offload { 1 } == 1)
            await #expect(throws: Refusal()) { try await AsyncIO.offload { throw Refusal() } }
            let squares = try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<100 { group.addTask { try await AsyncIO.offload { number * number } } }
                return try await group.reduce(0, +)
            }
            #expect(squares == 328_350)
        }

        @Test func `off any loop cancelling who waits ends the wait, and the work goes on`() async throws {
            let (started, gate, ended) = (Gate(), Gate(), Gate())
            let task = Task.detached {
                try await AsyncIO.offload {
                    started.open()
                    gate.pass()
                    ended.open()
                }
            }
            #expect(await reached(1, started))
            task.cancel()
            #expect(await isCancelled { try await task.value })
            gate.open()
            #expect(await reached(1, ended))
        }

        @Test func `two loops share the pool, and each gets its own results`() async throws {
            try await onLoop { first in
                let other = spawn {
                    try await withEventLoop(.virtual()) { second in
                        #expect(try await AsyncIO.offload { 2 } == 2)
                        #expect(second.isCurrent && !first.isCurrent)
                        try await AsyncIO.offload {}
                    }
                }
                for number in 0..<50 { #expect(try await AsyncIO.offload { number } == number) }
                #expect(first.isCurrent)
                try await other.value
            }
        }
    }
}

/// How many are somewhere, and how many were at most.
// SAFETY: what changes is guarded by its lock.
private final class Level: @unchecked Sendable {
    // SAFETY: both under the lock.
    private let lock = NSLock()
    private var current = 0
    private var most = 0
    func rise() {
        lock.withLock {
            current += 1
            most = max(most, current)
        }
    }
    func fall() { lock.withLock { current -= 1 } }
    var highest: Int { lock.withLock { most } }
}

/// Whether a gate is opened so many times, which a thread of nobody's waits for.
func reached(_ count: Int, _ gate: Gate) async -> Bool {
    await withCheckedContinuation { continuation in
        onForeignThread { continuation.resume(returning: (0..<count).allSatisfy { _ in gate.pass(within: 5) }) }
    }
}

/// Gives the pool's threads the time to find that there is nothing to do.
private func allIdle() async { for _ in 0..<1_000 { await Task.yield() } }
