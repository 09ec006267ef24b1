// Jobs of Swift's runtime: how they run on the loop, and where they go when it closes. A job must always end up
// somewhere: one that is dropped leaves its task, or the actor that it drains, waiting for ever.

internal import CReactor
internal import Dispatch
internal import Synchronization

extension LoopCore {
    /// Runs a job as what it came for.
    ///
    /// A job for the global executor runs as one of the loop's own: what it resumes is mostly isolated to the loop and
    /// then need not switch.
    @inline(__always)
    func run(job entry: ReadyEntry) {
        taskOfStep = entry.task
        if entry.isTaskExecutorJob {
            unsafe entry.job.runSynchronously(isolatedTo: serialExecutor!, taskExecutor: taskExecutor!)
        } else {
            unsafe entry.job.runSynchronously(on: serialExecutor!)
        }
        taskOfStep = 0
    }

    /// Takes a job that this thread has enqueued for the global executor.
    @inline(__always)
    func keep(_ job: UnownedJob) {
        if let worker = catchingWorker {
            worker.keep(job)
        } else if isResumingNow {
            isResumingNow = false
            resumedJob = job
        } else {
            enqueue(ReadyEntry(job: job, .kept))
        }
    }

    /// Resumes a task whose turn has come, and runs it at once.
    func resumeNow(_ continuation: UnsafeContinuation<Bool, Never>) {
        isResumingNow = true
        unsafe resume(continuation, false)
        isResumingNow = false
        if let job = resumedJob.take() { unsafe job.runSynchronously(on: serialExecutor!) }
    }

    /// Runs the task now that the calling task is about to wait for, if that changes no order.
    ///
    /// It must be the next to run, and nothing else ready. That saves the calling task its wait if the other ends in this
    /// step, as most do that are awaited at once.
    ///
    /// Only what waits may be run within: a step that another's code has begun, as an eager task, is still that code's.
    func runNext(_ record: TaskRecord, _ task: UInt) -> Bool {
        guard taskOfStep != 0, unsafe taskOfStep == UInt(bitPattern: creactor_current_task()), batchesLeft > 0 else {
            return false
        }
        guard ready.count == 1, inner.count == 0, !stopRequested, creactor_is_cancelled() == 0 else { return false }
        let next = ready.first
        guard next.isJob, next.task == task, !next.isTaskExecutorJob, lendsSteps,
            !inbox.hasEntries.load(ordering: .acquiring)
        else { return false }
        // It counts as a batch, so that the loop comes to its timers and its input.
        batchesLeft -= 1
        let entry = ready.pop()
        if leftOfBatch > 0 { leftOfBatch -= 1 }
        statistics.callbacks &+= 1
        let outer = taskOfStep
        let left = batchesLeft
        // Not within one another, which would fill the stack.
        batchesLeft = 0
        unsafe lent = (outer, Unmanaged.passUnretained(record))
        run(job: entry)
        unsafe lent = nil
        batchesLeft = left
        taskOfStep = outer
        return true
    }

    /// Whether whoever has lent its step may go on as if it had been woken: nothing else is to run before.
    var isNext: Bool {
        ready.count == 0 && inner.count == 0 && !stopRequested && !inbox.hasEntries.load(ordering: .acquiring)
    }

    /// Resumes a task on the loop, whatever the global executor does otherwise.
    ///
    /// A continuation resumes by way of the global executor. So that it comes to the loop at once, the loop keeps that
    /// one job if it does not keep all of them.
    @inline(__always)
    func resume(_ continuation: UnsafeContinuation<Bool, Never>, _ value: Bool) {
        if keepsJobs {
            unsafe continuation.resume(returning: value)
        } else {
            unsafe resumeKeeping(continuation, value)
        }
    }

    private func resumeKeeping(_ continuation: UnsafeContinuation<Bool, Never>, _ value: Bool) {
        // A loop that closes runs nothing any more.
        guard state == .running || state == .idle else { return unsafe continuation.resume(returning: value) }
        keepingJobs { unsafe continuation.resume(returning: value) }
    }

    /// Has the loop keep what `body` enqueues for the global executor, whatever it does otherwise.
    @inline(__always)
    func keepingJobs(_ body: () -> Void) {
        guard !keepsJobs else { return body() }
        unsafe creactor_set_keeping_loop(UnsafeMutableRawPointer(mutating: identity))
        body()
        creactor_set_keeping_loop(nil)
    }

    /// Takes a job that is to run when time has passed, as `Task.sleep` makes them.
    func sleep(_ job: UnownedJob, for delay: Duration) {
        sleepingJobs += 1
        let sleeper = SleepingJob(job, until: LoopInstant.system.advanced(by: delay))
        let deadline = now.advanced(by: delay)
        _ = schedule(
            at: deadline,
            { [self] in
                sleepingJobs -= 1
                if let job = sleeper.take() { enqueue(ReadyEntry(job: job, .kept)) }
            },
            site: CallSite(file: #fileID, line: #line)
        )
    }

    /// Gives a job away that the closing loop cannot run.
    func handBack(_ entry: ReadyEntry) {
        switch entry.jobKind {
        case .kept: HandedBack.enqueue(entry.job)
        case .serial: withLoop { $0.executor.enqueueElsewhere(entry.job, of: self) }
        case .task: withLoop { lateJobs.enqueue(LateJob(job: entry.job, executor: .task($0.taskLoopExecutor))) }
        }
    }
}

/// Jobs that go on on the global executor.
enum HandedBack {
    static func enqueue(_ job: UnownedJob) {
        // SAFETY: an unowned job is one pointer, and the runtime takes over the reference that it stands for.
        unsafe creactor_enqueue_global(unsafeBitCast(job, to: UnsafeMutableRawPointer.self))
    }

    /// The same when time has passed.
    static func enqueue(_ job: UnownedJob, after delay: Duration) {
        let nanoseconds = max(0, min(delay.saturatedNanoseconds, .max / 2))
        DispatchQueue.global().asyncAfter(deadline: .now() + .nanoseconds(Int(nanoseconds))) { enqueue(job) }
    }
}

/// A job that sleeps on a loop: if the loop drops it, it goes on sleeping without one.
private final class SleepingJob {
    private var job: UnownedJob?
    private let deadline: LoopInstant

    init(_ job: UnownedJob, until deadline: LoopInstant) {
        self.job = job
        self.deadline = deadline
    }

    func take() -> UnownedJob? { job.take() }

    deinit {
        if let job { HandedBack.enqueue(job, after: LoopInstant.system.duration(to: deadline)) }
    }
}
