// Deadlines that a bare task inherits and takes to Swift's pool, where no loop has a timer for it: every wait that can be made
// there. What waits on a loop is in DeadlineBareTaskTests.

import AsyncIO
import Synchronization
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct DeadlineForeignTests {
        @Test func `a bare task on no loop is cancelled where it waits when its inherited deadline has passed`()
            async throws
        {
            let channel = Channel<Int>(capacity: 0)
            let work = Atomic<Int>(0)
            try await onLoop(.real) { loop in
                let promise = Promise<Int>()
                let future = promise.future
                let submitted = try loop.submitTask { _ in try await AsyncIO.sleep(for: .seconds(60)) }
                await expectCancelled { try await channel.send(1) }
                await expectCancelled { _ = try await channel.receive() }
                await expectCancelled { _ = try await future.value }
                await expectCancelled { try await AsyncIO.sleep(for: .seconds(60)) }
                await expectCancelled { try await submitted.value }
                await expectCancelled { try await AsyncIO.offload { _ = work.add(1, ordering: .relaxed) } }
                promise.succeed(1)
            }
            #expect(work.load(ordering: .relaxed) == 0)
            // Nobody waits any more, and nothing was sent.
            let wasSent = try channel.trySend(2)
            #expect(!wasSent)
            let left = try channel.tryReceive()
            #expect(left == nil)
        }

        @Test func `one that passes during the wait ends it, and what comes later is not lost`() async throws {
            let channel = Channel<Int>(capacity: 1)
            await expectCancelled(after: .milliseconds(5)) { _ = try await channel.receive() }
            let wasSent = try channel.trySend(1)
            #expect(wasSent)
            await expectCancelled(after: .milliseconds(5)) { try await channel.send(2) }
            let first = try await channel.receive()
            #expect(first == 1)
            let left = try channel.tryReceive()
            #expect(left == nil)
        }

        @Test func `what need not wait is done after the deadline too, and a wait that ends in time is not cancelled`()
            async throws
        {
            let channel = Channel<Int>(capacity: 1)
            try await onPool(after: .seconds(-1)) {
                try await channel.send(1)
                let element = try await channel.receive()
                #expect(element == 1)
                #expect(!Task.isCancelled)
            }
            async let sent: Void = channel.send(2)
            try await onPool(after: .seconds(60)) {
                let element = try await channel.receive()
                #expect(element == 2)
                #expect(!Task.isCancelled)
            }
            try await sent
        }
    }
}

/// Runs `body` in a bare task on Swift's pool that has inherited a deadline.
private func onPool(after delay: Duration, _ body: @escaping @Sendable () async throws -> Void) async throws {
    try await onPool {
        // The first deadline of the process has waits look for them.
        try await withEventLoop(.virtual()) { _ in try await withDeadline(nil) { _ in } }
        let deadline = LoopInstant.system.advanced(by: delay)
        try await Deadline.$inherited.withValue(deadline) { Task { @concurrent in try await body() } }.value
    }
}

private func expectCancelled(
    after delay: Duration = .seconds(-1),
    sourceLocation: SourceLocation = #_sourceLocation,
    _ body: @escaping @Sendable () async throws -> Void
) async {
    let end: String
    do {
        try await onPool(after: delay) {
            defer { #expect(Task.isCancelled, sourceLocation: sourceLocation) }
            #expect(EventLoop.current == nil, sourceLocation: sourceLocation)
            try await body()
        }
        end = "ok"
    } catch { end = "\(type(of: error))" }
    #expect(end == "CancellationError", sourceLocation: sourceLocation)
}
