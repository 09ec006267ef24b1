// Callbacks that run soon: their order, what a batch is, and what cancelling does. Behaviours 6, 7 and 22 of asyncio.

import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct SchedulingTests {
        @Test func `callbacks run in the order in which they were scheduled`() throws {
            let order = Recorder<Int>()
            try withLoop { loop in
                try loop.runForever { loop in
                    for number in 0..<5 { loop.schedule { order.append(number) } }
                    loop.schedule { loop.stop() }
                }
            }
            #expect(order.all == [0, 1, 2, 3, 4])
        }

        @Test func `the order holds for more callbacks than any queue begins with`() throws {
            let order = Recorder<Int>()
            try withLoop { loop in
                try loop.runForever { loop in
                    for number in 0..<10_000 { loop.schedule { order.append(number) } }
                    loop.schedule { loop.stop() }
                }
            }
            #expect(order.all == Array(0..<10_000))
        }

        @Test(arguments: [1, 61])
        func `what a callback schedules runs after all that was ready, behaviour 6`(batchesPerPoll: Int) throws {
            let order = Recorder<String>()
            try withLoop(.virtual(batchesPerPoll: batchesPerPoll)) { loop in
                try loop.runForever { loop in
                    for name in ["A", "B", "C"] {
                        loop.schedule {
                            order.append(name + "1")
                            loop.schedule {
                                order.append(name + "2")
                                loop.schedule { order.append(name + "3") }
                            }
                        }
                    }
                    loop.schedule(after: .seconds(1)) { loop.stop() }
                }
            }
            #expect(order.all == ["A1", "B1", "C1", "A2", "B2", "C2", "A3", "B3", "C3"])
        }

        @Test func `with one batch for each poll, every link of a chain is a turn of its own, behaviour 6`() throws {
            #expect(try turnsOfChain(length: 122, batchesPerPoll: 1) == 121)
        }

        @Test func `with 61 batches for each poll, a chain of 122 links is two turns`() throws {
            #expect(try turnsOfChain(length: 122, batchesPerPoll: 61) == 1)
        }

        /// How many turns pass between the first and the last of callbacks that schedule one another.
        private func turnsOfChain(length: Int, batchesPerPoll: Int) throws -> UInt64 {
            let turns = Recorder<UInt64>()
            try withLoop(.virtual(batchesPerPoll: batchesPerPoll)) { loop in
                try loop.runForever { loop in
                    final class Chain {
                        var left: Int
                        init(_ length: Int) { left = length }
                    }
                    let chain = Chain(length)
                    func link(on loop: isolated EventLoop) {
                        turns.append(loop.statistics.turns)
                        chain.left -= 1
                        if chain.left == 0 { return loop.stop() }
                        loop.schedule { link(on: loop) }
                    }
                    loop.schedule { link(on: loop) }
                }
            }
            #expect(turns.count == length)
            return (turns.all.last ?? 0) - (turns.all.first ?? 0)
        }

        @Test(arguments: [1, 61])
        func `callbacks that schedule one another for ever do not starve a timer`(batchesPerPoll: Int) throws {
            let rounds = Recorder<Int>()
            try withLoop(.virtual(batchesPerPoll: batchesPerPoll), expectingLeftovers: true) { loop in
                try loop.runForever { loop in
                    func again(on loop: isolated EventLoop) {
                        rounds.append(1)
                        loop.schedule { again(on: loop) }
                    }
                    again(on: loop)
                    loop.schedule(after: .zero) { loop.stop() }
                }
            }
            #expect(rounds.count <= 2 * batchesPerPoll)
        }

        @Test(arguments: [1, 61])
        func `submissions and local callbacks share one queue, behaviour 7`(batchesPerPoll: Int) throws {
            let order = Recorder<Int>()
            try withLoop(.virtual(batchesPerPoll: batchesPerPoll)) { loop in
                try loop.submit { _ in order.append(0) }
                try loop.runForever { loop in
                    loop.schedule { order.append(1) }
                    try loop.submit { _ in order.append(2) }
                    loop.schedule { order.append(3) }
                    loop.schedule {
                        loop.schedule { order.append(4) }
                        try loop.submit { _ in order.append(5) }
                        loop.schedule { order.append(6) }
                        Worker { submit(7, to: loop, order) }.join()
                        loop.schedule { order.append(8) }
                        try loop.submit { _ in order.append(9) }
                        Worker { submit(10, to: loop, order) }.join()
                        loop.schedule { loop.schedule { loop.stop() } }
                    }
                }
            }
            #expect(order.all == Array(0...10))
        }

        @Test func `a cancelled callback never runs, and only the first cancel counts`() throws {
            let order = Recorder<String>()
            try withLoop { loop in
                try loop.runForever { loop in
                    let cancelled = loop.schedule { order.append("cancelled") }
                    let kept = loop.schedule { order.append("kept") }
                    #expect(cancelled.isPending)
                    #expect(cancelled.cancel())
                    #expect(!cancelled.isPending)
                    #expect(!cancelled.cancel())
                    loop.schedule {
                        #expect(!kept.isPending)
                        #expect(!kept.cancel(), "it has run")
                        loop.stop()
                    }
                }
            }
            #expect(order.all == ["kept"])
        }

        @Test func `a callback cancels another of its own batch, and itself to no effect, behaviour 9`() throws {
            let order = Recorder<String>()
            try withLoop { loop in
                try loop.runForever { loop in
                    final class Tokens { var all: [Scheduled] = [] }
                    let tokens = Tokens()
                    tokens.all.append(
                        loop.schedule {
                            order.append("first")
                            #expect(!tokens.all[0].cancel(), "it is running")
                            #expect(tokens.all[1].cancel())
                        }
                    )
                    tokens.all.append(loop.schedule { order.append("second") })
                    loop.schedule { loop.stop() }
                }
            }
            #expect(order.all == ["first"])
        }

        @Test func `a token of a callback that has run does not cancel a later one`() throws {
            let order = Recorder<Int>()
            try withLoop { loop in
                try loop.runForever { loop in
                    let old = loop.schedule { order.append(1) }
                    loop.schedule {
                        // The later one most likely has the place in the table that the old one had.
                        for number in 2..<5 { loop.schedule { order.append(number) } }
                        #expect(!old.cancel())
                        loop.schedule { loop.stop() }
                    }
                }
            }
            #expect(order.all == [1, 2, 3, 4])
        }

        @Test func `a callback captures no task-local values, behaviour 22`() throws {
            let seen = Recorder<Int>()
            try withLoop { loop in
                try loop.runForever { loop in
                    Ambient.$value.withValue(7) {
                        loop.schedule { seen.append(Ambient.value) }
                        loop.schedule(after: .seconds(1)) {
                            seen.append(Ambient.value)
                            loop.stop()
                        }
                    }
                }
            }
            #expect(seen.all == [0, 0])
        }

        @Test func `the statistics count what ran`() throws {
            try withLoop { loop in
                try loop.runForever { loop in
                    for _ in 0..<9 { loop.schedule {} }
                    loop.schedule { loop.stop() }
                }
                try loop.runForever { loop in
                    #expect(loop.statistics.callbacks == 10)
                    #expect(loop.statistics.description.contains("callbacks 10"))
                    loop.stop()
                }
            }
        }
    }
}

private enum Ambient {
    @TaskLocal static var value = 0
}

private func submit(_ number: Int, to loop: EventLoop, _ order: Recorder<Int>) {
    do { try loop.submit { _ in order.append(number) } } catch { Issue.record(error) }
}
