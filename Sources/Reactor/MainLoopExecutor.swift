// The main actor's executor: one object with one identity for the life of the process, which forwards to whatever
// serves the main thread. While `AsyncIO.run` runs, that is its loop, and the loop *is* the main actor; otherwise it is
// Dispatch's main queue, which serves it without us. The loop serves Dispatch's main queue in turn, so that what was
// enqueued before, between and after runs is never lost.
//
// Installed by the first run, before which Swift's own main executor is in force, and never removed: the identity of an
// executor that a suspended task remembers must not change.

internal import CReactor
internal import Dispatch
internal import Synchronization

/// The main actor's executor.
@safe
final class MainLoopExecutor: LoopSerialExecutor {
    static let shared = MainLoopExecutor()

    private let lock = Lock()
    // SAFETY: changed under the lock, by the main thread only; so the main thread reads it as it is.
    private nonisolated(unsafe) var loop: LoopCore?
    /// The identity of `loop`, or 0.
    private let identity = Atomic<UInt>(0)

    /// What only Dispatch's main queue has: another thread than the main one may serve it, as `dispatchMain()` does.
    private static let mainQueue = DispatchSpecificKey<Void>()

    private init() {}

    /// Makes this the main actor's executor; the first call does it.
    static func install() { _ = installed }

    private static let installed: Void = {
        DispatchQueue.main.setSpecific(key: mainQueue, value: ())
        // SAFETY: an unowned executor is the pair of pointers that the C structure declares, and the object is
        // immortal.
        unsafe creactor_set_main_executor(
            unsafeBitCast(shared.asUnownedSerialExecutor(), to: creactor_executor.self)
        )
    }()

    /// Serves the main actor by a loop of the main thread, or by Dispatch's main queue again.
    func serve(by core: LoopCore?) {
        lock.locked {
            unsafe loop = core
            identity.store(core.map { unsafe UInt(bitPattern: $0.identity) } ?? 0, ordering: .releasing)
        }
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        if let here = loopIfHere {
            here.enqueue(ReadyEntry(job: job, .serial))
        } else if !post(job) {
            enqueueOnMainQueue(job)
        }
    }

    /// The main loop, if it runs and the caller is on it.
    var loopIfHere: LoopCore? {
        // PERF: most jobs are enqueued by the loop's own thread, which needs no lock. (suspend and resume)
        let current = unsafe UInt(bitPattern: creactor_current_loop())
        guard current != 0, current == identity.load(ordering: .relaxed), let loop = unsafe loop else { return nil }
        return loop.state == .running ? loop : nil
    }

    private func post(_ job: UnownedJob) -> Bool {
        lock.locked {
            guard let loop = unsafe loop else { return false }
            return loop.submit(ReadyEntry(job: job, .serial))
        }
    }

    func enqueueElsewhere(_ job: UnownedJob, of core: LoopCore) { enqueueOnMainQueue(job) }

    private func enqueueOnMainQueue(_ job: UnownedJob) {
        DispatchQueue.main.async { unsafe job.runSynchronously(on: self.asUnownedSerialExecutor()) }
    }

    func asUnownedSerialExecutor() -> UnownedSerialExecutor {
        unsafe UnownedSerialExecutor(ordinary: self)
    }

    func checkIsolated() {
        require(
            creactor_is_main_thread() != 0 || DispatchQueue.getSpecific(key: Self.mainQueue) != nil,
            "This code claims to run on the main actor, but runs on another thread than the main one."
        )
    }
}
