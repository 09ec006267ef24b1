// Threads for work that blocks or computes for long, and so must not keep the loop. Never libuv's own four, which
// resolve names and which one slow program could take from everybody.
//
// Threads start as work comes and none is idle, up to the limit, and end when they have had nothing to do for a while.
// What is queued beyond that waits, in order, up to another limit; what comes then waits for room, or is refused.

internal import CReactor

/// A bounded pool of threads for `AsyncIO.offload`.
///
/// The pool of the process, ``shared``, is used unless another is named. Give work a pool of its own that must not get in
/// the way of the rest, such as a slow disk's, or of which only so many pieces may run at once:
///
///     let hashing = OffloadPool(name: "hashing", threads: 2, queueLimit: 100)
///     let sum = try await AsyncIO.offload(on: hashing) { digest(of: file) }
///
/// Any thread may use it. A pool that is dropped finishes what it has; its threads end by themselves.
///
/// The corresponding asyncio name is `concurrent.futures.ThreadPoolExecutor`.
@safe
public final class OffloadPool: Sendable {
    /// What becomes of work that finds the queue full.
    public enum Overflow: Sendable, Hashable {
        /// Its task waits for room: first come, first served.
        case wait
        /// Its task gets ``OffloadError/queueFull``, for programs that would rather say no than be late.
        case refuse
    }

    /// The pool of the process: as many threads as processors and four more, 32 at most.
    ///
    /// 1,024 pieces of work are queued at most; what comes then waits.
    public static let shared = OffloadPool()

    /// The start of the names of its threads.
    public let name: String
    /// How many threads there are at most.
    public let threadLimit: Int
    /// How many pieces of work wait for a thread at most.
    public let queueLimit: Int
    /// What becomes of work that finds the queue full.
    public let overflow: Overflow

    private let idleNanoseconds: UInt64
    // SAFETY: made in `init`, destroyed in `deinit`, and pthread's own in between.
    private nonisolated(unsafe) let mutex: OpaquePointer
    // SAFETY: under the mutex, both.
    private nonisolated(unsafe) var queue: OffloadQueue
    private nonisolated(unsafe) var onDrained: [@Sendable () -> Void] = []

    /// Makes a pool, and no thread yet.
    ///
    /// - Parameters:
    ///   - name: The start of the names of its threads, which go on with a number. Linux shows 15 bytes.
    ///   - threads: How many threads there are at most; nil is as many as processors and four more, 32 at most.
    ///   - queueLimit: How many pieces of work wait for a thread at most; with 0 work finds a free thread or no room.
    ///   - overflow: What becomes of work that finds no room.
    ///   - idleTime: After how long with nothing to do a thread ends.
    public init(
        name: String = "asyncio-offload",
        threads: Int? = nil,
        queueLimit: Int = 1_024,
        overflow: Overflow = .wait,
        idleTime: Duration = .seconds(10)
    ) {
        require(threads ?? 1 > 0, "An OffloadPool needs at least one thread.")
        require(queueLimit >= 0, "The queue of an OffloadPool cannot have room for fewer than no pieces of work.")
        self.name = name
        threadLimit = threads ?? min(32, Int(creactor_processor_count()) + 4)
        self.queueLimit = queueLimit
        self.overflow = overflow
        idleNanoseconds = UInt64(max(0, min(idleTime.saturatedNanoseconds, 3_600_000_000_000)))
        unsafe queue = OffloadQueue(threadLimit: threadLimit, queueLimit: queueLimit)
        unsafe mutex = creactor_mutex_create()
    }

    deinit { unsafe creactor_mutex_destroy(mutex) }

    /// What the pool has to do at this moment, and has done.
    ///
    /// Any thread. Also in ``EventLoop/dump()``, of the shared pool, while the loop waits for offloaded work.
    public var statistics: OffloadStatistics { locked { unsafe queue.statistics } }

    /// Whether it was shut down: it takes no more work.
    public var isShutDown: Bool { locked { unsafe queue.isShutDown } }

    // MARK: Work

    /// Takes work, which is called exactly once if it is not taken back: by a thread of the pool with nil, or with an error
    /// by whoever drops it.
    ///
    /// - Throws: ``OffloadError``; ``SystemError`` if there is no thread and none can be started.
    package func submit(_ body: @escaping @Sendable ((any Error)?) -> Void) throws -> OffloadWork {
        let work = OffloadWork(body)
        unsafe creactor_mutex_lock(mutex)
        defer { unsafe creactor_mutex_unlock(mutex) }
        if unsafe queue.isShutDown { throw OffloadError.shutDown }
        if unsafe queue.hasRoom {
            unsafe queue.enqueue(work)
            do { try findThread() } catch {
                _ = unsafe queue.takeBack(work)
                throw error
            }
        } else {
            if overflow == .refuse { throw OffloadError.queueFull }
            unsafe queue.wait(work)
        }
        return work
    }

    /// Takes work back that has not begun; it is then not called.
    ///
    /// - Returns: Whether it had not begun, nor been dropped or taken back before.
    package func takeBack(_ work: OffloadWork) -> Bool {
        // `work` outlives the lock, as its closure may own objects whose end runs users' code.
        settle {
            guard unsafe queue.takeBack(work) else { return false }
            admit()
            return true
        }
    }

    /// Has somebody called when the pool is shut down and nothing of its work is left.
    ///
    /// False, and it is not called, if that is so already.
    package func whenDrained(_ body: @escaping @Sendable () -> Void) -> Bool {
        locked {
            guard unsafe !queue.isDrained else { return false }
            unsafe onDrained.append(body)
            return true
        }
    }

    /// Takes no more work; what is queued is still run, or else dropped with ``OffloadError/shutDown``, as always what
    /// waits for room.
    package func close(discardingQueued: Bool) {
        let dropped = settle {
            unsafe queue.isShutDown = true
            // Idle threads end. Each signal wakes one more, as they do not run before the mutex is free.
            for _ in 0..<(unsafe queue.idle) { unsafe creactor_mutex_signal(mutex) }
            return unsafe queue.dropAll(andQueued: discardingQueued)
        }
        for work in dropped { work.body(OffloadError.shutDown) }
    }

    private func locked<Result>(_ body: () -> Result) -> Result {
        unsafe creactor_mutex_lock(mutex)
        defer { unsafe creactor_mutex_unlock(mutex) }
        return body()
    }

    /// Changes the queue, and tells those who wait for the end if this was it.
    private func settle<Result>(_ body: () -> Result) -> Result {
        let (result, ended) = locked { (body(), takeDrained()) }
        for callback in ended { callback() }
        return result
    }

    /// Under the mutex: who is to be told that there is nothing left.
    private func takeDrained() -> [@Sendable () -> Void] {
        guard unsafe queue.isDrained else { return [] }
        defer { unsafe onDrained = [] }
        return unsafe onDrained
    }

    /// Under the mutex: queues what waits for room, as far as there is some.
    private func admit() {
        // There is a thread: work waits for room only while as many are busy as there may be.
        while unsafe queue.admitNext() { try? findThread() }
    }

    // MARK: Threads

    /// Under the mutex: finds a thread for what was queued last.
    private func findThread() throws {
        // An idle thread that was woken counts as idle until it has taken its work.
        if unsafe queue.queued.count <= queue.idle {
            unsafe creactor_mutex_signal(mutex)
        } else if unsafe queue.threads < threadLimit {
            let error = startThread()
            if unsafe error != 0 && queue.threads == 0 { throw SystemError(status: -error, call: "pthread_create") }
        }
    }

    private func startThread() -> CInt {
        // The number must not be what is cut off.
        let number = unsafe "-\(queue.threads + 1)"
        let title = String(decoding: name.utf8.prefix(15 - number.utf8.count), as: UTF8.self) + number
        // SAFETY: the thread takes over the reference.
        let context = unsafe Unmanaged.passRetained(self).toOpaque()
        let error = unsafe creactor_thread_start(title, { unsafe OffloadPool.main($0!) }, context)
        if error == 0 {
            unsafe queue.threads += 1
        } else {
            unsafe Unmanaged<OffloadPool>.fromOpaque(context).release()
        }
        return error
    }

    private static func main(_ context: UnsafeMutableRawPointer) {
        // SAFETY: takes over the reference of `startThread`, once.
        unsafe Unmanaged<OffloadPool>.fromOpaque(context).takeRetainedValue().work()
    }

    private func work() {
        while let work = waitForWork() {
            work.body(nil)
            settle {
                unsafe queue.didRun()
                admit()
            }
        }
    }

    /// The next work; nil if there was none for so long that the thread ends, or will never be any.
    private func waitForWork() -> OffloadWork? {
        locked {
            while true {
                if let work = unsafe queue.next() { return work }
                var timedOut = unsafe queue.isShutDown
                if !timedOut {
                    unsafe queue.idle += 1
                    timedOut = unsafe creactor_mutex_wait_for(mutex, idleNanoseconds) != 0
                    unsafe queue.idle -= 1
                }
                if unsafe timedOut && queue.queued.isEmpty {
                    unsafe queue.threads -= 1
                    return nil
                }
            }
        }
    }
}
