// Who gets a task that has run others: see SpawnWorkers.swift for what such a task may be given.

internal import CReactor

/// The tasks of a loop that wait for a body, the latest first.
// SAFETY: used on the loop's thread only, and nothing of anybody else's runs while it is changed.
@safe
final class SpawnWorkers {
    /// How many are kept; each is a bit more than a kilobyte.
    static var most: Int { 128 }

    /// Whether the loop keeps any: one does that ends its tasks.
    var areKept = false
    /// Whether tests want them used whatever is inherited.
    private let ignoresTaskLocals: Bool
    // SAFETY: as said of the class; a task that waits holds its worker.
    @exclusivity(unchecked) private var first: Unmanaged<SpawnWorker>?
    // SAFETY: as above.
    @exclusivity(unchecked) private var waiting = 0

    init(ignoringTaskLocals: Bool) { ignoresTaskLocals = ignoringTaskLocals }

    /// How many wait.
    var count: Int { unsafe waiting }

    /// Whether the calling task may wait for more.
    @inline(__always)
    func takesMore(_ core: LoopCore, _ task: UnsafeRawPointer?) -> Bool {
        unsafe (ignoresTaskLocals || TaskLocals.values(task) == .none) && areKept && !core.isEnding
            && core.isRunningHere && count < Self.most
    }

    /// The values that children of the calling task would inherit, if tasks that others had may run what they would.
    func valuesOfChildren(_ core: LoopCore, _ task: UnsafeRawPointer?) -> TaskLocals.Values? {
        guard areKept && !core.isEnding else { return nil }
        if creactor_locals_are_unknown() != 0 && core.isRunningHere { SpawnWorker.makeSpare(core) }
        let values = unsafe TaskLocals.values(task)
        return values != .others || ignoresTaskLocals ? values : nil
    }

    func add(_ worker: SpawnWorker) {
        unsafe worker.next = first
        unsafe first = Unmanaged.passUnretained(worker)
        unsafe waiting += 1
    }

    private func takeFirst() -> Unmanaged<SpawnWorker>? {
        guard let worker = unsafe first else { return nil }
        unsafe first = worker._withUnsafeGuaranteedRef { unsafe $0.next }
        unsafe waiting -= 1
        return unsafe worker
    }

    /// One for a body that the calling task spawns with these values, if one may run it.
    @inline(__always)
    func take(_ values: TaskLocals.Values, _ task: UnsafeRawPointer?) -> Unmanaged<SpawnWorker>? {
        guard let first = unsafe first, values != .others || ignoresTaskLocals else { return nil }
        guard unsafe first._withUnsafeGuaranteedRef({ unsafe $0.hasPriority(of: task) }) else { return nil }
        return unsafe takeFirst()
    }

    /// Ends them all.
    func dismiss() {
        while let worker = unsafe takeFirst() {
            unsafe worker._withUnsafeGuaranteedRef { $0.end() }
        }
    }
}

extension Spawning {
    /// Whether a body with this isolation, spawned on the loop that runs here, may get a task that others had.
    @usableFromInline
    static func mayShare(_ isolation: any Actor) -> Bool {
        guard let current = unsafe creactor_current_loop() else { return false }
        // SAFETY: `AsyncIO.spawn` has found a loop that runs here.
        return unsafe Unmanaged<LoopCore>.fromOpaque(current)._withUnsafeGuaranteedRef { core in
            unsafe core.hotWorkers._withUnsafeGuaranteedRef { $0.areKept } && core.isOwn(isolation)
        }
    }

    /// Has the body that a record keeps run by a task that others had, if one waits, or by a new one.
    @usableFromInline
    static func share(_ record: consuming TaskRecord, eager: Bool, _ entry: @escaping SpawnWorker.Entry) {
        record.sharesTask()
        // SAFETY: as above; `mayShare` was asked.
        let current = unsafe Unmanaged<LoopCore>.fromOpaque(creactor_current_loop()!)
        let task = unsafe creactor_current_task()
        let now = unsafe eager && task != nil && current._withUnsafeGuaranteedRef { $0.mayRunNow }
        let values = unsafe TaskLocals.values(task)
        let worker = unsafe current._withUnsafeGuaranteedRef { core in
            unsafe core.hotWorkers._withUnsafeGuaranteedRef { unsafe $0.take(values, task) }
        }
        guard let worker = unsafe worker else {
            return SpawnWorker.start(record, entry, values == .carried ? TaskLocals.carried : nil, now: now)
        }
        // SAFETY: a worker that waits is held by its task.
        let passed = unsafe Unmanaged.passRetained(consume record)
        let job = unsafe worker._withUnsafeGuaranteedRef {
            unsafe $0.take(passed.takeRetainedValue(), entry, values == .none ? nil : TaskLocals.carried)
        }
        // PERF: not by the worker, which would have to be held for it. (spawn and await)
        unsafe current._withUnsafeGuaranteedRef { core in
            if now {
                unsafe job.runSynchronously(on: core.serialExecutor!)
            } else {
                core.enqueue(ReadyEntry(job: job, .serial))
            }
        }
    }
}

extension LoopCore {
    /// Whether this is the isolation of what runs on the loop: the loop's own, or that of an actor which shares it.
    @inline(__always)
    func isOwn(_ isolation: any Actor) -> Bool {
        if isolations.loop == ObjectIdentifier(isolation) || isolations.main == ObjectIdentifier(isolation) {
            return true
        }
        return unsafe identity(isolation.unownedExecutor) == identity(serialExecutor!)
    }

    private func identity(_ executor: UnownedSerialExecutor) -> UnsafeRawPointer? {
        // SAFETY: an unowned executor is the pair of pointers that the C structure declares.
        unsafe unsafeBitCast(executor, to: creactor_executor.self).identity
    }

    /// Whether the code that runs has the loop's isolation, so that, if it is a task's, another one with that may run within.
    var mayRunNow: Bool {
        // SAFETY: as above.
        unsafe creactor_runs_on(unsafeBitCast(serialExecutor!, to: creactor_executor.self)) != 0
    }
}
