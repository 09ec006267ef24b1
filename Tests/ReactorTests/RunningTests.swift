// Runs: how they end, what is left for the next one, and what they give back. Behaviours 1 to 5 of asyncio.

import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct RunningTests {
        @Test func `a loop that was stopped before its run turns exactly once, without waiting, behaviour 1`() throws {
            let order = Recorder<String>()
            try withLoop(.real, expectingLeftovers: true) { loop in
                loop.assumeIsolated { loop in
                    loop.schedule { order.append("ready") }
                    loop.schedule(after: .seconds(3600)) { order.append("an hour later") }
                    loop.stop()
                    loop.stop()
                }
                try loop.runForever()
                loop.assumeIsolated { #expect($0.statistics.turns == 1) }
            }
            #expect(order.all == ["ready"])
        }

        @Test(arguments: [1, 61])
        func `callbacks behind the one that stops still run, what they schedule waits, behaviours 2 and 3`(
            batchesPerPoll: Int
        ) throws {
            let order = Recorder<String>()
            try withLoop(.virtual(batchesPerPoll: batchesPerPoll)) { loop in
                try loop.runForever { loop in
                    loop.schedule { loop.schedule { order.append("next run, first") } }
                    loop.schedule {
                        order.append("stop")
                        loop.stop()
                        loop.schedule { order.append("next run, second") }
                    }
                    loop.schedule {
                        order.append("behind")
                        loop.schedule { order.append("next run, third") }
                    }
                }
                #expect(order.all == ["stop", "behind"])
                try loop.runForever { $0.stop() }
            }
            #expect(order.all.suffix(3) == ["next run, first", "next run, second", "next run, third"])
        }

        @Test func `a signal that stops the loop is delivered once, behaviour 4`() throws {
            let order = Recorder<String>()
            try withLoop { loop in
                let watch = Recorder<Int>()
                try loop.runForever { loop in
                    let watcher = try loop.onSignal(.user1) {
                        watch.append(1)
                        order.append("signal")
                        loop.stop()
                        loop.schedule { order.append("next run") }
                    }
                    loop.schedule(after: .seconds(1)) { watcher.cancel() }
                    raiseHere(.user1)
                }
                #expect(order.all == ["signal"])
                loop.runOnce()
                #expect(order.all == ["signal", "next run"])
                loop.runOnce(waiting: true)
                loop.runOnce()
                #expect(watch.count == 1)
            }
        }

        @Test func `runUntilComplete gives back what the completion was given`() throws {
            final class Unshared { let number = 42 }
            try withLoop { loop in
                let later = try loop.runUntilComplete { loop, completion in
                    loop.schedule(after: .seconds(1)) { completion.succeed(42) }
                }
                #expect(later == 42)
                let atOnce = try loop.runUntilComplete { _, completion in completion.succeed("at once") }
                #expect(atOnce == "at once")
                let unshared = try loop.runUntilComplete { loop, completion in
                    loop.schedule { completion.succeed(Unshared()) }
                }
                #expect(unshared.number == 42)
            }
        }

        @Test func `runUntilComplete throws what the completion failed with`() throws {
            _ = try withLoop { loop in
                #expect(throws: LoopError.timedOut("It")) {
                    try loop.runUntilComplete { (loop, completion: Completion<Int>) in
                        loop.schedule { completion.fail(LoopError.timedOut("It")) }
                    }
                }
            }
        }

        @Test func `only the first completion counts`() throws {
            try withLoop { loop in
                let value = try loop.runUntilComplete { (loop, completion: Completion<Int>) in
                    loop.schedule {
                        #expect(!completion.isComplete)
                        completion.succeed(1)
                        #expect(completion.isComplete)
                        completion.succeed(2)
                        completion.fail(LoopError.timedOut("It"))
                    }
                }
                #expect(value == 1)
            }
        }

        @Test func `a stop before the completion is an error and leaves the loop usable, behaviour 5`() throws {
            let order = Recorder<String>()
            try withLoop { loop in
                #expect(throws: LoopError.stoppedBeforeCompletion) {
                    try loop.runUntilComplete { (loop, completion: Completion<Int>) in
                        loop.schedule(after: .seconds(1)) { loop.stop() }
                        loop.schedule(after: .seconds(2)) {
                            order.append("too late")
                            completion.succeed(1)
                        }
                    }
                }
                // The old completion no longer stops anybody's run.
                try loop.runForever { loop in
                    loop.schedule(after: .seconds(3)) {
                        order.append("end")
                        loop.stop()
                    }
                }
            }
            #expect(order.all == ["too late", "end"])
        }

        @Test func `a value that comes in the batch of a stop still counts, behaviour 5`() throws {
            try withLoop { loop in
                let value = try loop.runUntilComplete { loop, completion in
                    loop.schedule { loop.stop() }
                    loop.schedule { completion.succeed(1) }
                }
                #expect(value == 1)
            }
        }

        @Test func `a completion whose beginning threw stops no later run`() throws {
            let order = Recorder<String>()
            try withLoop { loop in
                #expect(throws: LoopError.timedOut("It")) {
                    try loop.runUntilComplete { (loop, completion: Completion<Int>) in
                        loop.schedule(after: .seconds(1)) {
                            order.append("too late")
                            completion.succeed(1)
                        }
                        throw LoopError.timedOut("It")
                    }
                }
                try loop.runForever { loop in
                    loop.schedule(after: .seconds(2)) {
                        order.append("end")
                        loop.stop()
                    }
                }
            }
            #expect(order.all == ["too late", "end"])
        }

        @Test func `a completion that is given a value before its beginning throws stops no later run`() throws {
            let order = Recorder<String>()
            try withLoop { loop in
                #expect(throws: LoopError.timedOut("It")) {
                    try loop.runUntilComplete { _, completion in
                        completion.succeed(1)
                        throw LoopError.timedOut("It")
                    }
                }
                try loop.runForever { loop in
                    loop.schedule(after: .seconds(2)) {
                        order.append("end")
                        loop.stop()
                    }
                }
            }
            #expect(order.all == ["end"])
        }

        @Test func `a beginning that throws does not run the loop`() throws {
            let order = Recorder<String>()
            try withLoop { loop in
                #expect(throws: LoopError.timedOut("It")) {
                    try loop.runForever { loop in
                        loop.schedule { order.append("scheduled") }
                        throw LoopError.timedOut("It")
                    }
                }
                #expect(order.all.isEmpty)
                loop.assumeIsolated { #expect($0.statistics.turns == 0) }
                loop.runOnce()
            }
            #expect(order.all == ["scheduled"])
        }

        @Test func `runOnce runs one batch and does not wait`() throws {
            let order = Recorder<String>()
            try withLoop(.real, expectingLeftovers: true) { loop in
                loop.assumeIsolated { loop in
                    loop.schedule(after: .seconds(3600)) { order.append("an hour later") }
                    loop.schedule {
                        order.append("first batch")
                        loop.schedule { order.append("second batch") }
                    }
                }
                loop.runOnce()
                #expect(order.all == ["first batch"])
                loop.runOnce()
                loop.runOnce()
            }
            #expect(order.all == ["first batch", "second batch"])
        }

        @Test func `runOnce that waits, waits for a timer but not when something is ready`() throws {
            let order = Recorder<String>()
            try withLoop(.real) { loop in
                loop.assumeIsolated { loop in
                    loop.schedule(after: .milliseconds(2)) { order.append("timer") }
                    loop.schedule { order.append("ready") }
                }
                loop.runOnce(waiting: true)
                #expect(order.all == ["ready"])
                loop.runOnce(waiting: true)
                // The poll ends with the millisecond that the deadline is in, which is never before the deadline.
                #expect(order.all == ["ready", "timer"])
            }
        }

        @Test func `runOnce that waits jumps to the next deadline of a virtual clock`() throws {
            let order = Recorder<LoopInstant>()
            try withLoop { loop in
                loop.assumeIsolated { loop in
                    for seconds in [60, 120] { loop.schedule(after: .seconds(seconds)) { order.append(loop.now) } }
                }
                loop.runOnce()
                #expect(order.count == 0, "it does not wait")
                loop.runOnce(waiting: true)
                #expect(order.all.map(\.nanoseconds) == [60_000_000_000])
                loop.runOnce(waiting: true)
                #expect(order.all.map(\.nanoseconds) == [60_000_000_000, 120_000_000_000])
            }
        }

        @Test func `a loop runs as often as one likes, and each run begins afresh`() throws {
            let order = Recorder<Int>()
            try withLoop { loop in
                for run in 0..<10 {
                    try loop.runForever { loop in
                        loop.schedule(after: .seconds(1)) {
                            order.append(run)
                            loop.stop()
                        }
                    }
                }
            }
            #expect(order.all == Array(0..<10))
        }
    }
}
