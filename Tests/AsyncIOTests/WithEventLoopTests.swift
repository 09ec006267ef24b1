// Loops on threads of their own, and the ways onto a loop from elsewhere: `withEventLoop`, `loop.run` for tasks and
// `loop.runBlocking` for threads. Behaviours 37 and 48 of asyncio.

import AsyncIO
import AsyncIOTesting
import Foundation
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct WithEventLoopTests {
        @TaskLocal static var label = "none"

        // MARK: withEventLoop

        @Test func `the body runs on the loop as part of the calling task, and its value is returned`() async throws {
            #expect(EventLoop.current == nil)
            let value = try await Self.$label.withValue("outer") {
                try await onLoop { loop in
                    #expect(loop.isCurrent && EventLoop.current === loop)
                    try await AsyncIO.sleep(for: .seconds(1))
                    #expect(loop.isCurrent && EventLoop.current === loop)
                    #expect(Self.label == "outer")
                    return "value"
                }
            }
            #expect(value == "value")
            #expect(EventLoop.current == nil)
        }

        @Test func `what the body throws is thrown, when the loop is closed`() async throws {
            let loops = Recorder<EventLoop>()
            await #expect(throws: Refusal(name: "no")) {
                try await onLoop { loop in
                    loops.append(loop)
                    spawn { try await AsyncIO.sleep(for: .seconds(3_600)) }
                    throw Refusal(name: "no")
                }
            }
            let loop = try #require(loops.all.first)
            #expect(throws: LoopError.loopClosed) { try loop.submit { _ in } }
        }

        @Test func `a value that is not Sendable comes out`() async throws {
            final class Box { var content = 0 }
            let box = try await onLoop { _ in
                let box = Box()
                try await AsyncIO.sleep(for: .seconds(1))
                box.content = 7
                return box
            }
            #expect(box.content == 7)
        }

        @Test func `cancelling the calling task reaches the body`() async throws {
            let started = Gate()
            let ends = Recorder<String>()
            let task = Task {
                try await onLoop(.real) { loop in
                    started.open()
                    do { try await AsyncIO.sleep(for: .seconds(3_600)) } catch {
                        ends.append("\(type(of: error)) \(loop.isCurrent)")
                    }
                    return Task.isCancelled
                }
            }
            #expect(try await AsyncIO.offload { started.pass() })
            task.cancel()
            #expect(try await task.value)
            #expect(ends.all == ["CancellationError true"])
        }

        @Test func `the configuration is the loop's`() async throws {
            var configuration = EventLoop.Configuration.virtual()
            configuration.name = "mine"
            try await onLoop(configuration) { loop in
                #expect(loop.configuration.name == "mine")
                #expect(loop.dump().hasPrefix("EventLoop 'mine': running"))
            }
        }

        @Test func `stopping the loop does not end the body`() async throws {
            try await onLoop { loop in
                loop.stop()
                try await AsyncIO.sleep(for: .seconds(1))
                #expect(loop.isCurrent)
                loop.stop()
                await AsyncIO.yield()
                #expect(loop.isCurrent)
            }
        }

        @Test(.testsProcess)
        func `where the system has no descriptor left it throws, and nothing is left of the attempt`()
            async throws
        {
            await #expect(processExitsWith: .success) {
                try await withEventLoop { _ in }
                let all = limitDescriptors(to: 4)
                let error = await failure { try await withEventLoop { _ in } }
                limitDescriptors(to: all)
                guard (error as? SystemError)?.code == .tooManyOpenFiles else { throw Refusal() }
                try await withEventLoop { _ in }
            }
        }

        @Test func `loops run side by side, each on its own thread`() async throws {
            let numbers = try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<8 {
                    group.addTask {
                        try await withEventLoop(.virtual()) { loop in
                            for _ in 0..<100 {
                                #expect(loop.isCurrent)
                                await AsyncIO.yield()
                            }
                            return number
                        }
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(numbers.sorted() == Array(0..<8))
        }

        @Test func `a task may go from loop to loop and back`() async throws {
            try await onLoop { outer in
                let value = try await withEventLoop(.virtual()) { inner in
                    #expect(inner.isCurrent && !outer.isCurrent)
                    let there = try await outer.run { loop in
                        loop.assertIsolated()
                        return loop.isCurrent && !inner.isCurrent
                    }
                    #expect(there)
                    #expect(inner.isCurrent && !outer.isCurrent)
                    try await AsyncIO.sleep(for: .seconds(1))
                    return inner.elapsed
                }
                #expect(value == .seconds(1))
                #expect(outer.isCurrent && outer.elapsed == .zero)
            }
        }

        @Test func `hundreds of loops one after the other leave nothing`() async throws {
            for number in 0..<300 {
                let value = try await onLoop { _ in
                    spawn { try await AsyncIO.sleep(for: .seconds(3_600)) }
                    return try await spawn { number }.value
                }
                #expect(value == number)
            }
        }

        // MARK: run

        @Test func `tasks and actors run operations on the loop`() async throws {
            try await onLoop(.real) { loop in
                let plain = loop
                let elsewhere = Task.detached {
                    let value = try await plain.run { loop in
                        loop.assertIsolated()
                        try await AsyncIO.sleep(for: .milliseconds(1))
                        return loop.isCurrent ? 42 : 0
                    }
                    await #expect(throws: Refusal()) { try await plain.run { _ in throw Refusal() } }
                    return value
                }
                let value = try await elsewhere.value
                #expect(value == 42)
                let places = try await (Caller().callsOnto(plain), mainActorCallsOnto(plain))
                #expect(places == (true, true))
            }
        }

        @Test func `on the loop already run takes no turn`() async throws {
            try await onLoop { loop in
                let before = loop.statistics.callbacks
                let value = try await loop.run { inner in inner.statistics.callbacks }
                #expect(value == before)
                #expect(loop.statistics.callbacks == before)
            }
        }

        @Test func `cancelling a task reaches the operation that it runs`() async throws {
            try await onLoop(.real) { loop in
                let plain = loop
                let (waits, place) = (Gate(), LoopBound(Park(on: loop), on: loop))
                let task = Task.detached {
                    try await plain.run { loop in
                        waits.open()
                        try await place.value(on: loop).wait()
                    }
                }
                while place.ifHere?.isOccupied == false { await AsyncIO.yield() }
                waits.pass()
                task.cancel()
                #expect(await isCancelled { try await task.value })
                #expect(place.ifHere?.isOccupied == false)
            }
        }

        @Test func `ten tasks at once, and each gets its own result, behaviour 37`() async throws {
            try await onLoop(.real) { loop in
                let plain = loop
                let tasks = try await AsyncIO.offload {
                    (0..<10).map { number in
                        Task.detached {
                            var sum = 0
                            for _ in 0..<100 { sum += try await plain.run { _ in number } }
                            return sum
                        }
                    }
                }
                for (number, task) in tasks.enumerated() {
                    let sum = try await task.value
                    #expect(sum == 100 * number)
                }
            }
        }

        @Test func `on a closed loop nothing runs`() async throws {
            let loop = try await onLoop { loop in loop }
            await #expect(throws: LoopError.loopClosed) { try await loop.run { _ in Issue.record("ran") } }
            await #expect(throws: LoopError.loopClosed) {
                try await inThread { try loop.runBlocking { _ in Issue.record("ran") } }
            }
        }

        // MARK: runBlocking

        @Test func `a thread runs an operation and waits for its result, behaviour 37`() async throws {
            try await onLoop(.real) { loop in
                let plain = loop
                let value = try await inThread {
                    try plain.runBlocking { loop in
                        loop.assertIsolated()
                        try await AsyncIO.sleep(for: .milliseconds(1))
                        return loop.isCurrent ? 42 : 0
                    }
                }
                #expect(value == 42)
                // test_run_coroutine_threadsafe_with_exception
                let error = await failure {
                    try await inThread { try plain.runBlocking { _ in throw Refusal(name: "no") } }
                }
                #expect(error as? Refusal == Refusal(name: "no"))
            }
        }

        @Test func `a thread that waits in vain gets an error, and the operation is cancelled, behaviour 37`()
            async throws
        {
            // test_run_coroutine_threadsafe_with_timeout
            let ends = Recorder<String>()
            try await onLoop(.real) { loop in
                let plain = loop
                let over = LoopBound(Park(on: loop), on: loop)
                let task = spawn { try await over.value(on: loop).wait() }
                let error = await failure {
                    try await inThread {
                        try plain.runBlocking(timeout: .milliseconds(5)) { loop in
                            defer { over.value(on: loop).wake() }
                            do { try await AsyncIO.sleep(for: .seconds(3_600)) } catch {
                                ends.append("\(type(of: error))")
                            }
                        }
                    }
                }
                #expect(error as? LoopError == .timedOut("An operation on the EventLoop 'loop'"))
                try? await task.value
                #expect(loop.timers == 0)
            }
            #expect(ends.all == ["CancellationError"])
        }

        @Test func `a thread gets the cancellation of an operation that cancels itself, behaviour 37`() async throws {
            // test_run_coroutine_threadsafe_task_cancelled
            try await onLoop(.real) { loop in
                let plain = loop
                let error = await failure {
                    try await inThread {
                        try plain.runBlocking(timeout: .seconds(60)) { _ in
                            cancelThisTask()
                            try await AsyncIO.sleep(for: .seconds(3_600))
                        }
                    }
                }
                #expect(error is CancellationError)
            }
        }

        @Test func `ten threads at once, and each gets its own result`() async throws {
            try await onLoop(.real) { loop in
                let plain = loop
                let (results, ended) = (Recorder<Int>(), Gate())
                for number in 0..<10 {
                    onForeignThread {
                        for round in 0..<100 {
                            do {
                                let value = try plain.runBlocking(timeout: .seconds(60)) { _ in
                                    await AsyncIO.yield()
                                    return number * 100 + round
                                }
                                results.append(value)
                            } catch {
                                Issue.record(error)
                            }
                        }
                        ended.open()
                    }
                }
                let all = try await AsyncIO.offload { (0..<10).allSatisfy { _ in ended.pass() } }
                #expect(all)
                #expect(results.all.sorted() == Array(0..<1_000))
            }
        }

        @Test func `a thread that waits when the run ends is not left waiting`() async throws {
            let (began, ended) = (Gate(), Gate())
            let outcome = Recorder<String>()
            try await onLoop(.real) { loop in
                let plain = loop
                onForeignThread {
                    do {
                        try plain.runBlocking { _ in
                            began.open()
                            try await AsyncIO.sleep(for: .seconds(3_600))
                        }
                    } catch {
                        outcome.append("\(type(of: error))")
                    }
                    ended.open()
                }
                let hasBegun = try await AsyncIO.offload { began.pass() }
                #expect(hasBegun)
            }
            #expect(try await AsyncIO.offload { ended.pass() })
            #expect(outcome.all == ["CancellationError"])
        }

        @Test(.testsProcess)
        func `on the loop's own thread waiting for it is a mistake that traps`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                try await withEventLoop { loop in blockHere(loop) }
            }
            #expect(says(result, "runBlocking(timeout:) was called on the EventLoop's own thread"))
        }
    }
}

private actor Caller {
    func callsOnto(_ loop: EventLoop) async throws -> Bool {
        let there = try await loop.run { $0.isCurrent }
        assertIsolated()
        return there
    }
}

@MainActor private func mainActorCallsOnto(_ loop: EventLoop) async throws -> Bool {
    let there = try await loop.run { $0.isCurrent }
    MainActor.assertIsolated()
    return there && !loop.isCurrent
}

private func blockHere(_ loop: EventLoop) { try? loop.runBlocking { _ in } }

/// Runs `body` on a thread of nobody's and waits for it as a task does.
func inThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        onForeignThread { continuation.resume(with: Result { try body() }) }
    }
}
