// What threads do in a model of an algorithm that is shared between threads: a little program of steps, as the search
// through all interleavings can stop and go on anywhere, which real threads cannot. See ModelSearch.swift.
//
// Only steps that other threads can tell apart are stops. What a thread does to itself or to plain memory belongs to the
// stop before it: accesses to plain memory that no happens-before orders are found whichever comes first.

/// How an operation on an atomic orders others, by the names that `Synchronization` gives them.
enum Ordering: String, CaseIterable {
    case relaxed, acquiring, releasing, acquiringAndReleasing, sequentiallyConsistent

    var acquires: Bool { self != .relaxed && self != .releasing }
    var releases: Bool { self != .relaxed && self != .acquiring }
    var isTotal: Bool { self == .sequentiallyConsistent }
}

/// An atomic, as its place in the model.
struct AtomicPlace {
    let index: Int
    let name: String
}

/// Memory that is not atomic: accesses must be ordered by others.
struct PlainPlace {
    let index: Int
    let name: String
    /// The views' place of each thread, or kind of thread, that reads without a claim to be alone.
    let readers: Range<Int>
}

struct MutexPlace { let index: Int }

/// What the model counts for its own purposes; no thread of the algorithm sees it.
struct Ghost {
    let index: Int

    static func + (ghost: Ghost, offset: Int) -> Ghost { Ghost(index: ghost.index + offset) }
}

/// A thread's own variable.
struct Register { let index: Int }

/// What is written: a number, or what a register holds.
enum Operand: ExpressibleByIntegerLiteral {
    case number(UInt8)
    case register(Register)

    init(integerLiteral value: UInt8) { self = .number(value) }
}

enum Step {
    case load(AtomicPlace, Ordering, into: Register)
    /// Loads until the value is this one, for a loop that does nothing else: so that one without end is a deadlock.
    case awaitValue(AtomicPlace, Ordering, UInt8)
    case store(AtomicPlace, Ordering, Operand)
    /// Adds, and puts what was there before into the register.
    case add(AtomicPlace, Ordering, Int8, into: Register)
    case exchange(AtomicPlace, Ordering, Operand, into: Register)
    /// The register says afterwards whether the exchange took place.
    case compareExchange(AtomicPlace, Ordering, expected: UInt8, desired: UInt8, into: Register)
    case lock(MutexPlace)
    case unlock(MutexPlace)
    /// Unlocks, and ends when another thread has signalled and the mutex is free again: never for nothing, so that a
    /// signal that is missing shows.
    case wait(MutexPlace)
    case signal(MutexPlace)
    case read(PlainPlace, offset: Register?, reader: Int?, into: Register)
    case write(PlainPlace, offset: Register?, Operand)
    case set(Register, Operand)
    case increment(Register)
    /// Puts any number below this into the register: the search tries all.
    case choose(UInt8, into: Register)
    case jump(Int)
    /// Goes there if the register holds this, or, with `isNot`, anything else.
    case branch(Register, isNot: Bool, UInt8, Int)
    /// Goes there if the first is not below the second.
    case branchUnlessBelow(Register, Register, Int)
    case count(Ghost, offset: Register?)
    /// What must be true here, of the ghosts.
    case require(String, (_ ghost: (Ghost) -> Int) -> Bool)
    case end

    /// Whether other threads can act between this and what is before it with another effect.
    var isStop: Bool {
        switch self {
        case .load, .awaitValue, .store, .add, .exchange, .compareExchange, .lock, .wait, .signal, .choose: true
        default: false
        }
    }
}

/// A thread's program while it is written.
struct Code {
    private(set) var steps: [Step] = []
    private(set) var registers = 0

    mutating func register() -> Register {
        defer { registers += 1 }
        return Register(index: registers)
    }

    mutating func add(_ step: Step) { steps.append(step) }

    mutating func end() { add(.end) }

    mutating func when(_ register: Register, is value: UInt8, _ then: (inout Code) throws -> Void) rethrows {
        try when(register, is: value, then) { _ in }
    }

    mutating func when(
        _ register: Register,
        is value: UInt8,
        _ then: (inout Code) throws -> Void,
        otherwise: (inout Code) throws -> Void
    ) rethrows {
        let branch = steps.count
        add(.end)
        try then(&self)
        let over = steps.count
        add(.end)
        steps[branch] = .branch(register, isNot: true, value, steps.count)
        try otherwise(&self)
        steps[over] = .jump(steps.count)
    }

    /// Repeats until the body sets the register to something else than 0.
    mutating func loop(until register: Register, _ body: (inout Code) throws -> Void) rethrows {
        let start = steps.count
        add(.set(register, 0))
        try body(&self)
        add(.branch(register, isNot: false, 0, start))
    }

    /// Repeats while the first register is below the second.
    mutating func loop(while first: Register, isBelow second: Register, _ body: (inout Code) throws -> Void) rethrows {
        let start = steps.count
        add(.end)
        try body(&self)
        add(.jump(start))
        steps[start] = .branchUnlessBelow(first, second, steps.count)
    }

    /// For each step, of which atomics it or one after it may read a store that is not the last.
    func loads(_ atomics: Int) -> [[Bool]] {
        var loads = steps.map { step in
            var own = Array(repeating: false, count: atomics)
            switch step {
            case .load(let place, _, _), .awaitValue(let place, _, _): own[place.index] = true
            default: break
            }
            return own
        }
        var hasChanged = true
        while hasChanged {
            hasChanged = false
            for index in steps.indices.reversed() {
                for next in successors(of: index) {
                    for atomic in 0..<atomics where loads[next][atomic] && !loads[index][atomic] {
                        loads[index][atomic] = true
                        hasChanged = true
                    }
                }
            }
        }
        return loads
    }

    private func successors(of index: Int) -> [Int] {
        switch steps[index] {
        case .end: []
        case .jump(let target): [target]
        case .branch(_, _, _, let target), .branchUnlessBelow(_, _, let target): [index + 1, target]
        default: [index + 1]
        }
    }
}
