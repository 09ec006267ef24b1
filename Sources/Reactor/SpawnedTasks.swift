// The tasks that were spawned on a loop and have not ended. Swift lists no tasks; these are listed so that a run can
// end them, as `asyncio.run` does, and so that people can be told what a loop is busy with.

internal import CReactor

/// A spawned task, as its loop knows it.
@safe
package final class TaskRecord {
    /// The place in the order of spawning.
    package let number: UInt64
    /// The name that it was given.
    package let name: String?
    /// Where it was spawned.
    package let file: StaticString
    package let line: UInt
    /// The task, from when it was made.
    fileprivate var handle: Task<Void, Never>?
    // SAFETY: compared, never followed. The task lives as long as it is listed.
    private var task: UnsafeRawPointer?

    // The loop's list.
    fileprivate var next: TaskRecord?
    // SAFETY: the one before holds this one, and names itself here as long as it does.
    fileprivate unowned(unsafe) var previous: TaskRecord?

    fileprivate init(_ number: UInt64, _ name: String?, _ file: StaticString, _ line: UInt) {
        (self.number, self.name, self.file, self.line) = (number, name, file, line)
    }

    /// The task has begun to run; called by itself.
    package func begins() { unsafe task = creactor_current_task() }

    /// Whether the calling task is this one.
    package var isCurrent: Bool { unsafe task != nil && task == creactor_current_task() }

    /// Whether a task that waits is this one.
    func isTask(_ other: UInt?) -> Bool { unsafe other != nil && task.map { UInt(bitPattern: $0) } == other }

    /// The name, or the number for who has none.
    package var title: String { name ?? "#\(number)" }
}

/// The unfinished tasks of a loop that were spawned with `AsyncIO.spawn`, oldest first.
@safe
package final class SpawnedTasks {
    private var first: TaskRecord?
    // SAFETY: in the list that `first` begins, whose records hold one another.
    private unowned(unsafe) var last: TaskRecord?
    private var lastNumber: UInt64 = 0
    /// Called when the last one has ended, while somebody waits for that.
    var onEmpty: (() -> Void)?
    /// Whether what is spawned from here on is cancelled at once.
    private var isEnding = false

    /// How many have not ended.
    package private(set) var count = 0

    /// Lists a task that is about to be made.
    package func add(name: String?, file: StaticString, line: UInt) -> TaskRecord {
        lastNumber += 1
        count += 1
        let record = TaskRecord(lastNumber, name, file, line)
        if let last = unsafe last {
            last.next = record
            unsafe record.previous = last
        } else {
            first = record
        }
        unsafe last = record
        return record
    }

    /// The task was made, and may even have ended.
    package func made(_ record: TaskRecord, _ task: Task<Void, Never>) {
        record.handle = task
        if isEnding { task.cancel() }
    }

    /// A task has ended.
    package func remove(_ record: TaskRecord) {
        let next = record.next.take()
        let previous = unsafe record.previous
        if let next { unsafe next.previous = previous } else { unsafe last = previous }
        if let previous { previous.next = next } else { first = next }
        unsafe record.previous = nil
        record.handle = nil
        count -= 1
        if count == 0 { onEmpty?() }
    }

    /// Cancels all, oldest first, and what is spawned later.
    func cancelAll() {
        isEnding = true
        for record in all { record.handle?.cancel() }
    }

    /// All, oldest first.
    package var all: [TaskRecord] {
        var records: [TaskRecord] = []
        var record = first
        while let here = record {
            records.append(here)
            record = here.next
        }
        return records
    }
}
