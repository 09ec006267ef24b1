// How other threads reach a loop: a list under a mutex, swapped out whole by the loop, and one wake-up for each time
// that the list stops being empty while the loop sleeps.
//
// Ground rules:
//   * `entries`, `closed` and the wake handle are touched only under the mutex.
//   * The loop announces that it is about to sleep (`sleeping`), then looks at `hasEntries`; a poster sets
//     `hasEntries`, then looks at `sleeping`. Both sides are sequentially consistent, so at least one sees the other.
//   * `uv_async_send` runs outside the mutex, as the loop that it wakes wants the mutex at once; `senders` counts
//     the calls under way, and closing waits until there are none, so that the handle is never used after its close.

internal import CLibUV
internal import CReactor
internal import Synchronization

/// Entries from any thread on their way to a loop.
@safe
final class Inbox: Sendable {
    @safe
    private struct List {
        var storage: UnsafeMutablePointer<UInt64>
        var capacity: Int
        var count = 0

        init() {
            capacity = 64
            unsafe storage = .allocate(capacity: capacity)
        }

        mutating func append(_ bits: UInt64) {
            if count == capacity {
                let larger = UnsafeMutablePointer<UInt64>.allocate(capacity: capacity * 2)
                unsafe larger.moveInitialize(from: storage, count: count)
                unsafe storage.deallocate()
                unsafe storage = larger
                capacity *= 2
            }
            unsafe storage[count] = bits
            count += 1
        }
    }

    /// Whether anything may be waiting. Only a hint to everyone but the loop that is about to sleep.
    let hasEntries = Atomic<Bool>(false)
    /// Whether the loop is in, or about to enter, a poll that waits.
    let sleeping = Atomic<Bool>(false)
    private let senders = Atomic<Int>(0)

    // SAFETY: made in `init`, destroyed in `deinit`, and pthread's own in between.
    private nonisolated(unsafe) let mutex: OpaquePointer
    // SAFETY: under the mutex.
    private nonisolated(unsafe) var list = List()
    private nonisolated(unsafe) var closed = false
    private nonisolated(unsafe) var wakeHandle: UnsafeMutablePointer<uv_async_t>?
    // SAFETY: the loop's thread only.
    private nonisolated(unsafe) var drained = List()

    init() {
        unsafe mutex = creactor_mutex_create()
    }

    deinit {
        unsafe list.storage.deallocate()
        unsafe drained.storage.deallocate()
        unsafe creactor_mutex_destroy(mutex)
    }

    func locked<R>(_ body: () -> R) -> R {
        unsafe creactor_mutex_lock(mutex)
        defer { unsafe creactor_mutex_unlock(mutex) }
        return body()
    }

    func setWakeHandle(_ handle: UnsafeMutablePointer<uv_async_t>) {
        unsafe creactor_mutex_lock(mutex)
        unsafe wakeHandle = handle
        unsafe creactor_mutex_unlock(mutex)
    }

    /// Hands an entry to the loop. Any thread. False if the loop is closed: the entry is then still the caller's.
    func post(_ entry: ReadyEntry) -> Bool {
        unsafe creactor_mutex_lock(mutex)
        if unsafe closed {
            unsafe creactor_mutex_unlock(mutex)
            return false
        }
        let first = unsafe list.count == 0
        unsafe list.append(entry.bits)
        if first {
            hasEntries.store(true, ordering: .sequentiallyConsistent)
            if sleeping.load(ordering: .sequentiallyConsistent), let handle = unsafe wakeHandle {
                senders.wrappingAdd(1, ordering: .relaxed)
                unsafe creactor_mutex_unlock(mutex)
                // SAFETY: the handle is open while `senders` is not zero.
                unsafe uv_async_send(handle)
                senders.wrappingSubtract(1, ordering: .releasing)
                return true
            }
        }
        unsafe creactor_mutex_unlock(mutex)
        return true
    }

    /// Moves everything that was posted, in order. The loop's thread only.
    func drain(_ receive: (ReadyEntry) -> Void) {
        unsafe creactor_mutex_lock(mutex)
        unsafe swap(&list, &drained)
        hasEntries.store(false, ordering: .relaxed)
        unsafe creactor_mutex_unlock(mutex)
        for index in 0..<(unsafe drained.count) { unsafe receive(ReadyEntry(bits: drained.storage[index])) }
        unsafe drained.count = 0
    }

    /// Refuses everything from now on, and waits until no thread uses the wake handle any more.
    func close() {
        unsafe creactor_mutex_lock(mutex)
        unsafe closed = true
        unsafe wakeHandle = nil
        unsafe creactor_mutex_unlock(mutex)
        // A sender is inside one non-blocking system call: this ends within microseconds.
        while senders.load(ordering: .acquiring) > 0 { creactor_yield() }
    }
}
