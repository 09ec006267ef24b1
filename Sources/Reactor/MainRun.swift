// Running a program's main task on a loop that has the main thread, from beginning to end.

internal import CReactor

/// What the signals do that a person sends to a program.
public enum SignalHandling: Sendable, Hashable {
    /// The first SIGINT (Ctrl-C) cancels the main task; a second one has its default effect and kills.
    ///
    /// If the main task then ends with `CancellationError`, the process ends by SIGINT when everything is closed, as a
    /// shell expects of a program that was interrupted. To end otherwise catch the error in the main task. Does nothing
    /// where the program handles SIGINT in another way already.
    case cancelMain
    /// Nothing.
    case none
}

/// The loop of a program's main thread.
package enum MainRun {
    /// Runs `body` on a new loop that is the main actor, ends what it has left behind, and closes the loop.
    package static func run<Value>(
        _ configuration: EventLoop.Configuration,
        signals: SignalHandling,
        _ body: @MainActor () async throws -> sending Value
    ) throws -> sending Value {
        requireMainThread()
        MainLoopExecutor.install()
        let loop = try EventLoop(configuration) { _ in MainLoopExecutor.shared }
        let core = unsafe loop.core
        core.workers.areKept = true
        defer { core.closeHere() }
        core.mainQueue = try MainQueueWatch.make(on: core)
        MainLoopExecutor.shared.serve(by: core)
        defer { MainLoopExecutor.shared.serve(by: nil) }

        // SAFETY: written by the main task, on this thread, and read when it has ended.
        nonisolated(unsafe) var outcome: Result<Value, any Error>?
        var wasInterrupted = false
        var mainTask: Task<Void, Never>?
        // Before there is a task: whoever cannot watch has not begun.
        let watch = try watchInterrupts(signals, core) {
            wasInterrupted = true
            mainTask?.cancel()
        }
        withoutActuallyEscaping(body) { body in
            mainTask = Task { @MainActor in
                unsafe loop.core.mainTask = UInt(bitPattern: creactor_current_task())
                let scope = unsafe TaskScope.begin(loop.core)
                defer { scope?.end() }
                do { unsafe outcome = .success(try await body()) } catch { unsafe outcome = .failure(error) }
                unsafe loop.core.stop()
            }
            while unsafe outcome == nil { core.runForever() }
            watch?.stop()
            core.endTasks()
        }
        guard let outcome = unsafe outcome else { fault("The main task has ended without a result.") }
        if wasInterrupted, case .failure(let error) = outcome, error is CancellationError {
            core.closeHere()
            MainLoopExecutor.shared.serve(by: nil)
            _ = creactor_raise(Signal.interrupt.rawValue)
        }
        // SAFETY: the value was sent out of the main task, which has ended.
        nonisolated(unsafe) let value = try outcome.get()
        return unsafe value
    }

    private static func requireMainThread() {
        require(
            creactor_is_main_thread() != 0,
            "AsyncIO.run must be called on the main thread, as it becomes the main actor. "
                + "On other threads, and in tests, use withEventLoop { }."
        )
        unsafe require(
            creactor_current_loop() == nil,
            "AsyncIO.run cannot be called while a loop runs on this thread: you are on it already. "
                + "Await what you want to run, or use AsyncIO.spawn { }."
        )
    }

    private static func watchInterrupts(
        _ signals: SignalHandling,
        _ core: LoopCore,
        _ onFirst: @escaping () -> Void
    ) throws -> InterruptWatch? {
        guard signals == .cancelMain, creactor_signal_is_default(Signal.interrupt.rawValue) != 0 else { return nil }
        return try InterruptWatch(core, onFirst)
    }
}

/// Watches for the first SIGINT.
private final class InterruptWatch {
    private var handle: SignalHandle?

    init(_ core: LoopCore, _ onFirst: @escaping () -> Void) throws {
        handle = try SignalHandle(core, .interrupt) { [unowned self] in
            // From now on the signal has its default effect.
            stop()
            onFirst()
        }
    }

    func stop() {
        handle?.stop()
        handle = nil
    }
}
