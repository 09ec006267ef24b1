// The inbox and the wake-up of a loop as a model: posters, and a loop that turns, sleeps, stops at any moment and closes.
//
// Of Sources/Reactor/Inbox.swift, with the operations and orderings that stand there: `lockForPosting`, `unlockAndWake`,
// `drain`, `close`; of LoopCore's turn, `willPoll`, `didPoll`, `drainInboxIfNeeded`. libuv keeps its word: a wake-up ends the next poll.
// Not of it: chunks, which only the holder of the mutex changes, and the loop's queue, which is its own.

/// What the model of the inbox is made of, and what is wrong with it on purpose.
struct InboxModel {
    /// Mistakes that the search must find.
    enum Mistake: CaseIterable {
        /// The loop clears the flag when it has taken what there was, and not with it.
        case clearsLate
        /// The loop looks for entries, and then says that it will sleep.
        case looksBeforeItSays
        /// The poster looks whether the loop sleeps, and then says that there are entries.
        case wakesBeforeItSays
        /// The poster is not counted while it wakes the loop.
        case isNotCounted
        /// Closing does not wait for those who wake the loop.
        case closesAtOnce
        /// The loop takes entries without the mutex.
        case takesUnlocked
        /// The poster does not ask whether the loop is closed.
        case postsAnyway
        /// Closing takes nothing out.
        case leavesEntries
    }

    var inbox: SourceSteps
    var turn: SourceSteps
    var mistake: Mistake?

    init() throws {
        inbox = try SourceSteps("Sources/Reactor/Inbox.swift")
        turn = try SourceSteps("Sources/Reactor/LoopCore+Turn.swift")
    }

    /// Searches all interleavings of so many posters, each of which posts so often, and a loop.
    ///
    /// A loop that closes may stop after every turn, and closes then. Otherwise it goes on until it sleeps.
    func search(posters: Int, posts: Int = 1, closes: Bool) throws -> Model.Report {
        var model = Model()
        let parts = Parts(&model, room: posters * posts)
        try model.thread("poster", copies: posters) { code in
            for _ in 0..<posts { try post(&code, parts) }
        }
        try model.thread("loop", mayAwait: parts.wakeUp) { try loop(&$0, parts, closes: closes) }
        return model.search { ghost in
            var accepted = 0
            for entry in 0..<(posters * posts) {
                let (posted, ran) = (ghost(parts.posted + entry), ghost(parts.ran + entry))
                let handedBack = ghost(parts.handedBack + entry)
                accepted += posted
                if posted != ran + handedBack {
                    return "entry \(entry) was posted \(posted) times, ran \(ran) and was handed back \(handedBack)"
                }
            }
            if accepted + ghost(parts.refused) != posters * posts { return "a post is neither accepted nor refused" }
            return nil
        }
    }

    /// The memory that the threads share.
    private struct Parts {
        let hasEntries, sleeping, senders, wakeUp: AtomicPlace
        let entries, count, closed, handle: PlainPlace
        let mutex: MutexPlace
        let room: Int
        let posted, ran, handedBack, refused, isClosed: Ghost

        init(_ model: inout Model, room: Int) {
            self.room = room
            hasEntries = model.atomic("hasEntries")
            sleeping = model.atomic("sleeping")
            senders = model.atomic("senders")
            // libuv's, and the kernel's.
            wakeUp = model.atomic("wakeUp")
            entries = model.plain("an entry", count: room)
            count = model.plain("the count of entries")
            closed = model.plain("closed")
            // Used by several posters at once, by each at a place of its own; all are written when libuv frees it.
            handle = model.plain("the wake handle", count: room)
            mutex = model.mutex()
            posted = model.ghost(count: room)
            ran = model.ghost(count: room)
            handedBack = model.ghost(count: room)
            refused = model.ghost()
            isClosed = model.ghost()
        }
    }

    // MARK: Posting

    private func post(_ code: inout Code, _ parts: Parts) throws {
        var locking = try inbox.function("lockForPosting")
        let (closed, index) = (code.register(), code.register())
        try code.lock(parts.mutex, from: &locking)
        code.add(.read(parts.closed, offset: nil, reader: nil, into: closed))
        if mistake == .postsAnyway { code.add(.set(closed, 0)) }
        var posting = try inbox.function("unlockAndWake")
        try code.when(closed, is: 1) { code in
            code.add(.count(parts.refused, offset: nil))
            try code.unlock(parts.mutex, from: &locking)
        } otherwise: { code in
            code.add(.read(parts.count, offset: nil, reader: nil, into: index))
            code.add(.write(parts.entries, offset: index, 1))
            code.add(.count(parts.posted, offset: index))
            let count = code.register()
            code.add(.set(count, .register(index)))
            code.add(.increment(count))
            code.add(.write(parts.count, offset: nil, .register(count)))
            try unlockAndWake(&code, parts, index, &posting)
        }
        try locking.finish()
        try posting.finish()
    }

    private func unlockAndWake(
        _ code: inout Code,
        _ parts: Parts,
        _ index: Register,
        _ source: inout SourceFunction
    ) throws {
        let (had, sleeps) = (code.register(), code.register())
        try code.load(parts.hasEntries, into: had, from: &source)
        try code.when(had, is: 1) { code in
            try code.unlock(parts.mutex, from: &source)
        } otherwise: { code in
            if mistake == .wakesBeforeItSays {
                let says = try source.next("hasEntries.store")
                try code.load(parts.sleeping, into: sleeps, from: &source)
                code.add(.store(parts.hasEntries, says, 1))
            } else {
                try code.store(parts.hasEntries, 1, from: &source)
                try code.load(parts.sleeping, into: sleeps, from: &source)
            }
            try code.when(sleeps, is: 0) { code in
                try code.unlock(parts.mutex, from: &source)
            } otherwise: { code in
                try wake(&code, parts, index, &source)
            }
        }
    }

    private func wake(
        _ code: inout Code,
        _ parts: Parts,
        _ index: Register,
        _ source: inout SourceFunction
    ) throws {
        let rest = code.register()
        let isCounted = mistake != .isNotCounted
        let comes = try source.next("senders.wrappingAdd")
        if isCounted { code.add(.add(parts.senders, comes, 1, into: rest)) }
        try code.unlock(parts.mutex, from: &source)
        try source.next("uv_async_send")
        send(&code, parts, index)
        let leaves = try source.next("senders.wrappingSubtract")
        if isCounted { code.add(.add(parts.senders, leaves, -1, into: rest)) }
    }

    /// `uv_async_send` uses the handle, and has the poll return, this one or the next.
    private func send(_ code: inout Code, _ parts: Parts, _ index: Register) {
        let unused = code.register()
        code.add(.read(parts.handle, offset: index, reader: nil, into: unused))
        code.add(.exchange(parts.wakeUp, .acquiringAndReleasing, 1, into: unused))
    }

    // MARK: The loop

    private func loop(_ code: inout Code, _ parts: Parts, closes: Bool) throws {
        let (busy, drained, over) = (code.register(), code.register(), code.register())
        try code.loop(until: over) { code in
            try willPoll(&code, parts, busy)
            var polled = try turn.function("didPoll")
            try code.store(parts.sleeping, 0, from: &polled)
            try polled.finish()
            let stops = code.register()
            if closes { code.add(.choose(2, into: stops)) }
            // The code looks more often, before each batch: that finds no less.
            try drainIfNeeded(&code, parts, busy, drained)
            if closes { code.add(.set(over, .register(stops))) }
        }
        if closes { try close(&code, parts, drained) }
    }

    private func willPoll(_ code: inout Code, _ parts: Parts, _ busy: Register) throws {
        var source = try turn.function("willPoll")
        let (mayWait, had) = (code.register(), code.register())
        code.add(.set(mayWait, 1))
        code.when(busy, is: 1) { $0.add(.set(mayWait, 0)) }
        code.add(.set(busy, 0))
        try code.when(mayWait, is: 1) { code in
            if mistake == .looksBeforeItSays {
                let says = try source.next("sleeping.store")
                try code.load(parts.hasEntries, into: had, from: &source)
                code.add(.store(parts.sleeping, says, 1))
            } else {
                try code.store(parts.sleeping, 1, from: &source)
                try code.load(parts.hasEntries, into: had, from: &source)
            }
            code.when(had, is: 1) { $0.add(.set(mayWait, 0)) }
        }
        try source.finish()
        // The poll: it waits for the wake-up, or looks whether there is one, and takes it.
        code.when(mayWait, is: 1) { $0.add(.awaitValue(parts.wakeUp, .acquiring, 1)) }
        code.add(.compareExchange(parts.wakeUp, .acquiringAndReleasing, expected: 1, desired: 0, into: had))
    }

    private func drainIfNeeded(_ code: inout Code, _ parts: Parts, _ busy: Register, _ drained: Register) throws {
        var source = try turn.function("drainInboxIfNeeded")
        let had = code.register()
        try code.load(parts.hasEntries, into: had, from: &source)
        try source.finish()
        try code.when(had, is: 1) { code in
            code.add(.set(busy, 1))
            try drain(&code, parts, drained, into: parts.ran)
        }
    }

    private func drain(_ code: inout Code, _ parts: Parts, _ drained: Register, into outcome: Ghost) throws {
        var source = try inbox.function("drain")
        let (end, entry) = (code.register(), code.register())
        let isLocked = mistake != .takesUnlocked
        try source.next("creactor_mutex_lock")
        if isLocked { code.add(.lock(parts.mutex)) }
        code.add(.read(parts.count, offset: nil, reader: nil, into: end))
        let clears = try source.next("hasEntries.store")
        if mistake != .clearsLate { code.add(.store(parts.hasEntries, clears, 0)) }
        try source.next("creactor_mutex_unlock")
        if isLocked { code.add(.unlock(parts.mutex)) }
        if mistake == .clearsLate { code.add(.store(parts.hasEntries, clears, 0)) }
        try source.finish()
        code.loop(while: drained, isBelow: end) { code in
            code.add(.read(parts.entries, offset: drained, reader: nil, into: entry))
            code.add(
                .require("something runs on a closed loop") {
                    outcome.index != parts.ran.index || $0(parts.isClosed) == 0
                }
            )
            code.add(.count(outcome, offset: drained))
            code.add(.increment(drained))
        }
    }

    private func close(_ code: inout Code, _ parts: Parts, _ drained: Register) throws {
        var source = try inbox.function("close")
        try code.lock(parts.mutex, from: &source)
        code.add(.write(parts.closed, offset: nil, 1))
        code.add(.count(parts.isClosed, offset: nil))
        try code.unlock(parts.mutex, from: &source)
        let waits = try source.next("senders.load")
        if mistake != .closesAtOnce { code.add(.awaitValue(parts.senders, waits, 0)) }
        try source.finish()
        if mistake != .leavesEntries { try drain(&code, parts, drained, into: parts.handedBack) }
        code.add(.set(drained, 0))
        let room = code.register()
        code.add(.set(room, .number(UInt8(parts.room))))
        code.loop(while: drained, isBelow: room) { code in
            code.add(.write(parts.handle, offset: drained, 1))
            code.add(.increment(drained))
        }
    }
}
