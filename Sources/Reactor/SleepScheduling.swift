// `Task.sleep` on the loop: in all its forms it asks the executor that its task runs on, if that can schedule, to run
// the task later. Without this file it works all the same, by Dispatch's timers and two thread switches.
//
// The protocol is not public API of the standard library yet, hence the conditions. A sleep that is cancelled keeps its
// place in the deadline heap until its time has come, as the runtime does not say that it was.

#if os(Linux) && compiler(>=6.3)
@_spi(ExperimentalScheduling) internal import _Concurrency

extension LoopExecutor: SchedulingExecutor {
    func enqueue<C: Clock>(
        _ job: consuming ExecutorJob,
        after delay: C.Duration,
        tolerance: C.Duration?,
        clock: C
    ) {
        sleep(UnownedJob(job), for: RuntimeClock.duration(delay))
    }

    func enqueue<C: Clock>(
        _ job: consuming ExecutorJob,
        at instant: C.Instant,
        tolerance: C.Duration?,
        clock: C
    ) {
        sleep(UnownedJob(job), for: RuntimeClock.duration(clock.now.duration(to: instant)))
    }

    private func sleep(_ job: UnownedJob, for delay: Duration) {
        let core = unsafe core
        if core.keepsJobs && core.isRunningHere {
            core.sleep(job, for: delay)
        } else {
            HandedBack.enqueue(job, after: delay)
        }
    }
}

extension MainLoopExecutor: SchedulingExecutor {
    func enqueue<C: Clock>(
        _ job: consuming ExecutorJob,
        after delay: C.Duration,
        tolerance: C.Duration?,
        clock: C
    ) {
        sleepAnywhere(UnownedJob(job), for: RuntimeClock.duration(delay))
    }

    func enqueue<C: Clock>(
        _ job: consuming ExecutorJob,
        at instant: C.Instant,
        tolerance: C.Duration?,
        clock: C
    ) {
        sleepAnywhere(UnownedJob(job), for: RuntimeClock.duration(clock.now.duration(to: instant)))
    }

    private func sleepAnywhere(_ job: UnownedJob, for delay: Duration) {
        if !sleep(job, for: delay) { HandedBack.enqueue(job, after: delay) }
    }
}

extension LoopTaskExecutor: SchedulingExecutor {
    func enqueue<C: Clock>(
        _ job: consuming ExecutorJob,
        after delay: C.Duration,
        tolerance: C.Duration?,
        clock: C
    ) {
        sleep(UnownedJob(job), for: RuntimeClock.duration(delay))
    }

    func enqueue<C: Clock>(
        _ job: consuming ExecutorJob,
        at instant: C.Instant,
        tolerance: C.Duration?,
        clock: C
    ) {
        sleep(UnownedJob(job), for: RuntimeClock.duration(clock.now.duration(to: instant)))
    }

    private func sleep(_ job: UnownedJob, for delay: Duration) {
        let core = unsafe core
        if core.keepsJobs && core.isRunningHere {
            core.sleep(job, for: delay)
        } else {
            HandedBack.enqueue(job, after: delay)
        }
    }
}

/// The clocks that the runtime asks for.
private enum RuntimeClock {
    /// They are its own, both of which count in `Duration`.
    static func duration<D: DurationProtocol>(_ duration: D) -> Duration {
        if let duration = duration as? Duration { return duration }
        fault("Task.sleep on a clock that does not count in Swift.Duration cannot be scheduled by an EventLoop.")
    }
}
#endif
