// A mutex of the C target's. Not `Synchronization.Mutex`, about which the thread sanitizer reports races on Linux that
// are none.

internal import CReactor

/// Mutual exclusion between threads, for what is done rarely and quickly.
@safe
@usableFromInline
final class Lock: Sendable {
    // SAFETY: made in `init`, destroyed in `deinit`, and pthread's own in between.
    private nonisolated(unsafe) let mutex: OpaquePointer

    @usableFromInline
    init() {
        unsafe mutex = creactor_mutex_create()
    }

    deinit {
        unsafe creactor_mutex_destroy(mutex)
    }

    func locked<R>(_ body: () -> R) -> R {
        acquire()
        defer { release() }
        return body()
    }

    @usableFromInline
    func acquire() { unsafe creactor_mutex_lock(mutex) }

    @usableFromInline
    func release() { unsafe creactor_mutex_unlock(mutex) }
}
