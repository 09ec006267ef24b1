// What a loop tells people who look for a mistake: which step of which task kept it, which task does not end, and what is
// left when it closes. Behaviour 23 of asyncio. A virtual clock that a step advances stands for the time that it takes.

import AsyncIO
import AsyncIOTesting
import Foundation
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct DebugTests {
        // MARK: Slow steps

        @Test func `a slow step is reported with the task's name and where it was spawned, behaviour 23`()
            async throws
        {
            let site: Int = #line + 4
            let issues = try await issuesOfSlow { loop, take in
                let tasks = [
                    // The only step, which also ends the task; and one behind a wait.
                    spawn(name: "digger") { take(.milliseconds(150)) },
                    spawn {
                        _ = loop
                        try await AsyncIO.sleep(for: .seconds(1))
                        take(.milliseconds(200))
                        try await AsyncIO.sleep(for: .seconds(1))
                        take(.milliseconds(99))
                    },
                ]
                for task in tasks { try await task.value }
            }
            let file = "AsyncIOTests/DebugTests.swift"
            #expect(
                issues == [
                    "slow: a step of task digger (\(file):\(site)) took 0.15 seconds",
                    "slow: a step of task #2 (\(file):\(site + 1)) took 0.2 seconds",
                ]
            )
        }

        @Test func `a task that begins at once belongs to the step of the one that spawns it`() async throws {
            let issues = try await issuesOfSlow { loop, take in
                let task = spawn(name: "outer") {
                    _ = loop
                    let inner = spawn(name: "inner", eager: true) {
                        _ = loop
                        take(.seconds(1))
                    }
                    try await inner.value
                }
                try await task.value
            }
            #expect(issues.count == 1)
            #expect(issues.first?.hasPrefix("slow: a step of task outer (") == true)
        }

        @Test func `the main task, handlers and other tasks are told apart`() async throws {
            let issues = try await issuesOfSlow { loop, take in
                await AsyncIO.yield()
                take(.seconds(1))
                await AsyncIO.yield()
                let bare = Task {
                    _ = loop
                    await AsyncIO.yield()
                    take(.seconds(2))
                }
                await bare.value
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                let serving = spawn {
                    try await server.serve { connection in
                        _ = loop
                        _ = try await connection.read()
                        take(.seconds(3))
                        try await connection.write("x")
                    }
                }
                try await TCPConnection.withConnection(host: "127.0.0.1", port: server.port) { connection in
                    try await connection.write("x")
                    _ = try await connection.read()
                }
                serving.cancel()
                _ = try? await serving.value
            }
            #expect(issues.count == 3, "\(issues)")
            #expect(issues.contains("slow: a step of the main task took 1.0 seconds"))
            #expect(issues.contains("slow: a job of a Swift task took 2.0 seconds"))
            #expect(issues.contains { $0.contains("handler of connection #") && $0.hasSuffix(" took 3.0 seconds") })
        }

        // MARK: The end

        @Test func `in debug mode a run says which task it waits for, and ends when that has`() async throws {
            let (issues, continuations) = (Recorder<LoopIssue>(), Recorder<CheckedContinuation<Void, Never>>())
            var configuration = EventLoop.Configuration.virtual()
            configuration.isDebug = true
            #expect(configuration.slowCallbackThreshold == .milliseconds(100))
            let log = issues
            configuration.onIssue = { issue in
                log.append(issue)
                // Nothing else would ever end it.
                for continuation in continuations.all { continuation.resume() }
            }
            try await withEventLoop(configuration) { loop in
                spawn(name: "forgotten") {
                    _ = loop
                    await withCheckedContinuation { continuations.append($0) }
                }
                spawn(name: "obedient") { try await AsyncIO.sleep(for: .seconds(3_600)) }
                await letAllRun()
            }
            #expect(issues.count == 1)
            let text = issues.all.first?.description ?? ""
            #expect(text.hasPrefix("the run cannot end, as it waits for task forgotten (\(#fileID):"))
            #expect(text.hasSuffix("), which waits for nothing that the loop knows"))
        }

        @Test(arguments: [true, false])
        func `what is left when a loop closes is in its report, and in debug mode reported`(isDebug: Bool) throws {
            let issues = Recorder<LoopIssue>()
            var configuration = EventLoop.Configuration.virtual()
            configuration.isDebug = isDebug
            configuration.onIssue = { issues.append($0) }
            let report = try leaveSomething(configuration)
            #expect(!report.isClean && report.droppedCallbacks == 4)
            #expect(report.tasks.count == 3)
            // The timer of a sleep is the library's own.
            #expect(report.tasks.contains { $0.hasSuffix("), which waits for sleep until 3600.0 seconds") })
            let task = try #require(report.tasks.first { $0.hasPrefix("task lost (") })
            #expect(task.hasSuffix("), which waits for AsyncEvent"))
            #expect(report.tasks.contains("a task, which waits for AsyncEvent"))
            #expect(report.description.contains("tasks that had not ended: [task lost ("))
            #expect(report.callbackSites.count == (isDebug ? 2 : 0))
            let left = issues.all.map(\.description)
            #expect(left.count == (isDebug ? 5 : 0))
            #expect(left.allSatisfy { $0.hasPrefix("left behind by the loop that closed: ") })
            #expect(left.count { $0.contains("callback scheduled at \(#fileID):") } == (isDebug ? 2 : 0))
        }

        // MARK: The environment

        @Test(arguments: ["1", "0"])
        func `ASYNCIO_DEBUG turns it on for a program, behaviour 23`(value: String) async throws {
            let fixture = try #require(ForeignProgram.product("run-fixture"))
            let end = try await AsyncIO.offload {
                try ForeignProgram(["env", "ASYNCIO_DEBUG=\(value)", fixture, "debug"]).finish()
            }
            let lines = end.output.split(separator: "\n").map(String.init)
            #expect(end.status == 0, "\(end.errors)")
            let issues = lines.filter { $0.hasPrefix("issue: ") }
            guard value == "1" else {
                #expect(lines.first == "debug false" && issues.isEmpty, "\(lines)")
                return
            }
            #expect(lines.first == "debug true")
            // A machine that is busy makes other steps slow as well.
            let file = "run_fixture/Debugging.swift"
            #expect(issues.contains { $0.hasPrefix("issue: slow: a step of task digger (\(file):") }, "\(lines)")
            #expect(issues.contains { $0.hasPrefix("issue: slow: a step of the main task took ") })
            let left = "issue: left behind by the loop that closed: "
            #expect(issues.contains { $0.hasPrefix(left + "task lost (\(file):") && $0.hasSuffix("for AsyncEvent") })
            #expect(issues.contains { $0.hasPrefix(left + "callback scheduled at \(file):") })
            #expect(!issues.contains { $0.contains("sleeper") }, "it was cancelled and has ended")
            #expect(lines.last == "end")
        }
    }
}

private typealias Take = @Sendable (Duration) -> Void

/// What a loop reports that minds steps of 100 ms, while `body` runs on it.
private func issuesOfSlow(
    _ body: @Sendable (isolated EventLoop, @escaping Take) async throws -> Void
) async throws -> [String] {
    let (issues, clock) = (Recorder<LoopIssue>(), VirtualClock())
    var configuration = EventLoop.Configuration.virtual(clock: clock)
    configuration.slowCallbackThreshold = .milliseconds(100)
    try await onLoop(configuration, collecting: issues) { loop in try await body(loop) { clock.advance(by: $0) } }
    return issues.all.map(\.description)
}

/// Closes a loop of this thread that has tasks and callbacks.
private func leaveSomething(_ configuration: EventLoop.Configuration) throws -> CloseReport {
    let loop = try EventLoop(configuration)
    try loop.runForever { loop in
        let event = AsyncEvent()
        spawn(name: "lost") {
            _ = loop
            try await event.wait()
        }
        Task {
            _ = loop
            try await event.wait()
        }
        spawn(name: "asleep") {
            _ = loop
            try await AsyncIO.sleep(for: .seconds(3_600))
        }
        for _ in 0..<2 { loop.schedule(after: .seconds(3_600)) {} }
        loop.schedule(at: LoopInstant(nanoseconds: .max - 1)) {}
        loop.schedule(after: .seconds(1)) { loop.stop() }
    }
    return loop.close()
}
