// The cancellation of a handler, listened to once and heard of by every wait of that task on its connection. Listening
// costs about as much as a wait; so it begins and ends with the handler, and not with every read.

internal import CReactor

/// That a handler's task is listened to, from its beginning to its end.
@safe
package struct HandlerRegistration {
    // SAFETY: the runtime's, until it is given back.
    fileprivate let registration: UnsafeMutableRawPointer?
}

extension StreamChannel {
    /// Whether the calling task is the handler that the connection belongs to.
    @inline(__always)
    package var isOfThisTask: Bool { unsafe task != nil && task == creactor_current_task() }

    /// The handler, as an address to compare.
    var handlerTask: UInt? { unsafe task.map { UInt(bitPattern: $0) } }

    /// The calling task is the connection's handler: its waits hear of its cancellation, until ``handlerEnds(_:on:)``.
    ///
    /// The same function calls both, and holds the channel in between.
    package func handlerBegins(on loop: isolated EventLoop) -> HandlerRegistration {
        unsafe task = creactor_current_task()
        return unsafe HandlerRegistration(registration: Cancellation.listen(self))
    }

    /// Ends what ``handlerBegins(on:)`` began.
    ///
    /// Returns whether the handler was cancelled.
    package func handlerEnds(_ handler: HandlerRegistration, on loop: isolated EventLoop) -> Bool {
        unsafe Cancellation.stop(handler.registration)
        noteEnd()
        unsafe task = nil
        return wasTaskCancelled
    }

    /// Cancels the handler, if there is one.
    func cancelHandler() {
        // SAFETY: it lives, as it has not said that it ends.
        if let task = unsafe task { unsafe creactor_cancel_task(task) }
    }

    /// Notes whose step this was, should it prove to be slow.
    private func noteEnd() {
        let core = arrival.core
        if core.timesCallbacks, let handlerTask { core.endedHandler = (handlerTask, title) }
    }

    /// The connection's number; 0 before there is one.
    package var number: UInt64 { transport?.number ?? 0 }

    /// What it is for whom, in a few words.
    var title: String { transport.map { "handler of connection #\($0.number)" } ?? "handler" }

    /// Any thread.
    nonisolated func cancelFromAnywhere() {
        if unsafe creactor_current_loop() == arrival.core.identity {
            handlerWasCancelled()
        } else {
            // SAFETY: used on the loop's thread only.
            nonisolated(unsafe) let this = self
            _ = arrival.core.submit { _ in unsafe this.handlerWasCancelled() }
        }
    }

    private func handlerWasCancelled() {
        wasTaskCancelled = true
        unsafe waiting?._withUnsafeGuaranteedRef { $0.cancel() }
    }
}
