// The micro-benchmarks on our loop, each shaped as the same one on SwiftNIO: closures capture as much, loops and
// foreign threads are on the same cores.

internal import ArgumentParser
internal import CMeasure
internal import Dispatch
internal import Reactor
internal import Synchronization

enum OurMicro {
    /// Returns nanoseconds per operation.
    static func run(_ micro: MicroCase, count: Int) throws -> Double {
        try check(measure_pin(MEASURE_FIRST_CORE), "sched_setaffinity")
        let loop = try EventLoop()
        defer { loop.close() }
        let watch = Stopwatch()
        switch micro {
        case .soon: try soon(count, on: loop, watch)
        case .flood: try flood(count, on: loop, watch)
        case .roundTrip: try roundTrip(count, on: loop, watch)
        case .timer, .timerAmongMany: try timers(count, pending: micro.pendingTimers, on: loop, watch)
        default: throw BenchError("not about callbacks")
        }
        return Double(watch.elapsed) / Double(count)
    }

    private static func soon(_ count: Int, on loop: EventLoop, _ watch: Stopwatch) throws {
        try loop.runForever { loop in
            watch.start()
            chain(count, on: loop, watch)
        }
    }

    private static func chain(_ left: Int, on loop: isolated EventLoop, _ watch: Stopwatch) {
        if left == 0 {
            watch.stop()
            loop.stop()
        } else {
            loop.schedule { chain(left - 1, on: loop, watch) }
        }
    }

    private static func flood(_ count: Int, on loop: EventLoop, _ watch: Stopwatch) throws {
        let counter = JobCounter()
        try loop.runForever { loop in
            onOtherThread { [loop] in
                watch.start()
                for _ in 0..<count {
                    try loop.submit { _ in counter.countOne() }
                }
                try loop.submit { loop in
                    watch.stop()
                    loop.stop()
                }
            }
        }
        try counter.expect(count)
    }

    private static func roundTrip(_ count: Int, on here: EventLoop, _ watch: Stopwatch) throws {
        try here.runForever { here in
            onOtherThread { [here] in
                let there = try EventLoop()
                defer { there.close() }
                try there.runForever { there in
                    try here.submit { [there] here in
                        watch.start()
                        try bounce(count, here, there, watch)
                    }
                }
            }
        }
    }

    /// Runs on `here`; what it submits to `there` submits the next to `here`.
    private static func bounce(
        _ left: Int,
        _ here: isolated EventLoop,
        _ there: EventLoop,
        _ watch: Stopwatch
    ) throws {
        if left == 0 {
            watch.stop()
            here.stop()
            try there.submit { there in there.stop() }
        } else {
            try there.submit { [here] _ in
                try here.submit { here in try bounce(left - 1, here, there, watch) }
            }
        }
    }

    private static func timers(_ count: Int, pending: Int, on loop: EventLoop, _ watch: Stopwatch) throws {
        try loop.runForever { loop in
            for delay in PendingDelays().prefix(pending) {
                loop.schedule(after: .milliseconds(delay)) {}
            }
            watch.start()
            for _ in 0..<count {
                loop.schedule(after: .seconds(1)) {}.cancel()
            }
            watch.stop()
            loop.stop()
        }
    }

    /// Runs something on a thread on the other core.
    ///
    /// There is nobody to throw to there: an error ends the process.
    private static func onOtherThread(_ body: @escaping @Sendable () throws -> Void) {
        DispatchQueue.global().async {
            do {
                try check(measure_pin(MEASURE_LAST_CORE), "sched_setaffinity")
                try body()
            } catch {
                Bench.exit(withError: error)
            }
        }
    }
}

/// When something began and ended, on whichever threads that was.
private final class Stopwatch: Sendable {
    private let started = Atomic<Int64>(0)
    private let stopped = Atomic<Int64>(0)

    func start() {
        started.store(measure_now(), ordering: .releasing)
    }

    func stop() {
        stopped.store(measure_now(), ordering: .releasing)
    }

    var elapsed: Int64 {
        stopped.load(ordering: .acquiring) - started.load(ordering: .acquiring)
    }
}
