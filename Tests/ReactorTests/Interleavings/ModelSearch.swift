// The search through all interleavings of a model's threads, and all that each load may find: every state is visited
// once. What it finds wrong comes with the steps that lead there.
//
// It ends when no thread can go on in any state that was found. So it proves what it checks, within the bounds of the
// model: so many threads, so many calls of each, and the memory that ModelState.swift describes.

/// An algorithm shared between threads, as a model to search.
struct Model {
    private struct Thread {
        let name: String
        /// For what it may wait for ever.
        let mayAwait: AtomicPlace?
        /// Of which atomics it may yet read an older store, at each of its steps.
        let loads: [[Bool]]
    }

    private var threads: [Thread] = []
    private var programs: [[Step]] = []
    private var alike: [Range<Int>] = []
    private var initial: [UInt8] = []
    private var plainInitial: [UInt8] = []
    private var places = 0
    private var (registers, mutexes, ghosts) = (0, 0, 0)

    // MARK: Declaring

    mutating func atomic(_ name: String, _ value: UInt8 = 0) -> AtomicPlace {
        precondition(plainInitial.isEmpty, "A model declares its atomics first.")
        initial.append(value)
        places += 1
        return AtomicPlace(index: places - 1, name: name)
    }

    /// Plain memory: `count` places next to each other.
    mutating func plain(_ name: String, _ value: UInt8 = 0, count: Int = 1, readers: Int = 0) -> PlainPlace {
        precondition(count == 1 || readers == 0, "Only a single place can have readers.")
        let first = places
        places += count + readers
        // Those of the readers hold nothing.
        plainInitial += Array(repeating: value, count: count + readers)
        return PlainPlace(index: first, name: name, readers: (first + count)..<places)
    }

    mutating func mutex() -> MutexPlace {
        mutexes += 1
        return MutexPlace(index: mutexes - 1)
    }

    mutating func ghost(count: Int = 1) -> Ghost {
        ghosts += count
        return Ghost(index: ghosts - count)
    }

    /// Adds a thread, or several that run the same program.
    ///
    /// `mayAwait` is what the thread may wait for when nobody is left who brings it.
    mutating func thread(
        _ name: String,
        copies: Int = 1,
        mayAwait: AtomicPlace? = nil,
        _ write: (inout Code) throws -> Void
    ) rethrows {
        var code = Code()
        try write(&code)
        code.end()
        alike.append(threads.count..<(threads.count + copies))
        let loads = code.loads(initial.count)
        for _ in 0..<copies {
            threads.append(Thread(name: name, mayAwait: mayAwait, loads: loads))
            programs.append(code.steps)
        }
        registers = max(registers, code.registers)
    }

    // MARK: Searching

    struct Report {
        var states = 0
        var endings = 0
        /// What is wrong, and how it comes about.
        var fault: String?
    }

    /// One state on the way that is being followed, and how to go on from it.
    private struct Frame {
        let state: ModelState
        var choices: [Choice]
        /// The choice that leads on.
        var taken: Choice?
    }

    private struct Choice {
        let thread: Int
        let variant: Int
    }

    /// Visits every state, up to the first in which something is wrong.
    ///
    /// `atEnd` says what is wrong when nobody can go on any more; nil if nothing is.
    func search(atEnd: (_ ghost: (Ghost) -> Int) -> String?) -> Report {
        var report = Report()
        var visited: Set<Int> = []
        var path: [Frame] = []

        func enter(_ state: ModelState) -> String? {
            guard visited.insert(state.fingerprint).inserted else { return nil }
            let choices = choices(state)
            guard choices.isEmpty else {
                path.append(Frame(state: state, choices: choices))
                return nil
            }
            report.endings += 1
            if let stuck = threads.indices.first(where: { isStuck(state, $0) }) {
                return "\(threads[stuck].name) waits for ever"
            }
            return atEnd { state.ghost($0) }
        }

        let (start, fault) = begin()
        report.fault = fault ?? enter(start)
        while report.fault == nil, !path.isEmpty {
            guard let choice = path[path.count - 1].choices.popLast() else {
                path.removeLast()
                continue
            }
            path[path.count - 1].taken = choice
            var next = path[path.count - 1].state
            report.fault = apply(&next, choice) ?? settle(&next, choice.thread)
            if let name = next.tooLong { report.fault = "there is no end of stores to \(name)" }
            anticipateLocks(&next)
            next.normalise(alike: alike, loads: threads.indices.map { threads[$0].loads[counter(next, $0)] })
            if report.fault == nil { report.fault = enter(next) }
        }
        report.states = visited.count
        if let fault = report.fault { report.fault = trace(fault, path) }
        return report
    }

    /// What is wrong, and the way there.
    private func trace(_ fault: String, _ path: [Frame]) -> String {
        ([fault] + path.compactMap { frame in frame.taken.map { describe(frame.state, $0) } }).joined(separator: "\n  ")
    }

    private func begin() -> (ModelState, String?) {
        let layout = Layout(
            threads: threads.count,
            registers: registers,
            atomics: initial.count,
            plains: plainInitial.count,
            mutexes: mutexes,
            ghosts: ghosts
        )
        var state = ModelState(layout)
        for (atomic, value) in initial.enumerated() {
            state[layout.atomic(atomic)] = 1
            state[layout.message(atomic, 0)] = value
        }
        for (plain, value) in plainInitial.enumerated() { state[layout.firstPlain + plain] = value }
        // What was there at the beginning happened before everything.
        for place in layout.atomics..<places {
            for thread in 0..<layout.threads { state[layout.view(thread) + place] = 1 }
            for atomic in 0..<layout.atomics { state[layout.message(atomic, 0) + 1 + place] = 1 }
            for mutex in 0..<layout.mutexes { state[layout.mutex(mutex) + 1 + place] = 1 }
        }
        for thread in 0..<threads.count { if let fault = settle(&state, thread) { return (state, fault) } }
        return (state, nil)
    }

    /// Lets threads that do nothing before they lock see what they will then see at least, so that more states are the same.
    private func anticipateLocks(_ state: inout ModelState) {
        for thread in threads.indices {
            guard case .lock(let mutex) = step(state, thread) else { continue }
            state.join(state.layout.view(thread), with: state.layout.mutex(mutex.index) + 1)
        }
    }

    private func step(_ state: ModelState, _ thread: Int) -> Step {
        programs[thread][counter(state, thread)]
    }

    private func counter(_ state: ModelState, _ thread: Int) -> Int { Int(state[state.layout.thread(thread)]) }

    private func isStuck(_ state: ModelState, _ thread: Int) -> Bool {
        switch step(state, thread) {
        case .end: false
        case .awaitValue(let place, _, _): place.index != threads[thread].mayAwait?.index
        default: true
        }
    }

    /// How each thread can go on, in each way that its next step can turn out.
    private func choices(_ state: ModelState) -> [Choice] {
        var choices: [Choice] = []
        for thread in programs.indices {
            for variant in variants(state, thread) { choices.append(Choice(thread: thread, variant: variant)) }
        }
        return choices
    }

    private func variants(_ state: ModelState, _ thread: Int) -> [Int] {
        let layout = state.layout
        switch step(state, thread) {
        case .load(let atomic, let ordering, _):
            return Array(state.oldest(thread, atomic, ordering)..<state.count(atomic.index))
        case .awaitValue(let atomic, let ordering, let value):
            return (state.oldest(thread, atomic, ordering)..<state.count(atomic.index))
                .filter { state.value(atomic.index, $0) == value }
        case .lock(let mutex): return state[layout.mutex(mutex.index)] == 0 ? [0] : []
        case .wait(let mutex):
            // Asleep, it goes on when it was signalled and the mutex is free.
            let asleep = state[layout.thread(thread) + 1]
            if asleep == 1 || (asleep == 2 && state[layout.mutex(mutex.index)] != 0) { return [] }
            return [0]
        case .signal:
            let asleep = (0..<threads.count).filter { state[layout.thread($0) + 1] == 1 }
            return asleep.isEmpty ? [-1] : asleep
        case .choose(let count, _): return Array(0..<Int(count))
        case .end: return []
        default: return [0]
        }
    }

    /// Performs the next step of a thread; returns what is wrong with it.
    private func apply(_ state: inout ModelState, _ choice: Choice) -> String? {
        let thread = choice.thread
        let step = step(state, thread)
        if case .wait(let mutex) = step, state[state.layout.thread(thread) + 1] == 0 {
            state[state.layout.thread(thread) + 1] = 1
            return ModelStepper.unlock(&state, thread, mutex)
        }
        return ModelStepper.perform(step, &state, thread, choice.variant)
    }

    /// Performs what follows up to the next stop.
    private func settle(_ state: inout ModelState, _ thread: Int) -> String? {
        while true {
            let next = step(state, thread)
            if next.isStop { return nil }
            if case .end = next {
                // Where it ended, what it has seen and what it holds make no difference any more.
                let first = state.layout.thread(thread)
                for index in (first + 1)..<(first + state.layout.thread) { state[index] = 0 }
                state[first] = UInt8(programs[thread].count - 1)
                return nil
            }
            if let fault = ModelStepper.perform(next, &state, thread, 0) { return fault }
        }
    }

    private func describe(_ state: ModelState, _ choice: Choice) -> String {
        let (thread, variant) = (choice.thread, choice.variant)
        let step = step(state, thread)
        var text = "\(threads[thread].name) (\(thread)): \(step.summary)"
        if case .load(let atomic, _, _) = step {
            text += " reads \(state.value(atomic.index, variant))"
            if variant < state.count(atomic.index) - 1 { text += ", which is stale" }
        }
        if case .choose = step { text += " \(variant)" }
        return text
    }
}
