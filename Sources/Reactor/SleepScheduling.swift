// `Task.sleep` on the loop: in all its forms it asks the executor that its task runs on, if that can schedule, to run
// the task later. Without this file it works all the same, by Dispatch's timers and two thread switches.
//
// The protocol is not public API of the standard library yet, hence the conditions. A sleep that is cancelled keeps its
// place in the deadline heap until its time has come, as the runtime does not say that it was.

#if os(Linux) && compiler(>=6.3)
@_spi(ExperimentalScheduling) internal import _Concurrency

/// An executor that can have a job wait.
protocol SleepingExecutor: SchedulingExecutor {
    /// Runs a job when time has passed.
    func sleep(_ job: UnownedJob, for delay: Duration)
}

extension SleepingExecutor {
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
}

extension LoopExecutor: SleepingExecutor {
    func sleep(_ job: UnownedJob, for delay: Duration) { unsafe core.sleepHere(job, for: delay) }
}

extension LoopTaskExecutor: SleepingExecutor {
    func sleep(_ job: UnownedJob, for delay: Duration) { unsafe core.sleepHere(job, for: delay) }
}

extension MainLoopExecutor: SleepingExecutor {
    func sleep(_ job: UnownedJob, for delay: Duration) {
        if let here = loopIfHere { here.sleepHere(job, for: delay) } else { HandedBack.enqueue(job, after: delay) }
    }
}

extension LoopCore {
    /// Has a job wait on this loop, if it runs here and keeps jobs, or else without one.
    fileprivate func sleepHere(_ job: UnownedJob, for delay: Duration) {
        if keepsJobs && isRunningHere { sleep(job, for: delay) } else { HandedBack.enqueue(job, after: delay) }
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
