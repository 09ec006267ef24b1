// The loop as an actor: its methods awaited from async code, user actors placed on it, and jobs that come when the loop
// is closed or closes. A job must always run somewhere, or its task hangs for ever.

import Synchronization
import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct ExecutorTests {
        @Test func `async code awaits the methods of a loop on another thread`() async throws {
            try await withLoopElsewhere { loop in
                #expect(!loop.isCurrent)
                #expect(await loop.dump().contains("EventLoop 'loop'"))
                let first = await loop.now
                #expect(await loop.now >= first)
                #expect(await loop.statistics.callbacks >= 3)
            }
        }

        @Test func `an isolated function runs on the loop's thread and may use its callbacks`() async throws {
            let order = Recorder<String>()
            try await withLoopElsewhere(.real) { loop in
                await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
                    Task { await begin(on: loop, order, done) }
                }
                order.append("resumed")
            }
            #expect(order.all == ["on the loop: true", "callback", "timer", "resumed"])
        }

        @Test func `an actor can be placed on a loop`() async throws {
            try await withLoopElsewhere { loop in
                let counter = Counter(on: loop)
                #expect(await counter.increment())
                await withTaskGroup(of: Bool.self) { group in
                    for _ in 0..<500 { group.addTask { await counter.increment() } }
                    for await onLoop in group { #expect(onLoop) }
                }
                #expect(await counter.count == 501)
            }
        }

        @Test func `jobs, callbacks and submissions share one queue`() async throws {
            let order = Recorder<Int>()
            try await withLoopElsewhere { loop in
                let done = Flag()
                try loop.submit { loop in
                    loop.schedule { order.append(0) }
                    Task { append(1, to: order, on: loop) }
                    loop.schedule { order.append(2) }
                    try loop.submit { _ in order.append(3) }
                    loop.schedule { loop.schedule(after: .seconds(1)) { done.raise() } }
                }
                while !done.isRaised || order.count < 4 { await Task.yield() }
            }
            #expect(order.all == [0, 1, 2, 3])
        }

        @Test func `a job for a closed loop runs all the same, on the loop as far as it can tell`() async throws {
            let loop = try await closedLoop()
            #expect(await loop.dump().contains("closed"))
            #expect(await isolationHolds(on: loop))
            #expect(!loop.isCurrent)
        }

        @Test func `jobs for a closed loop run one at a time, in order`() async throws {
            let loop = try await closedLoop()
            let counter = Counter(on: loop)
            await withTaskGroup(of: Bool.self) { group in
                for _ in 0..<500 { group.addTask { await counter.increment() } }
                for await onLoop in group { #expect(onLoop) }
            }
            #expect(await counter.count == 500)
        }

        @Test func `a job that was queued when the loop closed still runs, and so its task ends`() async throws {
            let (loops, announce) = AsyncStream<EventLoop>.makeStream()
            let worker = Worker {
                do {
                    try withLoop { loop in
                        announce.yield(loop)
                        while unsafe !loop.core.inbox.hasEntries.load(ordering: .acquiring) {}
                    }
                } catch {
                    Issue.record(error)
                }
                announce.finish()
            }
            for await loop in loops {
                #expect(await isolationHolds(on: loop))
            }
            worker.join()
        }

        @Test func `code that resumes on a closed loop is refused new work with an error`() async throws {
            let loop = try await closedLoop()
            #expect(throws: LoopError.loopClosed) { try loop.submit { _ in } }
            #expect(await refusals(on: loop) == [.loopClosed, .loopClosed, .loopClosed])
        }
    }
}

private func begin(
    on loop: isolated EventLoop,
    _ order: Recorder<String>,
    _ done: CheckedContinuation<Void, Never>
) {
    order.append("on the loop: \(loop.isCurrent)")
    loop.schedule(after: .milliseconds(1)) {
        order.append("timer")
        done.resume()
    }
    loop.schedule { order.append("callback") }
}

private func append(_ number: Int, to order: Recorder<Int>, on loop: isolated EventLoop) { order.append(number) }

private func isolationHolds(on loop: isolated EventLoop) -> Bool {
    loop.assertIsolated()
    return loop.isCurrent
}

private func refusals(on loop: isolated EventLoop) -> [LoopError] {
    var errors: [LoopError] = []
    do { try loop.submit { _ in } } catch { errors.append(error as? LoopError ?? .emptyReadBuffer) }
    do { try loop.onSignal(.user1) {} } catch { errors.append(error as? LoopError ?? .emptyReadBuffer) }
    do {
        let address = try SocketAddress(host: "127.0.0.1", port: 0)
        try loop.listen(on: address) { () throws -> any StreamProtocol in throw LoopError.emptyReadBuffer }
    } catch {
        errors.append(error as? LoopError ?? .emptyReadBuffer)
    }
    return errors
}

/// An actor of a user's own on a loop.
private actor Counter {
    private let loop: EventLoop
    private(set) var count = 0

    init(on loop: EventLoop) { self.loop = loop }

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.unownedExecutor }

    /// Counts, and says whether it was on the loop.
    func increment() -> Bool {
        count += 1
        return loop.isCurrent
    }
}

/// A loop that was made and closed by a thread that has ended.
private func closedLoop() async throws -> EventLoop {
    let (loops, announce) = AsyncThrowingStream<EventLoop, any Error>.makeStream()
    let worker = Worker {
        do {
            try withLoop { _ = announce.yield($0) }
            announce.finish()
        } catch {
            announce.finish(throwing: error)
        }
    }
    var made: EventLoop?
    for try await loop in loops { made = loop }
    worker.join()
    return try #require(made)
}

/// Runs a loop on a thread of its own while `body` uses it from async code, and stops it when `body` has returned.
func withLoopElsewhere(
    _ configuration: EventLoop.Configuration = .virtual(),
    _ body: (EventLoop) async throws -> Void
) async throws {
    let (loops, announce) = AsyncStream<EventLoop>.makeStream()
    let worker = Worker {
        do {
            try withLoop(configuration) { loop in
                announce.yield(loop)
                try loop.runForever()
            }
        } catch {
            Issue.record(error)
        }
        announce.finish()
    }
    for await loop in loops {
        defer { submitOrRecord(to: loop) { $0.stop() } }
        try await body(loop)
    }
    worker.join()
}
