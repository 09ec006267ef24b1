// The micro-benchmarks of tasks on our loop.

internal import AsyncIO
internal import CMeasure

enum OurTaskMicro {
    /// Returns nanoseconds per operation.
    static func run(_ micro: MicroCase, _ peer: MicroPeer, count: Int) throws -> Double {
        try check(measure_pin(MEASURE_FIRST_CORE), "sched_setaffinity")
        var configuration = EventLoop.Configuration()
        if peer == .oursPool { configuration.globalExecutor = .pool }
        return try AsyncIO.run(configuration) { try await run(micro, peer, count) }
    }

    @MainActor
    private static func run(_ micro: MicroCase, _ peer: MicroPeer, _ count: Int) async throws -> Double {
        switch micro {
        case .suspend where peer == .ours, .suspendCancellable where peer == .ours:
            guard let loop = EventLoop.current else { throw BenchError("no loop runs") }
            return await suspend(count, cancellable: micro == .suspendCancellable, on: loop)
        case .suspend, .suspendCancellable: return await floor(count)
        case .spawn: return await TaskMicro.spawn(count)
        case .taskYield: return await TaskMicro.yield(count)
        case .ourYield: return await yield(count)
        case .asyncLet: return await TaskMicro.asyncLet(count)
        case .groupChild: return await TaskMicro.groupChild(count)
        case .stream: return await TaskMicro.stream(count)
        case .loopSpawn: return try await spawn(count)
        case .eagerSpawn: return try await eagerSpawn(count)
        case .gather: return try await gather(count)
        case .lock: return try await lock(count)
        case .queue: return try await queue(count)
        case .queueRoundTrip: return try await queueRoundTrip(count)
        case .channel: return try await channel(count)
        case .sleepCPU, .sleepLateness:
            return try await TaskMicro.sleepers(count, lateness: micro == .sleepLateness) {
                try await AsyncIO.sleep(for: $0)
            }
        default: throw BenchError("not about tasks")
        }
    }

    private static let parks = 100

    /// A hundred tasks wait again and again; one callback wakes them all, so that it hardly counts.
    private static func suspend(_ count: Int, cancellable: Bool, on loop: isolated EventLoop) async -> Double {
        let places = (0..<parks).map { _ in Park(on: loop) }
        let rounds = count / parks
        var waking = rounds
        func wakeAll() {
            for place in places { place.wake() }
            waking -= 1
            if waking > 0 { loop.schedule { wakeAll() } }
        }
        return await withDiscardingTaskGroup { group in
            for place in places {
                group.addImmediateTask {
                    _ = loop
                    for _ in 0..<rounds {
                        if cancellable { try? await place.wait() } else { await place.waitUncancellable() }
                    }
                }
            }
            let start = measure_now()
            wakeAll()
            while waking > 0 { await AsyncIO.yield() }
            return Double(measure_now() - start) / Double(count)
        }
    }

    @MainActor
    private static func floor(_ count: Int) async -> Double {
        let start = measure_now()
        for _ in 0..<count { unsafe await withUnsafeContinuation { unsafe $0.resume() } }
        return Double(measure_now() - start) / Double(count)
    }

    // These are written out, as their peers are: a closure for each repetition would be one more change of isolation.

    @MainActor
    private static func yield(_ count: Int) async -> Double {
        let start = measure_now()
        for _ in 0..<count { await AsyncIO.yield() }
        return Double(measure_now() - start) / Double(count)
    }

    @MainActor
    private static func spawn(_ count: Int) async throws -> Double {
        let start = measure_now()
        for _ in 0..<count { _ = try await AsyncIO.spawn { 1 }.value }
        return Double(measure_now() - start) / Double(count)
    }

    @MainActor
    private static func eagerSpawn(_ count: Int) async throws -> Double {
        let start = measure_now()
        for _ in 0..<count { _ = try await AsyncIO.spawn(eager: true) { 1 }.value }
        return Double(measure_now() - start) / Double(count)
    }

    @MainActor
    private static func gather(_ count: Int) async throws -> Double {
        let operations = (0..<100).map { _ -> @Sendable @isolated(any) () async throws -> Int in { @MainActor in 1 } }
        let start = measure_now()
        for _ in 0..<count / 100 { try await AsyncIO.gather(operations) }
        return Double(measure_now() - start) / Double(count)
    }

    /// Ten tasks want the same lock again and again, and each lets the others run while it holds it.
    @MainActor
    private static func lock(_ count: Int) async throws -> Double {
        let lock = AsyncLock()
        let start = measure_now()
        let holders = (0..<10).map { _ in
            AsyncIO.spawn {
                for _ in 0..<count / 10 { try await lock.withLock { await AsyncIO.yield() } }
            }
        }
        for holder in holders { try await holder.value }
        return Double(measure_now() - start) / Double(count)
    }

    /// One task puts, another gets.
    @MainActor
    private static func queue(_ count: Int) async throws -> Double {
        let queue = AsyncQueue<Int>(capacity: 100)
        let start = measure_now()
        let consumer = AsyncIO.spawn { for _ in 0..<count { _ = try await queue.get() } }
        for number in 0..<count { try await queue.put(number) }
        try await consumer.value
        return Double(measure_now() - start) / Double(count)
    }

    /// The same by a channel, which threads may share.
    @MainActor
    private static func channel(_ count: Int) async throws -> Double {
        let channel = Channel<Int>(capacity: 100)
        let start = measure_now()
        let consumer = AsyncIO.spawn { for _ in 0..<count { _ = try await channel.receive() } }
        for number in 0..<count { try await channel.send(number) }
        try await consumer.value
        return Double(measure_now() - start) / Double(count)
    }

    @MainActor
    private static func queueRoundTrip(_ count: Int) async throws -> Double {
        let there = AsyncQueue<Int>(capacity: 1), back = AsyncQueue<Int>(capacity: 1)
        let start = measure_now()
        let partner = AsyncIO.spawn { for _ in 0..<count { try await back.put(try await there.get()) } }
        for number in 0..<count {
            try await there.put(number)
            _ = try await back.get()
        }
        try await partner.value
        return Double(measure_now() - start) / Double(count)
    }
}
