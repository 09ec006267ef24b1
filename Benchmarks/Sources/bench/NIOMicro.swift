// The micro-benchmarks on SwiftNIO, by its public interface: what the same program would cost there.

internal import CMeasure
internal import NIOCore
internal import NIOPosix
internal import Synchronization

enum NIOMicro {
    /// Returns nanoseconds per operation.
    static func run(_ micro: MicroCase, count: Int) throws -> Double {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: micro == .roundTrip ? 2 : 1)
        let loop = group.next()
        try pin(loop, to: MEASURE_FIRST_CORE)
        let elapsed =
            switch micro {
            case .soon: try soon(count, on: loop)
            case .flood: try flood(count, on: loop)
            case .roundTrip: try roundTrip(count, loop, group.next())
            case .timer, .timerAmongMany: try timers(count, pending: micro.pendingTimers, on: loop)
            default: throw BenchError("not about callbacks")
            }
        try group.syncShutdownGracefully()
        return Double(elapsed) / Double(count)
    }

    private static func pin(_ loop: any EventLoop, to core: measure_core) throws {
        try loop.submit { _ = try check(measure_pin(core), "sched_setaffinity") }.wait()
    }

    private static func soon(_ count: Int, on loop: any EventLoop) throws -> Int64 {
        let end = loop.makePromise(of: Int64.self)
        let start = try loop.submit {
            let start = measure_now()
            chain(count, on: loop, end)
            return start
        }.wait()
        return try end.futureResult.wait() - start
    }

    private static func chain(_ left: Int, on loop: any EventLoop, _ end: EventLoopPromise<Int64>) {
        if left == 0 {
            end.succeed(measure_now())
        } else {
            loop.execute { chain(left - 1, on: loop, end) }
        }
    }

    private static func flood(_ count: Int, on loop: any EventLoop) throws -> Int64 {
        try check(measure_pin(MEASURE_LAST_CORE), "sched_setaffinity")
        let counter = JobCounter()
        let start = measure_now()
        for _ in 0..<count {
            loop.execute { counter.countOne() }
        }
        let end = try loop.submit { measure_now() }.wait()
        try counter.expect(count)
        return end - start
    }

    private static func roundTrip(_ count: Int, _ here: any EventLoop, _ there: any EventLoop) throws -> Int64 {
        try pin(there, to: MEASURE_LAST_CORE)
        let end = here.makePromise(of: Int64.self)
        let start = try here.submit {
            let start = measure_now()
            bounce(count, here, there, end)
            return start
        }.wait()
        return try end.futureResult.wait() - start
    }

    private static func bounce(
        _ left: Int,
        _ here: any EventLoop,
        _ there: any EventLoop,
        _ end: EventLoopPromise<Int64>
    ) {
        if left == 0 {
            end.succeed(measure_now())
        } else {
            there.execute {
                here.execute { bounce(left - 1, here, there, end) }
            }
        }
    }

    private static func timers(_ count: Int, pending: Int, on loop: any EventLoop) throws -> Int64 {
        try loop.submit {
            for delay in PendingDelays().prefix(pending) {
                loop.scheduleTask(in: .milliseconds(Int64(delay))) {}
            }
            let start = measure_now()
            for _ in 0..<count {
                loop.scheduleTask(in: .seconds(1)) {}.cancel()
            }
            return measure_now() - start
        }.wait()
    }
}

/// Counts the jobs of a flood.
///
/// Only the loop's thread counts, so that it need not be an atomic addition.
final class JobCounter: Sendable {
    private let jobs = Atomic<Int>(0)

    func countOne() {
        jobs.store(jobs.load(ordering: .relaxed) + 1, ordering: .relaxed)
    }

    /// Throws unless so many jobs have run.
    func expect(_ count: Int) throws {
        let ran = jobs.load(ordering: .acquiring)
        if ran != count { throw BenchError("\(ran) of \(count) jobs ran") }
    }
}
