// What Ctrl-C does: each program says "ready" when the test may send it. The process ends by the signal only after the
// main task and what it spawned have cleaned up.

import AsyncIO
import Foundation

extension RunFixture {
    static let signals: [String: Program] = [
        "interrupt": {
            defer { say("deferred in main") }
            try AsyncIO.run(configuration()) {
                defer { say("deferred in the body") }
                spawn {
                    defer { say("deferred in a spawned task") }
                    try await AsyncIO.sleep(for: .seconds(3_600))
                }
                await AsyncIO.yield()
                say("ready")
                try await AsyncIO.sleep(for: .seconds(3_600))
                say("not interrupted")
            }
        },

        "interrupt-busy": {
            try AsyncIO.run(configuration()) {
                defer { say("deferred in the body") }
                say("ready")
                while true {
                    await AsyncIO.yield()
                    try Task.checkCancellation()
                }
            }
        },

        "interrupt-caught": {
            let value = try AsyncIO.run(configuration()) {
                say("ready")
                do { try await AsyncIO.sleep(for: .seconds(3_600)) } catch is CancellationError { say("caught") }
                return "value"
            }
            say("returned \(value)")
        },

        "interrupt-error": {
            try AsyncIO.run(configuration()) {
                say("ready")
                do { try await AsyncIO.sleep(for: .seconds(3_600)) } catch is CancellationError { throw Refusal() }
            }
        },

        "interrupt-twice": {
            try AsyncIO.run(configuration()) {
                guard let loop = EventLoop.current else { return }
                say("ready")
                do {
                    try await AsyncIO.sleep(for: .seconds(3_600))
                } catch {
                    say("cleaning up")
                    await wait(on: loop)
                }
            }
        },

        "interrupt-second-run": {
            do {
                try AsyncIO.run(configuration()) { throw Refusal() }
            } catch {
                say("first: \(error)")
            }
            try AsyncIO.run(configuration()) {
                say("ready")
                try await AsyncIO.sleep(for: .seconds(3_600))
            }
        },

        "interrupt-none": {
            try AsyncIO.run(configuration(), signals: .none) {
                defer { say("deferred in the body") }
                say("ready")
                try await AsyncIO.sleep(for: .seconds(3_600))
            }
        },

        "interrupt-handled": {
            // A program that handles the signal itself keeps doing so.
            signal(SIGINT, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
            let heard = DispatchSemaphore(value: 0)
            source.setEventHandler {
                say("heard")
                heard.signal()
            }
            let registered = DispatchSemaphore(value: 0)
            source.setRegistrationHandler { registered.signal() }
            source.resume()
            registered.wait()
            try AsyncIO.run(configuration()) {
                say("ready")
                try await AsyncIO.offload { _ = heard.wait(timeout: .now() + 20) }
                check(!Task.isCancelled, "the main task is not cancelled")
            }
        },

        "cancelled-by-code": {
            // Behaviour 32: a cancellation that is the program's own is no interrupt.
            do {
                try AsyncIO.run(configuration()) {
                    let task = spawn { try await AsyncIO.sleep(for: .seconds(3_600)) }
                    task.cancel()
                    try await task.value
                }
            } catch {
                say("caught \(type(of: error))")
            }
        },

        "between-runs": {
            try AsyncIO.run(configuration()) { await AsyncIO.yield() }
            say("ready")
            // No run, and so the signal has its default effect.
            DispatchSemaphore(value: 0).wait()
        },
    ]

    /// Waits for what never comes, whatever is cancelled.
    private static func wait(on loop: isolated EventLoop) async {
        await Park(on: loop).waitUncancellable()
    }
}
