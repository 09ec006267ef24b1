// The loop as a serial executor of Swift's: what makes `EventLoop` an actor whose methods run on the loop's thread.

internal import CReactor

/// Runs the jobs of an ``EventLoop`` on its thread, in the one queue that callbacks share.
final class LoopExecutor: SerialExecutor {
    // SAFETY: only `submit`, `isCurrent` and `identity` are used off the loop's thread, and those are made for it.
    nonisolated(unsafe) let core: LoopCore

    init(_ core: LoopCore) {
        unsafe self.core = core
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        if unsafe !core.submit(ReadyEntry(job: job)) { Reaper.shared.enqueue(job, on: self) }
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
