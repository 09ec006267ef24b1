// A task that awaits one which has not begun lends it its step. That changes what it costs, and nothing of the order, the
// cancellation or the fairness that asyncio promises.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct LentStepTests {
        @Test func `a body that ends at once is awaited without a turn`() async throws {
            try await onLoop { loop in
                _ = try await spawn { 1 }.value
                let turns = loop.statistics.turns
                for number in 0..<20 {
                    let found = try await spawn { number }.value
                    #expect(found == number)
                }
                #expect(loop.statistics.turns <= turns + 2)
            }
        }

        @Test(.testsOrder) func `what was ready before it runs before it`() async throws {
            let order = Recorder<String>()
            try await onLoop { loop in
                _ = try await spawn { 1 }.value
                loop.schedule { order.append("callback") }
                spawn { order.append("first") }
                let second = spawn { order.append("second") }
                try await second.value
                order.append("awaited")
            }
            #expect(order.all == ["callback", "first", "second", "awaited"])
        }

        @Test(.testsOrder) func `what it makes ready runs before the one who waits goes on`() async throws {
            let order = Recorder<String>()
            try await onLoop { loop in
                _ = try await spawn { 1 }.value
                let task = spawn {
                    loop.schedule { order.append("callback") }
                    spawn { order.append("task") }
                    order.append("body")
                }
                try await task.value
                order.append("awaited")
            }
            #expect(order.all == ["body", "callback", "task", "awaited"])
        }

        @Test(.testsOrder) func `several that wait go on in the order in which they began to`() async throws {
            let order = Recorder<Int>()
            try await onLoop { _ in
                _ = try await spawn { 1 }.value
                let gate = AsyncEvent()
                let task = spawn { try await gate.wait() }
                let waiters = (0..<5).map { number in
                    spawn {
                        try await task.value
                        order.append(number)
                    }
                }
                await someTurns()
                gate.set()
                for waiter in waiters { try await waiter.value }
            }
            #expect(order.all == [0, 1, 2, 3, 4])
        }

        @Test func `a loop that does nothing else comes to its timers and to other threads`() async throws {
            try await onLoop(.real) { loop in
                let calls = Recorder<String>()
                loop.schedule(after: .milliseconds(1)) { calls.append("timer") }
                onForeignThread { _ = try? loop.submit { _ in calls.append("thread") } }
                while calls.count < 2 { _ = try await spawn { 1 }.value }
            }
        }

        @Test func `nothing runs within a step that began within another's`() async throws {
            let order = Recorder<String>()
            try await onLoop { _ in
                _ = try await spawn { 1 }.value
                let eager = spawn(eager: true) {
                    order.append("eager")
                    try await spawn { order.append("inner") }.value
                    order.append("eager goes on")
                }
                order.append("spawner")
                try await eager.value
            }
            #expect(order.all == ["eager", "spawner", "inner", "eager goes on"])
        }

        @Test func `so with Swift's own immediate tasks`() async throws {
            let order = Recorder<String>()
            try await onLoop { loop in
                _ = try await spawn { 1 }.value
                let immediate = Task.immediate {
                    _ = loop
                    order.append("immediate")
                    try await spawn { order.append("inner") }.value
                }
                order.append("spawner")
                try await immediate.value
            }
            #expect(order.all == ["immediate", "spawner", "inner"])
        }

        @Test func `whoever is cancelled by the task that it waits for is told so, behaviour 41`() async throws {
            try await onLoop { _ in
                _ = try await spawn { 1 }.value
                let waiter = Recorder<LoopTask<Void>>()
                waiter.append(
                    spawn {
                        let inner = spawn { waiter.all[0].cancel() }
                        #expect(await isCancelled { try await inner.value })
                        #expect(inner.isDone && !inner.isCancelled)
                    }
                )
                try await waiter.all[0].value
            }
        }

        @Test func `whoever was cancelled before waits for nothing`() async throws {
            try await onLoop { _ in
                _ = try await spawn { 1 }.value
                let waiter = spawn {
                    cancelThisTask()
                    let inner = spawn { 5 }
                    #expect(await isCancelled { try await inner.value })
                    #expect(!inner.isDone)
                    return inner
                }
                let inner = try await waiter.value
                do {
                    let found = try await inner.value
                    #expect(found == 5)
                }
            }
        }

        @Test func `an error of the body is the one who waits's`() async throws {
            try await onLoop { _ in
                _ = try await spawn { 1 }.value
                for name in ["one", "two"] {
                    let task: LoopTask<Int> = spawn { throw Refusal(name: name) }
                    #expect(await failure { try await task.value } as? Refusal == Refusal(name: name))
                }
            }
        }

        @Test func `a stop within it ends the run after it`() async throws {
            try await onLoop { loop in
                _ = try await spawn { 1 }.value
                let task = spawn { loop.stop() }
                try await task.value
                do {
                    let found = try await spawn { 3 }.value
                    #expect(found == 3)
                }
            }
        }

        @Test func `the tree of tasks shows who waits for whom, also within a lent step, behaviour 135`() async throws {
            try await onLoop { loop in
                _ = try await spawn { 1 }.value
                let parent = spawn {
                    let child = spawn { loop.taskTree() }
                    return (try await child.value, child)
                }
                let (tree, _) = try await parent.value
                let lines = tree.split(separator: "\n").map(String.init)
                #expect(lines.contains { $0.contains("waits for task #") }, "\(tree)")
                #expect(lines.contains { $0.hasSuffix(": running") }, "\(tree)")
            }
        }

        @Test func `ten thousand tasks that spawn and await one another fit on the stack`() async throws {
            try await onLoop { loop in
                let depth = try await descend(10_000, on: loop).value
                #expect(depth == 10_000)
            }
        }
    }
}

/// A task that spawns another, which does the same, and awaits it.
private func descend(_ depth: Int, on loop: isolated EventLoop) -> LoopTask<Int> {
    AsyncIO.spawn { depth == 0 ? 0 : try await descend(depth - 1, on: loop).value + 1 }
}
