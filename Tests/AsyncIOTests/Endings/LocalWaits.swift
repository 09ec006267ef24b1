// The kinds of waits in which no network takes part: futures and tasks, queues, channels, locks and what is built like
// them, places, work on other threads, and time.

import AsyncIO
import Testing

extension WaitKind {
    static let local: [WaitKind] = futures + queues + locks + others

    // MARK: Futures

    private static let futures = [
        WaitKind(name: "Future", closed: "CancellationError") { loop, _ in
            let promise = Promise<Int>()
            return WaitParts(
                wait: { _ in "\(try await promise.future.value)" },
                complete: { _ in promise.succeed(1) },
                close: { _ in promise.future.cancel() },
                tidy: { _ in promise.succeed(0) }
            )
        }.completing("1"),
        WaitKind(name: "the end of another task", completesAtOnce: false, closed: "CancellationError") { loop, _ in
            let over = Latch(on: loop)
            let task = spawn(eager: true) { try await over.wait() }
            return WaitParts(
                wait: { _ in
                    try await task.value
                    return "ok"
                },
                complete: { _ in over.open() },
                close: { _ in task.cancel() }
            )
        },
        WaitKind(name: "gather", completesAtOnce: false) { loop, _ in
            let over = Latch(on: loop)
            return WaitParts(
                wait: { _ in
                    _ = try await gather(
                        { try await over.wait() },
                        { try await over.wait() }
                    )
                    return "ok"
                },
                complete: { _ in over.open() }
            )
        },
    ]

    private func completing(_ word: String) -> WaitKind {
        var kind = self
        kind.completed = word
        return kind
    }

    // MARK: Queues and channels

    private static let queues = [
        WaitKind(
            name: "AsyncQueue.get",
            completesAtOnce: false,
            closed: "QueueError",
            closesAtOnce: false,
            looksAgain: true
        ) { loop, _ in
            let queue = LoopBound(AsyncQueue<Int>(), on: loop)
            return WaitParts(
                wait: { "\(try await queue.value(on: $0).get())" },
                complete: { _ = try? queue.value(on: $0).tryPut(1) },
                close: { queue.value(on: $0).finish() }
            )
        }.completing("1"),
        WaitKind(
            name: "AsyncQueue.put",
            completesAtOnce: false,
            closed: "QueueError",
            closesAtOnce: false,
            looksAgain: true
        ) { loop, _ in
            let queue = LoopBound(AsyncQueue<Int>(capacity: 1), on: loop)
            try await queue.value(on: loop).put(0)
            return WaitParts(
                wait: {
                    try await queue.value(on: $0).put(1)
                    return "ok"
                },
                complete: { _ = try? queue.value(on: $0).tryGet() },
                close: { queue.value(on: $0).finish() }
            )
        },
        WaitKind(name: "AsyncQueue.join") { loop, _ in
            let queue = LoopBound(AsyncQueue<Int>(), on: loop)
            try await queue.value(on: loop).put(0)
            return WaitParts(
                wait: {
                    try await queue.value(on: $0).join()
                    return "ok"
                },
                complete: { queue.value(on: $0).taskDone() }
            )
        },
        WaitKind(name: "Channel.receive", closed: "nil") { loop, _ in
            let channel = Channel<Int>()
            return WaitParts(
                wait: { _ in try await channel.receive().map { "\($0)" } ?? "nil" },
                complete: { _ in _ = try? channel.trySend(1) },
                close: { _ in channel.close() }
            )
        }.completing("1"),
        WaitKind(name: "Channel.send", closed: "ChannelError") { loop, _ in
            let channel = Channel<Int>(capacity: 1)
            try await channel.send(0)
            return WaitParts(
                wait: { _ in
                    try await channel.send(1)
                    return "ok"
                },
                complete: { _ in _ = try? channel.tryReceive() },
                close: { _ in channel.close() }
            )
        },
        WaitKind(name: "BroadcastSubscription.receive", closed: "nil") { loop, _ in
            let channel = BroadcastChannel<Int>()
            let both = LoopBound((channel, channel.subscribe()), on: loop)
            return WaitParts(
                wait: { try await both.value(on: $0).1.receive().map { "\($0)" } ?? "nil" },
                complete: { _ = try? both.value(on: $0).0.trySend(1) },
                close: { both.value(on: $0).0.close() }
            )
        }.completing("1"),
        WaitKind(
            name: "Watch.wait",
            completesAtOnce: false,
            closed: "WatchError",
            closesAtOnce: false,
            looksAgain: true
        ) { loop, _ in
            let watch = LoopBound(Watch(0), on: loop)
            return WaitParts(
                wait: { "\(try await watch.value(on: $0).wait { $0 > 0 })" },
                complete: { watch.value(on: $0).update { $0 = 1 } },
                close: { watch.value(on: $0).finish() }
            )
        }.completing("1"),
    ]

    // MARK: Locks

    private static let locks = [
        WaitKind(name: "AsyncLock.acquire", completesAtOnce: false, looksAgain: true) { loop, _ in
            let lock = LoopBound(AsyncLock(), on: loop)
            try await lock.value(on: loop).acquire()
            return WaitParts(
                wait: {
                    try await lock.value(on: $0).acquire()
                    lock.value(on: $0).release()
                    return "ok"
                },
                complete: { lock.value(on: $0).release() }
            )
        },
        WaitKind(name: "AsyncSemaphore.acquire", completesAtOnce: false, looksAgain: true) { loop, _ in
            let semaphore = LoopBound(AsyncSemaphore(permits: 0), on: loop)
            return WaitParts(
                wait: {
                    try await semaphore.value(on: $0).acquire()
                    return "ok"
                },
                complete: { semaphore.value(on: $0).release() }
            )
        },
        WaitKind(name: "AsyncEvent.wait") { loop, _ in
            let event = LoopBound(AsyncEvent(), on: loop)
            return WaitParts(
                wait: {
                    try await event.value(on: $0).wait()
                    return "ok"
                },
                complete: { event.value(on: $0).set() }
            )
        },
        WaitKind(name: "AsyncCondition.wait", completesAtOnce: false, looksAgain: true) { loop, _ in
            let condition = LoopBound(AsyncCondition(), on: loop)
            return WaitParts(
                wait: { loop in
                    let waited = condition.value(on: loop)
                    try await waited.withLock { try await waited.wait() }
                    return "ok"
                },
                complete: { loop in
                    spawn(eager: true) {
                        let notified = condition.value(on: loop)
                        try? await notified.withLock { notified.notify() }
                    }
                }
            )
        },
        WaitKind(
            name: "AsyncBarrier.wait",
            completesAtOnce: false,
            closed: "BrokenBarrierError",
            closesAtOnce: false,
            looksAgain: true
        ) { loop, _ in
            let barrier = LoopBound(AsyncBarrier(parties: 2), on: loop)
            return WaitParts(
                wait: {
                    _ = try await barrier.value(on: $0).wait()
                    return "ok"
                },
                complete: { loop in
                    // It waits for nobody for ever: the loop's end comes.
                    spawn(eager: true) { _ = try? await barrier.value(on: loop).wait() }
                },
                close: { barrier.value(on: $0).abort() }
            )
        },
    ]

    // MARK: The rest

    private static let others = [
        WaitKind(name: "Park.wait") { loop, _ in
            let park = LoopBound(Park(on: loop), on: loop)
            return WaitParts(
                wait: {
                    try await park.value(on: $0).wait()
                    return "ok"
                },
                complete: { park.value(on: $0).wake() }
            )
        },
        WaitKind(name: "sleep", drivers: [.sockets], completed: nil) { loop, _ in
            WaitParts(
                wait: { _ in
                    try await sleep(for: .seconds(1_000))
                    return "ok"
                }
            )
        },
        WaitKind(name: "a time limit", drivers: [.sockets], completesAtOnce: false) { loop, _ in
            let over = Latch(on: loop)
            return WaitParts(
                wait: { _ in
                    try await withTimeout(.seconds(1_000)) { try await over.wait() }
                    return "ok"
                },
                complete: { _ in over.open() }
            )
        },
        WaitKind(name: "offload", drivers: [.memory, .sockets], completesAtOnce: false, tellsLate: true) { loop, _ in
            let gate = Gate()
            return WaitParts(
                wait: { _ in
                    try await offload { _ = gate.pass() }
                    return "ok"
                },
                complete: { _ in gate.open() },
                tidy: { _ in gate.open(times: 2) }
            )
        },
    ]
}
