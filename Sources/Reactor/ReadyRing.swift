// The queue of what is ready to run: a power-of-two ring of one-word entries, grown by doubling, first in first out.
//
// An entry is one of four things, told apart by its two low bits, so that a callback, a cross-thread submission and
// a job of Swift's runtime share one order without an allocation of their own:
//   00  a job of Swift's runtime (its pointer, and in the next two bits how it came and so how it must run)
//   01  a callback: the low half of the generation in the high half, index in the callback table above the tag
//   10  a submission (the address of its entry in a chunk of the inbox)
//   11  a continuation that waits for its turn (its pointer), or with none an event of the memory network, which keeps
//       them in order

/// One entry of the ready ring or the inbox.
struct ReadyEntry {
    let bits: UInt64

    enum Kind: UInt64 {
        case job = 0
        case callback = 1
        case submission = 2
        case memoryEvent = 3
        case turn = 7
    }

    var kind: Kind {
        switch bits & 3 {
        case 0: .job
        case 1: .callback
        case 2: .submission
        default: bits == Kind.memoryEvent.rawValue ? .memoryEvent : .turn
        }
    }

    init(bits: UInt64) { self.bits = bits }

    /// The next event of the memory network.
    static var memoryEvent: ReadyEntry { ReadyEntry(bits: Kind.memoryEvent.rawValue) }

    init(callback id: CallbackID) {
        bits = UInt64(UInt32(truncatingIfNeeded: id.generation)) << 32 | UInt64(id.index) << 2 | Kind.callback.rawValue
    }

    /// How a job came to the loop.
    enum JobKind: UInt64 {
        /// For the loop's serial executor.
        case serial = 0
        /// For the global executor, by the loop's own thread, which keeps it.
        case kept = 4
        /// For the loop's task executor.
        case task = 8
    }

    init(job: UnownedJob, _ kind: JobKind) {
        // SAFETY: an unowned job is one pointer to a runtime object, aligned to 16, so that its low bits are free.
        bits = UInt64(unsafe unsafeBitCast(job, to: UInt.self)) | kind.rawValue
    }

    init(turn continuation: UnsafeContinuation<Bool, Never>) {
        // SAFETY: a continuation is one pointer to a task, aligned to 16.
        bits = UInt64(unsafe unsafeBitCast(continuation, to: UInt.self)) | 3
    }

    /// The task that a job or a continuation belongs to, as an address; something else's if the job is no task's.
    var task: UInt { UInt(bits & ~15) }

    /// The continuation that waits for its turn.
    var continuation: UnsafeContinuation<Bool, Never> {
        // SAFETY: the reverse of `init(turn:)`, checked by the tag.
        unsafe unsafeBitCast(UInt(bits & ~3), to: UnsafeContinuation<Bool, Never>.self)
    }

    init(submission entry: UnsafeRawPointer) {
        // An inbox entry is aligned to 8, which leaves the tag free.
        bits = UInt64(UInt(bitPattern: entry)) | Kind.submission.rawValue
    }

    /// Which callback it is: its place in the callback table, and the low half of the generation.
    var callback: (index: UInt32, low: UInt32) {
        (UInt32(truncatingIfNeeded: (bits & 0xffff_ffff) >> 2), UInt32(truncatingIfNeeded: bits >> 32))
    }

    var job: UnownedJob {
        // SAFETY: the reverse of `init(job:)`, checked by the tag.
        unsafe unsafeBitCast(UInt(bits & ~15), to: UnownedJob.self)
    }

    var isJob: Bool { bits & 3 == 0 }
    var isTaskExecutorJob: Bool { bits & JobKind.task.rawValue != 0 }
    var jobKind: JobKind { JobKind(rawValue: bits & 12) ?? .serial }

    /// Where in an inbox chunk the submission is.
    var submission: UnsafeRawPointer { unsafe UnsafeRawPointer(bitPattern: UInt(bits & ~3))! }
}

/// A first-in, first-out ring of ready entries.
@safe
final class ReadyRing {
    // SAFETY: `storage` holds `mask + 1` words, always a power of two; indices are masked before every access, and
    // only words between `head` and `head + count` are ever read.
    private var storage: UnsafeMutablePointer<UInt64>
    private var mask: Int
    private var head = 0
    private(set) var count = 0

    init(minimumCapacity: Int = 64) {
        var capacity = 16
        while capacity < minimumCapacity { capacity <<= 1 }
        unsafe storage = .allocate(capacity: capacity)
        mask = capacity - 1
    }

    deinit {
        unsafe storage.deallocate()
    }

    @inline(__always)
    func push(_ entry: ReadyEntry) {
        if count > mask { grow() }
        unsafe storage[(head + count) & mask] = entry.bits
        count += 1
    }

    /// The oldest entry.
    ///
    /// The ring must not be empty.
    @inline(__always)
    func pop() -> ReadyEntry {
        require(count > 0, "The ready queue is empty, which is a fault in swift-asyncio.")
        let bits = unsafe storage[head & mask]
        head = (head + 1) & mask
        count -= 1
        return ReadyEntry(bits: bits)
    }

    /// The oldest entry, which stays; the ring must not be empty.
    @inline(__always)
    var first: ReadyEntry { ReadyEntry(bits: unsafe storage[head & mask]) }

    /// Whether a step of a task is in it.
    func contains(task: UInt) -> Bool {
        (0..<count).contains { offset in
            let entry = ReadyEntry(bits: unsafe storage[(head + offset) & mask])
            return (entry.isJob || entry.kind == .turn) && entry.task == task
        }
    }

    @inline(never)
    private func grow() {
        let capacity = (mask + 1) * 2
        let larger = UnsafeMutablePointer<UInt64>.allocate(capacity: capacity)
        for offset in 0..<count { unsafe larger[offset] = storage[(head + offset) & mask] }
        unsafe storage.deallocate()
        unsafe storage = larger
        mask = capacity - 1
        head = 0
    }
}
