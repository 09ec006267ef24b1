// One turn of the loop, in the order in which it happens:
//
//   prepare   send what was written; how long may the poll wait, set the one timer       willPoll
//   poll      libuv's callbacks: bytes, connections, signals                             enter … leave
//   check     due timers join the ready queue, in deadline order                         didPoll
//   batches   the ready queue, a batch at a time, at most `batchesPerPoll` of them
//
// A batch is exactly what was ready when it began; what it makes ready waits for the next. If nothing was ready when
// the poll began, a libuv callback runs what it made ready before it returns, once: the work of a message then follows
// its bytes at once, while the memory that they are in is still warm and still unshared. Otherwise it only appends.
//
// Between two polls at most 61 batches and 4,096 callbacks run. One batch a poll costs a system call each; running until nothing is ready
// would starve timers and input behind two callbacks that keep scheduling each other.

internal import CLibUV
internal import Synchronization

extension LoopCore {
    // MARK: Prepare

    func willPoll() {
        if !flushes.isEmpty { flushes.flush() }
        noteLag()
        phase = .polling
        pollIsQuiet = ready.count == 0
        // Whoever has just posted is likely to post again. One poll that does not wait costs this loop a microsecond;
        // waking it up would cost the other thread as much for every post.
        var mayWait = pollIsQuiet && !stopRequested && !inboxWasBusy
        inboxWasBusy = false
        if mayWait {
            // ORDER: announce the sleep, then look. A poster does it the other way round; one of us sees the other.
            inbox.sleeping.store(true, ordering: .sequentiallyConsistent)
            if inbox.hasEntries.load(ordering: .sequentiallyConsistent) {
                mayWait = false
                pollIsQuiet = false
            }
        }
        if mayWait {
            if configuration.clock == nil {
                if !armTimer() { mayWait = false }
            } else {
                dropCancelledDeadlines()
                // A virtual clock jumps when the poll brought nothing, so the poll must not wait for the deadline.
                mayWait = deadlines.top == nil || deadlines.top?.deadline == .max || workElsewhere > 0
                if mayWait { watchForDeadlock() }
            }
        }
        if mayWait == idleActive {
            idleActive = !mayWait
            handles.setIdle(idleActive)
        }
        inputsBeforePoll = inputs
    }

    private func noteLag() {
        statistics.turns &+= 1
        guard pollReturned != 0 else { return }
        let lag = unsafe uv_now(raw) &- pollReturned
        statistics.lagMilliseconds = lag
        if lag > statistics.largestLagMilliseconds { statistics.largestLagMilliseconds = lag }
    }

    /// Sets libuv's timer for the earliest deadline, where it is not set for that already.
    ///
    /// Returns whether that is done: if libuv refuses, the next turn tries again, and until then the loop must not sleep.
    private func armTimer() -> Bool {
        dropCancelledDeadlines()
        guard let next = deadlines.top?.deadline else {
            if armedDeadline != .max {
                armedDeadline = .max
                handles.stopTimer()
            }
            return true
        }
        guard next != armedDeadline else { return true }
        armedDeadline = next
        // Rounded up to libuv's milliseconds, and counted from this very moment: libuv's own idea of now has no fraction,
        // which would make it up to a millisecond later.
        let now = Int64(bitPattern: uv_hrtime())
        let wait = next > now ? next - now : 0
        let (milliseconds, rest) = wait.quotientAndRemainder(dividingBy: 1_000_000)
        if handles.startTimer(milliseconds: UInt64(milliseconds) + (rest > 0 ? 1 : 0)) { return true }
        armedDeadline = .max
        return false
    }

    func dropCancelledDeadlines() {
        while let top = deadlines.top, !callbacks.contains(top.id) { deadlines.removeStaleTop() }
    }

    /// libuv's timer has fired and is no longer set for anything.
    func timerFired() {
        armedDeadline = .max
        if isWatchingForDeadlock { foundDeadlock() }
    }

    // MARK: Poll

    /// Begins a libuv callback that calls users' code.
    func enter() {
        enterUntimed()
        if timesCallbacks { entered = now }
    }

    /// The same, where callbacks are not timed.
    @inline(__always)
    func enterUntimed() {
        inputs &+= 1
        // What a libuv callback has made ready runs outside of it: such a job may enter again, but never collects.
        collecting = pollIsQuiet && !runningInner
    }

    /// Notes a libuv callback that calls nobody.
    func noteInput() { inputs &+= 1 }

    /// Ends a libuv callback: runs what it has made ready, if the turn keeps that apart.
    ///
    /// - Parameter subject: What the callback was, should it have been slow.
    func leave(_ subject: () -> String) {
        collecting = false
        if timesCallbacks { reportIfSlow(since: entered, subject) }
        if inner.count > 0 && !runningInner { runInner() }
    }

    /// The same, where callbacks are not timed.
    @inline(__always)
    func leaveUntimed() {
        collecting = false
        if inner.count > 0 && !runningInner { runInner() }
    }

    @inline(never)
    private func runInner() {
        var count = inner.count
        // What a stopping callback made ready belongs to the next run.
        let stopped = stopRequested
        runningInner = true
        defer { runningInner = false }
        while count > 0 {
            count -= 1
            let entry = inner.pop()
            if stopped {
                ready.push(entry)
            } else if entry.isJob && !timesCallbacks {
                // PERF: mostly it is one job; what else there may be has more to prepare. (streams 50 × 64 B)
                statistics.callbacks &+= 1
                run(job: entry)
            } else {
                runOther(entry)
            }
        }
    }

    @inline(never)
    private func runOther(_ entry: ReadyEntry) { run(entry) }

    // MARK: Check and batches

    func didPoll() {
        inbox.sleeping.store(false, ordering: .relaxed)
        unsafe pollReturned = uv_now(raw)
        phase = .batches
        pollIsQuiet = false
        batchesLeft = singleTurn ? 1 : configuration.batchesPerPoll
        if isWatchingForDeadlock { stopWatchingForDeadlock() }
        if stopRequested {
            lastBatch()
        } else {
            drainInboxIfNeeded()
            moveDueTimers()
            jumpIfIdle()
            runBatches()
        }
        if stopRequested || singleTurn { unsafe uv_stop(raw) }
    }

    /// How many entries run before the next poll at most, so that threads that post faster than the loop runs do not
    /// keep it from its timers and its input.
    private static var mostEntriesPerPoll: Int { 4_096 }

    private func runBatches() {
        var budget = batchesLeft == 1 ? Int.max : Self.mostEntriesPerPoll
        while batchesLeft > 0 && budget > 0 && !stopRequested {
            drainInboxIfNeeded()
            guard ready.count > 0 else { return }
            batchesLeft -= 1
            let size = min(ready.count, budget)
            budget -= size
            runBatch(size)
        }
    }

    /// The batch of a loop that was stopped during the poll, or before it ran: what was ready when it was stopped.
    private func lastBatch() {
        if stopLimit == .max {
            drainInboxIfNeeded()
            moveDueTimers()
        }
        runBatch(min(ready.count, stopLimit))
    }

    @inline(__always)
    private func runBatch(_ size: Int) {
        if !lendsSteps && shuffler != nil { return runShuffled(size) }
        leftOfBatch = size
        while leftOfBatch > 0 {
            leftOfBatch -= 1
            run(ready.pop())
        }
    }

    private func drainInboxIfNeeded() {
        if inbox.hasEntries.load(ordering: .acquiring) { drainInbox() }
    }

    private func moveDueTimers() {
        guard let top = deadlines.top else { return }
        // PERF: libuv's cached time tells, without reading the clock, that nothing can be due.
        if configuration.clock == nil, unsafe top.deadline / 1_000_000 > Int64(uv_now(raw)) + 2 { return }
        let now = now.nanoseconds
        while let top = deadlines.top, top.deadline <= now {
            deadlines.removeTop()
            if callbacks.leaveHeap(top.id) {
                ready.push(ReadyEntry(callback: top.id))
            } else {
                deadlines.didDropStale()
            }
        }
    }

    /// Lets a virtual clock jump to the next deadline when the poll brought nothing and nothing is ready.
    private func jumpIfIdle() {
        guard let clock = configuration.clock, ready.count == 0, workElsewhere == 0 else { return }
        // A handle that is closing has something to say yet, in this very turn.
        guard inputs == inputsBeforePoll, closingHandles == 0 else { return }
        dropCancelledDeadlines()
        guard let next = deadlines.top?.deadline, next != .max else { return }
        clock.idle(until: LoopInstant(nanoseconds: next))
        moveDueTimers()
    }

    // MARK: One entry

    @inline(__always)
    func run(_ entry: ReadyEntry) {
        statistics.callbacks &+= 1
        // PERF: what a message needs is a job, mostly. (streams 50 × 64 B)
        if entry.isJob && !timesCallbacks { return run(job: entry) }
        if timesCallbacks { runTimed(entry) } else { _ = runNow(entry) }
    }

    /// Runs the entry and says what it was.
    @inline(__always)
    private func runNow(_ entry: ReadyEntry) -> EntrySubject {
        switch entry.kind {
        case .callback:
            let (index, low) = entry.callback
            guard let id = callbacks.resolve(index: index, low: low), let (body, site, _) = callbacks.take(id) else {
                return .nothing
            }
            do { try body() } catch { report(.uncaughtError(error), EntrySubject.callback(site).description) }
            return .callback(site)
        case .job:
            run(job: entry)
            return .job(entry.task)
        case .submission:
            withLoop { loop in
                unsafe inbox.run(entry.submission, on: loop) {
                    report(.uncaughtError($0), EntrySubject.submission.description)
                }
            }
            return .submission
        case .memoryEvent:
            memory?.runNext()
            return .memoryEvent
        case .turn:
            unsafe resumeNow(entry.continuation)
            return .job(entry.task)
        }
    }

    @inline(never)
    private func runTimed(_ entry: ReadyEntry) {
        unsafe spawned.endedInStep?.removeAll(keepingCapacity: true)
        endedHandler = nil
        let start = now
        let subject = runNow(entry)
        reportIfSlow(since: start) {
            if case .job(let task) = subject { nameOfStep(task) } else { subject.description }
        }
    }

    /// Reports what began at `start` and has just ended, if it took the threshold or longer.
    @inline(never)
    private func reportIfSlow(since start: LoopInstant, _ subject: () -> String) {
        guard let threshold = configuration.slowCallbackThreshold else { return }
        let time = start.duration(to: now)
        if time >= threshold { report(.slowCallback(time), subject()) }
    }
}

/// What an entry of the ready queue was, for messages.
private enum EntrySubject: CustomStringConvertible {
    case nothing
    case callback(CallSite)
    /// Of a task, as an address.
    case job(UInt)
    case submission
    case memoryEvent

    var description: String {
        switch self {
        case .nothing: "a cancelled callback"
        case .callback(let site): "callback scheduled at \(site.description)"
        case .job: "a job of a Swift task"
        case .submission: "callback submitted from another thread"
        case .memoryEvent: "an event of the memory network"
        }
    }
}
