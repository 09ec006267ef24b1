// How a run ends what it has left behind: tasks that were spawned, tasks that nobody spawned, and actors.

import AsyncIO
import Foundation

extension RunFixture {
    static let endings: [String: Program] = [
        "spawned": {
            let value = try AsyncIO.run(configuration()) {
                for number in 0..<3 { spawn(name: "worker \(number)") { try await worker(number) } }
                await AsyncIO.yield()
                say("returns")
                return 5
            }
            say("value \(value)")
        },

        "spawned-error": {
            do {
                try AsyncIO.run(configuration()) {
                    spawn(name: "worker") { try await worker(1) }
                    await AsyncIO.yield()
                    throw CancellationError()
                }
            } catch {
                say("caught \(type(of: error))")
            }
        },

        "spawned-late": {
            let start = ContinuousClock.now
            try AsyncIO.run(configuration()) {
                spawn {
                    defer {
                        spawn(name: "late") {
                            do { try await AsyncIO.sleep(for: .seconds(10)) } catch { say("late cancelled") }
                        }
                    }
                    try await AsyncIO.sleep(for: .seconds(3_600))
                }
                await AsyncIO.yield()
            }
            check(start.duration(to: .now) < .seconds(5), "a task that is spawned at the end is cancelled as well")
        },

        "bare": {
            try AsyncIO.run(configuration()) {
                Task {
                    defer { say("bare ends") }
                    do { try await AsyncIO.sleep(for: .seconds(3_600)) } catch { say("bare: \(type(of: error))") }
                    // It was the wait that was ended, and not the task that was cancelled; waits go on ending.
                    do { try await AsyncIO.sleep(for: .seconds(3_600)) } catch { say("again: \(type(of: error))") }
                }
                await AsyncIO.yield()
                say("returns")
            }
            say("after the run")
        },

        "thousand": {
            try AsyncIO.run(configuration()) {
                Tally.shared.count = 0
                for _ in 0..<1_000 {
                    spawn { do { try await AsyncIO.sleep(for: .seconds(3_600)) } catch { Tally.shared.count += 1 } }
                    Task { do { try await AsyncIO.sleep(for: .seconds(3_600)) } catch { Tally.shared.count += 1 } }
                }
                await AsyncIO.yield()
                await AsyncIO.yield()
            }
            MainActor.assumeIsolated { check(Tally.shared.count == 2_000, "ended: \(Tally.shared.count)") }
        },

        "actor": {
            let ledger = Ledger()
            try AsyncIO.run(configuration()) {
                for _ in 0..<100 { Task.detached { await ledger.add() } }
                await ledger.add()
                for _ in 0..<100 { Task { await ledger.add() } }
            }
            try AsyncIO.run(configuration()) { await ledger.add() }
            let over = DispatchSemaphore(value: 0)
            Task.detached {
                await ledger.add()
                while await ledger.entries < 203 { await Task.yield() }
                over.signal()
            }
            check(over.wait(timeout: .now() + 20) == .success, "the actor answers")
        },
    ]

    @MainActor private static func worker(_ number: Int) async throws {
        do {
            try await AsyncIO.sleep(for: .seconds(3_600))
        } catch {
            // Cleaning up may wait, as long as it does not need what cancellation ends.
            for _ in 0..<3 { await AsyncIO.yield() }
            say("worker \(number): \(type(of: error))")
            if number == 1 { throw Refusal() }
            throw error
        }
    }
}

private actor Ledger {
    private(set) var entries = 0
    func add() { entries += 1 }
}
