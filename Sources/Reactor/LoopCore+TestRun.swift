// A loop for a test that has the main actor for as long as it runs: code that is isolated to `MainActor`, as that of programs
// is which `AsyncIO.run` starts, then runs on it, in its order and in its time.
//
// Nothing else may run as the main actor meanwhile. So the loop runs within a job of the main actor's, on the thread that
// serves it: that of `main`, or one of Dispatch's where the program has called `dispatchMain()`, as test runners have.

internal import CReactor

/// Runs of a loop that is the main actor, for async code that is on no loop.
package enum TestRun {
    /// Runs `body` on a new loop that is the main actor, ends what it has left behind, and closes the loop.
    ///
    /// `body` sees the task-local values of the calling task and hears of its cancellation.
    package static func run<Value>(
        _ configuration: EventLoop.Configuration,
        _ body: @Sendable (isolated EventLoop) async throws -> sending Value
    ) async throws -> sending Value {
        let cancellation = MainTaskCancellation()
        return try await withTaskCancellationHandler {
            try await runAsMainActor(configuration, cancellation, body)
        } onCancel: {
            cancellation.cancel()
        }
    }

    @MainActor
    private static func runAsMainActor<Value>(
        _ configuration: EventLoop.Configuration,
        _ cancellation: MainTaskCancellation,
        _ body: @Sendable (isolated EventLoop) async throws -> sending Value
    ) async throws -> sending Value {
        try runHere(configuration, cancellation, body)
    }

    private nonisolated static func runHere<Value>(
        _ configuration: EventLoop.Configuration,
        _ cancellation: MainTaskCancellation,
        _ body: @Sendable (isolated EventLoop) async throws -> sending Value
    ) throws -> sending Value {
        unsafe require(
            creactor_current_loop() == nil,
            "A loop that is the main actor cannot be run from a loop: call withSimulation where no loop runs."
        )
        MainLoopExecutor.install()
        let loop = try EventLoop(configuration) { _ in MainLoopExecutor.shared }
        let core = unsafe loop.core
        core.workers.areKept = true
        defer { core.closeHere() }
        MainLoopExecutor.shared.serve(by: core)
        defer { MainLoopExecutor.shared.serve(by: nil) }

        // SAFETY: written by the main task, on this thread, and read when it has ended.
        nonisolated(unsafe) var outcome: Result<Value, any Error>?
        withoutActuallyEscaping(body) { body in
            let task = Task { @MainActor in
                unsafe loop.core.mainTask = UInt(bitPattern: creactor_current_task())
                do { unsafe outcome = .success(try await body(loop)) } catch { unsafe outcome = .failure(error) }
                unsafe loop.core.stop()
            }
            cancellation.begin(task)
            while unsafe outcome == nil { core.runForever() }
            core.endTasks()
        }
        guard let outcome = unsafe outcome else { fault("The main task has ended without a result.") }
        // SAFETY: the value was sent out of the main task, which has ended.
        nonisolated(unsafe) let value = try outcome.get()
        return unsafe value
    }
}

/// Cancels a task, also before there is one.
private final class MainTaskCancellation: Sendable {
    private let lock = Lock()
    // SAFETY: both under the lock.
    private nonisolated(unsafe) var task: Task<Void, Never>?
    private nonisolated(unsafe) var isCancelled = false

    func begin(_ task: Task<Void, Never>) {
        let isLate = lock.locked {
            unsafe self.task = task
            return unsafe isCancelled
        }
        if isLate { task.cancel() }
    }

    func cancel() {
        let task = lock.locked {
            unsafe isCancelled = true
            return unsafe self.task
        }
        task?.cancel()
    }
}
