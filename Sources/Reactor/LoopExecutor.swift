// The loop as an executor of Swift's: what makes `EventLoop` an actor whose methods run on the loop's thread, and what
// tasks and users' actors are put on a loop with.
//
// The serial executor and the task executor are two objects, as one `enqueue` could not know which of the two a job
// came for. The loop of `AsyncIO.run` has the main executor in place of the first: see MainLoopExecutor.swift.

internal import CReactor

/// What an event loop is to Swift's runtime.
protocol LoopSerialExecutor: SerialExecutor {
    /// Takes a job that its closing or closed loop cannot run.
    func enqueueElsewhere(_ job: UnownedJob, of core: LoopCore)
}

/// Runs the jobs of an ``EventLoop`` on its thread, in the one queue that callbacks share.
final class LoopExecutor: LoopSerialExecutor {
    // SAFETY: only `submit`, `isCurrent` and `identity` are used off the loop's thread, and those are made for it.
    nonisolated(unsafe) let core: LoopCore

    init(_ core: LoopCore) {
        unsafe self.core = core
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        if unsafe !core.submit(ReadyEntry(job: job, .serial)) { unsafe enqueueElsewhere(job, of: core) }
    }

    func enqueueElsewhere(_ job: UnownedJob, of core: LoopCore) {
        core.lateJobs.enqueue(LateJob(job: job, executor: .serial(self)))
    }

    func asUnownedSerialExecutor() -> UnownedSerialExecutor {
        unsafe UnownedSerialExecutor(ordinary: self)
    }

    func checkIsolated() {
        unsafe require(
            core.isCurrent,
            "This code claims to run on the EventLoop '\(core.configuration.name)', but runs elsewhere, "
                + "or the loop is closed. Reach a loop with submit(_:), or `await` a method of it."
        )
    }
}

/// Runs the jobs of tasks that prefer an ``EventLoop``.
///
/// Such a task runs on the loop wherever it is not isolated to an actor that runs elsewhere.
final class LoopTaskExecutor: TaskExecutor {
    // SAFETY: as above.
    nonisolated(unsafe) let core: LoopCore

    init(_ core: LoopCore) {
        unsafe self.core = core
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        guard unsafe !core.submit(ReadyEntry(job: job, .task)) else { return }
        unsafe core.lateJobs.enqueue(LateJob(job: job, executor: .task(self)))
    }

    func asUnownedTaskExecutor() -> UnownedTaskExecutor {
        unsafe UnownedTaskExecutor(ordinary: self)
    }
}
