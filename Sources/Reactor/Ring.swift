// Items in the order in which they came, to be taken from either end: the storage of a queue.
//
// What runs once for each item is inlined into the program, which knows the type: generic code that is not asks the
// runtime for its metadata at every step, which for one item was 2,000 instructions.

/// A double-ended queue in a ring that grows by doubling.
///
/// Belongs to the code of one loop: not `Sendable`.
@safe
@usableFromInline
package final class Ring<Element> {
    // An exclusivity check at run time would take longer than what it checks. It would find nothing: no code of the
    // program's runs while one of these changes.
    // SAFETY: `capacity` places, of which the `count` from `head` on, around the end, are initialised.
    @usableFromInline @exclusivity(unchecked) var slots: UnsafeMutablePointer<Element>
    // SAFETY: a power of two.
    @usableFromInline @exclusivity(unchecked) var capacity: Int
    // SAFETY: as said above.
    @usableFromInline @exclusivity(unchecked) var head = 0
    // SAFETY: as said above.
    @usableFromInline @exclusivity(unchecked) var count = 0

    /// An empty ring.
    @inlinable
    package init() {
        unsafe (slots, capacity) = (UnsafeMutablePointer<Element>.allocate(capacity: 8), 8)
    }

    @inlinable
    deinit {
        for offset in unsafe 0..<count { unsafe (slots + place(offset)).deinitialize(count: 1) }
        unsafe slots.deallocate()
    }

    @inlinable
    @inline(__always)
    func place(_ offset: Int) -> Int { unsafe (head &+ offset) & (capacity &- 1) }

    /// How many items there are.
    @inlinable
    @inline(__always)
    package var length: Int { unsafe count }

    /// Adds an item at the end.
    @inlinable
    @inline(__always)
    package func append(_ element: Element) {
        if unsafe count == capacity { grow() }
        unsafe (slots + place(count)).initialize(to: element)
        unsafe count &+= 1
    }

    /// Takes the item that came first.
    @inlinable
    @inline(__always)
    package func removeFirst() -> Element {
        require(unsafe count > 0, "An item was taken from an empty ring.")
        let element = unsafe (slots + head).move()
        unsafe head = place(1)
        unsafe count &-= 1
        return element
    }

    /// Takes the item that came last.
    @inlinable
    package func removeLast() -> Element {
        require(unsafe count > 0, "An item was taken from an empty ring.")
        unsafe count &-= 1
        return unsafe (slots + place(count)).move()
    }

    /// Takes all items, so that none of them ends while this one changes.
    @inlinable
    package func removeAll() -> Ring {
        let removed = Ring()
        unsafe swap(&slots, &removed.slots)
        unsafe swap(&capacity, &removed.capacity)
        unsafe swap(&head, &removed.head)
        unsafe swap(&count, &removed.count)
        return removed
    }

    @inlinable
    @inline(never)
    func grow() {
        let larger = unsafe UnsafeMutablePointer<Element>.allocate(capacity: capacity * 2)
        for offset in unsafe 0..<count { unsafe (larger + offset).initialize(to: (slots + place(offset)).move()) }
        unsafe slots.deallocate()
        unsafe slots = larger
        unsafe capacity *= 2
        unsafe head = 0
    }
}
