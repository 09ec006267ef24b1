// The examples of the doc comments of futures, combinators, synchronisation, queues and the loop for tests, as code that
// is compiled; DocumentationTests looks for them here.

import AsyncIO
import AsyncIOTesting

private struct Job: Sendable {}
private struct Page: Sendable {}

@MainActor private final class Account {
    func balance() async throws -> Int { 0 }
    func set(_ balance: Int) async throws {}
}

struct Fixed: Resolver {
    func addresses(of host: String, port: Int, family: SocketAddress.Family?) async throws -> [SocketAddress] {
        try [SocketAddress(host: "127.0.0.1", port: port)]
    }
}

private struct Legacy {
    func fetch(_ done: @escaping @Sendable (Int) -> Void) { done(1) }
}

@MainActor enum LayerExamples {
    private static func use<Value>(_ value: Value) {}
    private static func work(on job: Job) async {}
    private static func fetch(_ page: Page) async throws {}

    private static func futures(_ legacy: Legacy) async throws {
        let promise = Promise<Int>()
        legacy.fetch { value in promise.succeed(value) }
        let value = try await promise.future.value
        use(value)
    }

    private static func completed(_ downloads: [LoopTask<Int>]) async throws {
        for try await task in AsyncIO.asCompleted(downloads) { use(try await task.value) }
    }

    private static func queue(_ job: Job) async throws {
        let jobs = AsyncQueue<Job>(capacity: 100)
        AsyncIO.spawn { for try await job in jobs { await work(on: job) } }
        try await jobs.put(job)
        jobs.finish()
    }

    private static func condition(_ condition: AsyncCondition, _ items: inout [Int]) async throws {
        try await condition.withLock {
            try await condition.wait { !items.isEmpty }
            use(items.removeFirst())
        }
    }

    private static func lock(_ lock: AsyncLock, _ account: Account) async throws {
        try await lock.withLock {
            let balance = try await account.balance()
            try await account.set(balance - 10)
        }
    }

    private static func semaphore(_ page: Page) async throws {
        let limit = AsyncSemaphore(permits: 10)
        try await limit.withPermit { try await fetch(page) }
    }

    private static func offloading(_ file: Page) async throws -> Int {
        let hashing = OffloadPool(name: "hashing", threads: 2, queueLimit: 100)
        let sum = try await AsyncIO.offload(on: hashing) { digest(of: file) }
        return sum
    }

    private nonisolated static func submitting(to loop: EventLoop) throws -> Page {
        let task = try loop.submitTask { loop in try await refresh(on: loop) }
        let page = try task.wait(timeout: .seconds(5))
        return page
    }

    private static func loops() async throws {
        let group = try await LoopGroup.start(4)
        for loop in group.loops { try loop.submit { loop in warmUp(on: loop) } }
        await group.end()
    }

    private static func warmUp(on loop: isolated EventLoop) {}
    private nonisolated static func digest(of file: Page) -> Int { 0 }
    private static func refresh(on loop: isolated EventLoop) async throws -> Page { Page() }

    private static func testLoop() async throws -> Duration {
        let elapsed = try await withTestLoop { loop in
            let start = loop.now
            try await AsyncIO.sleep(for: .seconds(3_600))
            return start.duration(to: loop.now)
        }
        return elapsed
    }
}
