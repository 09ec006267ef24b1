// Tasks that other threads start on a loop: whoever waits hears of every end, and cancelling who waits cancels them.
// Behaviour 37 of asyncio: test_run_coroutine_threadsafe and its relatives.

import AsyncIO
import AsyncIOTesting
import Foundation
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct SubmittedTaskTests {
        // MARK: Results

        @Test func `a thread starts a task on a loop and waits for its result, behaviour 37`() async throws {
            try await onLoop(.real) { loop in
                let plain = loop
                let value = try await inThread {
                    try plain.submitTask { loop in
                        loop.assertIsolated()
                        try await AsyncIO.sleep(for: .milliseconds(1))
                        return loop.isCurrent ? 42 : 0
                    }.wait()
                }
                #expect(value == 42)
                let error = await failure {
                    try await inThread { try plain.submitTask { _ in throw Refusal(name: "no") }.wait() }
                }
                #expect(error as? Refusal == Refusal(name: "no"))
            }
        }

        @Test func `it is one of the loop's tasks, with the name and the site that it was given`() async throws {
            try await onLoop { loop in
                let task = try loop.submitTask(name: "refresh") { _ in try await AsyncIO.sleep(for: .seconds(1)) }
                let line = UInt(#line) - 1
                #expect(loop.tasks.isEmpty && !task.isDone)
                await letAllRun()
                let info = try #require(loop.tasks.first { $0.name == "refresh" })
                #expect(info.site?.hasSuffix("/SubmittedTaskTests.swift:\(line)") == true)
                #expect(task.name == "refresh" && task.loop === loop && task.result == nil)
                try await task.value
                #expect(task.isDone && !task.isCancelled && !task.cancel())
                #expect(try task.result?.get() != nil)
                // Again, and at once.
                try await task.value
                #expect(loop.elapsed == .seconds(1))
            }
        }

        @Test(.testsOrder)
        func `submitted tasks and callbacks of a thread begin in its order, behaviour 7`() async throws {
            let order = Recorder<Int>()
            try await onLoop { loop in
                for number in stride(from: 0, to: 20, by: 2) {
                    try loop.submitTask { _ in order.append(number) }
                    try loop.submit { _ in spawn { order.append(number + 1) } }
                }
                await letAllRun()
            }
            #expect(order.all == Array(0..<20))
        }

        @Test func `a thread that waits in vain may wait again, behaviour 37`() async throws {
            try await onLoop(.real) { loop in
                let plain = loop
                let event = LoopBound(AsyncEvent(), on: loop)
                let task = try loop.submitTask { loop in
                    try await event.value(on: loop).wait()
                    return 42
                }
                let error = await failure { try await inThread { try task.wait(timeout: .milliseconds(2)) } }
                #expect(error as? LoopError == .timedOut("A task submitted to the EventLoop 'loop'"))
                #expect(!task.isDone && !task.isCancelled)
                try plain.submit { loop in event.value(on: loop).set() }
                #expect(try await inThread { try task.wait(timeout: .seconds(60)) } == 42)
            }
        }

        @Test func `an error that nobody has looked at is reported, others are not, behaviour 35`() async throws {
            let issues = Recorder<LoopIssue>()
            try await onLoop(collecting: issues) { loop in
                try loop.submitTask(name: "lost") { _ in throw Refusal() }
                let seen = try loop.submitTask { _ in throw Refusal() }
                try loop.submitTask { _ in throw CancellationError() }
                #expect(await failure { try await seen.value } is Refusal)
                await letAllRun()
            }
            #expect(issues.count == 1)
            #expect(issues.all.first?.subject.hasPrefix("task lost of AsyncIOTests/") == true)
        }

        // MARK: Cancellation

        @Test func `a task that is cancelled before it begins never does`() async throws {
            let ran = Recorder<Int>()
            try await onLoop { loop in
                let task = try loop.submitTask { _ in ran.append(1) }
                #expect(task.cancel())
                #expect(task.isDone && task.isCancelled && !task.cancel())
                #expect(await isCancelled { try await task.value })
                await letAllRun()
            }
            #expect(ran.all.isEmpty)
        }

        @Test func `cancel from a thread reaches the task on its loop, and whoever waits hears of it`() async throws {
            try await onLoop(.real) { loop in
                let ends = Recorder<String>()
                let task = try loop.submitTask { _ in
                    do { try await AsyncIO.sleep(for: .seconds(3_600)) } catch {
                        ends.append("\(type(of: error))")
                        throw error
                    }
                }
                let waiting = Task.detached { try await task.value }
                await letAllRun()
                let wasThere = try await inThread { task.cancel() }
                #expect(wasThere)
                #expect(await isCancelled { try await waiting.value })
                #expect(await isCancelled { try await task.value })
                #expect(ends.all == ["CancellationError"])
                #expect(loop.timers == 0)
            }
        }

        @Test(arguments: ["pool", "same loop", "other loop"])
        func `cancelling who waits cancels the task, wherever that is, behaviour 37`(place: String) async throws {
            // test_run_coroutine_threadsafe_task_cancelled, and wrap_future.
            let (began, cancelled) = (Gate(), Gate())
            try await onLoop(.real) { loop in
                let task = try loop.submitTask { _ in
                    began.open()
                    do { try await AsyncIO.sleep(for: .seconds(3_600)) } catch {
                        cancelled.open()
                        throw error
                    }
                }
                let hasBegun = await reached(1, began)
                #expect(hasBegun)
                let waiting: Task<Void, any Error> =
                    switch place {
                    case "pool": Task.detached { try await task.value }
                    case "same loop":
                        Task {
                            _ = loop
                            try await task.value
                        }
                    default:
                        Task.detached { try await withEventLoop { _ in try await task.value } }
                    }
                await letAllRun()
                waiting.cancel()
                #expect(await isCancelled { try await waiting.value })
                let wasCancelled = await reached(1, cancelled)
                #expect(wasCancelled && task.isCancelled)
                #expect(await isCancelled { try await task.value })
            }
        }

        @Test func `to look only, one awaits it in a shield`() async throws {
            try await onLoop { loop in
                let task = try loop.submitTask { _ in
                    try await AsyncIO.sleep(for: .seconds(1))
                    return 42
                }
                let looking = spawn { try await shield { try await task.value } }
                await letAllRun()
                looking.cancel()
                #expect(await isCancelled { try await looking.value })
                #expect(try await task.value == 42)
            }
        }

        // MARK: The end of the loop

        @Test func `when the run ends it is cancelled and awaited, and all who wait get its end`() async throws {
            let (ended, began) = (Gate(), Gate())
            let outcomes = Recorder<String>()
            try await onLoop(.real) { loop in
                let task = try loop.submitTask { _ in
                    began.open()
                    do { try await AsyncIO.sleep(for: .seconds(3_600)) } catch { return 7 }
                    return 0
                }
                let hasBegun = await reached(1, began)
                #expect(hasBegun)
                onForeignThread {
                    outcomes.append("thread \((try? task.wait()) ?? -1)")
                    ended.open()
                }
                Task.detached {
                    outcomes.append("pool \((try? await task.value) ?? -1)")
                    ended.open()
                }
                await letAllRun()
            }
            #expect(await reached(2, ended))
            #expect(outcomes.all.sorted() == ["pool 7", "thread 7"])
        }

        @Test func `a closed loop refuses, and one that closes before the task begins says so`() async throws {
            let closed = try await onLoop { loop in loop }
            #expect(throws: LoopError.loopClosed) { try closed.submitTask { _ in } }
            let (task, dropped) = try neverRun()
            await #expect(throws: LoopError.loopClosed) { try await task.value }
            #expect(!task.isCancelled && task.isDone && dropped == 1)
        }

        @Test(.testsProcess)
        func `on the loop's own thread waiting for it is a mistake that traps`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                try await withEventLoop { loop in waitHere(loop) }
            }
            #expect(says(result, "SubmittedTask.wait was called on the thread of the task's own EventLoop"))
        }

        @Test(.testsMany, arguments: 0..<8)
        func `threads, cancellations and the loop's end at once: nobody is left waiting`(seed: Int) async throws {
            let (ends, done) = (Recorder<String>(), Gate())
            let threads = 6
            let started = Gate()
            // What a thread has submitted when the loop closes is dropped, and an issue if nobody looked.
            try await onLoop(.real, collecting: Recorder(), leaving: Recorder()) { loop in
                let plain = loop
                for thread in 0..<threads {
                    onForeignThread {
                        var random = Chance(seed: 100 * seed + thread)
                        for number in 0..<150 {
                            ends.append(attempt(number, on: plain, &random))
                            if number == 40 { started.open() }
                        }
                        done.open()
                    }
                }
                let allStarted = await reached(threads, started)
                #expect(allStarted)
                // Some of it runs into the end of the loop.
                if seed % 2 == 0 { await letAllRun(100 * seed) } else { _ = await reached(threads, done) }
                if seed % 2 == 1 { done.open(times: threads) }
            }
            #expect(await reached(threads, done))
            #expect(ends.count == threads * 150)
            let known: Set = ["value", "CancellationError", "timed out", "closed", "dropped"]
            #expect(Set(ends.all).isSubset(of: known), "\(Set(ends.all))")
            #expect(ends.all.contains("value") && ends.all.contains("CancellationError"))
        }
    }
}

/// Submits a task, does something with it, and says how it ended.
private func attempt(_ number: Int, on loop: EventLoop, _ random: inout Chance) -> String {
    do {
        let naps = Int.random(in: 0..<3, using: &random)
        let task = try loop.submitTask { _ in
            for _ in 0..<naps { try await AsyncIO.sleep(for: .microseconds(50)) }
            return number
        }
        switch Int.random(in: 0..<5, using: &random) {
        case 0: task.cancel()
        case 1:
            do { _ = try task.wait(timeout: .zero) } catch LoopError.timedOut { task.cancel() }
        case 2:
            let waiting = Task.detached { try await task.value }
            waiting.cancel()
        case 3: return "dropped"
        default: break
        }
        return try task.wait(timeout: .seconds(30)) == number ? "value" : "wrong"
    } catch LoopError.loopClosed {
        return "closed"
    } catch LoopError.timedOut {
        return "hangs"
    } catch {
        return "\(type(of: error))"
    }
}

private func waitHere(_ loop: EventLoop) {
    do { try loop.submitTask { _ in }.wait() } catch { Issue.record(error) }
}

/// A task for a loop that closes without having run.
private func neverRun() throws -> (SubmittedTask<Void>, Int) {
    let loop = try EventLoop()
    let task = try loop.submitTask { _ in _ = Issue.record("ran") }
    return (task, loop.close().droppedCallbacks)
}
