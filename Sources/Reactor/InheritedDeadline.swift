// Deadlines that bare tasks have inherited. Nobody awaits a bare `Task { }` and could cancel it in time; so it is cancelled
// where it waits: a wait of such a task, and of no other, has a timer that cancels the task.

internal import CReactor
internal import Synchronization

/// The deadline that the calling task has inherited.
package enum InheritedDeadline {
    private static let used = Atomic<Bool>(false)
    private static let once = Lock()
    // SAFETY: set once, under the lock and before `used` says so.
    private nonisolated(unsafe) static var find: @Sendable () -> LoopInstant? = { nil }
    // SAFETY: as `find`.
    private nonisolated(unsafe) static var hide: @Sendable (() -> Void) -> Void = { $0() }

    /// From here on waits look for deadlines, by asking `find`; the first call counts.
    ///
    /// `hide` calls what it is given, for which `find` then finds none.
    package static func use(
        _ find: @escaping @Sendable () -> LoopInstant?,
        hidingBy hide: @escaping @Sendable (() -> Void) -> Void
    ) {
        guard !used.load(ordering: .relaxed) else { return }
        once.acquire()
        defer { once.release() }
        guard !used.load(ordering: .relaxed) else { return }
        unsafe Self.find = find
        unsafe Self.hide = hide
        used.store(true, ordering: .releasing)
    }

    /// Whether any deadline has been set in this process.
    @inline(__always)
    static var isUsed: Bool { used.load(ordering: .acquiring) }

    /// Runs `body`, which starts tasks of this library's own that may outlive the calling task: they inherit no deadline of
    /// it, which would cut off what others rely on.
    static func hidden(_ body: () -> Void) {
        if isUsed { unsafe hide(body) } else { body() }
    }

    /// That of the calling task, if it is nobody's child.
    ///
    /// A child hears of a deadline by being cancelled.
    static var ofBareTask: LoopInstant? { creactor_is_bare_task() != 0 ? unsafe find() : nil }
}

extension LoopCore {
    /// Cancels the calling task when its inherited deadline passes while it waits at `park`.
    ///
    /// - Returns: Whether there is a timer, which is to be dropped after the wait.
    func watchDeadline(of park: Park) -> Bool {
        guard !Task.isCancelled, let deadline = InheritedDeadline.ofBareTask, let task = unsafe creactor_current_task()
        else { return false }
        if deadline <= now {
            unsafe creactor_cancel_task(task)
            return false
        }
        // SAFETY: the task waits, and so lives, until the timer is dropped.
        nonisolated(unsafe) let waiting = unsafe task
        let site = CallSite(file: #fileID, line: #line)
        let timer = schedule(at: deadline, { unsafe creactor_cancel_task(waiting) }, site: site)
        waitTimers[ObjectIdentifier(park)] = timer
        return true
    }

    /// Drops the timer of a wait that is over.
    func dropDeadline(of park: Park) {
        _ = waitTimers.removeValue(forKey: ObjectIdentifier(park))?.cancel()
    }
}
