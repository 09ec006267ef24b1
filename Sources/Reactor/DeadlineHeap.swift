// The timers: a four-ary heap ordered by (deadline, order of insertion), so that equal deadlines are first in first
// out, behind one libuv timer. Cancelled entries stay until they reach the top or until they are the majority of more
// than a hundred: then the heap is compacted. The heap does not know what is cancelled; it asks.
//
// Four children a node instead of two: half the levels to climb, and a node's children share a cache line and a half.

/// A heap of deadlines.
@safe
final class DeadlineHeap {
    struct Entry {
        var deadline: Int64
        var order: UInt64
        var id: CallbackID

        @inline(__always)
        func precedes(_ other: Entry) -> Bool {
            deadline < other.deadline || (deadline == other.deadline && order < other.order)
        }
    }

    // SAFETY: entries `0..<count` of the `capacity` are initialised; every index below stays under `count`.
    private var entries: UnsafeMutablePointer<Entry>
    private var capacity: Int
    private(set) var count = 0
    private var nextOrder: UInt64 = 0

    /// How many entries are known to be cancelled.
    private(set) var stale = 0

    init() {
        capacity = 64
        unsafe entries = .allocate(capacity: capacity)
    }

    deinit {
        unsafe entries.deallocate()
    }

    /// The earliest deadline, that of a cancelled entry included.
    @inline(__always)
    var top: Entry? { count == 0 ? nil : unsafe entries[0] }

    @inline(__always)
    func insert(deadline: Int64, id: CallbackID) {
        if count == capacity { grow() }
        let entry = Entry(deadline: deadline, order: nextOrder, id: id)
        nextOrder &+= 1
        var index = count
        count += 1
        while index > 0 {
            let parent = (index - 1) >> 2
            guard unsafe entry.precedes(entries[parent]) else { break }
            unsafe entries[index] = entries[parent]
            index = parent
        }
        unsafe entries[index] = entry
    }

    /// Removes the earliest entry.
    ///
    /// The heap must not be empty.
    @discardableResult
    func removeTop() -> Entry {
        assert(count > 0, "removeTop of an empty deadline heap")
        let top = unsafe entries[0]
        count -= 1
        if count > 0 {
            let last = unsafe entries[count]
            siftDown(last, from: 0)
        }
        return top
    }

    /// Notes that one entry was cancelled, and sweeps the cancelled ones out where that is due.
    @inline(__always)
    func didCancel(in table: CallbackTable) {
        stale += 1
        while count > 0, unsafe !table.contains(entries[0].id) { removeStaleTop() }
        if count > 100 && stale * 2 > count { compact(keepingIn: table) }
    }

    /// Removes the top entry, which the caller has found to be cancelled.
    func removeStaleTop() {
        removeTop()
        stale -= 1
    }

    /// Notes that an entry that was removed as due had been cancelled.
    func didDropStale() { stale -= 1 }

    func removeAll() {
        count = 0
        stale = 0
    }

    @inline(never)
    private func compact(keepingIn table: CallbackTable) {
        var kept = 0
        for index in 0..<count where unsafe table.contains(entries[index].id) {
            unsafe entries[kept] = entries[index]
            kept += 1
        }
        count = kept
        stale = 0
        guard count > 1 else { return }
        for index in stride(from: (count - 2) >> 2, through: 0, by: -1) {
            unsafe siftDown(entries[index], from: index)
        }
    }

    @inline(__always)
    private func siftDown(_ entry: Entry, from start: Int) {
        var index = start
        while true {
            let first = index * 4 + 1
            guard first < count else { break }
            var least = first
            for child in first..<min(first + 4, count)
            where unsafe entries[child].precedes(entries[least]) { least = child }
            guard unsafe entries[least].precedes(entry) else { break }
            unsafe entries[index] = entries[least]
            index = least
        }
        unsafe entries[index] = entry
    }

    @inline(never)
    private func grow() {
        let larger = UnsafeMutablePointer<Entry>.allocate(capacity: capacity * 2)
        unsafe larger.moveInitialize(from: entries, count: count)
        unsafe entries.deallocate()
        unsafe entries = larger
        capacity *= 2
    }
}
