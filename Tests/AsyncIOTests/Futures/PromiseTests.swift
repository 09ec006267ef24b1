// The end at which a future is completed: once, by whoever comes first, and if nobody does, when it goes. Behaviour 45 of
// asyncio.

import AsyncIO
import AsyncIOTesting
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct PromiseTests {
        @Test func `the first completion counts, and the others are told`() async throws {
            try await onLoop { _ in
                let value = Promise<Int>()
                #expect(value.succeed(1))
                #expect(!value.succeed(2))
                #expect(!value.fail(Refusal()))
                #expect(!value.complete(.success(3)))
                let result = try await value.future.value
                #expect(result == 1)
                let error = Promise<Int>()
                #expect(error.complete(.failure(Refusal(name: "first"))))
                #expect(!error.fail(Refusal(name: "second")))
                #expect(!error.future.cancel())
                #expect(await failure { try await error.future.value } as? Refusal == Refusal(name: "first"))
                let void = Promise<Void>()
                #expect(void.succeed())
                #expect(!void.succeed())
                try await void.future.value
            }
        }

        @Test func `one that is dropped fails its future, so that nobody waits for ever, behaviour 45`() async throws {
            // test_log_destroyed_pending_task, where Swift differs: whoever waits is told.
            try await onLoop { _ in
                let told = Recorder<String>()
                let waiter: LoopTask<Int>
                do {
                    let promise = Promise<Int>()
                    let future = promise.future
                    waiter = spawn { try await future.value }
                    future.onComplete { _, result in told.append("\(result)") }
                    await someTurns()
                    #expect(!future.isDone)
                }
                #expect(await failure { try await waiter.value } as? PromiseError == .dropped)
                await someTurns()
                #expect(told.count == 1)
            }
            #expect(PromiseError.dropped.description == "A Promise was dropped without having completed its future.")
        }

        @Test func `one that is dropped unseen is reported as any failure`() async throws {
            let issues = Recorder<LoopIssue>()
            try await onLoop(collecting: issues) { _ in
                do { _ = Promise<Int>() }
                await someTurns()
                #expect(unobserved(issues) == ["the future of AsyncIOTests: " + PromiseError.dropped.description])
            }
            #expect(issues.count == 1)
        }

        @Test func `one that is dropped by another thread wakes the loop`() async throws {
            try await onLoop { _ in
                for _ in 0..<50 {
                    let slot = Slot(Promise<Int>())
                    let waiter = spawn { try await future(slot).value }
                    await someTurns()
                    let crowd = Crowd(1) { _ in slot.empty() }
                    #expect(await failure { try await waiter.value } as? PromiseError == .dropped)
                    try await crowd.join()
                }
            }
        }

        @Test func `one that was completed may go before its future`() async throws {
            try await onLoop { _ in
                let future: Future<Int>
                do {
                    let promise = Promise<Int>()
                    future = promise.future
                    promise.succeed(9)
                }
                let value = try await future.value
                #expect(value == 9)
            }
        }

        // MARK: The end of the loop

        @Test func `the end of the run ends the waits of those who still wait`() async throws {
            let ends = Recorder<String>()
            let promise = try await onLoop { loop in
                let promise = Promise<Int>()
                for number in 0..<3 {
                    Task {
                        loop.assertIsolated()
                        ends.append("bare \(number) \(await isCancelled { try await promise.future.value })")
                    }
                    spawn { ends.append("spawned \(number) \(await isCancelled { try await promise.future.value })") }
                }
                await AsyncIO.yield()
                #expect(ends.all.isEmpty)
                return promise
            }
            #expect(ends.all.sorted() == ["bare", "spawned"].flatMap { kind in (0..<3).map { "\(kind) \($0) true" } })
            #expect(!promise.future.isDone)
            // It can still be completed and asked.
            #expect(promise.succeed(4))
            #expect(try await promise.future.value == 4)
        }

        @Test func `on a closed loop a wait ends at once, from wherever`() async throws {
            let promise = try await onLoop { _ in Promise<Int>(cancelsWithAwaiter: true) }
            #expect(await isCancelled { try await promise.future.value })
            #expect(await isCancelled { try await Stranger().value(of: promise.future) })
            try await onLoop { _ in
                #expect(await isCancelled { try await promise.future.value })
            }
            // Nobody was cancelled, and so the future is not.
            #expect(!promise.future.isDone)
            promise.future.onComplete { _, _ in Issue.record("a callback on a closed loop") }
            #expect(promise.succeed(1))
            #expect(try await promise.future.value == 1)
        }

        @Test(arguments: bothModes)
        func `a task that goes on after its loop finds that it waits for nothing`(
            mode: EventLoop.GlobalExecutor
        ) async throws {
            let ends = Recorder<Bool>()
            let ended = Gate()
            onForeignThread {
                do {
                    let loop = try EventLoop(.virtual(mode))
                    try loop.runForever { loop in
                        let promise = Promise<Int>()
                        Task {
                            loop.assertIsolated()
                            for _ in 0..<3 { ends.append(await isCancelled { try await promise.future.value }) }
                            promise.succeed(1)
                            ends.append((try? await promise.future.value) == 1)
                            ended.open()
                        }
                        loop.schedule(after: .seconds(1)) { loop.stop() }
                    }
                    loop.close()
                } catch {
                    Issue.record(error)
                }
            }
            #expect(try await AsyncIO.offload { ended.pass(within: 10) })
            #expect(ends.all == [true, true, true, true])
        }

        @Test(.testsProcess)
        func `where no loop runs a promise cannot be made, and a sentence says so`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                _ = Promise<Int>()
            }
            #expect(says(result, "Promise() was called where no event loop runs."))
        }

        @Test(arguments: 1...20)
        func `whatever the order of completing, cancelling and dropping, every wait ends once`(seed: Int) async throws {
            let ends = Recorder<Int>()
            let waits = 40
            try await onLoop(collecting: Recorder()) { _ in
                var dice = Chance(seed: seed)
                var promises: [Promise<Int>?] = (0..<8).map { _ in
                    Promise<Int>(cancelsWithAwaiter: Bool.random(using: &dice))
                }
                let futures = promises.map { $0!.future }
                var tasks: [LoopTask<Void>] = []
                for number in 0..<waits {
                    let future = futures[number % 8]
                    let task = spawn {
                        _ = try? await future.value
                        ends.append(number)
                        // The result, once it is known, never changes.
                        if let first = future.result.map({ "\($0)" }) {
                            await AsyncIO.yield()
                            #expect(future.result.map { "\($0)" } == first)
                        }
                    }
                    tasks.append(task)
                }
                for _ in 0..<60 {
                    let number = Int.random(in: 0..<8, using: &dice)
                    switch Int.random(in: 0..<7, using: &dice) {
                    case 0: promises[number]?.succeed(number)
                    case 1: promises[number]?.fail(Refusal())
                    case 2: futures[number].cancel()
                    case 3: promises[number] = nil
                    case 4: tasks[Int.random(in: 0..<waits, using: &dice)].cancel()
                    case 5:
                        let future = futures[number]
                        onForeignThread { future.cancel() }
                    default: await AsyncIO.yield()
                    }
                }
                promises = []
                for task in tasks { try await task.value }
                #expect(futures.allSatisfy { $0.isDone })
            }
            #expect(ends.all.sorted() == Array(0..<waits))
        }
    }
}

/// What the promise in the slot completes; not inlined, so that nothing else holds the promise.
private func future(_ slot: Slot<Promise<Int>>) -> Future<Int> {
    let found = Recorder<Future<Int>>()
    slot.read { found.append($0.future) }
    return found.all[0]
}
