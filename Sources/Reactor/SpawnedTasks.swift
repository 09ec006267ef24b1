// The tasks that were spawned on a loop and have not ended. Swift lists no tasks; these are listed so that a run can
// end them, as `asyncio.run` does, and so that people can be told what a loop is busy with.

internal import CReactor

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

    // The loop's list.
    // SAFETY: used on the loop's thread only.
    @exclusivity(unchecked) fileprivate var next: TaskRecord?
    // SAFETY: as above. The one before holds this one, and names itself here as long as it does.
    @exclusivity(unchecked) fileprivate var previous: Unmanaged<TaskRecord>?

    /// Lists a task that is about to be made on the loop that runs here.
    @usableFromInline
    package init(here loop: EventLoop, name: String?, _ file: StaticString, _ line: UInt) {
        number = unsafe loop.core.hotSpawned._withUnsafeGuaranteedRef { $0.nextNumber() }
        self.name = name
        super.init(here: loop, file, line)
        unsafe loop.core.hotSpawned._withUnsafeGuaranteedRef { $0.add(self) }
    }

    deinit { reportUnlessObserved(name.map { "task \($0)" } ?? "the task") }

    /// The task was made, and may even have ended.
    @usableFromInline
    func hasBegun(_ task: Task<Void, Never>) {
        unsafe handle = task
        // SAFETY: a task's handle is the address of the task.
        unsafe address = unsafe unsafeBitCast(task, to: UnsafeRawPointer.self)
        if unsafe loop.core.hotSpawned._withUnsafeGuaranteedRef({ $0.isEnding }) { task.cancel() }
    }

    /// An eager task has begun to run; called by itself.
    @usableFromInline
    func begins() {
        if loop.isCurrent { unsafe address = unsafe creactor_current_task() }
    }

    /// Cancels the task; any thread.
    package func cancel() { unsafe handle?.cancel() }

    /// Whether the task was cancelled; any thread.
    package var isCancelled: Bool { unsafe handle?.isCancelled ?? false }

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
    var onEmpty: (() -> Void)?
    /// Those who have ended in the step that runs, if steps are timed.
    var endedInStep: [TaskRecord]?
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
        if endedInStep != nil { endedInStep?.append(record) }
        unsafe listed -= 1
        if unsafe listed == 0 { onEmpty?() }
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
        endedInStep = nil
    }

    /// Cancels all, oldest first, and what is spawned later.
    func cancelAll() {
        isEnding = true
        for record in all { record.cancel() }
    }

    /// The one that is this task, also if it has ended in the step that runs.
    func record(ofTask task: UInt) -> TaskRecord? {
        endedInStep?.first { $0.isTask(task) } ?? all.first { $0.isTask(task) }
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
