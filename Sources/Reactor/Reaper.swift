// Swift tasks must always end. A job that arrives for a loop that is closed runs here, on one thread that all closed
// loops share, in order, as part of that loop. So `await`s that were under way when the loop closed return and their
// tasks clean up: the loop itself refuses new work.

internal import CReactor

/// A job that no loop runs, and what it must run as.
struct LateJob {
    enum Executor {
        case serial(LoopExecutor)
        case task(LoopTaskExecutor)
    }

    let job: UnownedJob
    let executor: Executor

    var core: LoopCore {
        switch executor {
        case .serial(let executor): unsafe executor.core
        case .task(let executor): unsafe executor.core
        }
    }

    func run() {
        switch executor {
        case .serial(let executor): unsafe job.runSynchronously(on: executor.asUnownedSerialExecutor())
        case .task(let executor): unsafe job.runSynchronously(on: executor.asUnownedTaskExecutor())
        }
    }
}

/// Jobs that arrive for a loop that is closing: they are kept until it is closed, as its own thread runs its code until
/// then, and after that go to the reaper one by one.
@safe
final class LateJobs: Sendable {
    private let lock = Lock()
    // SAFETY: under the lock.
    private nonisolated(unsafe) var waiting: [LateJob] = []
    private nonisolated(unsafe) var isClosed = false

    /// Takes a job that the loop itself no longer takes.
    ///
    /// Any thread.
    func enqueue(_ job: LateJob) {
        let goesOn = lock.locked {
            if unsafe !isClosed { unsafe waiting.append(job) }
            return unsafe isClosed
        }
        if goesOn { Reaper.shared.enqueue(job) }
    }

    /// The loop is closed.
    func release() {
        lock.locked {
            unsafe isClosed = true
            for job in unsafe waiting { Reaper.shared.enqueue(job) }
            unsafe waiting = []
        }
    }
}

/// The thread that runs what arrives for closed loops.
@safe
final class Reaper: Sendable {
    static let shared = Reaper()

    // SAFETY: made once and never destroyed, as the reaper lives as long as the process.
    private nonisolated(unsafe) let mutex: OpaquePointer
    // SAFETY: under the mutex.
    private nonisolated(unsafe) var jobs: [LateJob] = []
    private nonisolated(unsafe) var started = false

    private init() {
        unsafe mutex = creactor_mutex_create()
    }

    /// What the thread-local current loop is while the reaper runs a job of that loop: an address within the core that
    /// is not the core's own, so that the job is on the loop but the loop does not count as running.
    static func identity(of core: LoopCore) -> UnsafeRawPointer { unsafe core.identity + 1 }

    /// Whether the reaper runs the code that calls.
    static var runsHere: Bool {
        guard let current = unsafe creactor_current_loop() else { return false }
        return UInt(bitPattern: current) & 1 == 1
    }

    func enqueue(_ job: LateJob) {
        unsafe creactor_mutex_lock(mutex)
        unsafe jobs.append(job)
        let start = unsafe !started
        unsafe started = true
        unsafe creactor_mutex_signal(mutex)
        unsafe creactor_mutex_unlock(mutex)
        guard start else { return }
        let error = unsafe creactor_thread_start("asyncio-reaper", { _ in Reaper.shared.runForever() }, nil)
        require(error == 0, "Cannot start the thread that finishes the tasks of closed loops: errno \(error).")
    }

    private func runForever() {
        while true {
            unsafe creactor_mutex_lock(mutex)
            while unsafe jobs.isEmpty { unsafe creactor_mutex_wait(mutex) }
            let batch = unsafe jobs
            unsafe jobs = []
            unsafe creactor_mutex_unlock(mutex)
            for job in batch {
                unsafe creactor_set_current_loop(Reaper.identity(of: job.core))
                job.run()
                creactor_set_current_loop(nil)
            }
        }
    }
}
