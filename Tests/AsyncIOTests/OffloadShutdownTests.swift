// The end of a pool: what it still takes, what it still does, and how long somebody waits for that. Behaviour 25 of
// asyncio, and the race of an end with everything else.

import AsyncIO
import AsyncIOTesting
import Foundation
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct OffloadShutdownTests {
        @Test func `a pool that is shut down refuses work at once, and its threads end`() async throws {
            let pool = OffloadPool(threads: 2)
            // In real time, as a thread that has told its result is not idle yet, and virtual time would not wait for it.
            try await onLoop(.real) { _ in
                try await AsyncIO.offload(on: pool) {}
                #expect(!pool.isShutDown)
                let start = ContinuousClock.now
                let left = await pool.shutdown()
                #expect(left.isIdle && pool.isShutDown)
                #expect(ContinuousClock.now - start < .seconds(60))
                #expect(await failure { try await AsyncIO.offload(on: pool) {} } as? OffloadError == .shutDown)
                // Again, to no effect.
                #expect(await pool.shutdown(within: .zero).isIdle)
            }
            #expect(await soon { pool.statistics.threads == 0 })
            let outside = Task.detached { try await AsyncIO.offload(on: pool) {} }
            await #expect(throws: OffloadError.shutDown) { try await outside.value }
            #expect("\(OffloadError.shutDown)".contains("shut down") && "\(OffloadError.queueFull)".contains("full"))
        }

        @Test(arguments: [false, true])
        func `what is queued is run, or dropped where that is said; what waits for room is refused`(
            discarding: Bool
        ) async throws {
            let pool = OffloadPool(threads: 1, queueLimit: 2)
            let gate = Gate()
            let ran = Recorder<Int>()
            try await onLoop(.real) { _ in
                let blockers = try await block(pool, gate, count: 1)
                var tasks: [LoopTask<Void>] = []
                for number in 0..<4 {
                    tasks.append(spawn { try await AsyncIO.offload(on: pool) { ran.append(number) } })
                    await someTurns()
                }
                let end = spawn { await pool.shutdown(discardingQueued: discarding) }
                for task in tasks[(discarding ? 0 : 2)...] {
                    #expect(await failure { try await task.value } as? OffloadError == .shutDown)
                }
                #expect(!end.isDone)
                #expect(pool.statistics.running == 1 && pool.statistics.queued == (discarding ? 0 : 2))
                gate.open()
                let left = try await end.value
                #expect(left.isIdle)
                for blocker in blockers { try await blocker.value }
                if !discarding { for task in tasks[..<2] { try await task.value } }
            }
            #expect(ran.all == (discarding ? [] : [0, 1]))
        }

        @Test func `the wait for running work ends at the deadline and says what is left, behaviour 25`() async throws {
            let pool = OffloadPool(threads: 1)
            let (started, gate) = (Gate(), Gate())
            let ran = Recorder<Int>()
            // Not by the loop, whose virtual clock would stand still for it.
            let running = Task.detached {
                try await AsyncIO.offload(on: pool) {
                    started.open()
                    _ = gate.pass()
                    ran.append(1)
                }
            }
            #expect(await reached(1, started))
            let queued = Task.detached { try await AsyncIO.offload(on: pool) { ran.append(2) } }
            #expect(await soon { pool.statistics.queued == 1 })
            try await onLoop { loop in
                let left = await pool.shutdown(within: .seconds(60))
                #expect(loop.elapsed == .seconds(60))
                #expect(left.description == "threads 1, idle 0, running 1, queued 1, waiting 0, completed 0")
                // What the first call has kept the second may drop.
                let after = await pool.shutdown(within: .zero, discardingQueued: true)
                #expect(after.running == 1 && after.queued == 0)
                #expect(loop.elapsed == .seconds(60))
            }
            await #expect(throws: OffloadError.shutDown) { try await queued.value }
            let end = Task.detached { await pool.shutdown() }
            gate.open()
            #expect(await end.value.isIdle)
            try await running.value
            #expect(ran.all == [1])
        }

        @Test func `cancelling who waits for the end ends the wait, and not the pool's work`() async throws {
            let pool = OffloadPool(threads: 1)
            let gate = Gate()
            try await onLoop { loop in
                let blockers = try await block(pool, gate, count: 1)
                let end = spawn { await pool.shutdown() }
                await letAllRun()
                #expect(!end.isDone)
                end.cancel()
                let left = try await end.value
                #expect(left.running == 1)
                #expect(loop.elapsed == .zero)
                gate.open()
                for blocker in blockers { try await blocker.value }
                #expect(await pool.shutdown().completed == 1)
            }
        }

        @Test func `work, cancellation and the end at once: each piece has run or its task was told why not`() async {
            for round in 0..<30 {
                let pool = OffloadPool(threads: 3, queueLimit: 4, overflow: round % 3 == 0 ? .refuse : .wait)
                let ran = Recorder<Int>()
                let results = await withTaskGroup(of: (Int, String).self) { group in
                    for number in 0..<60 {
                        group.addTask {
                            let task = Task { try await AsyncIO.offload(on: pool) { ran.append(number) } }
                            if number % 5 == 0 { task.cancel() }
                            if number == 40 { await pool.shutdown(discardingQueued: round % 2 == 0) }
                            do { try await task.value } catch { return (number, "\(type(of: error))") }
                            return (number, "ran")
                        }
                    }
                    return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
                }
                #expect(await pool.shutdown().isIdle)
                #expect(Set(ran.all).count == ran.count, "twice")
                for (number, result) in results {
                    switch result {
                    case "ran": #expect(ran.all.contains(number))
                    case "CancellationError": #expect(number % 5 == 0)
                    default: #expect(result == "OffloadError" && !ran.all.contains(number), "\(result)")
                    }
                }
                #expect(results.count == 60)
                #expect(pool.statistics.completed == UInt64(ran.count))
            }
        }
    }
}
