// Threads for work that blocks or computes for long, and so must not keep the loop. Never libuv's own four, which
// resolve names and which one slow program could take from everybody.
//
// Threads start as work comes and none is idle, up to the limit, and end when they have had nothing to do for a while.
// What is queued beyond that waits, in order.

internal import CReactor

/// A bounded pool of threads.
@safe
package final class OffloadPool: Sendable {
    /// The pool of the process: as many threads as processors and four more, 32 at most.
    package static let shared = OffloadPool(limit: min(32, Int(creactor_processor_count()) + 4))

    /// How many threads there are at most.
    package let limit: Int

    // SAFETY: made in `init` and never destroyed, as the one pool lives as long as the process.
    private nonisolated(unsafe) let mutex: OpaquePointer
    // SAFETY: under the mutex, all five.
    private nonisolated(unsafe) var queue: [(id: UInt64, work: @Sendable () -> Void)] = []
    private nonisolated(unsafe) var head = 0
    private nonisolated(unsafe) var lastID: UInt64 = 0
    // SAFETY: as above.
    private nonisolated(unsafe) var threads = 0
    private nonisolated(unsafe) var idle = 0

    private static let idleNanoseconds: UInt64 = 10_000_000_000

    private init(limit: Int) {
        self.limit = limit
        unsafe mutex = creactor_mutex_create()
    }

    /// Queues work, which runs once.
    ///
    /// - Returns: A number by which it can be taken back as long as it has not begun.
    /// - Throws: ``SystemError`` if there is no thread and none can be started.
    package func submit(_ work: @escaping @Sendable () -> Void) throws -> UInt64 {
        unsafe creactor_mutex_lock(mutex)
        defer { unsafe creactor_mutex_unlock(mutex) }
        unsafe lastID += 1
        let id = unsafe lastID
        unsafe queue.append((id, work))
        // An idle thread that was woken counts as idle until it has taken its work.
        if unsafe queue.count - head <= idle {
            unsafe creactor_mutex_signal(mutex)
        } else if unsafe threads < limit {
            let error = unsafe creactor_thread_start("asyncio-offload", { _ in OffloadPool.shared.work() }, nil)
            if error == 0 {
                unsafe threads += 1
            } else if unsafe threads == 0 {
                unsafe queue.removeLast()
                throw SystemError(status: -error, call: "pthread_create")
            }
        }
        return id
    }

    /// Takes work back that has not begun.
    ///
    /// - Returns: Whether it was there.
    package func takeBack(_ id: UInt64) -> Bool {
        unsafe creactor_mutex_lock(mutex)
        defer { unsafe creactor_mutex_unlock(mutex) }
        guard let index = unsafe queue[head...].firstIndex(where: { $0.id == id }) else { return false }
        unsafe queue.remove(at: index)
        return true
    }

    private func work() {
        unsafe creactor_mutex_lock(mutex)
        while true {
            if let work = next() {
                unsafe creactor_mutex_unlock(mutex)
                work()
                unsafe creactor_mutex_lock(mutex)
                continue
            }
            unsafe idle += 1
            let status = unsafe creactor_mutex_wait_for(mutex, Self.idleNanoseconds)
            unsafe idle -= 1
            if unsafe status != 0 && head == queue.count { break }
        }
        unsafe threads -= 1
        unsafe creactor_mutex_unlock(mutex)
    }

    /// Under the mutex.
    private func next() -> (@Sendable () -> Void)? {
        guard unsafe head < queue.count else {
            unsafe queue.removeAll(keepingCapacity: true)
            unsafe head = 0
            return nil
        }
        let work = unsafe queue[head].work
        unsafe queue[head].work = {}
        unsafe head += 1
        return work
    }
}
