// The cancellation of one task, registered for once and heard of by every wait of that task in the scope. Registering
// costs about as much as a wait; so a connection's handler registers when it begins, and not for every read.

internal import CReactor

/// The cancellation of the task that a piece of work belongs to.
@safe
package final class CancelScope {
    private let core: LoopCore
    // SAFETY: compared, never followed. The task lives as long as the scope is entered, so no other has its address.
    private var task: UnsafeRawPointer?
    /// Where the task waits, if it waits here.
    unowned(unsafe) var waiting: Park?

    /// Whether the task was cancelled.
    private(set) var isCancelled = false

    /// The same, for other modules.
    package var wasCancelled: Bool { isCancelled }

    package init(on loop: isolated EventLoop) { unsafe core = loop.core }

    /// Whether the calling task is the one whose cancellation this hears of.
    var isOfThisTask: Bool { unsafe task != nil && task == creactor_current_task() }

    /// Runs `body`, whose waits hear of the cancellation of the calling task through this scope.
    ///
    package func run<Value>(on loop: isolated EventLoop, _ body: () async throws -> Value) async rethrows -> Value {
        unsafe task = creactor_current_task()
        defer { unsafe task = nil }
        // SAFETY: the handler only hands the reference to the loop's thread, or uses it there.
        nonisolated(unsafe) let this = self
        return try await withTaskCancellationHandler {
            _ = loop
            return try await body()
        } onCancel: {
            unsafe this.cancelFromAnywhere()
        }
    }

    private nonisolated func cancelFromAnywhere() {
        if unsafe creactor_current_loop() == core.identity {
            cancel()
        } else {
            // SAFETY: used on the loop's thread only.
            nonisolated(unsafe) let this = self
            _ = core.submit { _ in unsafe this.cancel() }
        }
    }

    private func cancel() {
        isCancelled = true
        unsafe waiting?.cancel()
    }
}
