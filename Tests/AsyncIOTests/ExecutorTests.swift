// Which code runs on the loop's thread and which does not: every way to start or to resume code, with a loop that keeps
// the jobs of its thread and with one that does not. What is isolated to the loop always runs there.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct ExecutorTests {
        typealias Mode = EventLoop.GlobalExecutor

        // MARK: What the loop's code starts

        @Test(arguments: bothModes)
        func `Task without isolation is the loop's if it keeps jobs, with isolation always`(mode: Mode) async throws {
            try await onLoop(.virtual(mode)) { loop in
                #expect(await bareTask(loop) == (mode == .loop))
                #expect(await Task { isHere(loop) }.value)
            }
        }

        @Test(arguments: bothModes)
        func `Task.immediate begins on the spot and goes on like any task`(mode: Mode) async throws {
            try await onLoop(.virtual(mode)) { loop in
                #expect(await immediateTask(loop) == [true, mode == .loop])
            }
        }

        @Test(arguments: bothModes)
        func `async let is the loop's if it keeps jobs`(mode: Mode) async throws {
            try await onLoop(.virtual(mode)) { loop in
                async let here = loop.isCurrent
                #expect(await here == (mode == .loop))
                async let isolated = isHere(loop)
                #expect(await isolated)
            }
        }

        @Test(arguments: bothModes)
        func `children of a group are the loop's if it keeps jobs, and immediate ones begin there`(
            mode: Mode
        ) async throws {
            try await onLoop(.virtual(mode)) { loop in
                #expect(await groupChild(loop) == (mode == .loop))
                let immediate = await immediateChild(loop)
                #expect(immediate == [true, mode == .loop])
                #expect(loop.isCurrent)
            }
        }

        @Test(arguments: bothModes)
        func `Task.detached by the loop is the loop's if it keeps jobs, by others never`(mode: Mode) async throws {
            try await onLoop(.virtual(mode)) { loop in
                #expect(await Task.detached { loop.isCurrent }.value == (mode == .loop))
                let elsewhere = try await AsyncIO.offload { Task.detached { loop.isCurrent } }
                #expect(await !elsewhere.value)
            }
        }

        @Test(arguments: bothModes)
        func `a concurrent function is the loop's if it keeps jobs`(mode: Mode) async throws {
            try await onLoop(.virtual(mode)) { loop in
                // Without it the compiler leaves the step onto the loop out, as nothing would happen there.
                #expect(loop.isCurrent)
                #expect(await concurrentFunction(loop) == (mode == .loop))
                #expect(loop.isCurrent)
            }
        }

        @Test(arguments: bothModes)
        func `an ordinary actor that the loop calls runs there if it keeps jobs`(mode: Mode) async throws {
            try await onLoop(.virtual(mode)) { loop in
                let ordinary = Ordinary()
                #expect(await ordinary.isOn(loop) == (mode == .loop))
                #expect(loop.isCurrent)
            }
        }

        @Test(arguments: bothModes)
        func `an actor that was placed on the loop runs there, whoever calls`(mode: Mode) async throws {
            let hops = try await onLoop(.virtual(mode)) { loop in
                let placed = Placed(on: loop)
                let before = loop.statistics.callbacks
                #expect(await placed.isOnLoop())
                let after = loop.statistics.callbacks
                let elsewhere = try await AsyncIO.offload { Task.detached { await placed.isOnLoop() } }
                #expect(await elsewhere.value)
                return after - before
            }
            #expect(hops == 0)
        }

        @Test(arguments: bothModes)
        func `the global concurrent executor as preference leaves the loop`(mode: Mode) async throws {
            try await onLoop(.virtual(mode)) { loop in
                let here = await withTaskExecutorPreference(globalConcurrentExecutor) {
                    await concurrentFunction(loop)
                }
                #expect(!here)
                #expect(loop.isCurrent)
            }
        }

        @Test(arguments: bothModes)
        func `the main actor is elsewhere, and its caller comes back`(mode: Mode) async throws {
            try await onLoop(.virtual(mode)) { loop in
                #expect(await !mainActorIsOn(loop))
                #expect(loop.isCurrent)
            }
        }

        // MARK: Where code goes on

        @Test(arguments: bothModes)
        func `Task.yield stays with what is isolated`(mode: Mode) async throws {
            try await onLoop(.virtual(mode)) { loop in
                for _ in 0..<100 { await Task.yield() }
                #expect(loop.isCurrent)
            }
        }

        @Test func `Task.yield stays on a loop that keeps jobs, in code without isolation too`() async throws {
            try await onLoop(.virtual(.loop)) { loop in
                let here = await taskWithoutIsolation(loop) { for _ in 0..<100 { await Task.yield() } }
                #expect(here)
            }
        }

        @Test func `in code without isolation that began on the spot Task.yield does not stay`() async throws {
            try await onLoop(.virtual(.loop)) { loop in
                await withKnownIssue("The runtime asks its own default executor, past all hooks.", isIntermittent: true)
                {
                    #expect(await goesOn(loop) { for _ in 0..<100 { await Task.yield() } })
                }
            }
        }

        @Test(arguments: bothModes)
        func `what AsyncStream hands over arrives on the loop`(mode: Mode) async throws {
            try await onLoop(.virtual(mode)) { loop in
                let (stream, continuation) = AsyncStream<Int>.makeStream()
                loop.schedule { continuation.yield(1) }
                for await _ in stream {
                    #expect(loop.isCurrent)
                    break
                }
                let (second, other) = AsyncStream<Int>.makeStream()
                loop.schedule { other.yield(1) }
                #expect(await goesOn(loop) { for await _ in second { break } } == (mode == .loop))
                let (third, foreign) = AsyncStream<Int>.makeStream()
                onForeignThread { foreign.yield(1) }
                for await _ in third { break }
                #expect(loop.isCurrent)
            }
        }

        @Test(arguments: bothModes)
        func `resumed by a foreign thread, isolated code comes back and other code goes on there`(
            mode: Mode
        ) async throws {
            try await onLoop(.virtual(mode)) { loop in
                await resumedByForeigner(loop)
                #expect(loop.isCurrent)
                #expect(await !goesOn(loop) { await resumedByForeigner(loop) })
                // Until it awaits isolated code: back from there it is the loop's thread that enqueues it.
                let back = await goesOn(loop) {
                    await resumedByForeigner(loop)
                    _ = await loop.now
                }
                #expect(back == (mode == .loop))
            }
        }

        @Test(arguments: bothModes)
        func `a task that prefers the loop is there, whoever starts or resumes it`(mode: Mode) async throws {
            try await onLoop(.virtual(mode)) { loop in
                #expect(await preferringTask(loop).value == [true, true, true, true])
            }
            try await withEventLoop(.virtual(mode)) { loop in
                let started = try await AsyncIO.offload { preferringTask(loop) }
                #expect(await started.value == [true, true, true, true])
            }
        }

        @Test(arguments: bothModes)
        func `the waits of this library stay on the loop`(mode: Mode) async throws {
            try await onLoop(.virtual(mode)) { loop in
                try await AsyncIO.sleep(for: .seconds(1))
                #expect(loop.isCurrent)
                try await AsyncIO.sleep(until: loop.now.advanced(by: .seconds(1)))
                #expect(loop.isCurrent)
                await AsyncIO.yield()
                #expect(loop.isCurrent)
                #expect(try await AsyncIO.offload { !loop.isCurrent })
                #expect(loop.isCurrent)
                #expect(try await spawn { loop.isCurrent }.value)
                #expect(loop.isCurrent)
                #expect(try await withTimeout(.seconds(1)) { loop.isCurrent })
                #expect(loop.isCurrent)
                #expect(try await gather({ loop.isCurrent }, { loop.isCurrent }) == (true, true))
                #expect(loop.isCurrent)
            }
        }

        @Test(arguments: bothModes)
        func `in code without isolation they stay if the loop keeps jobs`(mode: Mode) async throws {
            try await onLoop(.virtual(mode)) { loop in
                let stays = mode == .loop
                #expect(await goesOn(loop) { try? await AsyncIO.sleep(for: .seconds(1)) } == stays)
                #expect(await goesOn(loop) { await AsyncIO.yield() } == stays)
                #expect(await goesOn(loop) { _ = try? await AsyncIO.offload {} } == stays)
            }
        }

        @Test(arguments: bothModes)
        func `tasks that were spawned stay with and without isolation, as they prefer the loop`(
            mode: Mode
        ) async throws {
            try await onLoop(.virtual(mode)) { loop in
                #expect(try await spawnWithoutIsolation(loop).value)
                let isolated = try await spawn { isHere(loop) }.value
                #expect(isolated)
            }
        }
    }
}

// Functions of no isolation, called by code that has the loop's.

private func isHere(_ loop: isolated EventLoop) -> Bool { loop.isCurrent }

private func bareTask(_ loop: EventLoop) async -> Bool { await Task { loop.isCurrent }.value }

private func immediateTask(_ loop: EventLoop) async -> [Bool] {
    await Task.immediate {
        let first = loop.isCurrent
        await AsyncIO.yield()
        return [first, loop.isCurrent]
    }.value
}

/// Whether a task without isolation that begins on the loop is there after it has waited.
func goesOn(_ loop: EventLoop, _ wait: @escaping @Sendable () async -> Void) async -> Bool {
    await Task.immediate {
        #expect(loop.isCurrent)
        await wait()
        return loop.isCurrent
    }.value
}

/// The same for one that is enqueued.
func taskWithoutIsolation(_ loop: EventLoop, _ wait: @escaping @Sendable () async -> Void) async -> Bool {
    await Task {
        await wait()
        return loop.isCurrent
    }.value
}

private func groupChild(_ loop: EventLoop) async -> Bool {
    await withTaskGroup(of: Bool.self) { group in
        group.addTask { loop.isCurrent }
        return await group.next()!
    }
}

/// Isolated, which the body of the group is only if it names `loop`, and the child is not, as it does not name it.
private func immediateChild(_ loop: isolated EventLoop) async -> [Bool] {
    let here = loop
    return await withTaskGroup(of: [Bool].self) { group in
        loop.assertIsolated()
        group.addImmediateTask {
            let first = here.isCurrent
            await AsyncIO.yield()
            return [first, here.isCurrent]
        }
        return await group.next()!
    }
}

@concurrent private func concurrentFunction(_ loop: EventLoop) async -> Bool { loop.isCurrent }

/// Waits for a foreign thread, which resumes when this waits, and not before.
func resumedByForeigner(_ loop: EventLoop) async {
    await withCheckedContinuation { continuation in
        _ = try? loop.submit { _ in onForeignThread { continuation.resume() } }
    }
}

/// Where a task that prefers the loop begins, and where it goes on.
private func preferringTask(_ loop: EventLoop) -> Task<[Bool], Never> {
    Task.detached(executorPreference: loop.taskExecutor) {
        var here = [loop.isCurrent]
        await Task.yield()
        here.append(loop.isCurrent)
        await resumedByForeigner(loop)
        here.append(loop.isCurrent)
        await concurrentFunction(loop) ? here.append(loop.isCurrent) : here.append(false)
        return here
    }
}
