// The other places where threads hand something to each other, as models: a future's result, the main actor's loop, and
// the three that wait or keep under a lock.

/// Sources/Reactor/Eventual.swift: `begin`, `end`, `isDone`, and what is read then.
struct EventualModel {
    var eventual: SourceSteps

    init() throws { eventual = try SourceSteps("Sources/Reactor/Eventual.swift") }

    /// Two threads complete it; both, and a third that looks until it is done, read the result.
    func search() throws -> Model.Report {
        var model = Model()
        let state = model.atomic("state")
        let result = model.plain("the result", readers: 3)
        let (set, seen) = (model.ghost(), model.ghost())
        for number in 0...1 {
            try model.thread("completer \(number)") { code in
                var source = try eventual.function("begin")
                let (begun, value) = (code.register(), code.register())
                try code.compareExchange(state, 0, 1, into: begun, from: &source)
                try code.when(begun, is: 1) { code in
                    code.add(.write(result, offset: nil, .number(UInt8(number + 1))))
                    code.add(.count(set, offset: nil))
                    var end = try eventual.function("end")
                    try code.store(state, 2, from: &end)
                    try end.finish()
                } otherwise: { code in
                    // It yields for as long as the other is at it.
                    try code.awaitValue(state, 2, from: &source)
                    code.add(.read(result, offset: nil, reader: number, into: value))
                    code.when(value, is: 0) { $0.add(.count(seen, offset: nil)) }
                }
                try source.finish()
            }
        }
        try model.thread("reader") { code in
            var source = try eventual.function("isDone")
            let value = code.register()
            try code.awaitValue(state, 2, from: &source)
            try source.finish()
            code.add(.read(result, offset: nil, reader: 2, into: value))
            code.when(value, is: 0) { $0.add(.count(seen, offset: nil)) }
        }
        return model.search { ghost in
            if ghost(set) != 1 { return "the result was set \(ghost(set)) times" }
            return ghost(seen) == 0 ? nil : "somebody read a result that is not there"
        }
    }
}

/// Sources/Reactor/MainLoopExecutor.swift: `serve`, `loopIfHere`, `post`, while the loop comes and goes.
struct MainLoopModel {
    enum Mistake: CaseIterable {
        /// The loop is closed before the executor has let it go.
        case closesFirst
        /// A job is posted without the lock.
        case postsUnlocked
    }

    var executor: SourceSteps
    var mistake: Mistake?

    init() throws { executor = try SourceSteps("Sources/Reactor/MainLoopExecutor.swift") }

    func search() throws -> Model.Report {
        var model = Model()
        let identity = model.atomic("identity")
        // Not atomic: written under the lock by the main thread, which alone reads it without.
        let (loop, memory) = (model.plain("the loop", readers: 3), model.plain("the loop's memory", count: 2))
        let mutex = model.mutex()
        try model.thread("main") { code in
            let (current, seen) = (code.register(), code.register())
            try serve(&code, 1, mutex, loop, identity)
            var here = try executor.function("loopIfHere")
            try code.load(identity, into: current, from: &here)
            try here.finish()
            code.when(current, is: 1) { $0.add(.read(loop, offset: nil, reader: 0, into: seen)) }
            code.when(current, is: 0) { code in code.add(.require("the loop does not know itself") { _ in false }) }
            if mistake == .closesFirst { close(&code, memory) }
            try serve(&code, 0, mutex, loop, identity)
            if mistake != .closesFirst { close(&code, memory) }
        }
        for number in 0...1 {
            try model.thread("poster \(number)") { code in
                var posting = try executor.function("post")
                let (seen, place, unused) = (code.register(), code.register(), code.register())
                try posting.next("lock.locked")
                if mistake != .postsUnlocked { code.add(.lock(mutex)) }
                code.add(.read(loop, offset: nil, reader: number + 1, into: seen))
                code.add(.set(place, .number(UInt8(number))))
                code.when(seen, is: 1) { $0.add(.read(memory, offset: place, reader: nil, into: unused)) }
                if mistake != .postsUnlocked { code.add(.unlock(mutex)) }
                try posting.finish()
            }
        }
        return model.search { _ in nil }
    }

    private func serve(
        _ code: inout Code,
        _ value: UInt8,
        _ mutex: MutexPlace,
        _ loop: PlainPlace,
        _ identity: AtomicPlace
    ) throws {
        var source = try executor.function("serve")
        try code.locked(mutex, "lock.locked", from: &source) { code, source in
            code.add(.write(loop, offset: nil, .number(value)))
            try code.store(identity, .number(value), from: &source)
        }
        try source.finish()
    }

    private func close(_ code: inout Code, _ memory: PlainPlace) {
        let place = code.register()
        for number in 0...1 {
            code.add(.set(place, .number(UInt8(number))))
            code.add(.write(memory, offset: place, 1))
        }
    }
}

/// Sources/Reactor/Rendezvous.swift: `complete` and `wait` without a limit.
struct RendezvousModel {
    var doesSignal = true

    func search() throws -> Model.Report {
        let rendezvous = try SourceSteps("Sources/Reactor/Rendezvous.swift")
        var model = Model()
        let (result, mutex, got) = (model.plain("the result"), model.mutex(), model.ghost())
        try model.thread("other") { code in
            var source = try rendezvous.function("complete")
            try code.lock(mutex, from: &source)
            code.add(.write(result, offset: nil, 1))
            try source.next("creactor_mutex_signal")
            if doesSignal { code.add(.signal(mutex)) }
            try code.unlock(mutex, from: &source)
            try source.finish()
        }
        try model.thread("waiter") { code in
            var source = try rendezvous.function("wait")
            let (seen, over) = (code.register(), code.register())
            try code.lock(mutex, from: &source)
            // Deferred to the end.
            try source.next("creactor_mutex_unlock")
            try code.loop(until: over) { code in
                code.add(.read(result, offset: nil, reader: nil, into: seen))
                try source.next("creactor_mutex_wait")
                code.when(seen, is: 0) { $0.add(.wait(mutex)) }
                code.add(.set(over, .register(seen)))
            }
            try source.next("creactor_mutex_wait_for")
            try source.finish()
            code.add(.unlock(mutex))
            code.add(.count(got, offset: nil))
        }
        return model.search { $0(got) == 1 ? nil : "nobody got the result" }
    }
}

/// Sources/Reactor/Once.swift and `OneShot` of LoopThread.swift: the first value stays, and who waits is told once.
struct KeptModel {
    var asksFirst = true

    func searchOnce() throws -> Model.Report {
        let once = try SourceSteps("Sources/Reactor/Once.swift")
        var model = Model()
        let (stored, mutex, sets) = (model.plain("the value"), model.mutex(), model.ghost())
        try model.thread("setter", copies: 3) { code in
            var source = try once.function("set")
            let seen = code.register()
            try code.locked(mutex, "lock.locked", from: &source) { code, _ in
                code.add(.read(stored, offset: nil, reader: nil, into: seen))
                if !asksFirst { code.add(.set(seen, 0)) }
                code.when(seen, is: 0) { code in
                    code.add(.write(stored, offset: nil, 1))
                    code.add(.count(sets, offset: nil))
                }
            }
            try source.finish()
        }
        return model.search { $0(sets) == 1 ? nil : "the value was set \($0(sets)) times" }
    }

    func searchOneShot() throws -> Model.Report {
        let oneShot = try SourceSteps("Sources/Reactor/LoopThread.swift")
        var model = Model()
        let (resumed, result, waiting) = (model.atomic("resumed"), model.plain("the result"), model.plain("waiting"))
        let (mutex, got, told) = (model.mutex(), model.ghost(), model.ghost())
        try model.thread("completer", copies: 2) { code in
            var source = try oneShot.function("complete")
            let (seen, waits) = (code.register(), code.register())
            try code.locked(mutex, "lock.locked", from: &source) { code, _ in
                code.add(.set(waits, 0))
                code.add(.read(result, offset: nil, reader: nil, into: seen))
                if !asksFirst { code.add(.set(seen, 0)) }
                code.when(seen, is: 0) { code in
                    code.add(.write(result, offset: nil, 1))
                    code.add(.read(waiting, offset: nil, reader: nil, into: waits))
                    if asksFirst { code.add(.write(waiting, offset: nil, 0)) }
                }
            }
            try source.finish()
            let unused = code.register()
            code.when(waits, is: 1) { code in
                code.add(.add(resumed, .acquiringAndReleasing, 1, into: unused))
                code.add(.count(told, offset: nil))
            }
        }
        try model.thread("waiter") { code in
            var source = try oneShot.function("value")
            let seen = code.register()
            try code.locked(mutex, "lock.locked", from: &source) { code, _ in
                code.add(.read(result, offset: nil, reader: nil, into: seen))
                code.when(seen, is: 0) { $0.add(.write(waiting, offset: nil, 1)) }
            }
            code.when(seen, is: 0) { $0.add(.awaitValue(resumed, .acquiring, 1)) }
            try code.locked(mutex, "lock.locked", from: &source) { code, _ in
                code.add(.read(result, offset: nil, reader: nil, into: seen))
            }
            code.add(.count(got, offset: nil))
            try source.finish()
        }
        return model.search { ghost in
            if ghost(told) > 1 { return "the waiter is resumed twice" }
            return ghost(got) == 1 ? nil : "nobody got the value"
        }
    }
}
