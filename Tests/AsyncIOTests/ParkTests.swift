// The one way in which tasks wait on a loop: no wake-up is lost, no cancellation is lost, and each wait ends once,
// whoever ends it and from whichever thread. Behaviours 40 and 41 of asyncio.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct ParkTests {
        // MARK: Waking

        @Test func `a wait ends when it is woken, on the loop and not within the call`() async throws {
            let order = Recorder<String>()
            try await onLoop { loop in
                let place = Place(on: loop)
                let task = spawn {
                    order.append("waits")
                    try await place.wait(on: loop)
                    order.append("goes on: \(loop.isCurrent)")
                }
                await someTurns()
                #expect(place.isOccupied)
                #expect(place.wake())
                #expect(!place.isOccupied)
                order.append("woken")
                try await task.value
            }
            #expect(order.all == ["waits", "woken", "goes on: true"])
        }

        @Test func `a wake-up that nobody waits for is not kept`() async throws {
            try await onLoop { loop in
                let place = Place(on: loop)
                #expect(!place.wake())
                let task = spawn { try await place.wait(on: loop) }
                for _ in 0..<3 { await AsyncIO.yield() }
                #expect(place.isOccupied)
                #expect(place.wake())
                #expect(!place.wake())
                try await task.value
            }
        }

        @Test func `a place can be waited at again and again`() async throws {
            try await onLoop { loop in
                let place = Place(on: loop)
                let task = spawn {
                    for _ in 0..<1_000 { try await place.wait(on: loop) }
                }
                var woken = 0
                while woken < 1_000 {
                    if place.wake() { woken += 1 }
                    await AsyncIO.yield()
                }
                try await task.value
                #expect(!place.isOccupied)
            }
        }

        @Test(.testsOrder)
        func `those that are woken together go on in the order of their waking`() async throws {
            let order = Recorder<Int>()
            try await onLoop { loop in
                var tasks: [LoopTask<Void>] = []
                let places = (0..<100).map { _ in Place(on: loop) }
                for (number, place) in places.enumerated() {
                    let task = spawn {
                        try await place.wait(on: loop)
                        order.append(number)
                    }
                    tasks.append(task)
                }
                await AsyncIO.yield()
                for place in places.reversed() { #expect(place.wake()) }
                for task in tasks { try await task.value }
            }
            #expect(order.all == (0..<100).reversed())
        }

        // MARK: Cancelling

        @Test func `cancelling the task ends its wait`() async throws {
            try await onLoop { loop in
                let place = Place(on: loop)
                let task = spawn { try await place.wait(on: loop) }
                await AsyncIO.yield()
                task.cancel()
                #expect(!place.isOccupied)
                #expect(!place.wake())
                #expect(await isCancelled { try await task.value })
            }
        }

        @Test func `in a task that was cancelled already a wait ends at once`() async throws {
            try await onLoop { loop in
                let place = Place(on: loop)
                let task = spawn {
                    cancelThisTask()
                    #expect(await isCancelled { try await place.wait(on: loop) })
                    #expect(!place.isOccupied)
                    #expect(await isCancelled { try await place.wait(on: loop) })
                }
                try await task.value
                #expect(!place.wake())
            }
        }

        @Test func `a wake-up that comes before the cancellation counts`() async throws {
            try await onLoop { loop in
                let place = Place(on: loop)
                let task = spawn {
                    try await place.wait(on: loop)
                    return Task.isCancelled
                }
                await someTurns()
                #expect(place.wake())
                task.cancel()
                let isCancelled = try await task.value
                #expect(isCancelled)
            }
        }

        @Test func `a wait that cannot be cancelled lasts until it is woken`() async throws {
            try await onLoop { loop in
                let place = Place(on: loop)
                let task = spawn { await place.waitUncancellable(on: loop) }
                await AsyncIO.yield()
                task.cancel()
                for _ in 0..<3 { await AsyncIO.yield() }
                #expect(place.isOccupied)
                #expect(place.wake())
                try await task.value
            }
        }

        @Test func `a late cancellation does not end the next wait at the same place`() async throws {
            try await onLoop { loop in
                let place = Place(on: loop)
                let first = spawn { try await place.wait(on: loop) }
                await someTurns()
                // The cancellation comes from another thread, and so is on its way while the place changes hands.
                let (gate, cancelled) = (Gate(), Gate())
                onForeignThread {
                    gate.pass()
                    first.cancel()
                    cancelled.open()
                }
                gate.open()
                cancelled.pass()
                #expect(place.wake())
                let second = spawn { try await place.wait(on: loop) }
                for _ in 0..<5 { await AsyncIO.yield() }
                #expect(place.isOccupied)
                #expect(place.wake())
                try await first.value
                try await second.value
            }
        }

        @Test func `a foreign thread that cancels while the loop wakes: each wait ends once`() async throws {
            let (rounds, width) = (20, 250)
            let ends = Recorder<Bool>()
            try await onLoop { loop in
                var woken = 0
                for _ in 0..<rounds {
                    let places = (0..<width).map { _ in Place(on: loop) }
                    var tasks: [LoopTask<Void>] = []
                    for place in places {
                        let task = spawn { ends.append(await isCancelled { try await place.wait(on: loop) }) }
                        tasks.append(task)
                    }
                    await AsyncIO.yield()
                    let started = Gate()
                    onForeignThread { [tasks] in
                        started.open()
                        for task in tasks { task.cancel() }
                    }
                    started.pass()
                    for (number, place) in places.reversed().enumerated() {
                        if place.wake() { woken += 1 }
                        if number % 10 == 9 { await AsyncIO.yield() }
                    }
                    for task in tasks { try await task.value }
                }
                #expect(ends.count == rounds * width)
                #expect(ends.all.count { !$0 } == woken)
            }
        }

        @Test func `a foreign thread that cancels while tasks begin to wait: none waits for ever`() async throws {
            try await onLoop(.real) { loop in
                for _ in 0..<20 {
                    let places = (0..<250).map { _ in Place(on: loop) }
                    var tasks: [LoopTask<Void>] = []
                    for place in places { tasks.append(spawn { try await place.wait(on: loop) }) }
                    onForeignThread { [tasks] in for task in tasks { task.cancel() } }
                    for task in tasks { #expect(await isCancelled { try await task.value }) }
                    #expect(!places.contains { $0.isOccupied })
                }
            }
        }

        // MARK: The end of the loop

        @Test func `the end of the run ends waits as if their tasks had been cancelled`() async throws {
            let ends = Recorder<String>()
            try await onLoop { loop in
                for number in 0..<3 {
                    let place = Place(on: loop)
                    Task {
                        for _ in 0..<5 { #expect(await isCancelled { try await place.wait(on: loop) }) }
                        ends.append("\(number) cancelled \(loop.isCurrent ? "here" : "elsewhere")")
                    }
                    Task {
                        let place = Place(on: loop)
                        await place.waitUncancellable(on: loop)
                        ends.append("\(number) returned \(loop.isCurrent ? "here" : "elsewhere")")
                    }
                }
                await AsyncIO.yield()
            }
            #expect(ends.all.sorted() == ["0", "1", "2"].flatMap { ["\($0) cancelled here", "\($0) returned here"] })
        }

        @Test(arguments: bothModes)
        func `a wait that is under way when its loop is closed, without the end of a run, ends too`(
            mode: EventLoop.GlobalExecutor
        ) async throws {
            let ended = Gate()
            onForeignThread {
                do {
                    let loop = try EventLoop(.virtual(mode))
                    try loop.runForever { loop in
                        let place = Place(on: loop)
                        Task {
                            #expect(await isCancelled { try await place.wait(on: loop) })
                            ended.open()
                        }
                        loop.schedule(after: .seconds(1)) { loop.stop() }
                    }
                    loop.close()
                } catch {
                    Issue.record(error)
                }
            }
            #expect(try await AsyncIO.offload { ended.pass(within: 5) })
        }

        @Test func `on a closed loop no wait begins`() async throws {
            let (loop, place) = try await onLoop { loop in (loop, Place(on: loop)) }
            #expect(await isCancelled { try await place.wait(on: loop) })
            await place.waitUncancellable(on: loop)
            #expect(!place.wake())
        }

        @Test(.testsProcess)
        func `a second task at the same place is a mistake that traps`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                try await withEventLoop(.virtual()) { loop in
                    let place = Place(on: loop)
                    spawn { try await place.wait(on: loop) }
                    await AsyncIO.yield()
                    try await place.wait(on: loop)
                }
            }
            #expect(says(result, "Two tasks wait at one Park. Give each a Park of its own."))
        }
    }
}

/// A park that tasks of its loop can share.
private struct Place: Sendable {
    private let park: LoopBound<Park>
    init(on loop: isolated EventLoop) { park = LoopBound(Park(on: loop), on: loop) }
    func wait(on loop: isolated EventLoop) async throws { try await park.value(on: loop).wait() }
    func waitUncancellable(on loop: isolated EventLoop) async { await park.value(on: loop).waitUncancellable() }
    // Only on the loop, which `#expect` hides from the compiler.
    func wake() -> Bool { park.ifHere?.wake() ?? false }
    var isOccupied: Bool { park.ifHere?.isOccupied ?? false }
}
