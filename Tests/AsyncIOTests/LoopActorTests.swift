// Actors that live on a loop: where their code runs, whoever calls, and what their tasks may share.

import AsyncIO
import Testing

extension AsyncIOTests {
    @Suite struct LoopActorTests {
        @Test(arguments: bothModes)
        func `its code runs on its loop, whoever calls`(_ mode: EventLoop.GlobalExecutor) async throws {
            try await onLoop(.virtual(mode)) { loop in
                let basket = Basket(on: loop)
                #expect(await basket.isOnLoop)
                let fromElsewhere = Task.detached {
                    try await AsyncIO.offload { #expect(!loop.isCurrent) }
                    return await basket.isOnLoop
                }
                let isOnLoop = try await fromElsewhere.value
                #expect(isOnLoop)
            }
        }

        @Test(arguments: bothModes)
        func `its tasks share what need not be Sendable`(_ mode: EventLoop.GlobalExecutor) async throws {
            try await onLoop(.virtual(mode)) { loop in
                let basket = Basket(on: loop)
                let eaten = try await basket.fillAndEmpty(12, eaters: 3)
                #expect(eaten.values.reduce(0, +) == 12 && eaten.count == 3)
            }
        }

        @Test func `two loops have one each, and each runs on its own`() async throws {
            try await onLoop { first in
                try await onLoop { second in
                    let (mine, other) = (Basket(on: second), Basket(on: first))
                    #expect(await mine.isOnLoop)
                    #expect(await other.isOnLoop)
                    #expect(second.isCurrent)
                }
            }
        }
    }
}

private actor Basket: LoopActor {
    let loop: EventLoop
    private let apples = AsyncQueue<Int>(capacity: 1)
    private var eaten: [Int: Int] = [:]

    init(on loop: EventLoop) { self.loop = loop }

    var isOnLoop: Bool { loop.isCurrent }

    /// Puts apples in for some who take them out, and returns how many each has had.
    func fillAndEmpty(_ count: Int, eaters: Int) async throws -> [Int: Int] {
        let tasks = (0..<eaters).map { eater in
            AsyncIO.spawn {
                for try await _ in self.apples {
                    self.eaten[eater, default: 0] += 1
                    if !self.loop.isCurrent { Issue.record("a task of the actor is not on its loop") }
                }
            }
        }
        for apple in 0..<count { try await apples.put(apple) }
        apples.finish()
        for task in tasks { try await task.value }
        return eaten
    }
}
