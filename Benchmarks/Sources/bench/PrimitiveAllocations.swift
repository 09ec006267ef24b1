// The heap allocations of what tasks of one loop do with one another: none where nobody has to wait, and none for a wait
// once there has been one.

internal import AsyncIO
internal import CMeasure

enum PrimitiveAllocations {
    private static let count = 10_000

    static func verdicts() throws -> [Verdict] {
        Terminal.note("gate: allocations of locks and queues")
        try check(measure_count_allocations(), "counting allocations")
        let figures = try AsyncIO.run { try await all() }
        return figures.map { name, figure in
            Verdict("\(name): heap allocations", ours: figure, libuv: nil, limit: 0.001, places: 4)
        }
    }

    @MainActor
    private static func all() async throws -> [(name: String, figure: Double)] {
        let lock = AsyncLock(), semaphore = AsyncSemaphore(permits: 2), event = AsyncEvent(isSet: true)
        let queue = AsyncQueue<Int>(capacity: 10)
        return [
            ("free lock", try await figure { try await lock.withLock {} }),
            ("free semaphore", try await figure { try await semaphore.withPermit {} }),
            ("event that is set", try await figure { try await event.wait() }),
            (
                "put and get at once",
                try await figure {
                    try await queue.put(1)
                    _ = try await queue.get()
                }
            ),
            ("lock that two tasks want", try await contended()),
            ("put and get with a wait each", try await handedOver()),
        ]
    }

    /// Allocations for each of many repetitions, after as many that are not counted.
    @MainActor
    private static func figure(_ operation: () async throws -> Void) async throws -> Double {
        for _ in 0..<count { try await operation() }
        let before = measure_allocations()
        for _ in 0..<count { try await operation() }
        return Double(measure_allocations() - before) / Double(count)
    }

    @MainActor
    private static func contended() async throws -> Double {
        let lock = AsyncLock()
        let other = AsyncIO.spawn { while !Task.isCancelled { try await lock.withLock { await AsyncIO.yield() } } }
        let figure = try await figure { try await lock.withLock { await AsyncIO.yield() } }
        other.cancel()
        return figure
    }

    @MainActor
    private static func handedOver() async throws -> Double {
        let there = AsyncQueue<Int>(capacity: 1), back = AsyncQueue<Int>(capacity: 1)
        let partner = AsyncIO.spawn { for try await number in there { try await back.put(number) } }
        let figure = try await figure {
            try await there.put(1)
            _ = try await back.get()
        }
        there.finish()
        try await partner.value
        return figure
    }
}
