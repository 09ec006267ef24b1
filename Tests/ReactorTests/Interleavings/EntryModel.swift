// One entry of an inbox as a model: the loop runs it while two threads cancel it, and wait for the end of the run where
// they come too late; then its chunk is used again, if nobody can name the entry any more.
//
// Of Sources/Reactor/InboxChunk.swift: `step`, `state`, `cancel`, `resumeAtEnd`, `wakeWaiters`, `reset`. The count of
// references is Swift's: released on the way down, acquired by who asks whether it is the only one.

struct EntryModel {
    enum Mistake: CaseIterable {
        /// Cancelling does not ask whether the entry runs.
        case cancelsAnyway
        /// Who waits is noted without the lock.
        case waitsUnlocked
        /// The entry is used again although somebody can name it.
        case reusesEarly
        /// Nobody is told at the end of the run.
        case tellsNobody
    }

    var chunk: SourceSteps
    var mistake: Mistake?

    init() throws { chunk = try SourceSteps("Sources/Reactor/InboxChunk.swift") }

    private enum State {
        static let pending: UInt8 = 0
        static let running: UInt8 = 1
        static let awaited: UInt8 = 2
        static let done: UInt8 = 3
        static let cancelled: UInt8 = 4
    }

    func search() throws -> Model.Report {
        var model = Model()
        let parts = Parts(&model)
        try model.thread("loop") { try run(&$0, parts) }
        for number in 0..<parts.resumed.count {
            try model.thread("token \(number)") { try cancel(&$0, parts, number) }
        }
        return model.search { ghost in
            let (ran, cancelled) = (ghost(parts.ran), ghost(parts.cancelled))
            if ran + cancelled != 1 { return "ran \(ran) times, cancelled \(cancelled) times" }
            return ghost(parts.reused) == ghost(parts.ranAgain) ? nil : "an old token cancelled a new submission"
        }
    }

    private struct Parts {
        let state, references: AtomicPlace
        /// For each token, whether its wait was resumed.
        let resumed: [AtomicPlace]
        let body, effect: PlainPlace
        /// For each token, whether it is in the list of those who wait.
        let waits: [PlainPlace]
        let mutex: MutexPlace
        let ran, cancelled, reused, ranAgain: Ghost

        init(_ model: inout Model) {
            state = model.atomic("state")
            references = model.atomic("references", 3)
            resumed = [model.atomic("resumed 0"), model.atomic("resumed 1")]
            body = model.plain("the closure", 1)
            effect = model.plain("what the closure did", readers: 2)
            waits = [model.plain("the waiters"), model.plain("the waiters")]
            mutex = model.mutex()
            ran = model.ghost()
            cancelled = model.ghost()
            reused = model.ghost()
            ranAgain = model.ghost()
        }
    }

    /// `step`: whether the state was the old one.
    private func step(_ code: inout Code, _ parts: Parts, _ old: UInt8, _ new: UInt8) throws -> Register {
        var source = try chunk.function("step")
        let stepped = code.register()
        try code.compareExchange(parts.state, old, new, into: stepped, from: &source)
        try source.finish()
        return stepped
    }

    private func run(_ code: inout Code, _ parts: Parts) throws {
        let body = code.register()
        let begun = try step(&code, parts, State.pending, State.running)
        try code.when(begun, is: 1) { code in
            code.add(.read(parts.body, offset: nil, reader: nil, into: body))
            code.add(.write(parts.body, offset: nil, 0))
            code.add(.write(parts.effect, offset: nil, 1))
            code.add(.count(parts.ran, offset: nil))
            let ended = try step(&code, parts, State.running, State.done)
            try code.when(ended, is: 0) { try wakeWaiters(&$0, parts) }
        }
        let left = code.register()
        code.add(.load(parts.references, .acquiring, into: left))
        if mistake == .reusesEarly { code.add(.set(left, 1)) }
        try code.when(left, is: 1) { code in
            var source = try chunk.function("reset")
            let last = code.register()
            try code.load(parts.state, into: last, from: &source)
            try code.store(parts.state, .number(State.pending), from: &source)
            try source.finish()
            code.add(.write(parts.body, offset: nil, 1))
            code.add(.count(parts.reused, offset: nil))
            let begunAgain = try step(&code, parts, State.pending, State.running)
            code.when(begunAgain, is: 1) { code in
                code.add(.write(parts.body, offset: nil, 0))
                code.add(.count(parts.ranAgain, offset: nil))
            }
        }
    }

    private func wakeWaiters(_ code: inout Code, _ parts: Parts) throws {
        var source = try chunk.function("wakeWaiters")
        let waiting = parts.waits.map { _ in code.register() }
        try code.locked(parts.mutex, "waitersLock.locked", from: &source) { code, source in
            try code.store(parts.state, .number(State.done), from: &source)
            for (place, register) in zip(parts.waits, waiting) {
                code.add(.read(place, offset: nil, reader: nil, into: register))
                code.add(.write(place, offset: nil, 0))
            }
        }
        try source.finish()
        if mistake == .tellsNobody { return }
        for (place, register) in zip(parts.resumed, waiting) {
            // Swift's runtime orders what was before a resumption before what comes after it.
            let unused = code.register()
            code.when(register, is: 1) { $0.add(.add(place, .acquiringAndReleasing, 1, into: unused)) }
        }
    }

    private func cancel(_ code: inout Code, _ parts: Parts, _ number: Int) throws {
        let cancelled =
            mistake == .cancelsAnyway
            ? try step(&code, parts, State.running, State.cancelled)
            : try step(&code, parts, State.pending, State.cancelled)
        try code.when(cancelled, is: 1) { code in
            code.add(.write(parts.body, offset: nil, 0))
            code.add(.count(parts.cancelled, offset: nil))
            // After the step, which is a function of its own.
            var source = try chunk.function("cancel")
            try code.store(parts.state, .number(State.cancelled), from: &source)
            try source.finish()
        } otherwise: { code in
            try resumeAtEnd(&code, parts, number)
            // When this has returned, the closure does not run any more: what it did is there.
            let effect = code.register()
            code.add(.read(parts.effect, offset: nil, reader: number, into: effect))
        }
        let unused = code.register()
        code.add(.add(parts.references, .releasing, -1, into: unused))
    }

    private func resumeAtEnd(_ code: inout Code, _ parts: Parts, _ number: Int) throws {
        var source = try chunk.function("resumeAtEnd")
        let (isAwaited, waits) = (code.register(), code.register())
        let isLocked = mistake != .waitsUnlocked
        try source.next("waitersLock.locked")
        if isLocked { code.add(.lock(parts.mutex)) }
        let stepped = try step(&code, parts, State.running, State.awaited)
        var state = try chunk.function("state")
        code.add(.set(waits, 0))
        try code.when(stepped, is: 0) { code in
            try code.load(parts.state, into: isAwaited, from: &state)
            code.when(isAwaited, is: State.awaited) { $0.add(.set(waits, 1)) }
        } otherwise: { code in
            code.add(.set(waits, 1))
        }
        try state.finish()
        code.when(waits, is: 1) { $0.add(.write(parts.waits[number], offset: nil, 1)) }
        if isLocked { code.add(.unlock(parts.mutex)) }
        try source.finish()
        code.when(waits, is: 1) { $0.add(.awaitValue(parts.resumed[number], .acquiring, 1)) }
    }
}
