// Operations that are gathered run in tasks that others had, and take after whoever gathers all the same: they hear of its
// cancellation within the step that cancels, and keep the executor that it prefers.

import AsyncIO
import AsyncIOTesting
import Dispatch
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct SharedChildrenCallerTests {
        @Test(arguments: Gatherer.allCases)
        fileprivate func `one that cancels whoever gathers hears of it at once, and so do those before it`(
            gatherer: Gatherer
        ) async throws {
            try await onLoop { loop in
                let found = Recorder<Bool>()
                let arrival = Promise<Int>()
                let cancel = Recorder<@Sendable () -> Void>()
                let waits = inheriting {
                    _ = loop
                    // Cancelled before it is completed.
                    found.append(await isCancelled { try await arrival.future.value })
                }
                let cancels = inheriting {
                    _ = loop
                    cancel.all.first?()
                    arrival.succeed(1)
                    found.append(Task.isCancelled)
                }
                let body = inheriting {
                    _ = loop
                    try await gather([waits, cancels])
                }
                try await gatherer.run(body, on: loop, cancel)
                #expect(found.all == [true, true])
                let next = try await gather({ Task.isCancelled }, { Task.isCancelled })
                #expect(next == (false, false))
            }
        }

        @Test func `who hears of a cancellation may begin others within that, which hear of none`() async throws {
            try await onLoop { loop in
                let log = Recorder<String>()
                let box = Recorder<LoopTask<Void>>()
                let hears = inheriting {
                    _ = loop
                    await withTaskCancellationHandler {
                        _ = loop
                        _ = await failure { try await AsyncEvent().wait() }
                    } onCancel: {
                        box.all.first?.cancel()
                        loop.assumeIsolated { loop in
                            _ = spawn(eager: true) {
                                _ = loop
                                let pair = try await gather({ Task.isCancelled }, { Task.isCancelled })
                                log.append("gathered \(pair)")
                            }
                            _ = spawn {
                                _ = loop
                                log.append("spawned \(Task.isCancelled)")
                            }
                        }
                    }
                }
                let gatherer = spawn {
                    _ = loop
                    _ = try await gather([hears, hears, hears])
                }
                box.append(gatherer)
                await someTurns()
                gatherer.cancel()
                try await gatherer.value
                await someTurns()
                let gathered = Array(repeating: "gathered (false, false)", count: 3)
                #expect(log.all.sorted() == gathered + Array(repeating: "spawned false", count: 3))
            }
        }

        @Test(arguments: bothModes)
        func `a task of a loop that is closed gathers as well`(mode: EventLoop.GlobalExecutor) async throws {
            let found = Recorder<[Int]>()
            try await onLoop(.virtual(mode), leaving: Recorder()) { loop in
                Task {
                    _ = loop
                    _ = await failure { try await AsyncEvent().wait() }
                    // By now the loop is closed, or it is at the next attempt.
                    for _ in 0..<3 {
                        for _ in 0..<2_000 { await Task.yield() }
                        let pair = try await gather(
                            {
                                _ = loop
                                return 1
                            },
                            {
                                _ = loop
                                await Task.yield()
                                return 2
                            }
                        )
                        let operation = inheriting {
                            _ = loop
                            return 3
                        }
                        found.append([pair.0, pair.1] + (try await gather([operation, operation])))
                    }
                }
                await someTurns()
            }
            for _ in 0..<1_000_000 {
                if found.count == 3 { break }
                await Task.yield()
            }
            #expect(found.all == Array(repeating: [1, 2, 3, 3], count: 3))
        }

        @Test func `operations keep the executor that whoever gathers prefers`() async throws {
            try await onLoop { loop in
                let preferred = CountingTaskExecutor()
                try await withTaskExecutorPreference(preferred) {
                    _ = loop
                    let operation = inheriting {
                        _ = loop
                        return await isElsewhere()
                    }
                    let found = try await gather([operation, operation, operation])
                    #expect(found == [true, true, true])
                }
                #expect(preferred.count >= 3)
            }
        }
    }
}

/// Who gathers: tasks differ in how they hear of their cancellation.
private enum Gatherer: String, CaseIterable, Sendable {
    case spawned
    case bare
    case child

    /// Runs `body`, and returns when it has ended; `cancel` gets what cancels the task.
    func run(
        _ body: @escaping @Sendable @isolated(any) () async throws -> Void,
        on loop: isolated EventLoop,
        _ cancel: Recorder<@Sendable () -> Void>
    ) async throws {
        switch self {
        case .bare:
            let task = Task {
                _ = loop
                try await body()
            }
            cancel.append { task.cancel() }
            try await task.value
        case .spawned, .child:
            let limit: Duration? = self == .child ? .seconds(1_000) : nil
            let task = spawn {
                _ = loop
                guard let limit else { return try await body() }
                try await withTimeout(limit) {
                    _ = loop
                    try await body()
                }
            }
            cancel.append { task.cancel() }
            try await task.value
        }
    }
}

/// A task executor of the program's own, on a queue of Dispatch's.
private final class CountingTaskExecutor: TaskExecutor {
    private let queue = DispatchQueue(label: "counting")
    private let jobs = Recorder<Int>()

    var count: Int { jobs.count }

    func enqueue(_ job: consuming ExecutorJob) {
        jobs.append(1)
        let job = UnownedJob(job)
        let executor = unsafe asUnownedTaskExecutor()
        queue.async { unsafe job.runSynchronously(on: executor) }
    }
}

/// Whether what is isolated to nothing runs on no loop.
@concurrent private func isElsewhere() async -> Bool { EventLoop.current == nil }
