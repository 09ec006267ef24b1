// The loop as seen from tasks: which one is it, and how does a task get onto it.

internal import CReactor

extension EventLoop {
    /// The loop that runs on this thread, or nil.
    ///
    /// In code that runs on no loop, as in nonisolated `async` functions of a package without
    /// `NonisolatedNonsendingByDefault`, it is nil.
    ///
    /// The corresponding asyncio name is `asyncio.get_running_loop()`.
    public static var current: EventLoop? {
        guard let core = LoopCore.current else { return nil }
        return core.withLoop { $0 }
    }

    /// Runs an operation on the loop, as part of the calling task, and returns its result.
    ///
    /// Any task may call it; one that is on the loop already goes on without a switch. Cancelling the task reaches the
    /// operation, as it is the same task.
    ///
    /// - Throws: What `body` throws, or ``LoopError/loopClosed``.
    ///
    /// The corresponding asyncio name is `asyncio.run_coroutine_threadsafe`.
    public nonisolated func run<Value>(
        _ body: @Sendable (isolated EventLoop) async throws -> sending Value
    ) async throws -> sending Value {
        guard unsafe !core.inbox.isClosed else { throw LoopError.loopClosed }
        return try await body(self)
    }

    /// Runs an operation on the loop while this thread waits for it.
    ///
    /// - Parameters:
    ///   - timeout: How long to wait; nil waits as long as it takes. When it has passed, the operation is cancelled and
    ///     this returns without waiting for its end.
    ///   - body: The operation, in a task of its own.
    /// - Returns: What `body` returns.
    /// - Throws: What `body` throws, ``LoopError/loopClosed``, or ``LoopError/timedOut(_:)``.
    ///
    /// The corresponding asyncio name is `asyncio.run_coroutine_threadsafe(…).result(timeout)`.
    @available(*, noasync, message: "it would block a thread of Swift's pool; use `try await loop.run { }`")
    public nonisolated func runBlocking<Value: Sendable>(
        timeout: Duration? = nil,
        _ body: @escaping @Sendable (isolated EventLoop) async throws -> Value
    ) throws -> Value {
        require(
            !isCurrent,
            "runBlocking(timeout:) was called on the EventLoop's own thread, which would wait for itself for ever."
        )
        guard unsafe !core.inbox.isClosed else { throw LoopError.loopClosed }
        let rendezvous = Rendezvous<Value>()
        let task = Task.detached {
            do { rendezvous.complete(.success(try await body(self))) } catch { rendezvous.complete(.failure(error)) }
        }
        if let result = rendezvous.wait(timeout) { return try result.get() }
        task.cancel()
        throw LoopError.timedOut("An operation on the EventLoop '\(configuration.name)'")
    }
}

extension EventLoop {
    /// What was spawned on the loop.
    package var spawned: SpawnedTasks { unsafe core.spawned }

    /// Whether the loop is ending its tasks.
    package var isEnding: Bool { unsafe core.isEnding }

    /// Work that this loop waits for has begun elsewhere, or has ended.
    package func noteWorkElsewhere(_ change: Int) { unsafe core.workElsewhere += change }

    /// Reports what nobody else can be told.
    package func report(_ kind: LoopIssue.Kind, _ subject: String) { unsafe core.report(kind, subject) }

    /// The same from any thread: on the loop's own thread, or, if the loop is closed, on this one.
    package nonisolated func reportAnywhere(_ kind: LoopIssue.Kind, _ subject: String) {
        if isCurrent {
            unsafe core.report(kind, subject)
        } else if unsafe core.submit({ unsafe $0.core.report(kind, subject) }) == nil {
            configuration.onIssue(LoopIssue(kind: kind, subject: subject))
        }
    }
}

extension LoopCore {
    /// The loop that runs on this thread.
    @inline(__always)
    static var current: LoopCore? {
        guard let current = unsafe currentAddress else { return nil }
        // SAFETY: what is set is the address of a core that runs or closes on this thread, or the reaper's odd one.
        return unsafe Unmanaged<LoopCore>.fromOpaque(current).takeUnretainedValue()
    }

    /// Its address.
    @inline(__always)
    static var currentAddress: UnsafeRawPointer? {
        guard let current = unsafe creactor_current_loop(), UInt(bitPattern: current) & 1 == 0 else { return nil }
        return unsafe current
    }
}
