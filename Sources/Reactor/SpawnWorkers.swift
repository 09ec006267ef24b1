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
package final class SpawnWorker: SerialExecutor, @unchecked Sendable {
    /// Runs the body that a record keeps, and completes the record, which it takes out of the worker.
    @usableFromInline package typealias Entry = @Sendable (SpawnWorker, isolated EventLoop) async -> Void

    fileprivate let loop: EventLoop
    // SAFETY: not counted, as the loop holds it.
    private unowned(unsafe) let core: LoopCore
    // SAFETY: the same object, whose references are not counted where that would be most of the work.
    private let hotCore: Unmanaged<LoopCore>
    // An exclusivity check at run time would take longer than what it checks, and find nothing.
    // SAFETY: as said of the class; so are those that follow.
    @exclusivity(unchecked) private var task: Task<Void, Never>?
    /// The task's address, once it has come to its place.
    // SAFETY: as above. Not followed but by itself, where it runs.
    @exclusivity(unchecked) private var address: UnsafeRawPointer?
    // SAFETY: as above. The task's number.
    @exclusivity(unchecked) private var number: UInt64 = 0
    // SAFETY: as above.
    @exclusivity(unchecked) private var priority: UInt = 0
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
    // SAFETY: as above. Whose the operation is that it runs, if it is one of several.
    @exclusivity(unchecked) private var children: SharedChildren?
    /// Which of them it is.
    // SAFETY: as above.
    @exclusivity(unchecked) private var child = 0
    // SAFETY: as above. The next that waits, or runs one of the same operations; not counted, as a task holds its worker.
    @exclusivity(unchecked) var next: Unmanaged<SpawnWorker>?
    // SAFETY: as above.
    @exclusivity(unchecked) var previous: Unmanaged<SpawnWorker>?

    /// What the task does where it runs no body.
    private enum ComesBack {
        /// It is being made.
        case toBeMade
        case toWait
        case toEnd
    }

    private init(_ loop: EventLoop) {
        self.loop = loop
        unsafe core = unsafe loop.core
        unsafe hotCore = Unmanaged.passUnretained(loop.core)
    }

    // MARK: Beginning

    /// Makes a task for a body, which begins as the next entry of the ready queue, or now.
    ///
    /// With a binding it has no values of its own, and can be used again.
    static func start(_ record: consuming TaskRecord, _ entry: @escaping Entry, _ binding: LocalBinding?, now: Bool) {
        let worker = SpawnWorker(record.loop)
        worker.makeTask(inheriting: binding == nil)
        let job = worker.take(record, entry, binding)
        if now { unsafe job.runSynchronously(on: worker.core.serialExecutor!) } else { worker.goOn(job) }
    }

    /// Makes the task, and lets it come to its place, where it waits for the first body.
    private func makeTask(inheriting: Bool) {
        let place = RestingPlace(self)
        let core = unsafe core
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

    /// Gives a body to the task, which waits for one; returns what is to run for that.
    func take(_ record: consuming TaskRecord, _ entry: @escaping Entry, _ binding: LocalBinding?) -> UnownedJob {
        unsafe record.hasBegun(task.unsafelyUnwrapped, at: address)
        if let binding { unsafe self.binding = binding }
        unsafe self.record = consume record
        unsafe self.entry = entry
        return takeJob()
    }

    /// One for an operation that the calling task runs with others: one that waits, or a new one.
    @inline(__always)
    static func forChild(_ core: LoopCore, _ loop: EventLoop, of task: UnsafeRawPointer?) -> SpawnWorker {
        if let worker = unsafe core.hotWorkers._withUnsafeGuaranteedRef({ unsafe $0.take(.none, task) }) {
            // SAFETY: a worker that waits is held by its task.
            return unsafe worker.takeUnretainedValue()
        }
        let worker = SpawnWorker(loop)
        worker.makeTask(inheriting: false)
        return worker
    }

    /// Makes one that waits, which finds out where tasks keep their values.
    static func makeSpare(_ core: LoopCore) {
        let worker = core.withLoop { SpawnWorker($0) }
        worker.makeTask(inheriting: false)
        unsafe core.hotWorkers._withUnsafeGuaranteedRef { $0.add(worker) }
    }

    /// Runs an operation until it waits for the first time, or ends.
    func begin(_ child: Int, of children: SharedChildren, _ entry: @escaping Entry, _ binding: LocalBinding?) {
        if let binding { unsafe self.binding = binding }
        unsafe self.child = child
        unsafe self.children = children
        unsafe self.entry = entry
        unsafe takeJob().runSynchronously(on: core.serialExecutor!)
    }

    /// Cancels the task, and with it what it runs.
    func cancel() { unsafe task?.cancel() }

    /// Returns when the task has ended.
    func untilEnd() async { await unsafe task?.value }

    /// Whether its task is this one.
    func isTask(_ other: UInt) -> Bool { unsafe UInt(bitPattern: address) == other }

    /// Ends the task, which waits.
    func end() { goOn(takeJob()) }

    /// Has the task go on on the loop, or where that sends what it cannot run.
    private func goOn(_ job: UnownedJob) {
        let core = unsafe core
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
        unsafe address = creactor_current_task()
        unsafe number = creactor_task_number(address)
        unsafe priority = creactor_current_priority(address)
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
        let stays = unsafe record.leavesTask(address) && mayStay
        if !stays { unsafe comesBack = .toEnd }
    }

    /// The same of an operation that is one of several.
    @usableFromInline
    package func hasRunChild(_ failure: (any Error)?) {
        if unsafe creactor_is_task_cancelled(address) != 0 || !mayStay { unsafe comesBack = .toEnd }
        guard let children = unsafe children.take() else { fault("An operation has ended that nobody has begun.") }
        children.hasEnded(self, failure)
    }

    @inline(never)
    fileprivate func runBound(_ entry: Entry, on loop: isolated EventLoop) async {
        guard let bound = unsafe binding else { return }
        await bound(loop) { loop in await entry(self, loop) }
        unsafe binding = nil
        if !takesMore { unsafe comesBack = .toEnd }
    }

    /// The number of the operation that the task runs, of several, and what was given with them.
    @usableFromInline
    package var current: (child: Int, context: AnyObject?) { unsafe (child, children?.context) }

    @inline(__always)
    private var mayStay: Bool { unsafe hasPriority(of: address) && (binding != nil || takesMore) }

    @inline(__always)
    private var takesMore: Bool {
        unsafe hotCore._withUnsafeGuaranteedRef { core in
            unsafe core.hotWorkers._withUnsafeGuaranteedRef { unsafe $0.takesMore(core, address) }
        }
    }

    /// Whether a body that the calling task spawns would get the priority of this one.
    @inline(__always)
    func hasPriority(of task: UnsafeRawPointer?) -> Bool {
        unsafe priority == creactor_current_priority(task)
    }

    // MARK: Waiting

    /// The task has come back, or was made.
    @usableFromInline
    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        switch unsafe comesBack {
        case .toBeMade: keep(job)
        case .toWait:
            keep(job)
            // One that began here and ended elsewhere has left it, and the next body has the same task.
            unsafe hotCore._withUnsafeGuaranteedRef { core in
                unsafe core.hotGatherings._withUnsafeGuaranteedRef { unsafe $0.remove(number) }
                unsafe core.hotWorkers._withUnsafeGuaranteedRef { $0.add(self) }
            }
        // It goes on once more, and ends.
        case .toEnd: goOn(job)
        }
    }

    /// Keeps what the task goes on with.
    func keep(_ job: UnownedJob) { unsafe self.job = job }

    @usableFromInline
    package func asUnownedSerialExecutor() -> UnownedSerialExecutor { unsafe UnownedSerialExecutor(ordinary: self) }
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
