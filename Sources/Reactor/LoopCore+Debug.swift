// What a loop tells people who look for a mistake: which task kept it, which does not end, and what is left at the end.
// Names are found out when something is to be told; until then a task pays nothing for them.

internal import CReactor

extension LoopCore {
    /// How long a run that ends waits for its tasks before it says, in debug mode, which it waits for.
    private static var patience: Duration { .seconds(5) }

    /// What ran, of a job of Swift's runtime that has just run and may be gone: jobs are compared with the tasks that the
    /// loop knows, as both are named by their address.
    func nameOfStep(_ task: UInt) -> String {
        if let record = spawned.record(ofTask: task) { return "a step of \(record.description)" }
        if task == mainTask { return "a step of the main task" }
        if let title = handlerTitle(task) { return "a step of the \(title)" }
        return "a job of a Swift task"
    }

    /// In debug mode, reports the tasks that have been cancelled and do not end: a run waits for them.
    ///
    /// - Returns: What is to be cancelled when they have ended.
    func watchForTasksThatDoNotEnd() -> Scheduled? {
        guard configuration.isDebug, spawned.count > 0 else { return nil }
        return schedule(
            at: now.advanced(by: Self.patience),
            { [self] in
                for sighting in sightings() where sighting.record != nil {
                    report(.doesNotEnd, sighting.description)
                }
            },
            site: CallSite(file: #fileID, line: #line)
        )
    }

    /// In debug mode, reports what had not ended when the loop closed.
    func reportLeftovers(_ closing: CloseReport) {
        guard configuration.isDebug else { return }
        for task in closing.tasks { report(.leftBehind, task) }
        for site in closing.callbackSites { report(.leftBehind, "callback scheduled at \(site)") }
    }
}

extension EventLoop {
    /// Whether the calling task is the one for which the loop was made.
    package var isInMainTask: Bool {
        unsafe core.mainTask != 0 && core.mainTask == UInt(bitPattern: creactor_current_task())
    }
}

extension TaskRecord {
    /// Name and place of birth, as in `task reader (App/Main.swift:12)`.
    var description: String { "task \(shortTitle) (\(file):\(line))" }
}

extension TaskSighting {
    /// What it is and what it waits for.
    var description: String {
        let waiting = reason.map { ", which waits for \($0.text)" } ?? ", which waits for nothing that the loop knows"
        return (record?.description ?? title) + waiting
    }
}
