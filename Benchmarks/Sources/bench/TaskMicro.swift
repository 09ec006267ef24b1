// What the micro-benchmarks of tasks do, whoever runs them: every function here inherits the isolation, and with it the
// executor, of its caller.

internal import CMeasure

enum TaskMicro {
    /// Nanoseconds for each of `count` repetitions of something that takes its time on the calling executor.
    static func timed(_ count: Int, _ body: nonisolated(nonsending) () async throws -> Void) async rethrows -> Double {
        let start = measure_now()
        for _ in 0..<count { try await body() }
        return Double(measure_now() - start) / Double(count)
    }

    static func spawn(_ count: Int) async -> Double {
        await timed(count) { await Task {}.value }
    }

    static func yield(_ count: Int) async -> Double {
        let start = measure_now()
        for _ in 0..<count { await Task.yield() }
        return Double(measure_now() - start) / Double(count)
    }

    static func asyncLet(_ count: Int) async -> Double {
        await timed(count) {
            async let one = value()
            _ = await one
        }
    }

    private static func value() async -> Int { 1 }

    /// In a group: not more, as the runtime finds a child that ends by walking over its siblings.
    private static let children = 20

    static func groupChild(_ count: Int) async -> Double {
        let start = measure_now()
        for _ in 0..<count / children {
            await withDiscardingTaskGroup { group in
                for _ in 0..<children { group.addTask {} }
            }
        }
        return Double(measure_now() - start) / Double(count)
    }

    /// Two tasks hand a value to each other and back; each hand-over counts.
    static func stream(_ count: Int, isolation: isolated (any Actor)? = #isolation) async -> Double {
        let (there, toThere) = AsyncStream.makeStream(of: Int.self)
        let (back, toBack) = AsyncStream.makeStream(of: Int.self)
        let partner = Task {
            _ = isolation
            for await value in there { toBack.yield(value) }
            toBack.finish()
        }
        var answers = back.makeAsyncIterator()
        let start = measure_now()
        for number in 0..<count / 2 {
            toThere.yield(number)
            _ = await answers.next(isolation: isolation)
        }
        let elapsed = measure_now() - start
        toThere.finish()
        await partner.value
        return Double(elapsed) / Double(count)
    }

    /// Tasks that all sleep once, each for a tenth of a second up to 1.1 seconds.
    ///
    /// Returns the processor time of one, or how late the latest but one in a hundred was.
    static func sleepers(
        _ count: Int,
        lateness wantsLateness: Bool,
        _ sleep: @escaping @Sendable (Duration) async throws -> Void
    ) async throws -> Double {
        let cpu = measure_own_cpu_time()
        // Not a group: the runtime finds a child that ends by walking over its siblings.
        var delays = SleeperDelays()
        let sleepers = (0..<count).map { _ in
            let delay = delays.next()
            return Task {
                let due = measure_now() + delay * 1_000
                try await sleep(.microseconds(delay))
                return measure_now() - due
            }
        }
        var late: [Int64] = []
        late.reserveCapacity(count)
        for sleeper in sleepers { late.append(try await sleeper.value) }
        if wantsLateness { return Double(late.sorted()[count * 99 / 100]) }
        return Double(measure_own_cpu_time() - cpu) / Double(count)
    }
}

/// Microseconds to sleep, in an order that every peer draws the same.
struct SleeperDelays {
    private var state: UInt32 = 1

    mutating func next() -> Int64 {
        state = state &* 1_664_525 &+ 1_013_904_223
        return 100_000 + Int64(state >> 8) % 1_000_000
    }
}
