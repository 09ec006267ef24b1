// Closing a loop, in an order that loses nothing it can keep:
//
//   1. nothing new is accepted, from any thread;
//   2. what is scheduled is dropped; jobs of Swift tasks go where they go without a loop, as a task must always end;
//   3. listeners close, then connections (each protocol hears of it), then signals, and all of them are reported;
//   4. the loop's own handles close, libuv turns until the last close callback has run, and its memory is freed.

internal import CLibUV
internal import CReactor

/// What was still open when a loop was closed.
public struct CloseReport: Sendable, CustomStringConvertible {
    /// The handles that were open, in the order in which they were closed, as ``EventLoop/dump()`` names them.
    public var handles: [String] = []
    /// How many callbacks were scheduled or submitted and will never run.
    public var droppedCallbacks = 0
    /// The tasks that the loop knows of and that had not ended: their names, where they were spawned, what they wait for.
    ///
    /// Empty after `AsyncIO.run` and `withEventLoop`, which wait for them. Their waits end with `CancellationError`.
    public var tasks: [String] = []
    /// Where callbacks were scheduled that never ran, each place once; in debug mode only, and without this library's own.
    public var callbackSites: [String] = []

    /// Whether nothing was left open, nothing was dropped, and all tasks had ended.
    public var isClean: Bool { handles.isEmpty && droppedCallbacks == 0 && tasks.isEmpty }

    /// What was left, on one line.
    public var description: String {
        isClean
            ? "nothing left open"
            : "left open: [\(handles.joined(separator: ", "))], callbacks that never ran: \(droppedCallbacks)"
                + (tasks.isEmpty ? "" : ", tasks that had not ended: [\(tasks.joined(separator: "; "))]")
    }
}

extension LoopCore {
    func close() -> CloseReport {
        guard state != .closed else { return CloseReport() }
        requireOwner("close()")
        require(
            unsafe state == .idle && creactor_current_loop() == nil,
            "An EventLoop cannot be closed by its own callback: call stop(), and close it when the run has returned."
        )
        state = .closing
        unsafe creactor_set_current_loop(identity)
        defer { creactor_set_current_loop(nil) }

        // Its timer is nobody's who could have forgotten it.
        memory?.simulation?.end()
        var report = CloseReport()
        report.tasks = sightings().map(\.description)
        inbox.close()
        if configuration.isDebug { report.callbackSites = callbacks.sites }
        flushes.flush()
        report.droppedCallbacks = dropScheduled()
        report.handles = closeHandles()
        memory?.loopIsClosing()
        parked.cancelAll()
        workers.dismiss()
        spareEventualPark = nil
        spawned.forgetAll()
        mainQueue?.close()
        handles.closeAll()
        // SAFETY: the loop is open until `uv_loop_close` succeeds, and every handle on it is closing.
        while unsafe uv_run(raw, UV_RUN_DEFAULT) != 0 {}
        // What was replaced meanwhile would hold the loop, and the loop it.
        flushes.flush()
        discardLoop()
        // Not before: until here this thread runs the loop's code, and nobody else may.
        lateJobs.release()
        reportLeftovers(report)
        return report
    }

    /// Closes the loop and tells the configuration what was left.
    func closeHere() {
        guard state != .closed else { return }
        let report = close()
        configuration.onClose?(report)
    }

    /// Frees the libuv loop, every handle of which has been closed or was never made.
    func discardLoop() {
        unsafe uv_walk(raw, closeLeftover, nil)
        while unsafe uv_run(raw, UV_RUN_DEFAULT) != 0 {}
        let status = unsafe uv_loop_close(raw)
        require(status == 0, "libuv still holds a handle of this loop, which is a fault in swift-asyncio.")
        unsafe UnsafeMutableRawPointer(raw).deallocate()
        state = .closed
    }

    private func dropScheduled() -> Int {
        var submissions = 0
        drainInbox()
        deadlines.removeAll()
        while ready.count > 0 || inner.count > 0 {
            let entry = ready.count > 0 ? ready.pop() : inner.pop()
            switch entry.kind {
            case .callback, .memoryEvent: break
            case .turn: unsafe entry.continuation.resume(returning: false)
            case .submission: if unsafe inbox.discard(entry.submission) { submissions += 1 }
            case .job: handBack(entry)
            }
        }
        return callbacks.removeAll().count - sleepingJobs + submissions
    }

    /// Closes everything that is not the loop's own and names it.
    private func closeHandles() -> [String] {
        let open = liveHandles().sorted { $0.closingOrder < $1.closingOrder }
        let names = open.map(\.summary)
        for handle in open { handle.closeWithLoop() }
        return names
    }
}

/// Closes what no Swift object stands for any more, which happens only when making the loop failed half-way.
private func closeLeftover(_ handle: UnsafeMutablePointer<uv_handle_t>?, _: UnsafeMutableRawPointer?) {
    if let box = unsafe HandleBox.borrow(handle!) { box.close() }
}
