// Tasks that a loop knows: what `spawn` starts and when, what its task tells, and who may wait for it. What becomes of
// them at the end of a run is in ClosingTests. Behaviours 40 and 41 of asyncio.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct SpawnTests {
        @TaskLocal static var label = "none"

        @Test func `a task returns its value, to any number of times it is asked`() async throws {
            try await onLoop { loop in
                let task = spawn { 42 }
                #expect(try await task.value == 42)
                #expect(try await task.value == 42)
                let slow = spawn {
                    try await AsyncIO.sleep(for: .seconds(1))
                    return "late"
                }
                let value = try await slow.value
                #expect(value == "late")
                #expect(loop.elapsed == .seconds(1))
            }
        }

        @Test func `a task's error goes to all who ask`() async throws {
            try await onLoop { _ in
                let task = spawn { throw Refusal(name: "no") }
                for _ in 0..<2 { await #expect(throws: Refusal(name: "no")) { try await task.value } }
            }
        }

        @Test func `several tasks wait for one, and go on in the order in which they came`() async throws {
            let order = Recorder<Int>()
            try await onLoop { loop in
                let task = spawn {
                    try await AsyncIO.sleep(for: .seconds(1))
                    return 7
                }
                var waiters: [LoopTask<Void>] = []
                for number in 0..<10 {
                    let waiter = spawn {
                        #expect(loop.isCurrent)
                        if try await task.value == 7 { order.append(number) }
                    }
                    waiters.append(waiter)
                }
                for waiter in waiters { try await waiter.value }
            }
            #expect(told(order.all, Array(0..<10)))
        }

        @Test func `a task on no loop can wait for one`() async throws {
            try await onLoop { _ in
                let tasks = (0..<10).map { number in spawn { number } }
                let elsewhere = try await AsyncIO.offload {
                    Task.detached {
                        var sum = 0
                        for task in tasks { sum += try await task.value }
                        return sum
                    }
                }
                let sum = try await elsewhere.value
                #expect(sum == 45)
            }
        }

        @Test func `cancelling who waits leaves the task alone`() async throws {
            try await onLoop { loop in
                let task = spawn {
                    try await AsyncIO.sleep(for: .seconds(2))
                    return "done"
                }
                let waiter = spawn { try await task.value }
                await AsyncIO.yield()
                waiter.cancel()
                #expect(await isCancelled { try await waiter.value })
                #expect(!task.isCancelled)
                #expect(loop.elapsed == .zero)
                let value = try await task.value
                #expect(value == "done")
                #expect(loop.elapsed == .seconds(2))
            }
        }

        @Test func `cancelling a task ends its waits`() async throws {
            try await onLoop { loop in
                let task = spawn { try await AsyncIO.sleep(for: .seconds(3_600)) }
                #expect(!task.isCancelled)
                await AsyncIO.yield()
                task.cancel()
                task.cancel()
                #expect(task.isCancelled)
                #expect(await isCancelled { try await task.value })
                #expect(loop.elapsed == .zero)
            }
        }

        @Test func `another thread may cancel a task`() async throws {
            try await onLoop(.real) { _ in
                let task = spawn { try await AsyncIO.sleep(for: .seconds(3_600)) }
                await AsyncIO.yield()
                onForeignThread { task.cancel() }
                await #expect(throws: CancellationError.self) { try await task.value }
            }
        }

        @Test func `a task that is cancelled before it begins runs all the same`() async throws {
            let ran = Recorder<Bool>()
            try await onLoop { _ in
                let task = spawn { ran.append(Task.isCancelled) }
                task.cancel()
                #expect(ran.all.isEmpty)
                try await task.value
            }
            #expect(ran.all == [true])
        }

        @Test func `a task that cancels itself notices at its next wait, and a result it has is kept`() async throws {
            // Behaviour 41, where Swift differs in the second half.
            try await onLoop { loop in
                let waits = spawn {
                    cancelThisTask()
                    try await AsyncIO.sleep(for: .seconds(1))
                }
                await #expect(throws: CancellationError.self) { try await waits.value }
                let returns = spawn {
                    cancelThisTask()
                    return 1
                }
                let value = try await returns.value
                #expect(value == 1)
                #expect(loop.elapsed == .zero)
            }
        }

        @Test func `a task may catch its cancellation and return`() async throws {
            try await onLoop { _ in
                let task = spawn {
                    do { try await AsyncIO.sleep(for: .seconds(1)) } catch is CancellationError { return "caught" }
                    return "not cancelled"
                }
                await AsyncIO.yield()
                task.cancel()
                let value = try await task.value
                #expect(value == "caught")
            }
        }

        @Test func `names are kept, for the runtime too`() async throws {
            try await onLoop { _ in
                let named = spawn(name: "reader") { Task.name }
                #expect(named.name == "reader")
                let name = try await named.value
                #expect(name == "reader")
                #expect(spawn {}.name == nil)
            }
        }

        @Test(.testsOrder)
        func `tasks begin in the next turn, in the order of spawning`() async throws {
            let order = Recorder<Int>()
            try await onLoop { loop in
                for number in 0..<100 {
                    spawn {
                        loop.assertIsolated()
                        order.append(number)
                    }
                }
                #expect(order.all.isEmpty)
                await AsyncIO.yield()
                #expect(order.all == Array(0..<100))
            }
        }

        @Test(.testsOrder)
        func `tasks, callbacks and submissions take turns in one order`() async throws {
            let order = Recorder<String>()
            try await onLoop { loop in
                loop.schedule { order.append("callback") }
                spawn {
                    loop.assertIsolated()
                    order.append("task")
                }
                try loop.submit { _ in order.append("submission") }
                loop.schedule { order.append("last") }
                await AsyncIO.yield()
            }
            #expect(order.all == ["callback", "task", "submission", "last"])
        }

        @Test func `the isolation is the spawning code's`() async throws {
            try await onLoop { loop in
                // Nothing in these names the loop.
                let here = LoopBound(NotSendable(), on: loop)
                let task = spawn { here.ifHere != nil }
                #expect(try await task.value)
                let inner = spawn { spawn { here.ifHere != nil } }
                let nested = try await inner.value.value
                #expect(nested)
            }
        }

        @Test func `a callback may spawn`() async throws {
            let order = Recorder<String>()
            try await onLoop { loop in
                loop.schedule {
                    loop.assertIsolated()
                    spawn { order.append("task: \(loop.isCurrent)") }
                    order.append("callback")
                }
                try await AsyncIO.sleep(for: .seconds(1))
            }
            #expect(order.all == ["callback", "task: true"])
        }

        @Test func `task-local values are the spawning task's`() async throws {
            try await onLoop { _ in
                let task = Self.$label.withValue("outer") { spawn { Self.label } }
                let label = try await task.value
                #expect(label == "outer")
                #expect(Self.label == "none")
            }
        }

        @Test func `a task whose handle is dropped goes on, and nothing of it is left`() async throws {
            let log = Recorder<String>()
            try await onLoop { _ in
                do {
                    let witness = Witness(log)
                    spawn {
                        try await AsyncIO.sleep(for: .seconds(1))
                        log.append("done \(witness.name)")
                    }
                }
                try await AsyncIO.sleep(for: .seconds(2))
                #expect(log.all == ["done witness", "gone"])
            }
        }

        @Test(.testsMany)
        func `thousands of tasks that spawn one another all end`() async throws {
            let ends = Recorder<Int>()
            try await onLoop { loop in try await tree(depth: 12, ends, on: loop) }
            #expect(ends.count == 4_096)
        }

        @Test(.testsProcess)
        func `where no loop runs spawning traps with a sentence`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                spawn {}
            }
            #expect(says(result, "AsyncIO.spawn was called where no event loop runs."))
            #expect(says(result, "Call it inside AsyncIO.run { } or withEventLoop { }."))
        }
    }
}

private final class NotSendable {}

private final class Witness: Sendable {
    let name = "witness"
    private let log: Recorder<String>
    init(_ log: Recorder<String>) { self.log = log }
    deinit { log.append("gone") }
}

/// Spawns two tasks that do the same, to some depth.
private func tree(depth: Int, _ ends: Recorder<Int>, on loop: isolated EventLoop) async throws {
    guard depth > 0 else { return ends.append(0) }
    let left = spawn { try await tree(depth: depth - 1, ends, on: loop) }
    let right = spawn { try await tree(depth: depth - 1, ends, on: loop) }
    try await left.value
    try await right.value
}
