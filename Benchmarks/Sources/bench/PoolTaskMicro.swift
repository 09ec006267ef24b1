// The micro-benchmarks of tasks on Swift's default pool of threads, on all cores that there are.

internal import Dispatch
internal import Synchronization

enum PoolTaskMicro {
    /// Returns nanoseconds per operation.
    static func run(_ micro: MicroCase, count: Int) throws -> Double {
        let result = Mutex<Result<Double, any Error>?>(nil)
        let done = DispatchSemaphore(value: 0)
        Task.detached {
            let outcome: Result<Double, any Error>
            do { outcome = .success(try await run(micro, count)) } catch { outcome = .failure(error) }
            result.withLock { $0 = outcome }
            done.signal()
        }
        done.wait()
        guard let outcome = result.withLock({ $0 }) else { throw BenchError("no result") }
        return try outcome.get()
    }

    @concurrent
    private static func run(_ micro: MicroCase, _ count: Int) async throws -> Double {
        switch micro {
        case .spawn: await TaskMicro.spawn(count)
        case .taskYield, .ourYield: await TaskMicro.yield(count)
        case .asyncLet: await TaskMicro.asyncLet(count)
        case .groupChild: await TaskMicro.groupChild(count)
        case .stream: await TaskMicro.stream(count)
        case .sleepCPU, .sleepLateness:
            try await TaskMicro.sleepers(count, lateness: micro == .sleepLateness) { try await Task.sleep(for: $0) }
        default: throw BenchError("not measured on the pool")
        }
    }
}
