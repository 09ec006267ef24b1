// The items of a queue, in each of the orders that there are: a ring, a stack, and a heap that keeps equal items in the
// order in which they came.

/// Items, and which of them is next.
struct QueueStorage<Element> {
    private enum Kind {
        case firstIn
        case lastIn
        case priority((Element, Element) -> Bool)
    }

    private let kind: Kind
    /// The ring, whose free places are nil; the stack; empty for a heap.
    private var slots: [Element?] = []
    private var head = 0
    private var heap: [(element: Element, number: UInt64)] = []
    private var inserted: UInt64 = 0

    private(set) var count = 0

    init(_ kind: AsyncQueue<Element>.Order.Kind) {
        self.kind =
            switch kind {
            case .firstIn: .firstIn
            case .lastIn: .lastIn
            case .priority(let isBefore): .priority(isBefore)
            }
    }

    mutating func insert(_ element: Element) {
        switch kind {
        case .firstIn:
            if count == slots.count { grow() }
            slots[(head + count) & (slots.count - 1)] = element
        case .lastIn:
            slots.append(element)
        case .priority(let isBefore):
            inserted += 1
            heap.append((element, inserted))
            rise(isBefore)
        }
        count += 1
    }

    /// The queue must not be empty.
    mutating func removeNext() -> Element {
        count -= 1
        switch kind {
        case .firstIn:
            let element = slots[head].take()!
            head = (head + 1) & (slots.count - 1)
            return element
        case .lastIn:
            return slots.removeLast()!
        case .priority(let isBefore):
            heap.swapAt(0, heap.count - 1)
            let element = heap.removeLast().element
            sink(isBefore)
            return element
        }
    }

    /// Removes all, and returns them in a storage of their own, so that none of them ends while this one is changed.
    mutating func removeAll() -> QueueStorage {
        let removed = self
        slots = []
        heap = []
        (head, count) = (0, 0)
        return removed
    }

    private mutating func grow() {
        var larger = [Element?](repeating: nil, count: max(8, slots.count * 2))
        for offset in 0..<count { larger[offset] = slots[(head + offset) & (slots.count - 1)].take() }
        slots = larger
        head = 0
    }

    private func comes(
        _ a: (element: Element, number: UInt64),
        before b: (element: Element, number: UInt64),
        _ isBefore: (Element, Element) -> Bool
    ) -> Bool {
        if isBefore(a.element, b.element) { return true }
        if isBefore(b.element, a.element) { return false }
        return a.number < b.number
    }

    private mutating func rise(_ isBefore: (Element, Element) -> Bool) {
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard comes(heap[child], before: heap[parent], isBefore) else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    private mutating func sink(_ isBefore: (Element, Element) -> Bool) {
        var parent = 0
        while true {
            let left = parent * 2 + 1, right = left + 1
            guard left < heap.count else { return }
            let child = right < heap.count && comes(heap[right], before: heap[left], isBefore) ? right : left
            guard comes(heap[child], before: heap[parent], isBefore) else { return }
            heap.swapAt(child, parent)
            parent = child
        }
    }
}
