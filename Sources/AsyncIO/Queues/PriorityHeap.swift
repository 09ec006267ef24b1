// The items of a queue with an order of its own: a heap that keeps equal items in the order in which they came.
//
// The order is the program's code, which may do anything, even use the queue: that is a mistake, and found.

internal import Reactor

/// Items, of which the next is the one that comes before all others.
@usableFromInline
final class PriorityHeap<Element> {
    private let isBefore: (Element, Element) -> Bool
    private var heap: [(element: Element, number: UInt64)] = []
    private var inserted: UInt64 = 0
    /// Whether the order is being asked.
    private var isComparing = false

    init(_ isBefore: @escaping (Element, Element) -> Bool) { self.isBefore = isBefore }

    @usableFromInline
    func insert(_ element: Element) {
        requireNotComparing()
        inserted += 1
        heap.append((element, inserted))
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard comes(child, before: parent) else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    /// The queue must not be empty.
    @usableFromInline
    func removeNext() -> Element {
        requireNotComparing()
        heap.swapAt(0, heap.count - 1)
        let element = heap.removeLast().element
        var parent = 0
        while true {
            let left = parent * 2 + 1, right = left + 1
            guard left < heap.count else { return element }
            let child = right < heap.count && comes(right, before: left) ? right : left
            guard comes(child, before: parent) else { return element }
            heap.swapAt(child, parent)
            parent = child
        }
    }

    /// Removes all, and returns them, so that none of them ends while this one changes.
    func removeAll() -> [Element] {
        requireNotComparing()
        let removed = heap.map(\.element)
        heap = []
        return removed
    }

    private func requireNotComparing() {
        require(
            !isComparing,
            "The order of an AsyncQueue used the queue itself. It is asked while an item is put in or taken out: let it only "
                + "compare."
        )
    }

    private func comes(_ a: Int, before b: Int) -> Bool {
        let (a, b) = (heap[a], heap[b])
        isComparing = true
        defer { isComparing = false }
        if isBefore(a.element, b.element) { return true }
        if isBefore(b.element, a.element) { return false }
        return a.number < b.number
    }
}
