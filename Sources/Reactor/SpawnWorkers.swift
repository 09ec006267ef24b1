// Tasks that run one spawned body after the other. From its birth to its end a task of Swift's costs 4,500 instructions and
// a kilobyte of memory; one that has ended a body and waits for the next costs no more than a wait.
//
// Between two bodies such a task is in a place of its own, an actor whose executor keeps what it is given: the step back from
// a body, which every call of another isolation ends with, is all of the wait.
//
// Ground rules:
//   * No body can tell. One gets a used task only if it has the loop's own isolation and no name, if whoever spawns it has
//     no task-local values to be inherited but the one that is bound for each body, and if both have the same priority.
//   * A task that was cancelled, whose priority was raised, or that has values of its own is not used again.
//   * A cancellation is for the body and not for the task: see `TaskRecord.cancel`.
//   * Only loops that end their tasks keep any, and they end these too.

internal import CReactor

/// A task of a loop that runs bodies.
///
/// It is an executor too, of the place where the task is when it runs no body: one that keeps what it is given. So the
/// task's way back from a body is its wait, and needs no continuation.
// SAFETY: the loop's thread alone uses it, or the reaper's after the loop was closed.
@safe
@usableFromInline
final class SpawnWorker: SerialExecutor, @unchecked Sendable {
    /// Runs the body that a record keeps, and completes the record, which it takes out of the worker.
    @usableFromInline typealias Entry = @Sendable (SpawnWorker, isolated EventLoop) async -> Void

    fileprivate let loop: EventLoop
    // An exclusivity check at run time would take longer than what it checks, and find nothing.
    // SAFETY: as said of the class; so are those that follow.
    @exclusivity(unchecked) private var task: Task<Void, Never>?
    // SAFETY: as above.
    @exclusivity(unchecked) fileprivate var priority: UInt = 0
    // SAFETY: as above. Set until the body begins.
    @exclusivity(unchecked) private var record: TaskRecord?
    // SAFETY: as above.
    @exclusivity(unchecked) private var entry: Entry?
    // SAFETY: as above. What the body inherits of whoever spawned it.
    @exclusivity(unchecked) fileprivate var binding: LocalBinding?
    // SAFETY: as above. What goes on with the task while it waits; whoever takes it out runs it, which is once.
    @exclusivity(unchecked) private var job: UnownedJob?
    // SAFETY: as above. Whether the task has come to its place, for the first time.
    @exclusivity(unchecked) private var isThere = false
    // SAFETY: as above.
    @exclusivity(unchecked) private var comesBack = ComesBack.toBeMade
    // SAFETY: as above. The next that waits; not counted, as a task that waits holds its worker.
    @exclusivity(unchecked) fileprivate var next: Unmanaged<SpawnWorker>?

    /// What the task does where it runs no body.
    private enum ComesBack {
        /// It is being made.
        case toBeMade
        case toWait
        case toEnd
    }

    private init(_ loop: EventLoop) { self.loop = loop }

    private var core: LoopCore { unsafe loop.core }

    // MARK: Beginning

    /// Makes a task for a body, which begins as the next entry of the ready queue, or now.
    ///
    /// With a binding it has no values of its own, and can be used again.
    static func start(_ record: consuming TaskRecord, _ entry: @escaping Entry, _ binding: LocalBinding?, now: Bool) {
        let worker = SpawnWorker(record.loop)
        worker.makeTask(inheriting: binding == nil)
        worker.begin(record, entry, binding, now: now)
    }

    /// Makes the task, and lets it come to its place, where it waits for the first body.
    private func makeTask(inheriting: Bool) {
        let place = RestingPlace(self)
        let core = core
        core.catchingWorker = self
        core.keepingJobs {
            unsafe task =
                inheriting
                ? Task { await place.run() }
                : Task.detached(priority: Task.currentPriority) { await place.run() }
            // On its way there it is enqueued as often as the compiler has it change its isolation.
            while unsafe !isThere { unsafe takeJob().runSynchronously(on: core.serialExecutor!) }
        }
        core.catchingWorker = nil
        unsafe comesBack = .toWait
    }

    /// Gives a body to the task, which waits for one.
    fileprivate func begin(
        _ record: consuming TaskRecord,
        _ entry: @escaping Entry,
        _ binding: LocalBinding?,
        now: Bool
    ) {
        unsafe record.hasBegun(task!)
        if let binding { unsafe self.binding = binding }
        unsafe self.record = consume record
        unsafe self.entry = entry
        if now { unsafe takeJob().runSynchronously(on: core.serialExecutor!) } else { goOn(takeJob()) }
    }

    /// Ends the task, which waits.
    fileprivate func end() { goOn(takeJob()) }

    /// Has the task go on on the loop, or where that sends what it cannot run.
    private func goOn(_ job: UnownedJob) {
        if core.isRunningHere { core.enqueue(ReadyEntry(job: job, .serial)) } else { goOnElsewhere(job) }
    }

    /// The same for one that is not on the loop: the task may end on another thread before this returns, and this end with it.
    @inline(never)
    private func goOnElsewhere(_ job: UnownedJob) {
        let held = unsafe Unmanaged.passRetained(loop)
        let loop = unsafe held.takeUnretainedValue()
        if unsafe !loop.core.submit(ReadyEntry(job: job, .serial)) {
            unsafe loop.executor.enqueueElsewhere(job, of: loop.core)
        }
        unsafe held.release()
    }

    private func takeJob() -> UnownedJob {
        guard let job = unsafe job else { fault("A task that works was given more work.") }
        unsafe self.job = nil
        return job
    }

    // MARK: Running

    /// Finds out about the task, which then waits in its place for the first time, as after a body.
    fileprivate func prepare(on loop: isolated EventLoop) async {
        unsafe priority = creactor_current_priority()
        TaskLocals.findOut()
        unsafe isThere = true
    }

    /// What the next body is run by; nil if there is none, and the task ends.
    fileprivate func takeEntry() -> Entry? {
        let taken = unsafe entry
        unsafe entry = nil
        return taken
    }

    /// The record of the body that begins.
    @usableFromInline
    func takeRecord() -> TaskRecord {
        guard let record = unsafe record.take() else { fault("A task was to run a body, but had none.") }
        return record
    }

    /// The body has ended, and its record is complete; called by the task before it comes back.
    @usableFromInline
    func hasRun(_ record: TaskRecord) {
        // Whoever has bound a value asks again when it is no longer bound.
        let stays = unsafe record.leavesTask() && hasCurrentPriority && (binding != nil || takesMore)
        if !stays { unsafe comesBack = .toEnd }
    }

    @inline(never)
    fileprivate func runBound(_ entry: Entry, on loop: isolated EventLoop) async {
        guard let bound = unsafe binding else { return }
        await bound { await entry(self, loop) }
        unsafe binding = nil
        if !takesMore { unsafe comesBack = .toEnd }
    }

    private var takesMore: Bool {
        let core = core
        return unsafe core.hotWorkers._withUnsafeGuaranteedRef { $0.takesMore(core) }
    }

    /// Whether a body that the calling task spawns would get the priority of this one.
    @inline(__always)
    fileprivate var hasCurrentPriority: Bool { unsafe priority == creactor_current_priority() }

    // MARK: Waiting

    /// The task has come back, or was made.
    @usableFromInline
    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        switch unsafe comesBack {
        case .toBeMade: keep(job)
        case .toWait:
            keep(job)
            unsafe core.hotWorkers._withUnsafeGuaranteedRef { $0.add(self) }
        // It goes on once more, and ends.
        case .toEnd: goOn(job)
        }
    }

    /// Keeps what the task goes on with.
    func keep(_ job: UnownedJob) { unsafe self.job = job }

    @usableFromInline
    func asUnownedSerialExecutor() -> UnownedSerialExecutor { unsafe UnownedSerialExecutor(ordinary: self) }
}

/// Where a worker's task is that runs no body. The steps from one body to the next are isolated to it, but run on the
/// loop, as the loop runs what the worker has kept.
@safe
private actor RestingPlace {
    private nonisolated let worker: SpawnWorker
    // SAFETY: the worker, which lives as long as this.
    private nonisolated let unowned: UnownedSerialExecutor

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe unowned }

    init(_ worker: SpawnWorker) {
        self.worker = worker
        unsafe unowned = unsafe worker.asUnownedSerialExecutor()
    }

    /// Runs bodies; after each of them the task is back here, and goes on when there is another.
    func run() async {
        let worker = worker
        await worker.prepare(on: worker.loop)
        let scope = unsafe TaskScope.begin(worker.loop.core)
        defer { scope?.end() }
        while let entry = worker.takeEntry() {
            if unsafe worker.binding == nil {
                await entry(worker, worker.loop)
            } else {
                await worker.runBound(entry, on: worker.loop)
            }
        }
    }
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
    func dismiss() {
        while let worker = unsafe takeFirst() {
            unsafe worker._withUnsafeGuaranteedRef { $0.end() }
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

    /// Has the body that a record keeps run by a task that others had, if one waits, or by a new one.
    @usableFromInline
    static func share(_ record: consuming TaskRecord, eager: Bool, _ entry: @escaping SpawnWorker.Entry) {
        record.sharesTask()
        // SAFETY: as above; `mayShare` was asked.
        let current = unsafe Unmanaged<LoopCore>.fromOpaque(creactor_current_loop()!)
        let now = unsafe eager && current._withUnsafeGuaranteedRef { $0.mayRunNow }
        let values = TaskLocals.values
        let worker = unsafe current._withUnsafeGuaranteedRef { core in
            unsafe core.hotWorkers._withUnsafeGuaranteedRef { unsafe $0.take(values) }
        }
        guard let worker = unsafe worker else {
            return SpawnWorker.start(record, entry, values == .carried ? TaskLocals.carried : nil, now: now)
        }
        // SAFETY: a worker that waits is held by its task.
        let held = unsafe worker.takeUnretainedValue()
        held.begin(record, entry, values == .none ? nil : TaskLocals.carried, now: now)
    }
}

extension TaskRecord {
    /// Keeps the body, which the task takes out when it begins, where later the value is.
    @inlinable
    @inline(__always)
    func keep<Value: Sendable>(_ body: Spawning.Body<Value>) {
        // SAFETY: a body is a function, which is two words; nobody reads the value before it is set.
        unsafe withUnsafeMutableBytes(of: &words) {
            _ = unsafe $0.baseAddress!.initializeMemory(as: Spawning.Body<Value>.self, to: body)
        }
    }

    /// Takes the body, whose type must be that of the kept one.
    @inlinable
    @inline(__always)
    func takeBody<Value: Sendable>(of _: Value.Type) -> Spawning.Body<Value> {
        // SAFETY: what `keep` has stored, taken once.
        unsafe withUnsafeMutableBytes(of: &words) {
            unsafe $0.baseAddress!.assumingMemoryBound(to: Spawning.Body<Value>.self).move()
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

    /// Whether the code that runs is a task's and has the loop's isolation, so that another task with that may run within it.
    var mayRunNow: Bool {
        // SAFETY: as above.
        unsafe creactor_runs_on(unsafeBitCast(serialExecutor!, to: creactor_executor.self)) != 0
    }
}
