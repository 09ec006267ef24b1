// Groups that grow while they drain, groups in groups, and groups that end by themselves or with their loop. Behaviours 72
// to 74 of asyncio (TaskGroup).

import AsyncIO
import AsyncIOTesting
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct ErrorCollectingGroupGrowthTests {
        // MARK: Children of children

        @Test func `children may add children while the group drains, behaviour 72`() async throws {
            // test_taskgroup_24
            try await onLoop { loop in
                let ends = Recorder<Int>()
                try await withErrorCollectingTaskGroup { group in grow(group, depth: 10, ends, on: loop) }
                #expect(ends.count == 2_047)
                #expect(loop.elapsed == .seconds(10))
            }
        }

        @Test func `a failure stops a group that keeps growing, behaviour 72`() async throws {
            // test_taskgroup_25, the hydra
            try await onLoop { loop in
                let heads = Recorder<Int>()
                let error = await failure {
                    try await withErrorCollectingTaskGroup { group in
                        hydra(group, heads, on: loop)
                        group.addTask {
                            try await AsyncIO.sleep(for: .milliseconds(75))
                            throw Refusal(name: "Hercules")
                        }
                    }
                }
                #expect(names(error) == ["Hercules"])
                #expect(heads.count == 255)
                #expect(loop.timers == 0)
            }
        }

        @Test func `a child of a group that has failed is cancelled when it begins, where Swift differs, behaviour 73`()
            async throws
        {
            // test_taskgroup_no_create_task_after_failure: asyncio refuses it.
            let began = Recorder<Bool>()
            try await onLoop { _ in
                let error = await failure {
                    try await withErrorCollectingTaskGroup { group in
                        group.addTask { throw Refusal(name: "first") }
                        try? await AsyncIO.sleep(for: .seconds(3_600))
                        group.addTask {
                            began.append(Task.isCancelled)
                            throw Refusal(name: "second")
                        }
                    }
                }
                #expect(names(error) == ["first", "second"])
            }
            #expect(began.all == [true])
        }

        @Test(.testsProcess)
        func `a child of a group that is over is a mistake that traps, behaviour 73`() async throws {
            // test_taskgroup_no_create_task_after_finished
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                try await withEventLoop { _ in
                    let group = try await withErrorCollectingTaskGroup { group in group }
                    group.addTask {}
                }
            }
            #expect(says(result, "A child was added to a task group that is over."))
        }

        @Test(.testsMany)
        func `thousands of children`() async throws {
            try await onLoop { loop in
                let ends = Recorder<Int>()
                try await withErrorCollectingTaskGroup { group in
                    for number in 0..<10_000 {
                        group.addTask {
                            loop.assertIsolated()
                            await AsyncIO.yield()
                            ends.append(number)
                        }
                    }
                }
                #expect(told(ends.all, Array(0..<10_000)))
            }
        }

        // MARK: Groups in groups

        @Test func `inner and outer that fail in the same turn do not hang, behaviour 74`() async throws {
            // test_nested_groups_both_cancelled
            try await onLoop { loop in
                let gate = Promise<Void>()
                let error = await failure {
                    try await withErrorCollectingTaskGroup { outer in
                        outer.addTask {
                            try await gate.future.value
                            throw Refusal(name: "outer")
                        }
                        try await withErrorCollectingTaskGroup { inner in
                            inner.addTask {
                                try await gate.future.value
                                throw Refusal(name: "inner")
                            }
                            inner.addTask { gate.succeed() }
                            try await AsyncIO.sleep(for: .seconds(3_600))
                        }
                    }
                }
                let errors = try #require((error as? TaskGroupError)?.errors)
                #expect(errors.count == 2)
                #expect((errors.first as? Refusal)?.name == "outer")
                #expect(names(errors.last) == ["inner"])
                #expect(loop.elapsed == .zero)
            }
        }

        // MARK: Ended by itself

        @Test func `a group can be cancelled without an error`() async throws {
            // TaskGroup.cancel of 3.15
            let cancelled = Recorder<String>()
            try await onLoop { loop in
                let value = try await withErrorCollectingTaskGroup { group in
                    group.addTask { try await noting(cancelled, "child") }
                    try await AsyncIO.sleep(for: .seconds(1))
                    group.cancelAll()
                    return "value"
                }
                #expect(value == "value" && loop.elapsed == .seconds(1) && !Task.isCancelled)
                let error = await failure {
                    try await withErrorCollectingTaskGroup { group in
                        group.addTask { group.cancelAll() }
                        try await noting(cancelled, "body")
                    }
                }
                #expect(error is CancellationError && !Task.isCancelled)
                let late = try await withErrorCollectingTaskGroup { group in
                    group.cancelAll()
                    group.addTask { try await noting(cancelled, "late") }
                    return "late"
                }
                #expect(late == "late" && loop.elapsed == .seconds(1))
            }
            #expect(cancelled.all == ["child", "body", "late"])
        }

        @Test
        func `the end of the run ends the group of a task that nobody spawned, children of its clean-up included`()
            async throws
        {
            let ends = Recorder<String>()
            try await onLoop(.paced) { loop in
                Task {
                    loop.assertIsolated()
                    let error = await failure {
                        try await withErrorCollectingTaskGroup { group in
                            group.addTask { try await noting(ends, "child") }
                            do { try await noting(ends, "body") } catch {
                                group.addTask { ends.append("late \(Task.isCancelled)") }
                            }
                        }
                    }
                    ends.append("over \(error is CancellationError)")
                }
                await someTurns()
            }
            for _ in 0..<100_000 where ends.count < 4 { await Task.yield() }
            #expect(ends.all.sorted() == ["body", "child", "late true", "over true"])
        }

        @Test(arguments: 1...40)
        func `whatever fails, grows and is cancelled, all end and every error is told`(seed: Int) async throws {
            try await onLoop { loop in
                let plan = LoopBound(Plan(seed: seed), on: loop)
                let task = spawn {
                    try await withErrorCollectingTaskGroup { group in
                        for _ in 0..<5 { wild(group, plan, depth: 3, on: loop) }
                        try await AsyncIO.sleep(for: .seconds(5))
                    }
                }
                let timer = seed % 4 == 0 ? loop.schedule(after: .seconds(seed % 9)) { task.cancel() } : nil
                let error = await failure { try await task.value }
                timer?.cancel()
                let plans = try #require(plan.ifHere)
                #expect(plans.begun == plans.ended)
                #expect(plans.begun >= 5)
                let told = (error as? TaskGroupError)?.errors.map { "\($0)" } ?? []
                #expect(told == plans.thrown)
                if told.isEmpty { #expect(error == nil || error is CancellationError) }
                #expect(loop.timers == 0)
            }
        }
    }
}

/// What the children of a test's group do, by a random plan, and what they did.
private final class Plan {
    var numbers: Chance
    var (begun, ended) = (0, 0)
    var thrown: [String] = []
    init(seed: Int) { numbers = Chance(seed: seed) }
    func roll(_ count: Int) -> Int { Int.random(in: 0..<count, using: &numbers) }
}

private func wild(_ group: ErrorCollectingTaskGroup, _ plan: LoopBound<Plan>, depth: Int, on loop: isolated EventLoop) {
    group.addTask {
        let plans = plan.value(on: loop)
        plans.begun += 1
        defer { plans.ended += 1 }
        for _ in 0..<3 {
            switch plans.roll(12) {
            case 0...4: try await AsyncIO.sleep(for: .seconds(plans.roll(3)))
            case 5: await AsyncIO.yield()
            case 6...7: if depth > 0 { wild(group, plan, depth: depth - 1, on: loop) }
            case 8:
                let error = Refusal(name: "\(plans.begun)")
                plans.thrown.append("\(error)")
                throw error
            case 9: if plans.roll(8) == 0 { group.cancelAll() }
            case 10: try? await AsyncIO.sleep(for: .seconds(1))
            default: return
            }
        }
    }
}

private func grow(_ group: ErrorCollectingTaskGroup, depth: Int, _ ends: Recorder<Int>, on loop: isolated EventLoop) {
    group.addTask {
        ends.append(depth)
        guard depth > 0 else { return }
        try await AsyncIO.sleep(for: .seconds(1))
        for _ in 0..<2 { grow(group, depth: depth - 1, ends, on: loop) }
    }
}

private func hydra(_ group: ErrorCollectingTaskGroup, _ heads: Recorder<Int>, on loop: isolated EventLoop) {
    group.addTask {
        heads.append(1)
        try await AsyncIO.sleep(for: .milliseconds(10))
        for _ in 0..<2 { hydra(group, heads, on: loop) }
    }
}
