// One state of a model: the threads, what they have seen, and the memory with its past.
//
// The memory is that of C++ and Swift, as far as the order goes in which threads see stores:
//   * An atomic keeps its stores, the oldest first. A thread has a view: for each place the oldest store that it can
//     still read, so that a load may find any store from there on, not just the last. Reading one moves the view.
//   * A store that releases takes the view of its thread with it; a load that acquires and reads it joins that view to
//     its own. So does the lock of a mutex with the last unlock.
//   * Sequentially consistent operations have one order, which is that in which the search performs them: such a load
//     reads nothing older than what the last of them on the same place has stored or read.
//   * A read-modify-write reads the last store, and passes on the view that came with it.
//   * Of plain memory, a view says whether all accesses so far happened before. If not, the next access is a race.
//
// Stores take effect in the order of the program, and a store is never ordered before one that was performed earlier.
// What other processors' stores, performed late, would add to that (load buffering, 2+2W) is not covered.

/// Where what is in the bytes of a state.
struct Layout {
    /// How many stores an atomic keeps that somebody can still read.
    static let past = 16

    let threads, registers, places, atomics, plains, mutexes, ghosts: Int
    /// The size of a thread: the program counter, whether it was signalled, the registers, the view.
    let thread: Int
    /// The size of a store: the value, the view that came with it.
    let message: Int
    /// The size of an atomic: the count, what sequentially consistent loads see at least, the stores.
    let atomic: Int
    /// The size of a mutex: whether it is locked, the view of the last unlock.
    let mutex: Int
    let firstAtomic, firstPlain, firstMutex, firstGhost, size: Int

    init(threads: Int, registers: Int, atomics: Int, plains: Int, mutexes: Int, ghosts: Int) {
        self.threads = threads
        self.registers = registers
        self.atomics = atomics
        self.plains = plains
        self.mutexes = mutexes
        self.ghosts = ghosts
        places = atomics + plains
        thread = 2 + registers + places
        message = 1 + places
        atomic = 2 + Self.past * message
        mutex = 1 + places
        firstAtomic = threads * thread
        firstPlain = firstAtomic + atomics * atomic
        firstMutex = firstPlain + plains
        firstGhost = firstMutex + mutexes * mutex
        size = firstGhost + ghosts
    }

    func thread(_ index: Int) -> Int { index * thread }
    func register(_ thread: Int, _ index: Int) -> Int { self.thread(thread) + 2 + index }
    func view(_ thread: Int) -> Int { self.thread(thread) + 2 + registers }
    func atomic(_ index: Int) -> Int { firstAtomic + index * atomic }
    func message(_ atomic: Int, _ index: Int) -> Int { firstAtomic + atomic * self.atomic + 2 + index * message }
    func mutex(_ index: Int) -> Int { firstMutex + index * mutex }
}

/// A state, as bytes, which are cheap to copy and to compare.
struct ModelState {
    let layout: Layout
    var bytes: [UInt8]
    /// The atomic with more stores than the model keeps.
    private(set) var tooLong: String?

    init(_ layout: Layout) {
        self.layout = layout
        bytes = Array(repeating: 0, count: layout.size)
    }

    subscript(_ index: Int) -> UInt8 {
        get { bytes[index] }
        set { bytes[index] = newValue }
    }

    func ghost(_ ghost: Ghost) -> Int { Int(bytes[layout.firstGhost + ghost.index]) }

    // MARK: Views, which are `layout.places` bytes somewhere

    mutating func join(_ view: Int, with other: Int) {
        for place in 0..<layout.places where bytes[view + place] < bytes[other + place] {
            bytes[view + place] = bytes[other + place]
        }
    }

    mutating func copyView(from source: Int, to target: Int) {
        for place in 0..<layout.places { bytes[target + place] = bytes[source + place] }
    }

    // MARK: Atomics

    func count(_ atomic: Int) -> Int { Int(bytes[layout.atomic(atomic)]) }

    func value(_ atomic: Int, _ index: Int) -> UInt8 { bytes[layout.message(atomic, index)] }

    /// The oldest store that a thread can read.
    func oldest(_ thread: Int, _ atomic: AtomicPlace, _ ordering: Ordering) -> Int {
        let seen = bytes[layout.view(thread) + atomic.index]
        return Int(ordering.isTotal ? max(seen, bytes[layout.atomic(atomic.index) + 1]) : seen)
    }

    mutating func load(_ thread: Int, _ atomic: AtomicPlace, _ ordering: Ordering, _ index: Int) -> UInt8 {
        let view = layout.view(thread)
        bytes[view + atomic.index] = max(bytes[view + atomic.index], UInt8(index))
        if ordering.acquires { join(view, with: layout.message(atomic.index, index) + 1) }
        if ordering.isTotal { noteTotal(atomic.index, index) }
        return value(atomic.index, index)
    }

    private mutating func noteTotal(_ atomic: Int, _ index: Int) {
        bytes[layout.atomic(atomic) + 1] = max(bytes[layout.atomic(atomic) + 1], UInt8(index))
    }

    /// Stores, as part of a read-modify-write if it modifies.
    mutating func store(_ thread: Int, _ place: AtomicPlace, _ ordering: Ordering, _ value: UInt8, modifies: Bool) {
        let (atomic, view, index) = (place.index, layout.view(thread), count(place.index))
        if index == Layout.past { return overflow(place) }
        let message = layout.message(atomic, index)
        bytes[layout.atomic(atomic)] = UInt8(index + 1)
        bytes[message] = value
        bytes[view + atomic] = UInt8(index)
        for place in 0..<layout.places { bytes[message + 1 + place] = 0 }
        if modifies { join(message + 1, with: layout.message(atomic, index - 1) + 1) }
        if ordering.releases { join(message + 1, with: view) }
        bytes[message + 1 + atomic] = UInt8(index)
        if ordering.isTotal { noteTotal(atomic, index) }
    }

    /// Reads the last store and stores what `change` makes of it, if that is something.
    mutating func modify(
        _ thread: Int,
        _ atomic: AtomicPlace,
        _ ordering: Ordering,
        _ change: (UInt8) -> UInt8?
    ) -> UInt8 {
        let old = load(thread, atomic, ordering, count(atomic.index) - 1)
        if let new = change(old) { store(thread, atomic, ordering, new, modifies: true) }
        return old
    }

    /// Some thread has not looked at an atomic for so long that its past does not fit.
    private mutating func overflow(_ place: AtomicPlace) {
        if tooLong == nil { tooLong = place.name }
    }

    // MARK: Plain memory

    /// Notes an access; false if another one neither happened before it nor will happen after it.
    mutating func access(_ thread: Int, _ place: Int, others: Range<Int>, marking mark: Int) -> Bool {
        let view = layout.view(thread)
        guard bytes[view + place] == 1, others.allSatisfy({ bytes[view + $0] == 1 }) else { return false }
        for other in 0..<layout.threads { bytes[layout.view(other) + mark] = 0 }
        for atomic in 0..<layout.atomics {
            for index in 0..<count(atomic) { bytes[layout.message(atomic, index) + 1 + mark] = 0 }
        }
        for mutex in 0..<layout.mutexes { bytes[layout.mutex(mutex) + 1 + mark] = 0 }
        bytes[view + mark] = 1
        return true
    }

    // MARK: One form for states that are the same

    /// Forgets the stores that nobody can read any more, and orders threads that run the same program.
    ///
    /// `loads` says of each thread of which atomics it may yet read an older store.
    mutating func normalise(alike: [Range<Int>], loads: [[Bool]]) {
        for atomic in 0..<layout.atomics {
            var dropped = count(atomic) - 1
            if dropped == 0 { continue }
            for thread in 0..<layout.threads where loads[thread][atomic] {
                dropped = min(dropped, Int(bytes[layout.view(thread) + atomic]))
            }
            if dropped > 0 { forget(dropped, of: atomic) }
        }
        for range in alike where range.count > 1 { sort(range) }
    }

    private mutating func forget(_ dropped: Int, of atomic: Int) {
        let (length, left) = (layout.message, count(atomic) - dropped)
        let start = layout.message(atomic, 0)
        for index in 0..<(left * length) { bytes[start + index] = bytes[start + index + dropped * length] }
        for index in (left * length)..<((left + dropped) * length) { bytes[start + index] = 0 }
        bytes[layout.atomic(atomic)] = UInt8(left)
        lower(layout.atomic(atomic) + 1, by: dropped)
        for thread in 0..<layout.threads { lower(layout.view(thread) + atomic, by: dropped) }
        for other in 0..<layout.atomics {
            for index in 0..<count(other) { lower(layout.message(other, index) + 1 + atomic, by: dropped) }
        }
        for mutex in 0..<layout.mutexes { lower(layout.mutex(mutex) + 1 + atomic, by: dropped) }
    }

    private mutating func lower(_ index: Int, by amount: Int) {
        bytes[index] = UInt8(max(0, Int(bytes[index]) - amount))
    }

    private mutating func sort(_ threads: Range<Int>) {
        for thread in threads.dropFirst() {
            var place = thread
            while place > threads.lowerBound, isAfter(place - 1, place) {
                swapThreads(place - 1, place)
                place -= 1
            }
        }
    }

    private func isAfter(_ first: Int, _ second: Int) -> Bool {
        let (one, other) = (layout.thread(first), layout.thread(second))
        for index in 0..<layout.thread where bytes[one + index] != bytes[other + index] {
            return bytes[one + index] > bytes[other + index]
        }
        return false
    }

    private mutating func swapThreads(_ first: Int, _ second: Int) {
        let (one, other) = (layout.thread(first), layout.thread(second))
        for index in 0..<layout.thread { bytes.swapAt(one + index, other + index) }
    }

    /// A number that two different states share with a chance of one in 2^64.
    var fingerprint: Int {
        var hasher = Hasher()
        unsafe bytes.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
        return hasher.finalize()
    }
}
