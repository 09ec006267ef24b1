// The tasks that were spawned on a loop and have not ended. Swift lists no tasks; these are listed so that a run can
// end them, as `asyncio.run` does, and so that people can be told what a loop is busy with.

internal import CReactor
internal import Synchronization

/// A spawned task, as its loop knows it, and its end.
// SAFETY: what changes is guarded as said at each.
@safe
@usableFromInline
package final class TaskRecord: Eventual, @unchecked Sendable {
    /// The place in the order of spawning.
    package let number: UInt64
    /// The name that it was given.
    package let name: String?
    /// The task.
    // SAFETY: set before anybody gets this, and not changed.
    @exclusivity(unchecked) private var handle: Task<Void, Never>?
    // SAFETY: compared, never followed. The task lives as long as this holds it.
    @exclusivity(unchecked) private var address: UnsafeRawPointer?
    /// Whether the task may have run others before this, and may run others after it: see SpawnWorkers.swift.
    // SAFETY: set before anybody gets this, and not changed.
    @exclusivity(unchecked) private var isShared = false
    /// Whose the task is, if it is shared: whoever cancels it holds it for that, so that it does not go on with another.
    private let hold = Atomic<UInt8>(Hold.own)

    private enum Hold {
        /// It is this one's.
        static let own: UInt8 = 0
        /// This one was cancelled: the task is nobody else's any more.
        static let cancelled: UInt8 = 1
        /// It has gone on.
        static let left: UInt8 = 2
        /// The same, and this one was cancelled after its end.
        static let cancelledLate: UInt8 = 3
    }

    // The loop's list.
    // SAFETY: used on the loop's thread only.
    @exclusivity(unchecked) fileprivate var next: TaskRecord?
    // SAFETY: as above. The one before holds this one, and names itself here as long as it does.
    @exclusivity(unchecked) fileprivate var previous: Unmanaged<TaskRecord>?

    /// Lists a task that is about to be made on the loop that runs here; nil if none does.
    // PERF: what an `init` does with itself when it is done counts references. (spawn and await)
    @usableFromInline
    package static func make(name: String?, _ file: StaticString, _ line: UInt) -> TaskRecord? {
        guard let current = unsafe LoopCore.currentAddress else { return nil }
        // SAFETY: the address of a core that runs here, and so lives.
        return unsafe Unmanaged<LoopCore>.fromOpaque(current)._withUnsafeGuaranteedRef { core in
            unsafe core.hotSpawned._withUnsafeGuaranteedRef { spawned in
                let record = TaskRecord(spawned.nextNumber(), name, on: core.withLoop { $0 }, file, line)
                spawned.add(record)
                return record
            }
        }
    }

    private init(
        _ number: UInt64,
        _ name: String?,
        on loop: consuming EventLoop,
        _ file: StaticString,
        _ line: UInt
    ) {
        self.number = number
        self.name = name
        super.init(on: loop, file, line)
    }

    deinit { if hasFailed { reportUnlessObserved() } }

    @inline(never)
    private func reportUnlessObserved() { reportUnlessObserved(name.map { "task \($0)" } ?? "the task") }

    /// The task was made, and may even have ended.
    @usableFromInline
    func hasBegun(_ task: Task<Void, Never>) {
        // SAFETY: a task's handle is the address of the task.
        unsafe hasBegun(task, at: unsafeBitCast(task, to: UnsafeRawPointer.self))
    }

    /// The same with the task's address.
    @inline(__always)
    func hasBegun(_ task: consuming Task<Void, Never>, at address: UnsafeRawPointer?) {
        unsafe handle = consume task
        unsafe self.address = address
        if unsafe loop.core.hotSpawned._withUnsafeGuaranteedRef({ $0.isEnding }) { unsafe handle?.cancel() }
    }

    /// The task may be another's before and after.
    func sharesTask() { unsafe isShared = true }

    /// The task, which calls this, has done with this one; says whether it may go on with another.
    func leavesTask(_ task: UnsafeRawPointer?) -> Bool {
        guard unsafe creactor_is_task_cancelled(task) == 0 else {
            hold.store(Hold.cancelled, ordering: .relaxed)
            return false
        }
        return change(from: Hold.own, to: Hold.left)
    }

    /// An eager task has begun to run; called by itself.
    @usableFromInline
    func begins() {
        if loop.isCurrent { unsafe address = unsafe creactor_current_task() }
    }

    /// Cancels the task; any thread.
    package func cancel() {
        if unsafe isShared, !takeTask() { return }
        unsafe handle?.cancel()
    }

    /// Takes the shared task for a cancellation; one that has gone on, or was taken before, has nothing to hear.
    private func takeTask() -> Bool {
        if change(from: Hold.own, to: Hold.cancelled) { return true }
        _ = change(from: Hold.left, to: Hold.cancelledLate)
        return false
    }

    private func change(from old: UInt8, to new: UInt8) -> Bool {
        hold.compareExchange(expected: old, desired: new, ordering: .acquiringAndReleasing).exchanged
    }

    /// Whether the task was cancelled; any thread.
    package var isCancelled: Bool {
        let isTaskCancelled = unsafe handle?.isCancelled ?? false
        guard unsafe isShared else { return isTaskCancelled }
        // Asked afterwards: what the task is once it has gone on is not about this one.
        return switch hold.load(ordering: .acquiring) {
        case Hold.own: isTaskCancelled
        case Hold.left: false
        default: true
        }
    }

    /// Whether the calling task is this one.
    package var isCurrent: Bool { unsafe address != nil && address == creactor_current_task() }

    /// Whether the calling task would wait for its own end.
    @usableFromInline
    package var isAwaitedByItself: Bool { !isDone && isCurrent }

    /// Whether a task that waits is this one.
    func isTask(_ other: UInt?) -> Bool { unsafe other != nil && address.map { UInt(bitPattern: $0) } == other }

    /// The name, or the number for who has none.
    package var shortTitle: String { name ?? "#\(number)" }

    override package var task: TaskRecord? { self }

    override func lendStep() -> Lent {
        // Whether it is the loop comes first: elsewhere nothing may be read of who waits.
        guard unsafe isShared && isHere && isUnwatched else { return .pending }
        let core = unsafe Unmanaged.passUnretained(loop.core)
        guard unsafe core._withUnsafeGuaranteedRef({ unsafe $0.runNext(self, UInt(bitPattern: address)) }), isDone
        else {
            return .pending
        }
        // A cancellation that came meanwhile came first.
        guard creactor_is_cancelled() == 0 else { return .pending }
        return unsafe core._withUnsafeGuaranteedRef { $0.isNext } ? .ended : .endedBeforeOthers
    }

    override func hasEnded() {
        if unsafe loop.core.isEnding, let failure, !(failure is CancellationError) {
            let subject = "task \(shortTitle), which the end of the run cancelled"
            unsafe loop.core.report(.uncaughtError(failure), subject)
            observe()
        }
        super.hasEnded()
        unsafe loop.core.hotSpawned._withUnsafeGuaranteedRef { $0.remove(self) }
    }
}

/// The unfinished tasks of a loop that were spawned with `AsyncIO.spawn`, oldest first.
@safe
package final class SpawnedTasks {
    // An exclusivity check at run time would take longer than what it checks, and find nothing.
    // SAFETY: used on the loop's thread only.
    @exclusivity(unchecked) private var first: TaskRecord?
    // SAFETY: as above. In the list that `first` begins, whose records hold one another.
    @exclusivity(unchecked) private var last: Unmanaged<TaskRecord>?
    // SAFETY: as above.
    @exclusivity(unchecked) private var lastNumber: UInt64 = 0
    // SAFETY: as above.
    @exclusivity(unchecked) private var listed = 0
    /// Called when the last one has ended, while somebody waits for that.
    // SAFETY: as above.
    @exclusivity(unchecked) var onEmpty: (() -> Void)?
    /// Those who have ended in the step that runs, if steps are timed.
    // SAFETY: as above.
    @exclusivity(unchecked) var endedInStep: [TaskRecord]?
    /// Whether what is spawned from here on is cancelled at once.
    private(set) fileprivate var isEnding = false

    /// How many have not ended.
    package var count: Int { unsafe listed }

    fileprivate func nextNumber() -> UInt64 {
        unsafe lastNumber += 1
        return unsafe lastNumber
    }

    /// Lists a task that is about to be made.
    fileprivate func add(_ record: TaskRecord) {
        unsafe listed += 1
        let place = unsafe Unmanaged.passUnretained(record)
        if let last = unsafe last {
            unsafe last._withUnsafeGuaranteedRef { unsafe $0.next = record }
            unsafe record.previous = last
        } else {
            unsafe first = record
        }
        unsafe last = place
    }

    /// A task has ended.
    fileprivate func remove(_ record: TaskRecord) {
        let next = unsafe record.next.take()
        let previous = unsafe record.previous
        if let next { unsafe next.previous = previous } else { unsafe last = previous }
        if let previous = unsafe previous {
            unsafe previous._withUnsafeGuaranteedRef { unsafe $0.next = next }
        } else {
            unsafe first = next
        }
        unsafe record.previous = nil
        if unsafe endedInStep != nil { unsafe endedInStep?.append(record) }
        unsafe listed -= 1
        if unsafe listed == 0 { unsafe onEmpty?() }
    }

    /// Forgets all, as their loop is closed: it will not hear of their ends, and they hold it.
    func forgetAll() {
        // One by one, so that none lets go the next from within.
        while let record = unsafe first {
            unsafe first = record.next.take()
            unsafe record.previous = nil
        }
        unsafe last = nil
        unsafe listed = 0
        unsafe endedInStep = nil
    }

    /// Cancels all, oldest first, and what is spawned later.
    func cancelAll() {
        isEnding = true
        for record in all { record.cancel() }
    }

    /// The one that is this task, also if it has ended in the step that runs.
    func record(ofTask task: UInt) -> TaskRecord? {
        unsafe endedInStep?.first { $0.isTask(task) } ?? all.first { $0.isTask(task) }
    }

    /// All, oldest first.
    package var all: [TaskRecord] {
        var records: [TaskRecord] = []
        var record = unsafe first
        while let here = record {
            records.append(here)
            record = unsafe here.next
        }
        return records
    }
}
