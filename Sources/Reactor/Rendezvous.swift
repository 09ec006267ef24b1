// A thread that waits for others, blocked: for code that is no task.

internal import CReactor

/// Where a thread waits for what another completes.
@safe
package final class Rendezvous<Value: Sendable>: Sendable {
    // SAFETY: made in `init`, destroyed in `deinit`, and pthread's own in between.
    private nonisolated(unsafe) let mutex: OpaquePointer
    // SAFETY: under the mutex.
    private nonisolated(unsafe) var result: Result<Value, any Error>?

    package init() { unsafe mutex = creactor_mutex_create() }

    deinit { unsafe creactor_mutex_destroy(mutex) }

    /// Completes it, once.
    package func complete(_ result: Result<Value, any Error>) {
        unsafe creactor_mutex_lock(mutex)
        unsafe self.result = result
        unsafe creactor_mutex_signal(mutex)
        unsafe creactor_mutex_unlock(mutex)
    }

    /// The result, or nil if it did not come in time.
    package func wait(_ timeout: Duration?) -> Result<Value, any Error>? {
        let start = ContinuousClock.now
        unsafe creactor_mutex_lock(mutex)
        defer { unsafe creactor_mutex_unlock(mutex) }
        while unsafe result == nil {
            guard let timeout else {
                unsafe creactor_mutex_wait(mutex)
                continue
            }
            let left = (timeout - start.duration(to: .now)).saturatedNanoseconds
            guard left > 0 else { return nil }
            _ = unsafe creactor_mutex_wait_for(mutex, UInt64(min(left, 3_600_000_000_000)))
        }
        return unsafe result
    }
}
