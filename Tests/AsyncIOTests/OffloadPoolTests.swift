// Pools of one's own: how many threads, how much is queued, what comes then, what the figures say, and the end.
// Behaviours 24 and 25 of asyncio; the second is test_shutdown_default_executor_timeout.

import AsyncIO
import AsyncIOTesting
import Foundation
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct OffloadPoolTests {
        @Test func `work runs on the threads of the pool that is named, which bear its name`() async throws {
            let pool = OffloadPool(name: "a-name-that-is-too-long", threads: 1)
            try await onLoop { _ in
                #if os(Linux)
                let name = try await AsyncIO.offload(on: pool) {
                    try String(contentsOfFile: "/proc/thread-self/comm", encoding: .utf8)
                }
                #expect(name == "a-name-that-i-1\n")
                #endif
                let shared = OffloadPool.shared.statistics.completed
                for number in 0..<100 { #expect(try await AsyncIO.offload(on: pool) { number } == number) }
                #expect(OffloadPool.shared.statistics.completed >= shared)
            }
            #expect(await soon { pool.statistics.completed >= 100 && pool.statistics.isIdle })
            #expect(pool.statistics.threads == 1)
        }

        @Test func `the figures say what runs, what is queued and what waits for room, in this order`() async throws {
            let pool = OffloadPool(threads: 2, queueLimit: 3)
            let order = Recorder<Int>()
            let gate = Gate()
            try await onLoop { loop in
                let blockers = try await block(pool, gate, count: 2)
                var tasks: [LoopTask<Void>] = []
                for number in 0..<10 {
                    tasks.append(spawn { try await AsyncIO.offload(on: pool) { order.append(number) } })
                    await someTurns()
                }
                let figures = pool.statistics
                #expect(figures.description == "threads 2, idle 0, running 2, queued 3, waiting 7, completed 0")
                #expect(!figures.isIdle)
                #expect(loop.dump().contains("\noffloaded 12; the shared pool: threads "))
                gate.open()
                for task in tasks { try await task.value }
                gate.open()
                for blocker in blockers { try await blocker.value }
                #expect(!loop.dump().contains("offloaded"))
            }
            // One thread did all of it.
            #expect(order.all == Array(0..<10))
            #expect(await soon { pool.statistics.completed == 12 })
        }

        @Test func `a pool that refuses does so only when the queue is full`() async throws {
            for queueLimit in [0, 2] {
                let pool = OffloadPool(threads: 1, queueLimit: queueLimit, overflow: .refuse)
                let gate = Gate()
                try await onLoop { _ in
                    let blockers = try await block(pool, gate, count: 1)
                    var queued: [LoopTask<Int>] = []
                    for number in 0..<queueLimit {
                        queued.append(spawn { try await AsyncIO.offload(on: pool) { number } })
                    }
                    await letAllRun()
                    #expect(await failure { try await AsyncIO.offload(on: pool) {} } as? OffloadError == .queueFull)
                    #expect(pool.statistics.queued == queueLimit && pool.statistics.waiting == 0)
                    gate.open()
                    for blocker in blockers { try await blocker.value }
                    for (number, task) in queued.enumerated() { #expect(try await task.value == number) }
                    let isFree = await soon { pool.statistics.running == 0 }
                    #expect(isFree)
                    #expect(try await AsyncIO.offload(on: pool) { 42 } == 42)
                }
            }
        }

        @Test func `cancelling who waits for room, or is queued, leaves the place to the next`() async throws {
            let pool = OffloadPool(threads: 1, queueLimit: 1)
            let gate = Gate()
            let ran = Recorder<Int>()
            try await onLoop { _ in
                let blockers = try await block(pool, gate, count: 1)
                var tasks: [LoopTask<Void>] = []
                for number in 0..<4 {
                    tasks.append(spawn { try await AsyncIO.offload(on: pool) { ran.append(number) } })
                    await someTurns()
                }
                #expect(pool.statistics.queued == 1 && pool.statistics.waiting == 3)
                for (number, left) in [(1, 2), (0, 1)] {
                    tasks[number].cancel()
                    #expect(await isCancelled { try await tasks[number].value })
                    #expect(pool.statistics.queued == 1 && pool.statistics.waiting == left)
                }
                gate.open()
                for task in tasks[2...] { try await task.value }
                for blocker in blockers { try await blocker.value }
            }
            #expect(ran.all == [2, 3])
        }

        @Test func `threads end that have nothing to do, and start again when there is something`() async throws {
            let pool = OffloadPool(threads: 3, idleTime: .zero)
            for round in 1...20 {
                let values = try await withThrowingTaskGroup(of: Int.self) { group in
                    for number in 0..<10 { group.addTask { try await AsyncIO.offload(on: pool) { number } } }
                    return try await group.reduce(0, +)
                }
                #expect(values == 45)
                #expect(await soon { pool.statistics.threads == 0 })
                #expect(pool.statistics.completed == UInt64(10 * round))
            }
        }

        @Test func `a pool that nobody holds ends when its work has`() async throws {
            let (began, gate) = (Gate(), Gate())
            let released = Recorder<String>()
            weak var weakPool: OffloadPool?
            var task: Task<Void, any Error>?
            do {
                let pool = OffloadPool(threads: 2, idleTime: .zero)
                weakPool = pool
                task = Task.detached { [gate] in
                    try await AsyncIO.offload(on: pool) {
                        began.open()
                        gate.pass()
                        released.append("ran")
                    }
                }
                #expect(await reached(1, began))
            }
            gate.open()
            try await task?.value
            task = nil
            let isGone = await soon { weakPool == nil }
            #expect(isGone)
            #expect(released.all == ["ran"])
        }

        // MARK: The loop's end

        @Test func `what is queued when its loop ends never runs, and what runs is nobody's, behaviour 24`()
            async throws
        {
            let pool = OffloadPool(threads: 1, queueLimit: 1)
            let gate = Gate()
            let ran = Recorder<String>()
            try await onLoop { _ in
                _ = try await block(pool, gate, count: 1)
                for name in ["queued", "waiting"] {
                    spawn { try await AsyncIO.offload(on: pool) { ran.append(name) } }
                }
                await letAllRun()
                #expect(pool.statistics.queued == 1 && pool.statistics.waiting == 1)
            }
            #expect(pool.statistics.description == "threads 1, idle 0, running 1, queued 0, waiting 0, completed 0")
            gate.open()
            #expect(try await AsyncIO.offload(on: pool) { ran.all } == [])
            #expect(await soon { pool.statistics.completed == 2 })
        }

        @Test func `pools without work and out of scope make no threads`() {
            for _ in 0..<100 { #expect(OffloadPool().statistics.threads == 0) }
        }
    }
}

/// Keeps threads of a pool busy until the gate is opened for each; returns when they are.
func block(_ pool: OffloadPool, _ gate: Gate, count: Int) async throws -> [LoopTask<Void>] {
    let started = Gate()
    let blockers = (0..<count).map { _ in
        spawn {
            try await AsyncIO.offload(on: pool) {
                started.open()
                _ = gate.pass()
            }
        }
    }
    let areBusy = await reached(count, started)
    #expect(areBusy)
    return blockers
}

/// Whether something becomes true that another thread is about to do.
func soon(_ condition: () -> Bool) async -> Bool {
    let start = ContinuousClock.now
    while !condition() {
        guard start.duration(to: .now) < .seconds(20) else { return false }
        await Task.yield()
    }
    return true
}
