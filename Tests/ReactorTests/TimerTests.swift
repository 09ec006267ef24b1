// Timers: never early, in order, cancelled at once, cheap to cancel in thousands. Behaviours 12 to 20 of asyncio. What
// is exact runs on the virtual clock; what only the real clock can show takes a few milliseconds.

import Synchronization
import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct TimerTests {
        @Test func `timers run at their deadlines to the nanosecond, in deadline order`() throws {
            let order = Recorder<LoopInstant>()
            try withLoop { loop in
                try loop.runForever { loop in
                    for nanoseconds in [7_000_000_001, 3, 1_500_000, 2_000_000_000] as [Int64] {
                        loop.schedule(after: .nanoseconds(nanoseconds)) { order.append(loop.now) }
                    }
                    loop.schedule(after: .seconds(8)) { loop.stop() }
                }
            }
            #expect(order.all.map(\.nanoseconds) == [3, 1_500_000, 2_000_000_000, 7_000_000_001])
        }

        @Test func `timers with one deadline run in the order in which they were made`() throws {
            let order = Recorder<Int>()
            try withLoop { loop in
                try loop.runForever { loop in
                    let deadline = loop.now.advanced(by: .seconds(1))
                    for number in 0..<200 {
                        if number % 2 == 0 {
                            loop.schedule(at: deadline) { order.append(number) }
                        } else {
                            loop.schedule(after: .seconds(1)) { order.append(number) }
                        }
                    }
                    loop.schedule(after: .seconds(1)) { loop.stop() }
                }
            }
            #expect(order.all == Array(0..<200))
        }

        @Test func `a timer is never early by the real clock, behaviour 15`() throws {
            let earliness = Recorder<Duration>()
            try withLoop(.real) { loop in
                try loop.runForever { loop in
                    for step in 1...40 {
                        let deadline = loop.now.advanced(by: .microseconds(step * 97))
                        loop.schedule(at: deadline) { earliness.append(loop.now.duration(to: deadline)) }
                    }
                    loop.schedule(after: .milliseconds(4)) { loop.stop() }
                }
            }
            #expect(earliness.count == 40)
            #expect(earliness.all.allSatisfy { $0 <= .zero })
        }

        @Test func `a delay counts from the call, not from the last poll, behaviour 16`() throws {
            try withLoop(.real) { loop in
                try loop.runForever { loop in
                    loop.schedule {
                        let start = loop.now
                        // Work, as far as the loop can tell: its clock must go on inside a callback.
                        while start.duration(to: loop.now) < .milliseconds(3) {}
                        let before = loop.now
                        let timer = loop.schedule(after: .milliseconds(1)) {
                            #expect(before.duration(to: loop.now) >= .milliseconds(1))
                            loop.stop()
                        }
                        let deadline = try #require(timer.deadline)
                        #expect(before.duration(to: deadline) >= .milliseconds(1))
                    }
                }
            }
        }

        @Test(arguments: [Duration.zero, .nanoseconds(-1), .seconds(-1), .seconds(Int64.min)])
        func `a delay of nothing or less is due in the next turn, behaviour 14`(delay: Duration) throws {
            let fired = Recorder<(LoopInstant, UInt64)>()
            try withLoop { loop in
                try loop.runForever { loop in
                    loop.schedule {
                        let turn = loop.statistics.turns
                        loop.schedule(after: delay) {
                            fired.append((loop.now, loop.statistics.turns - turn))
                            loop.stop()
                        }
                    }
                }
            }
            #expect(fired.all.map(\.0.nanoseconds) == [0])
            #expect(fired.all.map(\.1) == [1])
        }

        @Test(arguments: [Duration.seconds(Int64.max), .seconds(1 << 55), .nanoseconds(Int64.max)])
        func `a huge delay is accepted, never comes and can be cancelled, behaviour 17`(delay: Duration) throws {
            try withLoop(.real) { loop in
                try loop.runForever { loop in
                    let never = loop.schedule(after: delay) { Issue.record("the end of time has come") }
                    let second = loop.schedule(after: delay) { Issue.record("the end of time has come") }
                    loop.schedule(after: .milliseconds(1)) {
                        #expect(never.isPending)
                        #expect(never.cancel())
                        #expect(second.cancel())
                        loop.stop()
                    }
                }
            }
        }

        @Test func `a delay beyond what counts as seconds in 64 bits is accepted as well, behaviour 17`() async {
            await #expect(processExitsWith: .success) {
                try scheduleAndCancel(after: [.seconds(1e19), .seconds(-1e19)])
            }
        }

        @Test func `a timer that never comes does not come on a virtual clock either, behaviour 17`() throws {
            let order = Recorder<String>()
            let workers = Recorder<Worker>()
            try withLoop(expectingLeftovers: true) { loop in
                try loop.runForever { loop in
                    loop.schedule(after: .seconds(Int64.max)) { order.append("never") }
                    loop.schedule(after: .seconds(1)) {
                        order.append("one second")
                        workers.append(Worker { stopWhenAsleep(loop, order) })
                    }
                }
            }
            for worker in workers.all { worker.join() }
            #expect(order.all == ["one second", "stop at 1.0 seconds"])
        }

        @Test func `delays far below a millisecond cost no turns, behaviour 18`() throws {
            let turns = Recorder<UInt64>()
            try withLoop(.real) { loop in
                try loop.runForever { loop in
                    func next(_ exponent: Int, on loop: isolated EventLoop) {
                        turns.append(loop.statistics.turns)
                        guard exponent <= 10 else { return loop.stop() }
                        var delay = Duration.seconds(1)
                        for _ in 0..<exponent { delay /= 10 }
                        loop.schedule(after: delay) { next(exponent + 1, on: loop) }
                    }
                    loop.schedule { next(2, on: loop) }
                }
            }
            #expect(turns.count == 10)
            #expect(turns.all[9] - turns.all[0] <= 20)
        }

        @Test func `a cancelled nearest timer does not wake the loop, behaviour 13`() throws {
            let turns = Recorder<UInt64>()
            try withLoop(.real) { loop in
                try loop.runForever { loop in
                    loop.schedule {
                        let nearest = loop.schedule(after: .milliseconds(2)) { Issue.record("it was cancelled") }
                        // The loop polls once with the timer set, and only then is the timer cancelled.
                        loop.schedule(after: .zero) {
                            turns.append(loop.statistics.turns)
                            nearest.cancel()
                        }
                        loop.schedule(after: .milliseconds(6)) {
                            turns.append(loop.statistics.turns)
                            loop.stop()
                        }
                    }
                }
            }
            #expect(turns.all[1] - turns.all[0] <= 1)
        }

        @Test func `cancelling drops the closure at once, running drops it after, behaviour 19`() throws {
            let released = Recorder<String>()
            try withLoop { loop in
                try loop.runForever { loop in
                    let cancelled = holding("cancelled", released) { probe in
                        loop.schedule(after: .seconds(1)) { probe.touch() }
                    }
                    let ready = holding("ready", released) { probe in loop.schedule { probe.touch() } }
                    let fired = holding("fired", released) { probe in
                        loop.schedule(after: .seconds(2)) { probe.touch() }
                    }
                    cancelled.cancel()
                    #expect(released.all == ["cancelled"])
                    ready.cancel()
                    #expect(released.all == ["cancelled", "ready"])
                    loop.schedule(after: .seconds(2)) {
                        #expect(released.all == ["cancelled", "ready", "fired"])
                        #expect(!fired.isPending)
                        loop.stop()
                    }
                }
            }
            #expect(released.count == 3)
        }

        @Test func `the deadline stays what it was after the timer has run or was cancelled, behaviour 20`() throws {
            try withLoop { loop in
                try loop.runForever { loop in
                    let deadline = LoopInstant(nanoseconds: 5_000_000_000)
                    let fired = loop.schedule(at: deadline) {}
                    let cancelled = loop.schedule(after: .seconds(5)) {}
                    cancelled.cancel()
                    #expect(loop.schedule {}.deadline == nil)
                    loop.schedule(after: .seconds(6)) {
                        #expect(fired.deadline == deadline)
                        #expect(cancelled.deadline == deadline)
                        loop.stop()
                    }
                }
            }
        }

        @Test func `more than a hundred timers with a majority cancelled are compacted, behaviour 12`() throws {
            try withLoop(expectingLeftovers: true) { loop in
                try loop.runForever { loop in
                    let heap = unsafe loop.core.deadlines
                    let timers = (0..<200).map { loop.schedule(after: .seconds($0 + 1)) {} }
                    // From the far end, so that none of them is at the top.
                    for timer in timers[100...].reversed() { timer.cancel() }
                    #expect(heap.count == 200, "half is no majority")
                    timers[99].cancel()
                    #expect(heap.count == 99)
                    #expect(heap.stale == 0)
                    for timer in timers[10..<99] { timer.cancel() }
                    #expect(heap.count == 99, "a hundred or fewer are left alone")
                    loop.stop()
                }
            }
        }

        @Test func `cancelled timers at the top go at once, behaviour 12`() throws {
            try withLoop(expectingLeftovers: true) { loop in
                try loop.runForever { loop in
                    let heap = unsafe loop.core.deadlines
                    let timers = (0..<10).map { loop.schedule(after: .seconds($0 + 1)) {} }
                    timers[1].cancel()
                    timers[2].cancel()
                    #expect(heap.count == 10)
                    timers[0].cancel()
                    #expect(heap.count == 7)
                    #expect(heap.stale == 0)
                    loop.stop()
                }
            }
        }

        @Test func `a timer cancels another one that is due in the same turn`() throws {
            let order = Recorder<String>()
            try withLoop { loop in
                try loop.runForever { loop in
                    final class Token { var value: Scheduled? }
                    let token = Token()
                    loop.schedule(after: .seconds(1)) {
                        order.append("first")
                        #expect(token.value?.cancel() == true)
                    }
                    token.value = loop.schedule(after: .seconds(1)) { order.append("second") }
                    loop.schedule(after: .seconds(1)) { loop.stop() }
                }
            }
            #expect(order.all == ["first"])
        }
    }
}

/// Stops the loop when nothing is left for it to do.
private func stopWhenAsleep(_ loop: EventLoop, _ order: Recorder<String>) {
    while unsafe !loop.core.inbox.sleeping.load(ordering: .sequentiallyConsistent) {}
    do {
        try loop.submit { loop in
            order.append("stop at \(loop.now)")
            loop.stop()
        }
    } catch {
        Issue.record(error)
    }
}

/// Without `withLoop`, as the process of an exit test has descriptors of its own that come and go.
private func scheduleAndCancel(after delays: [Duration]) throws {
    let loop = try EventLoop(.virtual())
    try loop.runForever { loop in
        for delay in delays { loop.schedule(after: delay) {}.cancel() }
        loop.stop()
    }
    if !loop.close().isClean { Issue.record("something was left open") }
}

/// Says when it is released.
final class ReleaseProbe: Sendable {
    private let name: String
    private let log: Recorder<String>

    init(_ name: String, _ log: Recorder<String>) {
        self.name = name
        self.log = log
    }

    deinit { log.append(name) }

    func touch() {}
}

/// Calls `body` with a new probe that nobody else holds.
func holding<Result>(
    _ name: String,
    _ log: Recorder<String>,
    _ body: (ReleaseProbe) throws -> Result
) rethrows -> Result {
    try body(ReleaseProbe(name, log))
}
