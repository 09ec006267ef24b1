// What the page of differences from asyncio says and no other test holds; the ways to asyncio's behaviour among them.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct DifferencesTests {
        @TaskLocal static var label = "none"

        @Test func `a handler passes the cancellation on to the task that is awaited, as asyncio does`() async throws {
            try await onLoop { _ in
                let inner = spawn { try await AsyncIO.sleep(for: .seconds(3_600)) }
                let outer = spawn {
                    try await withTaskCancellationHandler {
                        try await inner.value
                    } onCancel: {
                        inner.cancel()
                    }
                }
                await AsyncIO.yield()
                outer.cancel()
                #expect(await isCancelled { try await outer.value })
                #expect(await isCancelled { try await inner.value })
                #expect(inner.isCancelled)
            }
        }

        @Test func `offloaded work sees no task-local values, where Swift differs`() async throws {
            try await onLoop { _ in
                let seen = try await Self.$label.withValue("the caller's") {
                    let captured = Self.label
                    return try await AsyncIO.offload { (Self.label, captured) }
                }
                #expect(seen.0 == "none" && seen.1 == "the caller's")
            }
        }

        @Test func `each kind of time limit has an error of its own, where Swift differs`() async throws {
            try await onLoop { loop in
                let deadline = loop.now.advanced(by: .seconds(1))
                let ofLength = await failure { try await withTimeout(.seconds(1)) { try await forEver() } }
                #expect(ofLength as? TimeoutError == TimeoutError(limit: .seconds(1)))
                let ofInstant = await failure { try await withDeadline(deadline) { _ in try await forEver() } }
                #expect(ofInstant as? DeadlineError == DeadlineError(deadline: deadline))
                let ofConnection = await failure {
                    _ = try await TCPConnection.connect(host: "127.0.0.1", port: 9, timeout: .zero)
                }
                guard case LoopError.timedOut? = ofConnection as? LoopError else {
                    Issue.record("\(String(describing: ofConnection))")
                    return
                }
            }
        }

        @Test func `a task that is spawned without the deadline outlives it, as asyncio's do`() async throws {
            try await onLoop(.paced) { loop in
                let start = loop.now
                let (heir, other) = try await withDeadline(start.advanced(by: ticks(1))) { _ in
                    let heir = spawn { try await forEver() }
                    let other = Deadline.$inherited.withValue(nil) { spawn { try await AsyncIO.sleep(for: ticks(5)) } }
                    return (heir, other)
                }
                #expect(await failure { try await heir.value } != nil)
                #expect(isTicks(start.duration(to: loop.now), 1))
                try await other.value
                #expect(isTicks(start.duration(to: loop.now), 5))
                let ofLength = try await withTimeout(ticks(1)) { spawn { try await AsyncIO.sleep(for: ticks(5)) } }
                try await ofLength.value
            }
        }

        @Test func `handles are equal if they are of the same task, and futures likewise`() async throws {
            try await onLoop { _ in
                let (task, other) = (spawn { 1 }, spawn { 1 })
                #expect(task == task && task != other && Set([task, other, task]).count == 2)
                let values = [try await task.value, try await other.value]
                #expect(values == [1, 1])
                let (promise, second) = (Promise<Int>(), Promise<Int>())
                promise.succeed(1)
                second.succeed(1)
                #expect(promise.future == promise.future && promise.future != second.future)
                #expect(Set([promise.future, second.future, promise.future]).count == 2)
            }
        }

        @Test func `a queue has a limit unless it is told otherwise, where Swift differs`() throws {
            let (usual, unlimited) = (AsyncQueue<Int>(), AsyncQueue<Int>(capacity: .max))
            for number in 0..<1_024 {
                #expect(try usual.tryPut(number) && unlimited.tryPut(number))
            }
            #expect(try !usual.tryPut(1_024) && unlimited.tryPut(1_024))
        }
    }
}

/// Waits for what nobody sets: a sleep would end before the limit where a virtual clock runs ahead.
private func forEver() async throws { try await AsyncEvent().wait() }
