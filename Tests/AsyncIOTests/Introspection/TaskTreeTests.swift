// What a loop says of its tasks: which there are, what each waits for, who awaits whom.

import AsyncIO
import Foundation
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite struct TaskTreeTests {
        @Test func `every task says what it waits for, behaviours 48 and 135`() async throws {
            let lines = try await onLoop { loop in
                let lock = AsyncLock()
                let queue = AsyncQueue<Int>()
                let event = AsyncEvent()
                let semaphore = AsyncSemaphore(permits: 0)
                let promise = Promise<Int>()
                #expect(lock.tryAcquire())
                let sleeper = spawn(name: "sleeper") { try await AsyncIO.sleep(for: .seconds(5)) }
                let others = [
                    spawn(name: "locker") { try await lock.withLock {} },
                    spawn(name: "getter") { _ = try? await queue.get() },
                    spawn(name: "eventful") { try await event.wait() },
                    spawn(name: "permitted") { try await semaphore.withPermit {} },
                    spawn(name: "promised") { _ = try await promise.future.value },
                    spawn(name: "awaiter") { try await sleeper.value },
                    spawn(name: "waiter") { _ = try await AsyncIO.wait(for: [sleeper], until: .firstCompleted) },
                ]
                for _ in 0..<3 { await AsyncIO.yield() }
                let lines = loop.tasks.map(\.line)
                lock.release()
                queue.finish()
                event.set()
                semaphore.release()
                promise.succeed(1)
                for other in others { try await other.value }
                try await sleeper.value
                #expect(loop.tasks.isEmpty)
                return lines
            }
            let plain = lines.map { $0.replacing(#/ \([^)]*\)/#, with: "").replacing(#/:[0-9]+$/#, with: ":…") }
            #expect(
                plain == [
                    "#1 sleeper: waits for sleep until 5.0 seconds",
                    "#2 locker: waits for AsyncLock",
                    "#3 getter: waits for AsyncQueue.get",
                    "#4 eventful: waits for AsyncEvent",
                    "#5 permitted: waits for AsyncSemaphore",
                    "#6 promised: waits for Future of AsyncIOTests/TaskTreeTests.swift:…",
                    "#7 awaiter: waits for task sleeper",
                    "#8 waiter: waits for 1 task",
                ]
            )
        }

        @Test func `a task is listed with its site from its spawning to its end, and the one that asks as running`()
            async throws
        {
            try await onLoop { loop in
                let site = "AsyncIOTests/TaskTreeTests.swift:\(#line + 1)"
                let task = spawn(name: "asker") { loop.tasks.map(\.line) }
                #expect(loop.tasks.map(\.line) == ["#1 asker (\(site))"])
                let seen = try await task.value
                #expect(seen == ["#1 asker (\(site)): running", "a task: waits for task asker"])
                #expect(loop.tasks.isEmpty)
            }
        }

        @Test func `the task that runs is known, callbacks and strangers are none`() async throws {
            try await onLoop { loop in
                let named = spawn(name: "reader") { loop.currentTask?.name }
                let nameless = spawn { loop.currentTask.map { ($0.number, $0.state) } }
                let (name, numbered) = try await (named.value, nameless.value)
                #expect(name == "reader")
                #expect(numbered?.0 == 2 && numbered?.1 == .running)
                let called = Recorder<String?>()
                loop.schedule { called.append(loop.currentTask?.name) }
                await someTurns()
                #expect(called.all == [nil])
                #expect(await onBareTask(of: loop) == nil)
            }
        }

        @Test func `an eager task that has not ended is listed, from any thread, behaviour 136`() async throws {
            try await onLoop { loop in
                let event = AsyncEvent()
                let waiting = spawn(name: "eager", eager: true) { try await event.wait() }
                let ended = spawn(name: "over", eager: true) { 1 }
                #expect(ended.isDone)
                let names = await Task.detached { await loop.tasks.map(\.name) }.value
                #expect(names == ["eager"])
                event.set()
                try await waiting.value
                _ = try await ended.value
            }
        }

        @Test func `the tree stands those that are awaited under those who await them, behaviour 135`() async throws {
            try await onLoop { loop in
                let event = AsyncEvent()
                let leaf = spawn(name: "leaf") { try await event.wait() }
                let shielded = spawn(name: "shielding") {
                    try await AsyncIO.shield(name: "inner") { try await leaf.value }
                }
                let second = spawn(name: "second") { try await leaf.value }
                for _ in 0..<5 { await AsyncIO.yield() }
                let tree = loop.taskTree().replacing(#/ \([^)]*\)/#, with: "")
                #expect(
                    tree == """
                        \(loop.configuration.name): 4 tasks
                          #2 shielding: waits for task inner
                            #4 inner: waits for task leaf
                              #1 leaf: waits for AsyncEvent
                          #3 second: waits for task leaf
                            #1 leaf: see above
                        """
                )
                event.set()
                try await shielded.value
                try await second.value
            }
        }

        @Test func `tasks that several await in many levels are written once each`() async throws {
            try await onLoop { loop in
                let event = AsyncEvent()
                var level = spawnEach(2, on: loop) { _ in try await event.wait() }
                for _ in 0..<40 {
                    level = spawnEach(2, on: loop) { [level] _ in _ = try await AsyncIO.wait(for: level) }
                }
                for _ in 0..<5 { await AsyncIO.yield() }
                let lines = loop.taskTree().split(separator: "\n")
                // A heading, each task once, and each but the last two once more.
                #expect(lines.count == 1 + 82 + 80)
                #expect(lines.count { $0.hasSuffix(": see above") } == 80)
                event.set()
                for task in level { try await task.value }
            }
        }

        @Test func `tasks that await one another are said to, behaviour 136`() async throws {
            try await onLoop { loop in
                let promise = Promise<LoopTask<Void>>()
                let first = spawn(name: "first") {
                    let second = try await promise.future.value
                    try await second.value
                }
                let second = spawn(name: "second") { try await first.value }
                promise.succeed(second)
                for _ in 0..<5 { await AsyncIO.yield() }
                let tree = loop.taskTree().replacing(#/ \([^)]*\)/#, with: "")
                #expect(
                    tree == """
                        \(loop.configuration.name): 2 tasks
                          #1 first: waits for task second
                            #2 second: waits for task first
                              #1 again: these tasks await one another
                        """
                )
                first.cancel()
                second.cancel()
                let ends = [await isCancelled { try await first.value }, await isCancelled { try await second.value }]
                #expect(ends == [true, true])
            }
        }

        @Test func `JSON says the same and quotes what must be`() async throws {
            try await onLoop { loop in
                let event = AsyncEvent()
                let task = spawn(name: "a \"name\"\n\\\u{1}") { try await event.wait() }
                await someTurns()
                let json = loop.tasksAsJSON()
                let parsed = try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [[String: Any]]
                let first = try #require(parsed?.first)
                #expect(first["name"] as? String == "a \"name\"\n\\\u{1}")
                #expect(first["state"] as? String == "waiting")
                #expect(first["waitsFor"] as? String == "AsyncEvent")
                #expect(first["number"] as? Int == 1)
                #expect((first["awaited"] as? [Int]) == [])
                event.set()
                try await task.value
            }
        }

        @Test func `handlers of connections are listed with what they wait for`() async throws {
            try await onLoop { loop in
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                let serving = spawn(name: "server") { try await server.serve { while try await $0.read() != nil {} } }
                let client = try await TCPConnection.connect(host: "127.0.0.1", port: server.port)
                while await server.connectionCount == 0 { await AsyncIO.yield() }
                for _ in 0..<5 { await AsyncIO.yield() }
                let handler = loop.tasks.first { $0.name.hasPrefix("handler of connection") }
                let peer = try #require(client.localAddress)
                #expect(handler?.state == .waiting("TCP read from \(peer)"))
                #expect(handler?.number == nil && handler?.site == nil)
                try await client.close()
                server.close()
                try await serving.value
            }
        }

        @Test func `a wait on a pipe or a Unix socket says so`() async throws {
            let folder = ScratchFolder()
            defer { folder.remove() }
            let path = folder.file("socket")
            try await onNetwork(.sockets) { loop in
                let server = try await UnixServer.listen(path: path)
                let serving = spawn { try await server.serve { while try await $0.read() != nil {} } }
                let client = try await UnixConnection.connect(path: path)
                let (reader, writer) = try await TCPConnection.makePipe()
                let tasks = [
                    spawn(name: "reading a pipe") { _ = try await reader.read() },
                    spawn(name: "writing to a pipe") { try await writer.write(noise(1 << 20)) },
                    spawn(name: "client") { _ = try await client.read() },
                    spawn(name: "closing") { try await client.writer.waitClosed() },
                ]
                while await server.connectionCount == 0 { await AsyncIO.yield() }
                await turns(5, on: loop)
                // The reader takes the first bytes, and then the pipe is full.
                let waits = Dictionary(loop.tasks.map { ($0.name, $0.state) }, uniquingKeysWith: { $1 })
                #expect(waits["writing to a pipe"] == .waiting("pipe write"))
                #expect(waits["client"] == .waiting("Unix read from unix:\(path)"))
                #expect(waits["closing"] == .waiting("Unix close to unix:\(path)"))
                let handler = loop.tasks.first { $0.name.hasPrefix("handler of connection") }
                #expect(handler?.state == .waiting("Unix read at unix:\(path)"))
                reader.abort()
                try? await tasks[1].value
                let (empty, other) = try await TCPConnection.makePipe()
                let reading = spawn(name: "reading nothing") { _ = try await empty.read() }
                await turns(2, on: loop)
                #expect(loop.tasks.first { $0.name == "reading nothing" }?.state == .waiting("pipe read"))
                try await other.close()
                try await reading.value
                try await empty.close()
                try await client.close()
                for task in tasks { try? await task.value }
                server.close()
                try await serving.value
            }
        }
    }
}

private func onBareTask(of loop: EventLoop) async -> String? {
    func run(on loop: isolated EventLoop) async -> String? { loop.currentTask?.name }
    return await Task { await run(on: loop) }.value
}
