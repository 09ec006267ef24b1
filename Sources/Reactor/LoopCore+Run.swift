// Running a loop: on the thread that made it, one run at a time, never inside another loop's callback. The flags that
// `stop()` sets are cleared when a run ends, so that the next one starts afresh.

internal import CLibUV
internal import CReactor
internal import Synchronization

extension LoopCore {
    /// Turns until `stop()`.
    func runForever() {
        enterRun()
        // SAFETY: the loop is open, and this is its thread.
        unsafe uv_run(raw, UV_RUN_DEFAULT)
        leaveRun()
    }

    /// Turns once: one poll and one batch.
    func runOnce(waiting: Bool) {
        singleTurn = true
        if !waiting { stop() }
        runForever()
    }

    /// Calls `body` as part of the loop, which is about to run.
    func asCurrent<Value>(_ body: () throws -> Value) rethrows -> Value {
        unsafe creactor_set_current_loop(identity)
        defer { creactor_set_current_loop(nil) }
        return try body()
    }

    /// Traps, with a sentence, where a run would be a mistake.
    func requireRunnable() {
        requireOwner("a run")
        require(state != .running, "This EventLoop is already running; a callback cannot run it again.")
        require(
            state == .idle,
            "This EventLoop is closed and cannot run. Make a new one for each run of your program."
        )
        unsafe require(
            creactor_current_loop() == nil,
            "Cannot run an EventLoop while another one runs on this thread. Give each loop a thread of its own."
        )
    }

    private func enterRun() {
        requireRunnable()
        state = .running
        unsafe creactor_set_current_loop(identity)
        if keepsJobs { unsafe creactor_set_keeping_loop(UnsafeMutableRawPointer(mutating: identity)) }
        unsafe uv_update_time(raw)
        pollReturned = 0
    }

    private func leaveRun() {
        flushes.flush()
        creactor_set_keeping_loop(nil)
        creactor_set_current_loop(nil)
        inbox.sleeping.store(false, ordering: .relaxed)
        state = .idle
        phase = .outside
        forgetStop()
        singleTurn = false
    }

    /// No run is to be ended any more.
    func forgetStop() {
        stopRequested = false
        stopLimit = .max
    }

    /// Ends the run after the batch that is running; before a run, lets the next one turn once.
    func stop() {
        guard !stopRequested else { return }
        stopRequested = true
        // Stopped by a libuv callback: what it and its successors make ready from here on is for the next run.
        if phase == .polling { stopLimit = ready.count + (runningInner ? 0 : inner.count) }
    }

    func requireOwner(_ what: String) {
        require(
            creactor_thread_id() == owner,
            "An EventLoop belongs to the thread that made it, and \(what) was called on another. "
                + "From other threads use submit(_:) or `await` its methods."
        )
    }
}
