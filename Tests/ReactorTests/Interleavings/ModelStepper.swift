// What each step of a model does to a state.

enum ModelStepper {
    /// Performs a step, and moves the thread to the next; returns what is wrong with it.
    static func perform(_ step: Step, _ state: inout ModelState, _ thread: Int, _ variant: Int) -> String? {
        let counter = state.layout.thread(thread)
        state[counter] += 1
        switch step {
        case .load(let atomic, let ordering, let register):
            set(register, state.load(thread, atomic, ordering, variant), &state, thread)
        case .awaitValue(let atomic, let ordering, _): _ = state.load(thread, atomic, ordering, variant)
        case .store(let atomic, let ordering, let operand):
            state.store(thread, atomic, ordering, value(operand, state, thread), modifies: false)
        case .add(let atomic, let ordering, let amount, let register):
            let old = state.modify(thread, atomic, ordering) { UInt8(Int($0) + Int(amount)) }
            set(register, old, &state, thread)
        case .exchange(let atomic, let ordering, let operand, let register):
            let new = value(operand, state, thread)
            set(register, state.modify(thread, atomic, ordering) { _ in new }, &state, thread)
        case .compareExchange(let atomic, let ordering, let expected, let desired, let register):
            // One that fails reads the last store too, as it may: to read an older one is what a load before it shows.
            let old = state.modify(thread, atomic, ordering) { $0 == expected ? desired : nil }
            set(register, old == expected ? 1 : 0, &state, thread)
        case .lock(let mutex): lock(&state, thread, mutex)
        case .unlock(let mutex): return unlock(&state, thread, mutex)
        case .wait(let mutex):
            state[counter + 1] = 0
            lock(&state, thread, mutex)
        case .signal: if variant >= 0 { state[state.layout.thread(variant) + 1] = 2 }
        case .read(let place, let offset, let reader, let register):
            return read(place, offset, reader, register, &state, thread)
        case .write(let place, let offset, let operand):
            let index = place.index + (offset.map { Int(value(.register($0), state, thread)) } ?? 0)
            guard state.access(thread, index, others: place.readers, marking: index) else { return race(place) }
            state[state.layout.firstPlain + index - state.layout.atomics] = value(operand, state, thread)
        case .set(let register, let operand): set(register, value(operand, state, thread), &state, thread)
        case .increment(let register):
            set(register, value(.register(register), state, thread) + 1, &state, thread)
        case .choose(_, let register): set(register, UInt8(variant), &state, thread)
        case .jump(let target): state[counter] = UInt8(target)
        case .branch(let register, let isNot, let wanted, let target):
            if (value(.register(register), state, thread) == wanted) != isNot { state[counter] = UInt8(target) }
        case .branchUnlessBelow(let first, let second, let target):
            let (low, high) = (value(.register(first), state, thread), value(.register(second), state, thread))
            if low >= high { state[counter] = UInt8(target) }
        case .count(let ghost, let offset):
            let index = ghost.index + (offset.map { Int(value(.register($0), state, thread)) } ?? 0)
            state[state.layout.firstGhost + index] += 1
        case .require(let sentence, let holds): if !holds({ state.ghost($0) }) { return sentence }
        case .end: break
        }
        return nil
    }

    private static func lock(_ state: inout ModelState, _ thread: Int, _ mutex: MutexPlace) {
        let place = state.layout.mutex(mutex.index)
        state[place] = 1
        state.join(state.layout.view(thread), with: place + 1)
    }

    static func unlock(_ state: inout ModelState, _ thread: Int, _ mutex: MutexPlace) -> String? {
        let place = state.layout.mutex(mutex.index)
        guard state[place] == 1 else { return "a mutex is unlocked that is not locked" }
        state[place] = 0
        state.copyView(from: state.layout.view(thread), to: place + 1)
        return nil
    }

    private static func read(
        _ place: PlainPlace,
        _ offset: Register?,
        _ reader: Int?,
        _ register: Register,
        _ state: inout ModelState,
        _ thread: Int
    ) -> String? {
        let index = place.index + (offset.map { Int(value(.register($0), state, thread)) } ?? 0)
        let isOrdered =
            if let reader {
                // Other readers may read at the same time.
                state.access(thread, index, others: 0..<0, marking: place.readers.lowerBound + reader)
            } else {
                state.access(thread, index, others: place.readers, marking: index)
            }
        guard isOrdered else { return race(place) }
        set(register, state[state.layout.firstPlain + index - state.layout.atomics], &state, thread)
        return nil
    }

    private static func race(_ place: PlainPlace) -> String { "a race for \(place.name)" }

    private static func value(_ operand: Operand, _ state: ModelState, _ thread: Int) -> UInt8 {
        switch operand {
        case .number(let number): number
        case .register(let register): state[state.layout.register(thread, register.index)]
        }
    }

    private static func set(_ register: Register, _ value: UInt8, _ state: inout ModelState, _ thread: Int) {
        state[state.layout.register(thread, register.index)] = value
    }
}

extension Step {
    /// What a step is, for the way to a fault.
    var summary: String {
        switch self {
        case .load(let atomic, let ordering, _): "\(atomic.name).load(\(ordering))"
        case .awaitValue(let atomic, let ordering, let value): "\(atomic.name) is \(value), \(ordering)"
        case .store(let atomic, let ordering, let operand): "\(atomic.name).store(\(operand), \(ordering))"
        case .add(let atomic, let ordering, let amount, _): "\(atomic.name) += \(amount), \(ordering)"
        case .exchange(let atomic, let ordering, let operand, _):
            "\(atomic.name).exchange(\(operand), \(ordering))"
        case .compareExchange(let atomic, let ordering, let expected, let desired, _):
            "\(atomic.name) from \(expected) to \(desired), \(ordering)"
        case .lock: "locks"
        case .wait: "waits for a signal"
        case .signal: "signals"
        case .choose: "chooses"
        default: "goes on"
        }
    }
}
