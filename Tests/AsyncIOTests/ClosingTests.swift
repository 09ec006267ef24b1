// The end of a run: what was spawned is cancelled and awaited, waits of others end, and whatever goes on even then goes
// on elsewhere and to its end. Behaviours 27 and 28 of asyncio.

import AsyncIO
import AsyncIOTesting
import Foundation
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct ClosingTests {
        // MARK: Tasks that were spawned

        @Test func `they are cancelled and awaited, and clean up on the loop, behaviour 27`() async throws {
            let order = Recorder<String>()
            let value = try await onLoop(.paced) { loop in
                for number in 0..<3 {
                    spawn {
                        do {
                            try await AsyncIO.sleep(for: .seconds(3_600))
                        } catch {
                            for _ in 0..<10 { await AsyncIO.yield() }
                            order.append("\(number) \(type(of: error)) \(loop.isCurrent)")
                        }
                    }
                }
                await someTurns()
                return "value"
            }
            #expect(told(order.all, (0..<3).map { "\($0) CancellationError true" }))
            #expect(value == "value")
        }

        @Test func `their errors are reported once, and the result is unaffected, behaviour 28`() async throws {
            let issues = Recorder<LoopIssue>()
            let value = try await onLoop(.paced, collecting: issues) { _ in
                for name in ["first", nil, "third"] {
                    spawn(name: name) {
                        do { try await AsyncIO.sleep(for: .seconds(3_600)) } catch {
                            throw Refusal(name: name ?? "none")
                        }
                    }
                }
                spawn { try await AsyncIO.sleep(for: .seconds(3_600)) }
                await someTurns()
                return 5
            }
            #expect(value == 5)
            #expect(issues.count == 3)
            let first = try #require(issues.all.first { $0.subject.hasPrefix("task first") })
            guard case .uncaughtError(let error) = first.kind else { throw Refusal(name: "another kind") }
            #expect(error as? Refusal == Refusal(name: "first"))
            #expect(first.subject == "task first, which the end of the run cancelled")
            #expect(issues.all.count { $0.subject.hasPrefix("task #") } == 1)
        }

        @Test func `one that has not begun begins, and is on the loop`() async throws {
            let began = Recorder<Bool>()
            try await onLoop(.paced) { loop in _ = spawn { began.append(loop.isCurrent) } }
            #expect(began.all == [true])
        }

        @Test func `a slow clean-up is waited for`() async throws {
            let elapsed = Recorder<Duration>()
            try await onLoop(.paced) { loop in
                let start = loop.now
                spawn {
                    try? await AsyncIO.sleep(for: .seconds(3_600))
                    let park = Park(on: loop)
                    loop.schedule(after: ticks(5)) { park.wake() }
                    await park.waitUncancellable()
                    elapsed.append(start.duration(to: loop.now))
                }
                await AsyncIO.yield()
            }
            #expect(elapsed.count == 1 && elapsed.all.allSatisfy { isTicks($0, 5) })
        }

        @Test func `what they spawn while they end is cancelled as well`() async throws {
            let elapsed = Recorder<Duration>()
            try await onLoop(.paced) { loop in
                let start = loop.now
                spawn {
                    try? await AsyncIO.sleep(for: .seconds(3_600))
                    spawn {
                        // Not longer, as a run that does not cancel it waits as long.
                        try? await AsyncIO.sleep(for: .seconds(5))
                        elapsed.append(start.duration(to: loop.now))
                    }
                }
                await AsyncIO.yield()
            }
            #expect(elapsed.count == 1 && elapsed.all.allSatisfy { $0 < .seconds(4) })
        }

        @Test(.testsMany)
        func `thousands of them`() async throws {
            let ends = Recorder<Bool>()
            try await onLoop(.paced) { _ in
                for _ in 0..<5_000 {
                    spawn { ends.append(await isCancelled { try await AsyncIO.sleep(for: .seconds(3_600)) }) }
                }
                await AsyncIO.yield()
            }
            #expect(ends.all == [Bool](repeating: true, count: 5_000))
        }

        @Test func `their results can be asked for when the loop is closed`() async throws {
            let (done, cut) = try await onLoop(.paced) { _ in
                let done = spawn { 7 }
                let cut = spawn { try await AsyncIO.sleep(for: .seconds(3_600)) }
                _ = try await done.value
                return (done, cut)
            }
            #expect(try await done.value == 7)
            await #expect(throws: CancellationError.self) { try await cut.value }
            cut.cancel()
        }

        // MARK: Tasks that nobody spawned

        @Test func `every wait of this library ends with CancellationError, and its task cleans up`() async throws {
            let ends = Recorder<String>()
            let gate = Gate()
            try await onLoop(.paced) { loop in
                for name in ["gather", "offload", "park", "sleep", "timeout", "until"] {
                    Task {
                        loop.assertIsolated()
                        let error = await failure { try await wait(name, gate, on: loop) }
                        await AsyncIO.yield()
                        ends.append("\(name) \(error.map { "\(type(of: $0))" } ?? "none") \(loop.isCurrent)")
                    }
                }
                for _ in 0..<20 { await AsyncIO.yield() }
            }
            gate.open()
            // Those that wait in a group come by way of the pool, if the loop does not keep jobs.
            #expect(keepsJobs ? ends.count == 6 : await eventually { ends.count == 6 })
            #expect(
                ends.all.sorted()
                    == ["gather", "offload", "park", "sleep", "timeout", "until"].map {
                        "\($0) CancellationError true"
                    }
            )
        }

        @Test(.testsMany)
        func `a task that waits again and again is not waited for for ever`() async throws {
            let (waits, leftovers) = (Recorder<Bool>(), Recorder<CloseReport>())
            try await onLoop(.real, leaving: leftovers) { loop in
                Task {
                    loop.assertIsolated()
                    for _ in 0..<1_100 {
                        waits.append(await isCancelled { try await AsyncIO.sleep(for: .milliseconds(1)) })
                    }
                }
                await AsyncIO.yield()
            }
            // A wait for every two turns of the end, and then by Swift's own clock.
            #expect(await eventually { waits.count == 1_100 })
            #expect((450..<1_100).contains(waits.all.count { $0 }))
        }

        @Test func `a task that is busy goes on elsewhere, and to its end`() async throws {
            let done = Recorder<String>()
            try await onLoop { _ in
                Task.detached {
                    for _ in 0..<10_000 { await Task.yield() }
                    done.append("yields")
                }
                await AsyncIO.yield()
            }
            #expect(await eventually { done.all == ["yields"] })
        }

        @Test(arguments: bothModes)
        func `a sleep of the standard library's is not cut short`(mode: EventLoop.GlobalExecutor) async throws {
            let (span, slept) = (Duration.milliseconds(100), Recorder<Duration>())
            var configuration = EventLoop.Configuration.real
            configuration.globalExecutor = mode
            let start = ContinuousClock.now
            try await onLoop(configuration, leaving: Recorder()) { _ in
                Task.detached {
                    try await SwiftSleep.sleep(for: span)
                    slept.append(start.duration(to: .now))
                }
                for _ in 0..<3 { await AsyncIO.yield() }
            }
            #expect(await eventually { slept.count == 1 })
            #expect(slept.all.allSatisfy { $0 >= span })
        }

        @Test func `an ordinary actor with work in its queue does all of it`() async throws {
            let ledger = Ledger()
            try await onLoop { loop in
                #expect(loop.isCurrent)
                for _ in 0..<1_000 { Task.detached { await ledger.add() } }
                await ledger.add()
                for _ in 0..<1_000 { Task.detached { await ledger.add() } }
            }
            #expect(await eventually { await ledger.entries == 2_001 })
        }

        @Test(arguments: bothModes)
        func `isolated code that is resumed when the loop is closed runs to its end, and in its isolation`(
            mode: EventLoop.GlobalExecutor
        ) async throws {
            let (numbers, feed) = AsyncStream<Int>.makeStream()
            let seen = Recorder<String>()
            try await onLoop(.virtual(mode)) { loop in
                Task {
                    for await number in numbers {
                        loop.assertIsolated()
                        // The library's own waits end at once, or take Swift's own way.
                        let isCut = await isCancelled { try await Park(on: loop).wait() }
                        await AsyncIO.yield()
                        try? await AsyncIO.sleep(for: .milliseconds(1))
                        let value = try? await AsyncIO.offload { number * 10 }
                        loop.assertIsolated()
                        seen.append("\(value ?? 0) \(isCut)")
                    }
                    seen.append("end")
                }
                Task(executorPreference: loop.taskExecutor) {
                    await withCheckedContinuation { continuation in
                        DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(20)) {
                            continuation.resume()
                        }
                    }
                    seen.append("preferring")
                }
                for _ in 0..<5 { await AsyncIO.yield() }
            }
            feed.yield(1)
            feed.yield(2)
            feed.finish()
            #expect(await eventually { seen.count == 4 })
            #expect(seen.all.filter { $0 != "preferring" } == ["10 true", "20 true", "end"])
        }

        @Test(.testsMany, arguments: bothModes)
        func `whatever other threads do while a loop closes, every task ends`(
            mode: EventLoop.GlobalExecutor
        ) async throws {
            let (rounds, width) = (50, 10)
            let ends = Recorder<String>()
            var configuration = EventLoop.Configuration.real
            configuration.globalExecutor = mode
            for round in 0..<rounds {
                try await onLoop(configuration, leaving: Recorder()) { loop in
                    // Not `loop`, whose name would bring these onto it.
                    let target = loop
                    for number in 0..<width {
                        let waiter = Task.detached {
                            _ = try? await target.run { _ in try await AsyncIO.sleep(for: .seconds(3_600)) }
                            ends.append("waiter")
                        }
                        onForeignThread {
                            for _ in 0..<(round * number) { _ = target.isCurrent }
                            waiter.cancel()
                        }
                        Task.detached {
                            for _ in 0..<20 { _ = await target.now }
                            ends.append("visitor")
                        }
                        Task.detached {
                            _ = try? await target.run { _ in try await AsyncIO.offload { _ = target.isCurrent } }
                            ends.append("worker")
                        }
                        onForeignThread {
                            _ = try? target.runBlocking { _ in for _ in 0..<5 { await AsyncIO.yield() } }
                            ends.append("thread")
                        }
                        spawn {
                            await AsyncIO.yield()
                            ends.append("spawned")
                        }
                    }
                    for _ in 0..<round { await AsyncIO.yield() }
                }
            }
            #expect(await eventually { ends.count == 5 * rounds * width })
            for name in ["waiter", "visitor", "worker", "thread", "spawned"] {
                #expect(ends.all.count { $0 == name } == rounds * width, "\(name)")
            }
        }

        // MARK: The loop

        @Test func `what was scheduled and never ran is counted, and what was open is named`() async throws {
            let leftovers = Recorder<CloseReport>()
            try await onLoop(.paced, leaving: leftovers) { loop in
                for _ in 0..<3 { loop.schedule(after: .seconds(3_600)) { Issue.record("ran") } }
                _ = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                // Kept by nobody, and so closed: what is left is what was scheduled.
                await AsyncIO.yield()
            }
            let report = try #require(leftovers.all.first)
            #expect(report.droppedCallbacks == 3)
            #expect(report.handles == [])
            #expect(!report.isClean)
        }

        @Test(arguments: bothModes)
        func `nothing keeps a closed loop in memory`(mode: EventLoop.GlobalExecutor) async throws {
            // Whatever holds the loop holds its clock.
            weak let clock = try await used(mode)
            #expect(await eventually { clock == nil })
        }

        private func used(_ mode: EventLoop.GlobalExecutor) async throws -> VirtualClock {
            let clock = VirtualClock()
            try await onLoop(.virtual(mode, clock: clock), leaving: Recorder()) { loop in
                let placed = LoopBound(Park(on: loop), on: loop)
                spawn { try await placed.value(on: loop).wait() }
                Task {
                    loop.assertIsolated()
                    try await spawn { try await AsyncIO.sleep(for: .seconds(3_600)) }.value
                }
                Task.detached { try await loop.run { _ in try await AsyncIO.sleep(for: .seconds(3_600)) } }
                try await withTimeout(.seconds(3_600)) { try await AsyncIO.offload {} }
                try await AsyncIO.sleep(for: .zero)
            }
            return clock
        }
    }
}

/// Waits for what never comes, in one of the library's ways.
private func wait(_ how: String, _ gate: Gate, on loop: isolated EventLoop) async throws {
    switch how {
    case "gather": try await gather({ try await AsyncIO.sleep(for: .seconds(90)) }, {})
    case "offload": try await AsyncIO.offload { _ = gate.pass() }
    case "park": try await Park(on: loop).wait()
    case "sleep": try await AsyncIO.sleep(for: .seconds(3_600))
    case "timeout": try await withTimeout(.seconds(60)) { try await AsyncIO.sleep(for: .seconds(90)) }
    default: try await AsyncIO.sleep(until: LoopInstant(nanoseconds: .max))
    }
}

private actor Ledger {
    private(set) var entries = 0
    func add() { entries += 1 }
}

/// Whether something that other threads do comes true, for which a test that succeeds waits as long as they need.
private func eventually(_ condition: @Sendable () async -> Bool) async -> Bool {
    let start = ContinuousClock.now
    while await !condition() {
        guard start.duration(to: .now) < .seconds(20) else { return false }
        await Task.yield()
    }
    return true
}
