// Deadlines that bare tasks have inherited, where they wait on no loop: there no loop has a timer for them, so the wait has
// one of the system's, which cancels the task as the loop's would.
//
// Ground rules:
//   * Whoever begins to watch stops in the same function, in the task that is watched.
//   * The task is cancelled under the lock that stopping takes: so it lives while it is cancelled.

internal import CReactor
internal import Dispatch

/// The deadline of a task that waits on no loop.
@safe
package final class ForeignDeadline: Sendable {
    private let lock = Lock()
    // SAFETY: under the lock, both. The task waits, and so lives, until it takes itself away.
    private nonisolated(unsafe) var task: UnsafeRawPointer?
    private nonisolated(unsafe) var timer: (any DispatchSourceTimer)?

    private init(_ task: UnsafeRawPointer) { unsafe self.task = task }

    /// Watches the deadline of the calling task, if it has inherited one and is nobody's child.
    ///
    /// One that has passed cancels the task now. It is an instant of the system's clock, as a task on no loop has no other.
    package static func watch() -> ForeignDeadline? {
        guard InheritedDeadline.isUsed, !Task.isCancelled, let deadline = InheritedDeadline.ofBareTask,
            let task = unsafe creactor_current_task()
        else { return nil }
        let left = LoopInstant.system.duration(to: deadline)
        guard left > .zero else {
            unsafe creactor_cancel_task(task)
            return nil
        }
        let watch = unsafe ForeignDeadline(task)
        watch.begin(after: left)
        return watch
    }

    private func begin(after delay: Duration) {
        let timer = DispatchSource.makeTimerSource(queue: .global())
        let nanoseconds = Int(max(0, min(delay.saturatedNanoseconds, .max / 2)))
        timer.schedule(deadline: .now() + .nanoseconds(nanoseconds))
        timer.setEventHandler { [weak self] in self?.passes() }
        lock.locked { unsafe self.timer = timer }
        timer.resume()
    }

    private func passes() {
        lock.locked { if let task = unsafe task { unsafe creactor_cancel_task(task) } }
    }

    /// The wait is over.
    package func stop() {
        let timer = lock.locked {
            unsafe task = nil
            return unsafe self.timer.take()
        }
        timer?.cancel()
    }
}
