// What is under way on a simulated network and when it arrives: a heap with one timer of the loop's, so that a thousand
// segments are one callback. What arrives at the same instant does so in the order in which it was sent.

/// What a network does at which instant.
final class NetworkTimetable {
    private struct Entry {
        let instant: Int64
        let order: UInt64
        let body: () -> Void

        func precedes(_ other: Entry) -> Bool { (instant, order) < (other.instant, other.order) }
    }

    private let core: LoopCoreReference
    private var entries: [Entry] = []
    private var nextOrder: UInt64 = 0
    private var timer: Scheduled?
    private var isRunning = false
    /// Nothing happens any more.
    private var isOver = false

    init(core: LoopCoreReference) { self.core = core }

    /// The present instant, in nanoseconds.
    var now: Int64 { core.value.now.nanoseconds }

    /// Whether its timer is set.
    var isArmed: Bool { timer != nil }

    /// Calls `body` at an instant, or when that is past soon.
    func at(_ instant: Int64, _ body: @escaping () -> Void) {
        guard !isOver else { return }
        insert(Entry(instant: instant, order: nextOrder, body: body))
        nextOrder += 1
        if !isRunning { arm() }
    }

    /// Calls `body` when so many nanoseconds have passed.
    func after(_ delay: Int64, _ body: @escaping () -> Void) { at(now + delay, body) }

    /// Drops what has not happened, and what is still to come.
    func end() {
        isOver = true
        entries = []
        timer?.cancel()
        timer = nil
    }

    private func arm() {
        guard let first = entries.first else { return }
        let deadline = LoopInstant(nanoseconds: first.instant)
        if let set = timer?.deadline, set <= deadline { return }
        timer?.cancel()
        let site = CallSite(file: #fileID, line: #line)
        timer = core.value.schedule(at: deadline, { [unowned self] in run() }, site: site)
    }

    private func run() {
        timer = nil
        isRunning = true
        let now = now
        while let first = entries.first, first.instant <= now {
            removeFirst()
            first.body()
        }
        isRunning = false
        arm()
    }

    private func insert(_ entry: Entry) {
        var index = entries.count
        entries.append(entry)
        while index > 0, entry.precedes(entries[(index - 1) / 2]) {
            entries[index] = entries[(index - 1) / 2]
            index = (index - 1) / 2
        }
        entries[index] = entry
    }

    private func removeFirst() {
        let last = entries.removeLast()
        guard !entries.isEmpty else { return }
        var index = 0
        while true {
            var child = 2 * index + 1
            guard child < entries.count else { break }
            if child + 1 < entries.count, entries[child + 1].precedes(entries[child]) { child += 1 }
            guard entries[child].precedes(last) else { break }
            entries[index] = entries[child]
            index = child
        }
        entries[index] = last
    }
}
