// Deadlines that are moved while the body runs, and those that tasks inherit. Behaviour 69 of asyncio (reschedule).

import AsyncIO
import AsyncIOTesting
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct DeadlineChangeTests {
        // MARK: Moving

        @Test func `it can be moved to later, and to earlier, behaviour 69`() async throws {
            // test_reschedule
            try await onLoop(.paced) { loop in
                let start = loop.now
                let error = await failure {
                    try await withDeadline(start.advanced(by: ticks(100))) { deadline in
                        try await AsyncIO.sleep(for: ticks(5))
                        deadline.reschedule(to: start.advanced(by: ticks(3_000)))
                        #expect(deadline.instant == start.advanced(by: ticks(3_000)))
                        try await AsyncIO.sleep(for: ticks(105))
                        #expect(!deadline.isExpired && loop.timers == 1)
                        deadline.reschedule(to: start.advanced(by: ticks(120)))
                        try await AsyncIO.sleep(for: ticks(3_600))
                    }
                }
                #expect(error as? DeadlineError == DeadlineError(deadline: start.advanced(by: ticks(120))))
                #expect(isTicks(start.duration(to: loop.now), 120))
                #expect(loop.timers == 0)
            }
        }

        @Test func `it can be taken away and set, behaviour 69`() async throws {
            try await onLoop(.paced) { loop in
                let start = loop.now
                let value = try await withDeadline(start.advanced(by: ticks(5))) { deadline in
                    deadline.reschedule(to: nil)
                    try await AsyncIO.sleep(for: ticks(20))
                    return "free"
                }
                #expect(value == "free")
                let error = await failure {
                    try await withDeadline(nil) { deadline in
                        #expect(deadline.instant == nil)
                        deadline.reschedule(to: loop.now.advanced(by: ticks(3)))
                        try await AsyncIO.sleep(for: ticks(3_600))
                    }
                }
                #expect(error is DeadlineError)
                #expect(isTicks(start.duration(to: loop.now), 23))
                #expect(loop.timers == 0)
            }
        }

        @Test(arguments: [Int64.min, -1, 0])
        func `moved to the past it cancels the body at its next wait, behaviour 69`(nanoseconds: Int64) async throws {
            try await onLoop(.paced) { loop in
                let error = await failure {
                    try await withDeadline(nil) { deadline in
                        await AsyncIO.yield()
                        deadline.reschedule(to: loop.now.advanced(by: .nanoseconds(nanoseconds)))
                        #expect(!deadline.isExpired && !Task.isCancelled)
                        try await AsyncIO.sleep(for: ticks(3_600))
                    }
                }
                #expect(error is DeadlineError)
            }
        }

        @Test(.enabled(if: keepsJobs))
        func `moved when its timer has fired already, and nobody was told, it counts as moved`() async throws {
            // The callback runs between the timer and the one whom the timer has woken.
            try await onLoop { loop in
                let value = try await withDeadline(loop.now.advanced(by: .seconds(5))) { deadline in
                    try await AsyncIO.sleep(for: .seconds(1))
                    loop.schedule(after: .seconds(4)) { deadline.reschedule(to: nil) }
                    try await AsyncIO.sleep(for: .seconds(100))
                    return deadline.isExpired
                }
                #expect(!value && loop.elapsed == .seconds(101))
            }
        }

        @Test func `once it has passed it cannot be moved, behaviour 69`() async throws {
            // test_timeout_expired: asyncio raises, ours does nothing.
            try await onLoop(.paced) { loop in
                let instant = loop.now.advanced(by: ticks(1))
                let error = await failure {
                    try await withDeadline(instant) { deadline in
                        do { try await AsyncIO.sleep(for: ticks(3_600)) } catch {
                            deadline.reschedule(to: loop.now.advanced(by: ticks(1_000)))
                            #expect(deadline.isExpired && deadline.instant == instant)
                            throw error
                        }
                    }
                }
                #expect(error as? DeadlineError == DeadlineError(deadline: instant))
                #expect(loop.timers == 0)
            }
        }

        @Test(.testsProcess)
        func `after the body has ended moving it is a mistake that traps, behaviour 69`() async throws {
            // test_timeout_finished
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                try await withEventLoop { _ in
                    let deadline = try await withDeadline(nil) { $0 }
                    deadline.reschedule(to: nil)
                }
            }
            #expect(says(result, "A Deadline was rescheduled after its body had ended."))
        }

        @Test func `moved a thousand times it leaves one timer`() async throws {
            try await onLoop { loop in
                try await withDeadline(loop.now.advanced(by: .seconds(5))) { deadline in
                    for _ in 0..<1_000 {
                        deadline.reschedule(to: loop.now.advanced(by: .seconds(50)))
                        if keepsJobs { try await AsyncIO.sleep(for: .seconds(1)) } else { await AsyncIO.yield() }
                    }
                    await someTurns()
                    #expect(loop.timers == 1 && !deadline.isExpired)
                }
                #expect(loop.timers == 0)
            }
        }

        @Test(arguments: 1...20)
        func `whatever it is moved to, the body ends at the last one that had come`(seed: Int) async throws {
            guard keepsJobs else { return }
            try await onLoop { loop in
                var numbers = Chance(seed: seed)
                let moves = (0..<20).map { _ in
                    (Int.random(in: 1...5, using: &numbers), Int.random(in: 0...8, using: &numbers))
                }
                // What is to be expected, counted without a loop.
                var (time, due) = (0, 3)
                for (wait, ahead) in moves where due > time {
                    if time + wait >= due { break }
                    time += wait
                    due = time + ahead
                }
                let error = await failure {
                    try await withDeadline(LoopInstant(nanoseconds: 0).advanced(by: .seconds(3))) { deadline in
                        for (wait, ahead) in moves {
                            try await AsyncIO.sleep(for: .seconds(wait))
                            deadline.reschedule(to: loop.now.advanced(by: .seconds(ahead)))
                        }
                        try await AsyncIO.sleep(for: .seconds(3_600))
                    }
                }
                let instant = try #require((error as? DeadlineError)?.deadline)
                // A wait that ends as the time passes may go either way.
                let end = LoopInstant(nanoseconds: 0).duration(to: instant)
                #expect(loop.elapsed == end)
                #expect(end >= .seconds(due))
            }
        }

        // MARK: Inheriting

        @Test func `code within knows the earliest deadline around it`() async throws {
            try await onLoop(.paced) { loop in
                #expect(Deadline.inherited == nil)
                let (early, late) = (loop.now.advanced(by: ticks(2_000)), loop.now.advanced(by: ticks(3_000)))
                let seen = Recorder<LoopInstant?>()
                try await withDeadline(early) { _ in
                    seen.append(Deadline.inherited)
                    try await withDeadline(late) { _ in seen.append(Deadline.inherited) }
                    try await withDeadline(nil) { _ in seen.append(Deadline.inherited) }
                }
                try await withDeadline(late) { _ in
                    try await withDeadline(early) { _ in seen.append(Deadline.inherited) }
                    try await gather({ seen.append(Deadline.inherited) }, {})
                }
                #expect(seen.all == [early, early, early, early, late])
                #expect(Deadline.inherited == nil)
            }
        }

        @Test(arguments: [false, true])
        func `a task that is spawned within inherits it with effect`(eager: Bool) async throws {
            try await onLoop(.paced) { loop in
                let start = loop.now
                let instant = start.advanced(by: ticks(5))
                let task = try await withDeadline(instant) { _ in
                    spawn(eager: eager) { try await AsyncIO.sleep(for: ticks(3_600)) }
                }
                #expect(await failure { try await task.value } as? DeadlineError == DeadlineError(deadline: instant))
                #expect(isTicks(start.duration(to: loop.now), 5))
                #expect(loop.timers == 0)
            }
        }

        @Test func `one that is spawned by such a task does too, and one in time returns`() async throws {
            try await onLoop(.paced) { loop in
                let instant = loop.now.advanced(by: ticks(200))
                let tasks = Recorder<LoopTask<Int>>()
                try await withDeadline(instant) { _ in
                    spawn {
                        tasks.append(
                            spawn {
                                try await AsyncIO.sleep(for: ticks(3_600))
                                return 1
                            }
                        )
                        tasks.append(
                            spawn {
                                try await AsyncIO.sleep(for: ticks(1))
                                return Task.isCancelled ? 0 : 2
                            }
                        )
                    }
                    while tasks.count < 2 { await AsyncIO.yield() }
                }
                #expect(await failure { try await tasks.all[0].value } is DeadlineError)
                let value = try await tasks.all[1].value
                #expect(value == 2)
            }
        }

        @Test func `cancelled, it ends as cancelled, and before it begins it begins all the same`() async throws {
            try await onLoop(.paced) { loop in
                let began = Recorder<Bool>()
                let start = loop.now
                let tasks = try await withDeadline(start.advanced(by: ticks(2_000))) { _ in
                    let tasks = (0..<2).map { _ in
                        spawn {
                            began.append(Task.isCancelled)
                            try await AsyncIO.sleep(for: ticks(3_600))
                        }
                    }
                    tasks[0].cancel()
                    await someTurns()
                    tasks[1].cancel()
                    return tasks
                }
                for task in tasks { #expect(await isCancelled { try await task.value }) }
                #expect(began.count == 2 && Set(began.all) == [true, false])
                #expect(start.duration(to: loop.now) < ticks(2_000) && loop.timers == 0)
            }
        }

        @Test func `moving it does not move what was inherited before`() async throws {
            try await onLoop(.paced) { loop in
                let start = loop.now
                let task = try await withDeadline(start.advanced(by: ticks(5))) { deadline in
                    let task = spawn { try await AsyncIO.sleep(for: ticks(3_600)) }
                    deadline.reschedule(to: start.advanced(by: ticks(500)))
                    #expect(await failure { try await task.value } is DeadlineError)
                    return task
                }
                #expect(task.isDone && isTicks(start.duration(to: loop.now), 5))
            }
        }
    }
}
