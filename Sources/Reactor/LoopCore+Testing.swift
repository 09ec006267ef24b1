// What a loop does for tests: it runs what is ready together in an order that a seed decides, and says when tasks wait for
// one another and nothing can wake them. A loop without tests pays one comparison a batch.

internal import Synchronization

extension LoopCore {
    /// Runs a batch in an order of the seed's.
    @inline(never)
    func runShuffled(_ size: Int) {
        var batch = (0..<size).map { _ in ready.pop() }
        shuffler?.shuffle(&batch)
        for entry in batch { run(entry) }
    }

    /// The loop is about to wait with a clock that is not the system's, and with no timer.
    ///
    /// What other threads or the system have to say may still come, so that it is given some real time.
    func watchForDeadlock() {
        guard let patience = configuration.testing?.deadlockAfter else { return }
        guard deadlines.top == nil, workElsewhere == 0, !parked.isEmpty, !isWatchingForDeadlock else { return }
        isWatchingForDeadlock = true
        handles.startTimer(milliseconds: patience)
    }

    /// The poll has returned: if it was not for the timer, which fires after this, something has come.
    func stopWatchingForDeadlock() {
        guard ready.count > 0 || inputs != inputsBeforePoll || inbox.hasEntries.load(ordering: .acquiring) else {
            return
        }
        isWatchingForDeadlock = false
        handles.stopTimer()
    }

    func foundDeadlock() {
        isWatchingForDeadlock = false
        guard let testing = configuration.testing, !parked.isEmpty else { return }
        enter()
        withLoop { testing.onDeadlock($0) }
        leave { "the report of a deadlock" }
    }
}

/// A generator that draws the same orders from the same seed everywhere (SplitMix64).
struct Shuffler: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func shuffle(_ entries: inout [ReadyEntry]) { entries.shuffle(using: &self) }
}

extension EventLoop {
    /// Ends all waits as if their tasks had been cancelled.
    package func cancelAllWaits() { unsafe core.parked.cancelAll() }

    /// How much there is of everything that can be left behind.
    package func census() -> LoopCensus {
        let core = unsafe core
        return LoopCensus(
            handles: core.liveHandles().map(\.summary),
            callbacks: core.callbacks.count - (core.memory?.simulation?.timetable.isArmed == true ? 1 : 0),
            tasks: core.spawned.count,
            waits: core.parked.all.map { $0.explain().text }
        )
    }
}

/// What a loop has open and under way.
package struct LoopCensus: Sendable {
    package let handles: [String]
    package let callbacks: Int
    package let tasks: Int
    package let waits: [String]
}
