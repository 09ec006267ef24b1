// What the tree of tasks says of those who await children of their own: by every function that begins some.

import AsyncIO
import Foundation
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite struct TaskFamilyTests {
        @Test func `who gathers stands above the operations, behaviour 135`() async throws {
            let child = "a child task: waits for sleep until 1.0 seconds"
            try await expectTree(["#1 parent: waits for gather of 2", "  \(child)", "  \(child)"]) { _ in
                try await AsyncIO.gather({ try await nap() }, { try await nap() })
            }
            try await expectTree(["#1 parent: waits for gather of 2", "  \(child)", "  \(child)"]) { _ in
                let waiting: @Sendable @isolated(any) () async throws -> Void = { try await nap() }
                try await AsyncIO.gather([waiting, waiting])
            }
            try await expectTree(["#1 parent: waits for gather of 2", "  \(child)", "  \(child)"]) { _ in
                let waiting: @Sendable @isolated(any) () async throws -> Void = { try await nap() }
                _ = try await AsyncIO.gatherResults([waiting, waiting])
            }
        }

        @Test func `an operation that has ended is still counted and no longer shown, behaviour 135`() async throws {
            let expected = ["#1 parent: waits for gather of 2", "  a child task: waits for sleep until 1.0 seconds"]
            try await expectTree(expected) { _ in
                try await AsyncIO.gather({ try await nap() }, { await AsyncIO.yield() })
            }
        }

        @Test func `who has a time limit says until when, and its body stands below, behaviour 135`() async throws {
            let body = "  a child task: waits for sleep until 1.0 seconds"
            try await expectTree(["#1 parent: waits for withTimeout until 5.0 seconds", body]) { _ in
                try await withTimeout(.seconds(5)) { try await nap() }
            }
            try await expectTree(["#1 parent: waits for withDeadline without a limit", body]) { _ in
                try await withDeadline(nil) { _ in try await nap() }
            }
        }

        @Test func `a deadline that was moved is told as it is, behaviour 135`() async throws {
            let expected = [
                "#1 parent: waits for withDeadline until 9.0 seconds",
                "  a child task: waits for sleep until 1.0 seconds",
            ]
            try await expectTree(expected) { loop in
                let now = loop.now
                try await withDeadline(nil) { deadline in
                    deadline.reschedule(to: now.advanced(by: .seconds(9)))
                    try await nap()
                }
            }
        }

        @Test func `nobody is said to gather what a body before it in its task did, behaviour 135`() async throws {
            try await onLoop { loop in
                let here = try await spawn {
                    _ = loop
                    return try await Wanderer().gathers(loop)
                }.value
                #expect(!here)
                let next = spawn {
                    _ = loop
                    await withTaskGroup(of: Bool.self) { group in
                        group.addTask {
                            _ = loop
                            return await isCancelled { try await nap() }
                        }
                    }
                }
                await someTurns()
                #expect(!loop.taskTree().contains("gather"), "\(loop.taskTree())")
                try await next.value
            }
        }

        @Test func `groups are said to await children, behaviour 135`() async throws {
            let child = "  a child task: waits for sleep until 1.0 seconds"
            try await expectTree(["#1 parent: waits for withErrorCollectingTaskGroup", child, child]) { _ in
                try await withErrorCollectingTaskGroup { group in
                    group.addTask { try await nap() }
                    try await nap()
                }
            }
            try await expectTree(["#1 parent: waits for 2 children", child, child]) { loop in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<2 {
                        group.addImmediateTask { [loop] in
                            _ = loop
                            try await nap()
                        }
                    }
                    try await group.waitForAll()
                }
            }
            try await expectTree(["#1 parent: waits for staggered race of 1", child]) { _ in
                let waiting: @Sendable @isolated(any) () async throws -> Void = { try await nap() }
                _ = try await AsyncIO.staggeredRace(delay: nil, [waiting])
            }
        }

        @Test func `families in families, and tasks that children await, stand in one tree, behaviour 135`()
            async throws
        {
            let expected = [
                "#1 parent: waits for withTimeout until 5.0 seconds",
                "  a child task: waits for gather of 2",
                "    a child task: waits for task inner",
                "      #2 inner: waits for sleep until 1.0 seconds",
                "    a child task: waits for sleep until 1.0 seconds",
            ]
            try await expectTree(expected, sorted: true) { _ in
                _ = try await withTimeout(.seconds(5)) {
                    try await AsyncIO.gather(
                        { try await AsyncIO.shield(name: "inner") { try await nap() } },
                        { try await nap() }
                    )
                }
            }
        }

        @Test func `the tasks that are taken as they complete stand below, behaviour 135`() async throws {
            let expected = [
                "#1 parent: waits for AsyncIO.asCompleted", "  #2 one: waits for sleep until 1.0 seconds",
                "  #3 two: waits for sleep until 1.0 seconds",
            ]
            try await expectTree(expected) { loop in
                let tasks = ["one", "two"].map { name in
                    AsyncIO.spawn(name: name) {
                        _ = loop
                        try await nap()
                    }
                }
                for try await task in AsyncIO.asCompleted(tasks) { try await task.value }
            }
        }

        @Test func `a mark goes with the gathering, and what comes after it has none, behaviour 135`() async throws {
            let expected = ["#1 parent: waits for a child", "  a child task: waits for sleep until 1.0 seconds"]
            try await expectTree(expected) { loop in
                try await AsyncIO.gather({ await AsyncIO.yield() }, { await AsyncIO.yield() })
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addImmediateTask { [loop] in
                        _ = loop
                        try await nap()
                    }
                    try await group.waitForAll()
                }
            }
        }

        @Test func `JSON names children by their places, behaviour 135`() async throws {
            try await onLoop { loop in
                let task = spawn(name: "parent") {
                    _ = try await AsyncIO.gather({ try await nap() }, { try await nap() })
                }
                await someTurns()
                let parsed = try JSONSerialization.jsonObject(with: Data(loop.tasksAsJSON().utf8)) as? [[String: Any]]
                let parent = try #require(parsed?.first)
                #expect(parent["waitsFor"] as? String == "gather of 2")
                #expect(parent["children"] as? [Int] == [1, 2])
                #expect(parsed?.count == 3)
                #expect(loop.tasks.first?.children == [1, 2])
                try await task.value
            }
        }
    }
}

/// Waits for a second of the loop's time, which goes on only when nobody has anything to do.
private func nap() async throws { try await AsyncIO.sleep(for: .seconds(1)) }

/// An actor of the usual kind, which goes on where those end that it awaits.
private actor Wanderer {
    /// Gathers, and says whether it is on the loop still.
    func gathers(_ loop: EventLoop) async throws -> Bool {
        try await AsyncIO.gather({ await resumedByForeigner(loop) }, { await resumedByForeigner(loop) })
        return loop.isCurrent
    }
}

/// Proves what the tree says below its heading while a task named "parent" runs `body`, whose children nap.
private func expectTree(
    _ expected: [String],
    sorted: Bool = false,
    sourceLocation: SourceLocation = #_sourceLocation,
    _ body: @escaping @Sendable (isolated EventLoop) async throws -> Void
) async throws {
    try await onLoop(sourceLocation: sourceLocation) { loop in
        let task = spawn(name: "parent") { try await body(loop) }
        await someTurns()
        // Without the hooks a child begins on another thread, and comes when it comes.
        var (text, found, wanted): (String, [String], [String])
        var patience = 5_000
        repeat {
            await AsyncIO.yield()
            text = loop.taskTree().replacing(#/ \([^)]*\)/#, with: "")
            let lines = text.split(separator: "\n").dropFirst().map { String($0.dropFirst(2)) }
            // Which of several children began to wait first is nobody's promise.
            (found, wanted) = sorted ? (lines.sorted(), expected.sorted()) : (lines, expected)
            patience -= 1
        } while found != wanted && patience > 0
        #expect(found == wanted, "\(text)", sourceLocation: sourceLocation)
        try await task.value
    }
}
