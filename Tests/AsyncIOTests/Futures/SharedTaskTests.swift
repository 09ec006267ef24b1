// Tasks that run one spawned body after the other: no body can tell that it has a used one, and no cancellation reaches the
// next. Behaviours 38 to 51 of asyncio hold for them as for new ones, which the tests of spawning see to.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct SharedTaskTests {
        @TaskLocal static var label = "none"

        @Test func `bodies that follow one another run in one task`() async throws {
            try await onLoop { _ in
                var tasks: Set<Int> = []
                for _ in 0..<100 {
                    tasks.insert(try await spawn { thisTask() }.value)
                    tasks.insert(try await spawn(eager: true) { thisTask() }.value)
                    let later = spawn {
                        await AsyncIO.yield()
                        return thisTask()
                    }
                    tasks.insert(try await later.value)
                }
                #expect(tasks.count == 1)
            }
        }

        @Test func `what a handler spawns has one task as well, and is eager where it says so`() async throws {
            try await onNetwork(.memory) { loop in
                let found = Recorder<Int>()
                try await serving(on: loop) { connection in
                    for number in 1...3 {
                        let eager = spawn(eager: true) {
                            _ = loop
                            found.append(thisTask())
                        }
                        #expect(found.count == 2 * number - 1 && eager.isDone)
                        let later = spawn {
                            _ = loop
                            found.append(thisTask())
                        }
                        try await later.value
                    }
                    try await connection.write("!")
                } while: { server in
                    let client = try await server.client()
                    let answer = try await client.text(1)
                    #expect(answer == "!")
                    try await client.close()
                }
                #expect(found.count == 6 && Set(found.all).count == 1)
            }
        }

        @Test func `bodies at the same time have a task each, of which some are kept`() async throws {
            try await onLoop { _ in
                for _ in 0..<3 {
                    let gate = AsyncEvent()
                    var bodies: [LoopTask<Int>] = []
                    for _ in 0..<200 {
                        bodies.append(
                            spawn {
                                try await gate.wait()
                                return thisTask()
                            }
                        )
                    }
                    await someTurns()
                    gate.set()
                    var tasks: Set<Int> = []
                    for body in bodies { tasks.insert(try await body.value) }
                    #expect(tasks.count == 200)
                }
            }
        }

        @Test func `what a body holds is gone before the next begins`() async throws {
            let ends = Recorder<Int>()
            try await onLoop { _ in
                for number in 0..<3 {
                    let body = spawn { [held = Held(number, ends)] in held.number }
                    _ = try await body.value
                    await AsyncIO.yield()
                    #expect(ends.count == number + 1)
                }
            }
        }

        // MARK: Cancellation

        @Test func `whoever follows one that was cancelled is not`() async throws {
            try await onLoop { _ in
                for _ in 0..<20 {
                    let cancelled = spawn { try await AsyncIO.sleep(for: .seconds(1)) }
                    await AsyncIO.yield()
                    cancelled.cancel()
                    #expect(await isCancelled { try await cancelled.value })
                    let next = spawn { Task.isCancelled }
                    do {
                        let found = try await next.value
                        #expect(!found)
                    }
                    #expect(cancelled.isCancelled && !next.isCancelled)
                }
            }
        }

        @Test func `cancelling what has ended cancels nobody`() async throws {
            try await onLoop { _ in
                var ended: [LoopTask<Bool>] = []
                for _ in 0..<20 {
                    let before = ended
                    let next = spawn {
                        for task in before { task.cancel() }
                        await AsyncIO.yield()
                        return Task.isCancelled
                    }
                    do {
                        let found = try await next.value
                        #expect(!found)
                    }
                    #expect(!next.isCancelled)
                    ended.append(next)
                }
                #expect(ended.dropLast().allSatisfy { $0.isCancelled })
            }
        }

        @Test func `threads that cancel at any moment reach the body that they mean, or none`() async throws {
            try await onLoop(.real) { _ in
                for round in 0..<300 {
                    let victim = spawn {
                        for _ in 0..<round % 7 { await AsyncIO.yield() }
                        return Task.isCancelled
                    }
                    let crowd = Crowd(2) { _ in victim.cancel() }
                    let after = spawn {
                        await AsyncIO.yield()
                        return Task.isCancelled
                    }
                    _ = try await victim.value
                    do {
                        let found = try await after.value
                        #expect(!found)
                    }
                    let last = spawn { Task.isCancelled }
                    do {
                        let found = try await last.value
                        #expect(!found)
                    }
                    try await crowd.join()
                    #expect(victim.isCancelled && !after.isCancelled && !last.isCancelled)
                }
            }
        }

        @Test func `a body that cancels its own task has it alone`() async throws {
            try await onLoop { _ in
                let own = spawn {
                    cancelThisTask()
                    return Task.isCancelled
                }
                do {
                    let found = try await own.value
                    #expect(found)
                }
                #expect(own.isCancelled)
                do {
                    let found = try await spawn { Task.isCancelled }.value
                    #expect(!found)
                }
            }
        }

        // MARK: What is inherited

        @Test func `task-local values are those of whoever spawns`() async throws {
            var configuration = EventLoop.Configuration.virtual()
            configuration.testing = nil
            try await Task.detached {
                try await withEventLoop(configuration) { loop in
                    for _ in 0..<5 {
                        do {
                            let found = try await spawn { Self.label }.value
                            #expect(found == "none")
                        }
                        try await Self.$label.withValue("inner") {
                            // Named, or else this would begin on Swift's pool.
                            _ = loop
                            do {
                                let found = try await spawn { Self.label }.value
                                #expect(found == "inner")
                            }
                            do {
                                let found = try await spawn(eager: true) { Self.label }.value
                                #expect(found == "inner")
                            }
                            let nested = spawn { try await spawn { Self.label }.value }
                            do {
                                let found = try await nested.value
                                #expect(found == "inner")
                            }
                        }
                        do {
                            let found = try await spawn { Self.label }.value
                            #expect(found == "none")
                        }
                    }
                }
            }.value
        }

        @Test func `so they are where a child of a task with values spawns`() async throws {
            var configuration = EventLoop.Configuration.virtual()
            configuration.testing = nil
            try await Task.detached {
                try await withEventLoop(configuration) { loop in
                    _ = try await spawn { 1 }.value
                    try await Self.$label.withValue("parent") {
                        _ = loop
                        try await withThrowingDiscardingTaskGroup { group in
                            group.addImmediateTask {
                                _ = loop
                                let label = try await spawn { Self.label }.value
                                #expect(label == "parent")
                            }
                        }
                    }
                    do {
                        let found = try await spawn { Self.label }.value
                        #expect(found == "none")
                    }
                }
            }.value
        }

        @Test func `in a program without values tasks are used again`() async throws {
            var configuration = EventLoop.Configuration.virtual()
            configuration.testing = nil
            let count = try await Task.detached {
                try await withEventLoop(configuration) { _ in
                    var tasks: Set<Int> = []
                    for _ in 0..<50 { tasks.insert(try await spawn { thisTask() }.value) }
                    return tasks.count
                }
            }.value
            // Others if the priority of whoever spawns is raised meanwhile, by whoever waits for it, and if another loop is
            // just finding out how values are kept.
            #expect(count <= 10)
        }

        @Test func `a priority is that of whoever spawns`() async throws {
            try await onLoop { loop in
                for priority in [TaskPriority.background, .high, .low] {
                    _ = try await spawn { 1 }.value
                    let found = Recorder<TaskPriority>()
                    // Not awaited, which would raise it.
                    Task(priority: priority) {
                        _ = loop
                        found.append(Task.currentPriority)
                        spawn { found.append(Task.currentPriority) }
                    }
                    await someTurns()
                    #expect(found.count == 2 && found.all.first == found.all.last)
                }
            }
        }

        @Test func `one with a name has a task of that name`() async throws {
            try await onLoop { _ in
                for _ in 0..<3 {
                    let named = spawn(name: "reader") { Task.name }
                    do {
                        let found = try await named.value
                        #expect(found == "reader")
                    }
                    do {
                        let found = try await spawn { Task.name }.value
                        #expect(found == nil)
                    }
                }
            }
        }

        @Test func `all of them end with the run`() async throws {
            let last = try await onLoop { loop in
                let bodies = (0..<100).map { number in
                    spawn {
                        await AsyncIO.yield()
                        return number
                    }
                }
                for body in bodies { _ = try await body.value }
                return LastSeen(loop: loop)
            }
            // The loop's thread lets go of it a moment after its end.
            for _ in 0..<20_000 where last.loop != nil { await Task.yield() }
            #expect(last.loop == nil)
        }
    }
}

private struct LastSeen: Sendable {
    weak let loop: EventLoop?
}

private final class Held: Sendable {
    let number: Int
    private let ends: Recorder<Int>

    init(_ number: Int, _ ends: Recorder<Int>) { (self.number, self.ends) = (number, ends) }

    deinit { ends.append(number) }
}

/// Which task this is.
private func thisTask() -> Int { unsafe withUnsafeCurrentTask { unsafe $0?.hashValue ?? 0 } }
