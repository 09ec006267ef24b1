// Where the bodies of spawned tasks run: each in its own isolation from its first step to its last, wherever that is, and
// one that has none on the loop that spawned it.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct SpawnIsolationTests {
        typealias Mode = EventLoop.GlobalExecutor

        @Test(arguments: bothModes, [false, true])
        func `a body of the main actor runs there`(mode: Mode, eager: Bool) async throws {
            try await onLoop(.real(mode)) { loop in
                let task = spawn(eager: eager) { @MainActor in
                    MainActor.assertIsolated()
                    await Task.yield()
                    MainActor.assertIsolated()
                    return loop.isCurrent
                }
                let wasOnLoop = try await task.value
                #expect(!wasOnLoop)
                #expect(loop.isCurrent)
            }
        }

        @Test(arguments: bothModes, [false, true])
        func `a body of an ordinary actor is isolated to that`(mode: Mode, eager: Bool) async throws {
            try await onLoop(.real(mode)) { loop in
                let counter = Counter()
                var tasks: [LoopTask<Int>] = []
                let count = await counter.counting()
                #expect(count.isolation === counter)
                for _ in 0..<50 { tasks.append(spawn(eager: eager, count)) }
                var counts: [Int] = []
                for task in tasks { counts.append(try await task.value) }
                #expect(counts.sorted() == Array(1...50))
                #expect(await counter.count == 50)
                #expect(loop.isCurrent)
            }
        }

        @Test(arguments: bothModes, [false, true])
        func `a body of another loop runs on that, and is a task of the one that spawned it`(
            mode: Mode,
            eager: Bool
        ) async throws {
            try await onLoop(.real(mode)) { first in
                let plain = first
                try await onLoop(.real(mode)) { second in
                    let task = spawn(name: "abroad", eager: eager, await plain.isHere())
                    #expect(task.loop === second)
                    #expect(second.tasks.contains { $0.name == "abroad" })
                    let isThere = try await task.value
                    #expect(isThere)
                    #expect(second.isCurrent)
                }
            }
        }

        @Test(arguments: bothModes, [false, true])
        func `a body of nowhere is on the loop, also within a deadline`(mode: Mode, eager: Bool) async throws {
            try await onLoop(.real(mode)) { loop in
                let outside = try await spawnNowhere(loop, eager).value
                #expect(outside == [true, true])
                let within = try await withDeadline(loop.now.advanced(by: .seconds(3_600))) { _ in
                    try await spawnNowhere(loop, eager).value
                }
                #expect(within == [true, true])
            }
        }

        @Test(arguments: bothModes, [false, true])
        func `within a deadline a body keeps its actor`(mode: Mode, eager: Bool) async throws {
            try await onLoop(.real(mode)) { loop in
                let counter = Counter()
                try await withDeadline(loop.now.advanced(by: .seconds(3_600))) { _ in
                    let task = spawn(eager: eager) { @MainActor in MainActor.assertIsolated() }
                    try await task.value
                    let count = try await spawn(eager: eager, await counter.counting()).value
                    #expect(count == 1)
                }
            }
        }

        @Test(arguments: bothModes)
        func `the end of the run cancels and awaits bodies of other actors`(mode: Mode) async throws {
            let ends = Recorder<String>()
            try await onLoop(.real(mode)) { _ in
                spawn { @MainActor in
                    while !Task.isCancelled { await Task.yield() }
                    MainActor.assertIsolated()
                    ends.append("main actor")
                }
                spawn(await Counter().waiting(ends))
                await someTurns()
            }
            #expect(ends.all.sorted() == ["actor", "main actor"])
        }

        @Test(arguments: bothModes, [false, true])
        func `one that is cancelled before it begins begins all the same, in its isolation`(
            mode: Mode,
            eager: Bool
        ) async throws {
            try await onLoop(.real(mode)) { _ in
                let task = spawn(eager: eager) { @MainActor in
                    MainActor.assertIsolated()
                    while !Task.isCancelled { await Task.yield() }
                    return 1
                }
                task.cancel()
                #expect(task.isCancelled)
                let value = try await task.value
                #expect(value == 1)
            }
        }

        @Test(arguments: bothModes)
        func `tasks of a loop wait for others within an actor that is busy elsewhere`(mode: Mode) async throws {
            try await onLoop(.real(mode)) { loop in
                let actor = Counter()
                // From the main actor, as a task that is no actor's would stay on the thread that has run this one.
                let pressure = Task { @MainActor in while !Task.isCancelled { await actor.isPressed() } }
                let sum = try await waitWithin(actor, 2_000).value
                #expect(sum == 4_000)
                pressure.cancel()
                await pressure.value
                #expect(loop.isCurrent)
            }
        }
    }
}

extension EventLoop.Configuration {
    /// The real clock: a virtual one runs ahead of what is on its way elsewhere.
    fileprivate static func real(_ mode: EventLoop.GlobalExecutor) -> EventLoop.Configuration {
        var configuration = EventLoop.Configuration.real
        configuration.globalExecutor = mode
        return configuration
    }
}

private typealias Body<Value> = @Sendable @isolated(any) () async throws -> Value

/// A closure in the isolation of the place where it is written.
private func body<Value>(@_inheritActorContext(always) _ body: @escaping Body<Value>) -> Body<Value> { body }

private actor Counter {
    var count = 0

    func counting() -> Body<Int> {
        body {
            self.assertIsolated()
            self.count += 1
            let before = self.count
            await Task.yield()
            self.assertIsolated()
            return before
        }
    }

    func waiting(_ ends: Recorder<String>) -> Body<Void> {
        body {
            while !Task.isCancelled { await Task.yield() }
            self.assertIsolated()
            ends.append("actor")
        }
    }

    func isPressed() {}

    /// What tasks of the loop return that are spawned there, awaited here.
    func value(of task: LoopTask<Int>) async throws -> Int {
        let value = try await task.value
        assertIsolated()
        return value
    }
}

extension EventLoop {
    /// A body that is isolated to this loop.
    fileprivate func isHere() -> Body<Bool> {
        body {
            self.assertIsolated()
            await AsyncIO.yield()
            return self.isCurrent
        }
    }
}

/// Spawns from code without isolation.
private nonisolated func spawnNowhere(_ loop: EventLoop, _ eager: Bool) -> LoopTask<[Bool]> {
    spawn(eager: eager) {
        let began = loop.isCurrent
        await resumedByForeigner(loop)
        return [began, loop.isCurrent]
    }
}

/// Has a task that prefers the loop wait within an actor for tasks that end later.
private nonisolated func waitWithin(_ actor: Counter, _ count: Int) -> LoopTask<Int> {
    spawn {
        var sum = 0
        for _ in 0..<count {
            let task = spawn {
                await AsyncIO.yield()
                return 2
            }
            sum += try await actor.value(of: task)
        }
        return sum
    }
}
