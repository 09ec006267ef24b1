// `AsyncIO.run`, by way of the programs in Tests/RunFixture: the main thread, the main actor and signals belong to a
// process, and so each test starts one. Behaviours 27 to 33 of asyncio.

import AsyncIO
import Foundation
import TestSupport
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

extension AsyncIOTests {
    @Suite(.testsProcess, .timeLimit(.minutes(Seeds.minutes(2)))) struct RunTests {
        private static let clean = "closed: nothing left open"

        // MARK: Results

        @Test func `a run returns the body's value`() async throws {
            let run = try await Fixture.run("value")
            #expect(run.lines == [Self.clean, "value 42", "end"])
            #expect(run.end == .exited(0))
        }

        @Test func `a run throws the body's error, after the loop is closed`() async throws {
            let run = try await Fixture.run("error")
            #expect(run.lines == [Self.clean, "caught Refusal()", "end"])
        }

        @Test func `runs follow one another, each with a loop of its own, behaviour 33`() async throws {
            let run = try await Fixture.run("twice")
            #expect(run.failures == [])
            #expect(run.lines.contains("the first loop: \(LoopError.loopClosed)"))
            #expect(run.lines.count { $0 == Self.clean } == 2)
            #expect(run.lines.last == "end")
            let hundred = try await Fixture.run("hundred")
            #expect(hundred.lines == [String](repeating: Self.clean, count: 100) + ["end"])
        }

        @Test func `the body sees the caller's task-local values`() async throws {
            #expect(try await Fixture.run("locals").lines.contains("label outer"))
        }

        @Test func `stopping the loop does not end the run`() async throws {
            #expect(try await Fixture.run("stop").lines.suffix(2) == ["value 42", "end"])
        }

        // MARK: Where a run is refused

        @Test(arguments: ["nested", "nested-callback"])
        func `a run within a run traps with a sentence, behaviour 29`(program: String) async throws {
            let run = try await Fixture.run(program)
            #expect(run.says("AsyncIO.run cannot be called while a loop runs on this thread: you are on it already."))
            #expect(!run.lines.contains("inner") && run.end != .exited(0))
        }

        @Test func `a run on another thread than the main one traps with a sentence`() async throws {
            let run = try await Fixture.run("off-main")
            #expect(run.says("AsyncIO.run must be called on the main thread, as it becomes the main actor."))
            #expect(!run.lines.contains("inner") && run.end != .exited(0))
        }

        // MARK: The main actor

        @Test func `while it runs the loop is the main actor, and calls between them take no hop`() async throws {
            let run = try await Fixture.run("isolation")
            #expect(run.failures == [])
            #expect(run.lines.count { $0.hasPrefix("ok: ") } == 13)
            #expect(run.end == .exited(0))
        }

        @Test func `gathered operations share the main actor's state without a lock`() async throws {
            let run = try await Fixture.run("gather")
            #expect(run.failures == [])
            #expect(run.lines.count { $0.hasPrefix("ok: ") } == 2)
        }

        @Test func `work for the main actor and the main queue is never lost`() async throws {
            let run = try await Fixture.run("main-work")
            for when in ["before", "during", "at the end", "between", "after"] {
                for way in ["task", "queue", "hop"] { #expect(run.count("\(way) \(when)") == 1, "\(way) \(when)") }
            }
            for when in ["between", "after"] {
                for way in ["elsewhere task", "elsewhere queue"] { #expect(run.count("\(way) \(when)") == 1) }
            }
            #expect(run.isInOrder("task during", "first ends"))
            #expect(run.isInOrder("task between", "second ends"))
            #expect(run.lines.last == "end")
            #expect(run.end == .exited(0), "\(run.lines)")
        }

        @Test func `a main actor's task waits through runs and the time between them`() async throws {
            let run = try await Fixture.run("main-task")
            #expect(
                run.lines.filter { $0.hasPrefix("got") }.map { $0.prefix(5) } == ["got 1", "got 2", "got 3", "got 4"]
            )
            #expect(run.lines.last == "end")
            #expect(run.end == .exited(0), "\(run.lines)")
        }

        @Test func `a main actor's task that sleeps when a run ends sleeps on, and wakes in the next`() async throws {
            let run = try await Fixture.run("main-sleep")
            #expect(run.failures == [])
            #expect(run.lines.contains("ok: the sleep is not cut short"))
            #expect(run.lines.contains("woken") && run.lines.last == "end")
        }

        @Test func `nothing is lost when other threads enqueue while runs begin and end`() async throws {
            let run = try await Fixture.run("main-flood")
            #expect(run.lines.suffix(2) == ["all", "end"])
        }

        @Test func `a program that never runs a loop has the main actor as ever`() async throws {
            let run = try await Fixture.run("no-run")
            #expect(run.lines.sorted() == ["hop without", "queue without", "task without"])
            #expect(run.end == .exited(0))
        }

        // MARK: The end of a run

        @Test func `tasks that were spawned are cancelled and awaited, behaviour 27`() async throws {
            let run = try await Fixture.run("spawned")
            for number in 0..<3 {
                #expect(run.isInOrder("returns", "worker \(number): CancellationError"))
                #expect(run.isInOrder("worker \(number): CancellationError", Self.clean))
            }
            #expect(run.lines.suffix(2) == ["value 5", "end"])
        }

        @Test func `their errors are reported, and the result is unaffected, behaviour 28`() async throws {
            let issue =
                "issue: uncaught error in task worker 1, which the end of the run cancelled: Refusal()"
            let run = try await Fixture.run("spawned")
            #expect(run.lines.filter { $0.hasPrefix("issue") } == [issue])
            #expect(run.count("value 5") == 1)
            let failing = try await Fixture.run("spawned-error")
            #expect(failing.lines.count { $0.hasPrefix("issue: uncaught error in task worker,") } == 1)
            #expect(failing.lines.suffix(2) == ["caught CancellationError", "end"])
            #expect(failing.end == .exited(0))
        }

        @Test func `a task that cleaning up spawns is cancelled as well`() async throws {
            let run = try await Fixture.run("spawned-late")
            #expect(run.failures == [])
            #expect(run.count("late cancelled") == 1)
        }

        @Test func `waits of tasks that nobody spawned end, and they clean up before the run is over`() async throws {
            let run = try await Fixture.run("bare")
            #expect(
                run.lines == [
                    "returns", "bare: CancellationError", "again: CancellationError", "bare ends", Self.clean,
                    "after the run", "end",
                ]
            )
        }

        @Test func `thousands of tasks that are alive at the end all end`() async throws {
            let run = try await Fixture.run("thousand")
            #expect(run.lines == [Self.clean, "ok: ended: 2000", "end"])
        }

        @Test func `an ordinary actor that the loop called answers when the loop is closed`() async throws {
            let run = try await Fixture.run("actor")
            #expect(run.lines == [Self.clean, Self.clean, "ok: the actor answers", "end"])
        }

        @Test func `offloaded work runs at once, also where one thread is idle`() async throws {
            let run = try await Fixture.run("offload")
            #expect(run.lines == ["ok: all run at once", Self.clean, "end"])
        }

        // MARK: Signals

        @Test func `the first SIGINT cancels the main task, and the process ends by it, behaviour 31`() async throws {
            let run = try await Fixture.run("interrupt", interruptingAt: ["ready"])
            #expect(
                run.lines == ["ready", "deferred in the body", "deferred in a spawned task", Self.clean]
            )
            #expect(run.end == .killed(SIGINT))
        }

        @Test func `a main task that never waits for long is interrupted too, behaviour 31`() async throws {
            let run = try await Fixture.run("interrupt-busy", interruptingAt: ["ready"])
            #expect(run.lines == ["ready", "deferred in the body", Self.clean])
            #expect(run.end == .killed(SIGINT))
        }

        @Test func `a main task that catches the interruption returns normally`() async throws {
            let run = try await Fixture.run("interrupt-caught", interruptingAt: ["ready"])
            #expect(run.lines == ["ready", "caught", Self.clean, "returned value", "end"])
            #expect(run.end == .exited(0))
        }

        @Test func `a main task that answers with another error throws it`() async throws {
            let run = try await Fixture.run("interrupt-error", interruptingAt: ["ready"])
            #expect(run.lines == ["ready", Self.clean, "threw Refusal()", "end"])
            #expect(run.end == .exited(0))
        }

        @Test func `the second SIGINT kills while cleaning up hangs`() async throws {
            let run = try await Fixture.run("interrupt-twice", interruptingAt: ["ready", "cleaning up"])
            #expect(run.lines == ["ready", "cleaning up"])
            #expect(run.end == .killed(SIGINT))
        }

        @Test func `each run watches for the signal anew, and between runs it has its own effect`() async throws {
            let second = try await Fixture.run("interrupt-second-run", interruptingAt: ["ready"])
            #expect(second.lines == [Self.clean, "first: Refusal()", "ready", Self.clean])
            #expect(second.end == .killed(SIGINT))
            let between = try await Fixture.run("between-runs", interruptingAt: ["ready"])
            #expect(between.lines == [Self.clean, "ready"])
            #expect(between.end == .killed(SIGINT))
        }

        @Test func `a run that is told to do nothing about signals does nothing`() async throws {
            let run = try await Fixture.run("interrupt-none", interruptingAt: ["ready"])
            #expect(run.lines == ["ready"])
            #expect(run.end == .killed(SIGINT))
        }

        @Test func `a program that handles SIGINT itself keeps doing so`() async throws {
            let run = try await Fixture.run("interrupt-handled", interruptingAt: ["ready"])
            #expect(run.lines == ["ready", "heard", "ok: the main task is not cancelled", Self.clean, "end"])
            #expect(run.end == .exited(0))
        }

        @Test func `a cancellation of the program's own is no interrupt, behaviour 32`() async throws {
            let run = try await Fixture.run("cancelled-by-code")
            #expect(run.lines == [Self.clean, "caught CancellationError", "end"])
            #expect(run.end == .exited(0))
        }
    }
}

/// A program of Tests/RunFixture: what it wrote, and how its process ended.
private struct Fixture: Sendable {
    enum End: Hashable {
        case exited(Int32)
        case killed(Int32)
    }

    let lines: [String]
    let end: End

    var failures: [String] { lines.filter { $0.hasPrefix("FAILED") } }
    func says(_ sentence: String) -> Bool { lines.contains { $0.contains(sentence) } }
    func count(_ line: String) -> Int { lines.count { $0 == line } }
    func isInOrder(_ first: String, _ second: String) -> Bool {
        guard let first = lines.firstIndex(of: first), let second = lines.lastIndex(of: second) else { return false }
        return first < second
    }

    /// Runs a program to its end, and sends SIGINT each time that it has written one of the lines.
    static func run(_ program: String, interruptingAt lines: Set<String> = []) async throws -> Fixture {
        try await AsyncIO.offload { try play(program, lines) }
    }

    private static func play(_ program: String, _ interrupts: Set<String>) throws -> Fixture {
        var ends: [CInt] = [-1, -1]
        try check(unsafe pipe(&ends), "pipe")
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        defer { close(ends[0]) }
        let process: pid_t
        do {
            defer { close(ends[1]) }
            process = try start(program, writingTo: ends[1])
        }
        var written: [UInt8] = []
        var lines: [String] = []
        while let bytes = next(from: ends[0], orKill: process) {
            written += bytes
            while let newline = written.firstIndex(of: UInt8(ascii: "\n")) {
                let line = String(decoding: written[..<newline], as: UTF8.self)
                written.removeSubrange(...newline)
                // What follows a mistake's sentence is the stack, which says nothing here.
                if !lines.contains("Current stack trace:") { lines.append(line) }
                if interrupts.contains(line) { kill(process, SIGINT) }
            }
        }
        var status: CInt = 0
        unsafe waitpid(process, &status, 0)
        let signal = status & 0x7f
        return Fixture(lines: lines, end: signal == 0 ? .exited(status >> 8 & 0xff) : .killed(signal))
    }

    /// What the process has written; nil at its end.
    ///
    /// One that is silent for a minute is killed.
    private static func next(from descriptor: CInt, orKill process: pid_t) -> [UInt8]? {
        var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        if unsafe poll(&wait, 1, 60_000) == 0 { kill(process, SIGKILL) }
        var room = [UInt8](repeating: 0, count: 4_096)
        let count = unsafe read(descriptor, &room, room.count)
        return count > 0 ? Array(room[..<count]) : nil
    }

    /// Starts the program with the default effect of signals, as the tests themselves may ignore some.
    private static func start(_ program: String, writingTo output: CInt) throws -> pid_t {
        #if canImport(Darwin)
        var (actions, attributes): (posix_spawn_file_actions_t?, posix_spawnattr_t?) = (nil, nil)
        #else
        var (actions, attributes) = unsafe (posix_spawn_file_actions_t(), posix_spawnattr_t())
        #endif
        unsafe posix_spawn_file_actions_init(&actions)
        unsafe posix_spawnattr_init(&attributes)
        defer {
            unsafe posix_spawn_file_actions_destroy(&actions)
            unsafe posix_spawnattr_destroy(&attributes)
        }
        for descriptor in [STDOUT_FILENO, STDERR_FILENO] {
            unsafe posix_spawn_file_actions_adddup2(&actions, output, descriptor)
        }
        var (defaults, mask) = (sigset_t(), sigset_t())
        unsafe sigemptyset(&mask)
        unsafe sigemptyset(&defaults)
        unsafe sigaddset(&defaults, SIGINT)
        unsafe posix_spawnattr_setsigdefault(&attributes, &defaults)
        unsafe posix_spawnattr_setsigmask(&attributes, &mask)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
        // A backtrace takes seconds, and the sentence says it all.
        let variables = ProcessInfo.processInfo.environment.merging(["SWIFT_BACKTRACE": "enable=no"]) { $1 }
        let path = try #require(ForeignProgram.product("run-fixture"))
        var arguments = unsafe texts([path, program])
        var environment = unsafe texts(variables.map { "\($0.key)=\($0.value)" })
        defer {
            for place in unsafe arguments.indices { unsafe free(arguments[place]) }
            for place in unsafe environment.indices { unsafe free(environment[place]) }
        }
        var process: pid_t = 0
        let error = unsafe posix_spawn(&process, path, &actions, &attributes, &arguments, &environment)
        guard error == 0 else { throw Refusal(name: "posix_spawn(\(path)): \(error)") }
        return process
    }

    /// As C wants them, with nil at the end.
    private static func texts(_ texts: [String]) -> [UnsafeMutablePointer<CChar>?] {
        var copies: [UnsafeMutablePointer<CChar>?] = unsafe []
        for text in texts { unsafe copies.append(strdup(text)) }
        unsafe copies.append(nil)
        return unsafe copies
    }

    private static func check(_ status: CInt, _ call: String) throws {
        if status != 0 { throw Refusal(name: "\(call): \(errno)") }
    }
}
