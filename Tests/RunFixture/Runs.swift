// Runs as such: their results, several in a row, where they are refused, and what is the main actor's while they last.

import AsyncIO
import Foundation

extension RunFixture {
    static let runs: [String: Program] = [
        "value": {
            let value = try AsyncIO.run(configuration()) { 6 * 7 }
            say("value \(value)")
        },

        "error": {
            do {
                try AsyncIO.run(configuration()) { throw Refusal() }
            } catch {
                say("caught \(error)")
            }
        },

        "twice": {
            // A value that is not Sendable leaves the first run and enters the second.
            final class Box { var content = 1 }
            let first = try AsyncIO.run(configuration()) {
                let box = Box()
                try await AsyncIO.sleep(for: .milliseconds(1))
                box.content += 1
                return (box, EventLoop.current)
            }
            let (box, firstLoop) = first
            let second = try AsyncIO.run(configuration()) { () -> EventLoop? in
                do { _ = try await firstLoop?.run { _ in 1 } } catch { say("the first loop: \(error)") }
                await AsyncIO.yield()
                return EventLoop.current
            }
            check(box.content == 2, "the first run's value")
            check(firstLoop != nil && second != nil && firstLoop !== second, "each run has a loop of its own")
            check(EventLoop.current == nil, "no loop is left on the thread")
        },

        "hundred": {
            for number in 0..<100 {
                let value = try AsyncIO.run(configuration()) {
                    let task = spawn { number }
                    return try await task.value
                }
                guard value == number else { return say("FAILED: \(number) gave \(value)") }
            }
        },

        "stop": {
            let value = try AsyncIO.run(configuration()) {
                guard let loop = EventLoop.current else { return 0 }
                await stop(loop)
                try await AsyncIO.sleep(for: .milliseconds(1))
                await stop(loop)
                return loop.isCurrent ? 42 : 1
            }
            say("value \(value)")
        },

        "locals": {
            let label = try Label.$current.withValue("outer") {
                try AsyncIO.run(configuration()) {
                    await AsyncIO.yield()
                    return Label.current
                }
            }
            say("label \(label)")
        },

        "nested": {
            try AsyncIO.run(configuration()) {
                say("outer")
                innerRun()
            }
        },

        "nested-callback": {
            try AsyncIO.run(configuration()) {
                guard let loop = EventLoop.current else { return }
                await schedule(on: loop) { innerRun() }
                try await AsyncIO.sleep(for: .seconds(60))
            }
        },

        "off-main": {
            let over = DispatchSemaphore(value: 0)
            let thread = Thread {
                innerRun()
                over.signal()
            }
            thread.start()
            over.wait()
        },

        "isolation": { try AsyncIO.run(configuration()) { try await isolation() } },

        "gather": { try AsyncIO.run(configuration()) { try await gatherSharesState() } },

        "offload": {
            try AsyncIO.run(configuration()) {
                // One thread of the pool is idle, and four pieces of work come that need each other.
                try await AsyncIO.offload {}
                try await AsyncIO.sleep(for: .milliseconds(50))
                let arrivals = (0..<4).map { _ in DispatchSemaphore(value: 0) }
                var pieces: [LoopTask<Bool>] = []
                for place in 0..<4 {
                    let piece = spawn {
                        try await AsyncIO.offload {
                            for _ in 0..<4 { arrivals[place].signal() }
                            return arrivals.allSatisfy { $0.wait(timeout: .now() + 2) == .success }
                        }
                    }
                    pieces.append(piece)
                }
                var met = true
                for piece in pieces where try await !piece.value { met = false }
                check(met, "all run at once")
            }
        },
    ]

    private static func innerRun() {
        do { try AsyncIO.run(configuration()) { say("inner") } } catch { say("inner threw \(error)") }
    }

    private static func stop(_ loop: isolated EventLoop) { loop.stop() }

    private static func schedule(on loop: isolated EventLoop, _ body: @escaping @Sendable () -> Void) {
        loop.schedule(body)
    }

    // MARK: Isolation

    @MainActor private static func isolation() async throws {
        guard let loop = EventLoop.current else { return say("FAILED: no loop") }
        check(loop.isCurrent && Thread.isMainThread, "the body is on the loop, which has the main thread")
        Tally.shared.count = 0

        let before = await callbacks(of: loop)
        await onMainActor()
        await Tally.shared.nested()
        let after = await callbacks(of: loop)
        check(after == before, "calling the main actor and the loop takes no hop")

        await schedule(on: loop) {
            MainActor.assumeIsolated { Tally.shared.count += 1 }
            check(Thread.isMainThread, "a callback is the main actor's")
        }
        await AsyncIO.yield()
        await Task { Tally.shared.count += 1 }.value
        try await spawn { Tally.shared.count += 1 }.value
        await MainActor.run { Tally.shared.count += 1 }
        await Task.detached { await onMainActor() }.value
        check(Tally.shared.count == 7, "all of them counted: \(Tally.shared.count)")

        // Isolated code comes back from wherever it was resumed.
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async { continuation.resume() }
        }
        MainActor.assertIsolated()
        check(loop.isCurrent, "back from a thread of Dispatch's")
        try await AsyncIO.offload {
            check(!Thread.isMainThread, "offloaded work is elsewhere")
            DispatchQueue.main.sync { check(Thread.isMainThread, "and may wait for the main queue") }
        }
        check(loop.isCurrent, "back from the pool")
        try await SwiftSleep.sleep(for: .milliseconds(1))
        check(loop.isCurrent, "back from the standard library's sleep")
        await Task.yield()
        check(loop.isCurrent, "back from the standard library's yield")
        await Ordinary().work()
        check(loop.isCurrent, "back from an ordinary actor")
        check(await withinLoop(loop), "code isolated to the loop is the main actor's")
        DispatchQueue.main.async { MainActor.assumeIsolated { check(loop.isCurrent, "so is Dispatch's main queue") } }
        try await AsyncIO.sleep(for: .milliseconds(5))
    }

    @MainActor private static func onMainActor() async { Tally.shared.count += 1 }

    private static func callbacks(of loop: isolated EventLoop) -> UInt64 { loop.statistics.callbacks }

    private static func withinLoop(_ loop: isolated EventLoop) -> Bool {
        MainActor.assumeIsolated { loop.isCurrent }
    }

    @MainActor private static func gatherSharesState() async throws {
        let tally = Tally.shared
        tally.count = 0
        let add: @Sendable @MainActor (Int) async throws -> Int = { number in
            for _ in 0..<100 {
                let seen = tally.count
                tally.count = seen + 1
                await AsyncIO.yield()
            }
            return number
        }
        let results = try await gather({ try await add(1) }, { try await add(2) }, { try await add(3) })
        check(results == (1, 2, 3) && tally.count == 300, "three operations share state without a lock")
        let listed = try await gather((0..<10).map { number in { @MainActor in try await add(number) } })
        check(listed == Array(0..<10) && tally.count == 1_300, "and any number of them")
    }
}

extension Tally {
    fileprivate func nested() async { count += 1 }
}

private actor Ordinary {
    func work() async { await AsyncIO.yield() }
}

private enum Label {
    @TaskLocal static var current = "none"
}
