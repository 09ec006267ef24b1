// The main actor and Dispatch's main queue over several runs: whatever is enqueued before, during, between and after
// them runs, once.

import AsyncIO
import Foundation

extension RunFixture {
    static let mainWork: [String: Program] = [
        "main-work": {
            enqueue("before")
            try AsyncIO.run(configuration()) {
                say("first run")
                enqueue("during")
                try await AsyncIO.sleep(for: .milliseconds(5))
                say("first ends")
                enqueue("at the end")
            }
            enqueue("between")
            enqueueFromElsewhere("between")
            try AsyncIO.run(configuration()) {
                say("second run")
                try await AsyncIO.sleep(for: .milliseconds(5))
                say("second ends")
            }
            enqueue("after")
            enqueueFromElsewhere("after")
            DispatchQueue.main.asyncAfter(deadline: .now() + .milliseconds(20)) {
                say("end")
                exit(0)
            }
            dispatchMain()
        },

        "main-task": {
            // A task of the main actor that waits through two runs and the time between and after them.
            let (numbers, feed) = AsyncStream<Int>.makeStream()
            Task { @MainActor in
                for await number in numbers {
                    MainActor.assertIsolated()
                    say("got \(number), main thread: \(onMainThread())")
                }
                say("end")
                exit(0)
            }
            try AsyncIO.run(configuration()) {
                feed.yield(1)
                try await AsyncIO.sleep(for: .milliseconds(2))
            }
            feed.yield(2)
            try AsyncIO.run(configuration()) {
                feed.yield(3)
                try await AsyncIO.sleep(for: .milliseconds(2))
            }
            feed.yield(4)
            feed.finish()
            dispatchMain()
        },

        "main-flood": {
            let (tasks, each) = (4, 1_000)
            let done = DispatchSemaphore(value: 0)
            for _ in 0..<tasks {
                Task.detached {
                    for _ in 0..<each { await count() }
                    done.signal()
                }
                DispatchQueue.global().async {
                    for _ in 0..<each {
                        DispatchQueue.main.async { MainActor.assumeIsolated { Tally.shared.count += 1 } }
                    }
                }
            }
            var runs = 0
            while done.wait(timeout: .now()) != .success {
                try AsyncIO.run(configuration()) { await AsyncIO.yield() }
                runs += 1
            }
            try AsyncIO.run(configuration()) {
                while Tally.shared.count < 2 * tasks * each { try await AsyncIO.sleep(for: .milliseconds(1)) }
            }
            say("all")
        },

        "main-sleep": {
            // The first run ends while a task of the main actor sleeps by the standard library.
            let span = Duration.milliseconds(30)
            let start = ContinuousClock.now
            try AsyncIO.run(configuration()) {
                Task { @MainActor in
                    try await SwiftSleep.sleep(for: span)
                    MainActor.assertIsolated()
                    check(start.duration(to: .now) >= span, "the sleep is not cut short")
                    Tally.shared.count += 1
                }
                for _ in 0..<5 { await AsyncIO.yield() }
            }
            try AsyncIO.run(configuration()) {
                while Tally.shared.count == 0 { try await AsyncIO.sleep(for: .milliseconds(1)) }
                say("woken")
            }
        },

        "no-run": {
            // What the hooks do must not depend on a run: without one all is as ever.
            enqueue("without")
            exitWhenAllIsSaid()
            dispatchMain()
        },
    ]

    /// Enqueues for the main actor in three ways.
    private static func enqueue(_ when: String) {
        Task { @MainActor in say("task \(when)") }
        DispatchQueue.main.async { say("queue \(when)") }
        Task.detached { await sayOnMain("hop \(when)") }
    }

    /// The same by a thread that waits until it is done.
    private static func enqueueFromElsewhere(_ when: String) {
        let over = DispatchSemaphore(value: 0)
        let thread = Thread {
            Task { @MainActor in say("elsewhere task \(when)") }
            DispatchQueue.main.async { say("elsewhere queue \(when)") }
            over.signal()
        }
        thread.start()
        over.wait()
    }

    @MainActor private static func sayOnMain(_ line: String) {
        say(line)
        Tally.shared.count += 1
    }

    /// Looks again and again whether the hop, which another thread enqueues, has come; what this thread enqueued came first.
    private static func exitWhenAllIsSaid() {
        DispatchQueue.main.async {
            if MainActor.assumeIsolated({ Tally.shared.count > 0 }) { exit(0) }
            exitWhenAllIsSaid()
        }
    }

    @MainActor private static func count() { Tally.shared.count += 1 }
    private static func onMainThread() -> Bool { Thread.isMainThread }
}
