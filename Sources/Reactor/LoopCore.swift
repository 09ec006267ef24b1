// The loop behind the public actor: its state, and how work gets into its queues. The turn is in LoopCore+Turn.swift,
// running in LoopCore+Run.swift, closing in LoopCore+Close.swift.
//
// Everything here is touched on the loop's own thread only, but for `inbox`. The public actor is what proves that;
// this class is plain single-threaded code. Its queues are classes behind constants, not structures: a method that
// changes a structure in a class costs a run-time exclusivity check, which takes longer than the change.

internal import CLibUV
internal import CReactor
internal import Synchronization

/// The state of one event loop.
@safe
final class LoopCore {
    enum State {
        case idle
        case running
        case closing
        case closed
    }

    /// Where in a turn the loop is.
    enum Phase {
        case outside
        case polling
        case batches
    }

    let configuration: EventLoop.Configuration
    let inbox = Inbox()
    let lateJobs = LateJobs()
    /// The thread that made the loop, which alone may run it.
    let owner = creactor_thread_id()

    // SAFETY: allocated in `init`, freed when closing ends; `state` says which.
    let raw: UnsafeMutablePointer<uv_loop_t>
    // SAFETY: the actor owns this object and is alive while the loop runs or closes, which is when this is used.
    private var facade: Unmanaged<EventLoop>!
    /// What the loop is to Swift's runtime; both belong to the actor.
    private(set) var serialExecutor: UnownedSerialExecutor!
    private(set) var taskExecutor: UnownedTaskExecutor!
    /// Whether jobs that the loop's thread enqueues for the global executor stay on the loop.
    let keepsJobs: Bool
    /// The configuration's threshold is set.
    let timesCallbacks: Bool
    /// Whether a task may lend its step to one that it waits for: steps are neither timed nor shuffled.
    let lendsSteps: Bool

    var state = State.idle
    private(set) var handles: LoopHandles!
    private(set) var openHandles = 0
    /// Handles whose close callback has not run yet.
    private(set) var closingHandles = 0

    // MARK: The queues

    let ready = ReadyRing()
    /// What the libuv callback that is running has made ready, if the turn keeps that apart.
    let inner = ReadyRing(minimumCapacity: 16)
    let callbacks = CallbackTable()
    let deadlines = DeadlineHeap()

    // MARK: The turn (see LoopCore+Turn.swift)

    /// Whether new entries go to `inner`.
    var collecting = false
    /// Whether nothing was ready when the poll began, so that libuv callbacks run what they make ready themselves.
    var pollIsQuiet = false
    /// The deadline that the libuv timer is set for.
    var armedDeadline = Int64.max
    var idleActive = false
    /// Whether other threads have posted something since the last poll.
    var inboxWasBusy = false
    /// When the libuv callback that is running began, if callbacks are timed.
    var entered = LoopInstant(nanoseconds: 0)
    /// How many libuv callbacks have entered since the loop was made.
    var inputs: UInt64 = 0
    var inputsBeforePoll: UInt64 = 0
    var phase = Phase.outside
    /// Whether a libuv callback is running what it made ready.
    var runningInner = false
    var stopRequested = false
    /// How many ready entries still run after `stop()` was called.
    var stopLimit = Int.max
    /// How many entries of the batch that runs are left.
    var leftOfBatch = 0
    /// The task whose step the ready queue has begun, as an address, or 0.
    var taskOfStep: UInt = 0
    /// The task that has lent its step, and the one that it waits for, which runs in it.
    // SAFETY: whoever waits holds it.
    @exclusivity(unchecked) var lent: (task: UInt, to: Unmanaged<TaskRecord>)?
    /// How many batches may yet run before the next poll.
    var batchesLeft = 0
    /// Whether the run ends after this turn.
    var singleTurn = false

    // MARK: Tasks

    let parked = Parked()
    /// Tasks whose cancellation all their waits hear of.
    let taskScopes = TaskScopes()
    /// Who awaits children, and how many.
    let gatherings = Gatherings()
    // SAFETY: the same object, as long as this.
    let hotGatherings: Unmanaged<Gatherings>
    /// Operations that were begun together in tasks that others had.
    let sharedChildren = SharedChildrenList()
    /// What was spawned on the loop and has not ended.
    let spawned = SpawnedTasks()
    // SAFETY: the same object, not counted: `spawned` holds it.
    let hotSpawned: Unmanaged<SpawnedTasks>
    /// Tasks that have run what was spawned, and wait for more.
    let workers: SpawnWorkers
    // SAFETY: the same object, not counted.
    let hotWorkers: Unmanaged<SpawnWorkers>
    /// Whose isolation is the loop's: its own and, if it has the main actor's executor, the main actor's.
    private(set) var isolations: (loop: ObjectIdentifier?, main: ObjectIdentifier?) = (nil, nil)
    /// The timers of waits that end at a deadline which a bare task has inherited.
    var waitTimers: [ObjectIdentifier: Scheduled] = [:]
    /// A place where nobody waits, for the next task that is awaited.
    var spareEventualPark: EventualPark?
    /// The task for which the loop was made, as an address, or 0.
    var mainTask: UInt = 0
    /// The handler that has ended in the step that runs, if steps are timed.
    var endedHandler: (task: UInt, title: String)?
    /// Whether the run is over and its tasks are being ended.
    var isEnding = false
    /// How many jobs sleep on the loop, which go on elsewhere if it closes.
    var sleepingJobs = 0
    /// How many pieces of work are under way elsewhere whose end this loop will hear of: virtual time waits for them.
    var workElsewhere = 0
    /// The worker that gets what comes for the global executor: its task, which is being made.
    var catchingWorker: SpawnWorker?
    /// Whether the next job that comes for the global executor is to run at once, and that job: see `resumeNow`.
    var isResumingNow = false
    var resumedJob: UnownedJob?
    /// Serves Dispatch's main queue, if this is the main actor's loop.
    var mainQueue: MainQueueWatch?

    /// Whether a task may begin to wait.
    var acceptsWaits: Bool { state == .running || state == .idle }

    // MARK: Testing (see LoopCore+Testing.swift)

    /// Decides the order within a batch.
    var shuffler: Shuffler?
    /// Whether libuv's timer stands for the end of the patience with tasks that wait for one another.
    var isWatchingForDeadlock = false

    // MARK: Connections

    let crossings = Crossings.make()
    private var lastConnectionNumber: UInt64 = 0
    let slab: ReadSlab
    // SAFETY: the same object, not counted.
    let hotSlab: Unmanaged<ReadSlab>
    /// What is written without waiting (see StreamTransport+Queueing.swift).
    let flushes = FlushList()
    let writeBlocks = WriteBlocks()

    // MARK: Figures

    var statistics = LoopStatistics()
    /// libuv's time, in milliseconds, when the last poll returned; 0 before the first.
    var pollReturned: UInt64 = 0

    /// Connections in memory, when the configuration asks for them.
    private(set) var memory: MemoryNetwork?
    /// Whether there are.
    private(set) var isInMemory = false

    /// What datagram sockets share.
    let datagrams = DatagramParts()
    /// What is watched that others read and write.
    let watches = DescriptorWatches()

    init(_ configuration: EventLoop.Configuration) throws(SystemError) {
        require(
            configuration.batchesPerPoll > 0,
            "EventLoop.Configuration.batchesPerPoll must be at least 1, or nothing would ever run."
        )
        self.configuration = configuration
        shuffler = configuration.testing?.seed.map { Shuffler(seed: $0) }
        slab = ReadSlab()
        unsafe hotSlab = Unmanaged.passUnretained(slab)
        unsafe hotSpawned = Unmanaged.passUnretained(spawned)
        workers = SpawnWorkers(ignoringTaskLocals: configuration.testing?.ignoresTaskLocals == true)
        unsafe hotWorkers = Unmanaged.passUnretained(workers)
        unsafe hotGatherings = Unmanaged.passUnretained(gatherings)
        timesCallbacks = configuration.slowCallbackThreshold != nil
        lendsSteps = !timesCallbacks && configuration.testing?.seed == nil
        if timesCallbacks { unsafe spawned.endedInStep = [] }
        keepsJobs = configuration.globalExecutor == .loop
        GlobalJobs.install()
        Cancellation.install()
        Process.prepare(configuration)
        // The size is asked for at run time: the library may be newer than the header.
        let memory = UnsafeMutableRawPointer.allocate(byteCount: uv_loop_size(), alignment: 16)
        unsafe raw = unsafe memory.bindMemory(to: uv_loop_t.self, capacity: 1)
        let status = unsafe uv_loop_init(raw)
        guard status >= 0 else {
            unsafe memory.deallocate()
            state = .closed
            throw SystemError(status: status, call: "uv_loop_init")
        }
        unsafe raw.pointee.data = unsafe Unmanaged.passUnretained(self).toOpaque()
        // Only a libuv that does not know the option refuses it, which is older than the oldest that is supported.
        if configuration.measuresIdleTime { unsafe clibuv_measure_idle_time(raw) }
        do {
            handles = try LoopHandles(on: self)
        } catch {
            // The handles that were made are closed by hand, as the object that would do it does not exist.
            discardLoop()
            throw error
        }
        unsafe inbox.setWakeHandle(handles.wake.as(uv_async_t.self))
        if case .memory(let capacity, let largestRead) = configuration.network {
            isInMemory = true
            self.memory = MemoryNetwork(core: self, capacity: capacity, largestRead: largestRead)
        }
    }

    /// The actor is gone, and with it whoever could call for it.
    func loopIsGone() { unsafe facade = nil }

    func attach(_ loop: EventLoop) {
        unsafe facade = Unmanaged.passUnretained(loop)
        unsafe serialExecutor = loop.unownedExecutor
        unsafe taskExecutor = loop.taskLoopExecutor.asUnownedTaskExecutor()
        let isMain = loop.executor is MainLoopExecutor
        isolations = (ObjectIdentifier(loop), isMain ? ObjectIdentifier(MainActor.shared) : nil)
    }

    /// Calls `body` with the public loop, whose references are not counted for it: it outlives every callback.
    @inline(__always)
    func withLoop<R>(_ body: (EventLoop) throws -> R) rethrows -> R {
        // SAFETY: `attach` set it before anything could call this.
        try unsafe facade.unsafelyUnwrapped._withUnsafeGuaranteedRef { try body($0) }
    }

    @inline(__always)
    static func of(_ loop: UnsafeMutablePointer<uv_loop_t>) -> LoopCore {
        // SAFETY: `data` is set before the first callback and the core outlives the loop.
        unsafe Unmanaged<LoopCore>.fromOpaque(loop.pointee.data!).takeUnretainedValue()
    }

    /// What the thread-local current loop is while this one runs.
    var identity: UnsafeRawPointer { unsafe UnsafeRawPointer(Unmanaged.passUnretained(self).toOpaque()) }

    /// Whether the caller runs on the loop: inside its run, or on its thread while it does not run.
    var isCurrent: Bool {
        let current = unsafe creactor_current_loop()
        if unsafe current == identity { return true }
        if unsafe current == Reaper.identity(of: self) { return true }
        return unsafe creactor_thread_id() == owner && current == nil && state != .closed
    }

    func nextConnectionNumber() -> UInt64 {
        lastConnectionNumber += 1
        return lastConnectionNumber
    }

    var isRunningHere: Bool { unsafe creactor_current_loop() == identity && state == .running }

    func handleOpened() { openHandles += 1 }
    func handleIsClosing() { closingHandles += 1 }
    func handleClosed() {
        openHandles -= 1
        closingHandles -= 1
    }

    // MARK: Getting work in

    /// Appends to the queue of the turn.
    ///
    /// The loop's thread only.
    @inline(__always)
    func enqueue(_ entry: ReadyEntry) {
        // What other threads posted before this came first and goes first.
        if inbox.hasEntries.load(ordering: .acquiring) { drainInbox() }
        if collecting { inner.push(entry) } else { ready.push(entry) }
    }

    func drainInbox() {
        inboxWasBusy = true
        inbox.drain { ready.push($0) }
    }

    @inline(__always)
    func scheduleSoon(_ body: @escaping CallbackTable.Body, site: CallSite) -> Scheduled {
        let id = callbacks.insert(body, site: site, inHeap: false)
        guard state == .idle || state == .running else { return refuse(id, nil) }
        enqueue(ReadyEntry(callback: id))
        return Scheduled(core: self, id: id, deadline: nil)
    }

    @inline(__always)
    func schedule(at deadline: LoopInstant, _ body: @escaping CallbackTable.Body, site: CallSite) -> Scheduled {
        let id = callbacks.insert(body, site: site, inHeap: true)
        guard state == .idle || state == .running else { return refuse(id, deadline) }
        deadlines.insert(deadline: deadline.nanoseconds, id: id)
        return Scheduled(core: self, id: id, deadline: deadline)
    }

    /// A callback that is scheduled while the loop closes never runs; after that, scheduling is a mistake.
    @inline(never)
    private func refuse(_ id: CallbackID, _ deadline: LoopInstant?) -> Scheduled {
        // A task that cleans up after its loop may still ask for a timer; it gets one that never comes.
        let isCleanUp = unsafe creactor_current_loop() == Reaper.identity(of: self)
        require(
            state == .closing || isCleanUp,
            "This EventLoop is closed: nothing can be scheduled on it any more. Make a new one."
        )
        _ = callbacks.take(id)
        return Scheduled(core: self, id: id, deadline: deadline)
    }

    func cancel(_ id: CallbackID) -> Bool {
        guard let taken = callbacks.take(id) else { return false }
        if taken.inHeap { deadlines.didCancel(in: callbacks) }
        // `taken` goes, and with it whatever the closure owned, when nothing is being changed any more.
        return true
    }

    /// Any thread.
    ///
    /// Nil if the loop is closed.
    func submit(_ body: consuming @escaping (EventLoop) throws -> Void) -> Submission? {
        guard let submission = inbox.post(body) else { return nil }
        // On the loop itself it goes straight on, so that it keeps its place among what is scheduled here.
        if isRunningHere { inbox.drain { if collecting { inner.push($0) } else { ready.push($0) } } }
        return submission
    }

    /// Any thread.
    ///
    /// False if the loop is closed.
    func submit(_ entry: ReadyEntry) -> Bool {
        guard isRunningHere else { return inbox.post(entry) }
        enqueue(entry)
        return true
    }

    // MARK: Time

    /// The present instant, read from the clock each time.
    @inline(__always)
    var now: LoopInstant {
        if let clock = configuration.clock { return clock.now }
        return LoopInstant(nanoseconds: Int64(bitPattern: uv_hrtime()))
    }

    func report(_ kind: LoopIssue.Kind, _ subject: String) {
        configuration.onIssue(LoopIssue(kind: kind, subject: subject))
    }
}
