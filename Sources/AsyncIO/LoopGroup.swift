// Several loops, each on a thread of its own: for programs that need more than one processor, and for servers that do.

/// Event loops that each have a thread of their own.
///
///     let group = try await LoopGroup.start(4)
///     for loop in group.loops { try loop.submit { loop in warmUp(on: loop) } }
///     await group.end()
///
/// What belongs to one of the loops never leaves its thread: see ``EventLoop``. A group that is dropped ends by itself, but
/// nobody waits for that; ``withLoops(_:configuration:_:)`` does.
///
/// Any thread may use it. Asyncio has no counterpart: there several loops are several processes, or threads by hand.
public final class LoopGroup: Sendable {
    /// The loops, which run from the beginning to ``end()``.
    public let loops: [EventLoop]

    private let threads: [LoopThread]

    private init(_ loops: [EventLoop], _ threads: [LoopThread]) { (self.loops, self.threads) = (loops, threads) }

    deinit {
        for (thread, loop) in zip(threads, loops) { thread.endSoon(loop) }
    }

    /// Starts loops and returns when all of them run.
    ///
    /// - Parameters:
    ///   - count: How many; none is allowed.
    ///   - configuration: The settings of each; the name gets a number.
    /// - Returns: The group.
    /// - Throws: ``SystemError`` if a loop or a thread cannot be had; those that could have ended then.
    public static func start(_ count: Int, configuration: EventLoop.Configuration = .init()) async throws -> LoopGroup {
        require(count >= 0, "A LoopGroup cannot have fewer than no loops.")
        var loops: [EventLoop] = []
        var threads: [LoopThread] = []
        do {
            for number in 0..<count {
                var settings = configuration
                settings.name += "-\(number + 1)"
                let (thread, loop) = try await LoopThread.start(settings)
                threads.append(thread)
                loops.append(loop)
            }
        } catch {
            for (thread, loop) in zip(threads, loops) { await thread.end(loop) }
            throw error
        }
        return LoopGroup(loops, threads)
    }

    /// Ends the loops' tasks as ``run(_:signals:_:)`` does, closes the loops, and returns when their threads are done.
    ///
    /// Is not shortened by cancellation, and must not be awaited by a task that was spawned on one of the group's loops:
    /// that would wait for itself. Idempotent; every call returns at the same end.
    public func end() async {
        // All at once, and then each in turn.
        for (thread, loop) in zip(threads, loops) { thread.endSoon(loop) }
        for (thread, loop) in zip(threads, loops) { await thread.end(loop) }
    }
}

/// Runs `body` with several new loops, each on a thread of its own, and ends them when it has ended.
///
/// - Parameters:
///   - count: How many loops.
///   - configuration: The settings of each; the name gets a number.
///   - body: Uses the loops, from where the caller is.
/// - Returns: What `body` returns.
/// - Throws: What `body` throws; ``SystemError`` if a loop or a thread cannot be had.
public func withLoops<Value>(
    _ count: Int,
    configuration: EventLoop.Configuration = .init(),
    _ body: ([EventLoop]) async throws -> Value
) async throws -> Value {
    let group = try await LoopGroup.start(count, configuration: configuration)
    do {
        let value = try await body(group.loops)
        await group.end()
        return value
    } catch {
        await group.end()
        throw error
    }
}
