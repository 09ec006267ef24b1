// Tasks that run one spawned body after the other. From its birth to its end a task of Swift's costs 4,500 instructions and
// a kilobyte of memory; one that has ended a body and waits for the next costs no more than a wait.
//
// Ground rules:
//   * No body can tell. One gets a used task only if it has the loop's own isolation and no name, if whoever spawns it has
//     no task-local values to be inherited but the one that is bound for each body, and if both have the same priority.
//   * A task that was cancelled, whose priority was raised, or that has values of its own is not used again.
//   * A cancellation is for the body and not for the task: see `TaskRecord.cancel`.
//   * Only loops that end their tasks keep any, and they end these too.

internal import CReactor

/// A task of a loop that runs bodies.
// SAFETY: the loop's thread alone uses it, or the reaper's after the loop was closed.
@safe
final class SpawnWorker: @unchecked Sendable {
    typealias Work = @Sendable () async -> Void

    // SAFETY: not counted, as the task holds its loop.
    private unowned(unsafe) let core: LoopCore
    // An exclusivity check at run time would take longer than what it checks, and find nothing.
    // SAFETY: as said of the class; so are those that follow.
    @exclusivity(unchecked) private var task: Task<Void, Never>?
    // SAFETY: as above.
    @exclusivity(unchecked) private var priority: UInt = 0
    // SAFETY: as above. Set from the beginning of a spawned body to its end.
    @exclusivity(unchecked) private var record: TaskRecord?
    // SAFETY: as above.
    @exclusivity(unchecked) private var work: Work?
    // SAFETY: as above. What the body inherits of whoever spawned it.
    @exclusivity(unchecked) private var binding: LocalBinding?
    // SAFETY: as above. Resumed by whoever takes it out, which is once.
    @exclusivity(unchecked) fileprivate var continuation: UnsafeContinuation<Bool, Never>?
    // SAFETY: as above. The next that waits; not counted, as a task that waits holds its worker.
    @exclusivity(unchecked) fileprivate var next: Unmanaged<SpawnWorker>?

    private init(_ core: LoopCore, _ record: TaskRecord, _ work: @escaping Work, _ binding: LocalBinding?) {
        unsafe self.core = core
        unsafe self.binding = binding
        unsafe self.record = record
        unsafe self.work = work
    }

    // MARK: Beginning

    /// Makes a task for a body, which begins as the next entry of the ready queue, or now.
    ///
    /// With a binding it has no values of its own, and can be used again.
    static func start(_ record: TaskRecord, _ work: @escaping Work, _ binding: LocalBinding?, now: Bool) {
        let core = unsafe record.loop.core
        let worker = SpawnWorker(core, record, work, binding)
        // SAFETY: a function with an isolated parameter is called like one with an ordinary parameter, and this one only
        // makes a task that begins in that isolation.
        let task = unsafe unsafeBitCast(WorkerStart(call: make), to: PlainWorkerStart.self)
            .call(worker, binding == nil, record.loop)
        unsafe worker.task = task
        record.hasBegun(task)
        if now { core.runLast(task) }
    }

    private static func make(_ worker: SpawnWorker, _ inherits: Bool, on loop: isolated EventLoop) -> Task<Void, Never>
    {
        if inherits { return Task { await worker.run(on: loop) } }
        return Task.detached(priority: Task.currentPriority) { await worker.run(on: loop) }
    }

    /// Gives a body to the task, which waits for one.
    fileprivate func begin(
        _ record: consuming TaskRecord,
        _ work: consuming @escaping Work,
        _ binding: LocalBinding?,
        now: Bool
    ) {
        unsafe record.hasBegun(task!)
        if let binding { unsafe self.binding = binding }
        unsafe self.record = consume record
        unsafe self.work = consume work
        guard let continuation = unsafe continuation.take() else { fault("A task that works was given more work.") }
        if now { unsafe core.resumeNow(continuation, true) } else { unsafe core.resume(continuation, true) }
    }

    // MARK: Running

    private func run(on loop: isolated EventLoop) async {
        // SAFETY: the task holds this.
        let this = unsafe Unmanaged.passUnretained(self)
        unsafe priority = creactor_current_priority()
        TaskLocals.findOut()
        let scope = unsafe TaskScope.begin(core)
        defer { scope?.end() }
        while true {
            do {
                // Gone, with what it holds, before the task waits.
                guard let work = takeWork() else { return }
                if unsafe binding == nil { await work() } else { await runBound(work) }
            }
            guard unsafe this._withUnsafeGuaranteedRef({ $0.mayWait() }) else { return }
            #if compiler(>=6.2) && compiler(<6.5)
            let hasMore = unsafe await _unsafeInheritExecutor_withUnsafeContinuation { continuation in
                unsafe this._withUnsafeGuaranteedRef { unsafe $0.store(continuation) }
            }
            #else
            let hasMore = unsafe await withUnsafeContinuation { continuation in
                unsafe this._withUnsafeGuaranteedRef { unsafe $0.store(continuation) }
            }
            #endif
            guard hasMore else { return }
        }
    }

    // Not by a generic function, for which closures are wrapped.
    private func takeWork() -> Work? {
        let taken = unsafe work
        unsafe work = nil
        return taken
    }

    private func runBound(_ work: @escaping Work) async {
        guard let bound = unsafe binding else { return await work() }
        unsafe binding = nil
        await bound(work)
    }

    @inline(never)
    private func mayWait() -> Bool {
        guard let record = unsafe record.take(), record.leavesTask(), hasCurrentPriority else { return false }
        return unsafe core.hotWorkers._withUnsafeGuaranteedRef {
            unsafe $0.takesMore(core)
        }
    }

    @unsafe
    private func store(_ continuation: UnsafeContinuation<Bool, Never>) {
        unsafe self.continuation = continuation
        unsafe core.hotWorkers._withUnsafeGuaranteedRef { $0.add(self) }
    }

    /// Whether a body that the calling task spawns would get the priority of this one.
    @inline(__always)
    fileprivate var hasCurrentPriority: Bool { unsafe priority == creactor_current_priority() }
}

// Structures, and not the functions alone, which would be wrapped for the cast.

private struct WorkerStart {
    let call: (SpawnWorker, Bool, isolated EventLoop) -> Task<Void, Never>
}

private struct PlainWorkerStart {
    let call: (SpawnWorker, Bool, EventLoop) -> Task<Void, Never>
}

/// The tasks of a loop that wait for a body, the latest first.
// SAFETY: used on the loop's thread only, and nothing of anybody else's runs while it is changed.
@safe
final class SpawnWorkers {
    /// How many are kept; each is a bit more than a kilobyte.
    private static var most: Int { 64 }

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
    func takesMore(_ core: LoopCore) -> Bool {
        (ignoresTaskLocals || TaskLocals.values == .none) && areKept && !core.isEnding && core.isRunningHere
            && count < Self.most
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
    fileprivate func take(_ values: TaskLocals.Values) -> Unmanaged<SpawnWorker>? {
        guard let first = unsafe first, values != .others || ignoresTaskLocals else { return nil }
        guard unsafe first._withUnsafeGuaranteedRef({ $0.hasCurrentPriority }) else { return nil }
        return unsafe takeFirst()
    }

    /// Ends them all.
    func dismiss(_ core: LoopCore) {
        while let worker = unsafe takeFirst() {
            guard let continuation = unsafe worker._withUnsafeGuaranteedRef({ unsafe $0.continuation.take() }) else {
                continue
            }
            unsafe core.resume(continuation, false)
        }
    }
}

extension Spawning {
    /// Whether a body with this isolation, spawned on the loop that runs here, may get a task that others had.
    @usableFromInline
    static func mayShare(_ isolation: (any Actor)?) -> Bool {
        guard let isolation, let current = unsafe creactor_current_loop() else { return false }
        // SAFETY: `AsyncIO.spawn` has found a loop that runs here.
        return unsafe Unmanaged<LoopCore>.fromOpaque(current)._withUnsafeGuaranteedRef { core in
            unsafe core.hotWorkers._withUnsafeGuaranteedRef { $0.areKept } && core.isOwn(isolation)
        }
    }

    /// Has a body run by a task that others had, if one waits, or by a new one.
    @usableFromInline
    static func share(
        _ record: consuming TaskRecord,
        eager: Bool,
        _ work: consuming @escaping @Sendable () async -> Void
    ) {
        record.sharesTask()
        // SAFETY: as above; `mayShare` was asked.
        let current = unsafe Unmanaged<LoopCore>.fromOpaque(creactor_current_loop()!)
        let now = unsafe eager && current._withUnsafeGuaranteedRef { $0.mayRunNow }
        let values = TaskLocals.values
        let worker = unsafe current._withUnsafeGuaranteedRef { core in
            unsafe core.hotWorkers._withUnsafeGuaranteedRef { unsafe $0.take(values) }
        }
        guard let worker = unsafe worker else {
            return SpawnWorker.start(record, work, values == .carried ? TaskLocals.carried : nil, now: now)
        }
        // SAFETY: a worker that waits is held by its task.
        let held = unsafe worker.takeUnretainedValue()
        held.begin(record, work, values == .none ? nil : TaskLocals.carried, now: now)
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

    /// Whether the code that runs is a task's and has the loop's isolation, so that another task with that may run within it.
    var mayRunNow: Bool {
        // SAFETY: as above.
        unsafe creactor_runs_on(unsafeBitCast(serialExecutor!, to: creactor_executor.self)) != 0
    }
}
