// The end of a run, before its loop closes: what was spawned is cancelled and awaited, and waits that are still under
// way end as if their tasks had been cancelled. What goes on even then is nobody's child, and goes to Swift's pool.

internal import Synchronization

extension LoopCore {
    /// How many turns the tasks that nobody spawned are given to end.
    private static var mostTurns: Int { 1_000 }

    /// Ends the tasks of a loop that does not run; on its thread.
    func endTasks() {
        isEnding = true
        defer { isEnding = false }
        spawned.cancelAll()
        let watch = watchForTasksThatDoNotEnd()
        defer { watch?.cancel() }
        while spawned.count > 0 {
            unsafe spawned.onEmpty = { [self] in stop() }
            forgetStop()
            runForever()
            unsafe spawned.onEmpty = nil
        }
        for _ in 0..<Self.mostTurns {
            let waits = !parked.isEmpty || workers.count > 0
            guard waits || ready.count > 0 || inbox.hasEntries.load(ordering: .acquiring) else { return }
            // In a turn of the loop, so that what is resumed goes on here.
            if waits {
                let end = { [self] in
                    parked.cancelAll()
                    workers.dismiss()
                }
                _ = scheduleSoon(end, site: CallSite(file: #fileID, line: #line))
            }
            runOnce(waiting: false)
        }
    }
}
