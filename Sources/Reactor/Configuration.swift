// What can be set about a loop, all of it before the loop exists and none of it afterwards.

extension EventLoop {
    /// The settings of an ``EventLoop``.
    public struct Configuration: Sendable {
        /// The clock; nil is the system's monotonic clock.
        public var clock: (any LoopClock)?

        /// How connections and listeners reach the network.
        public var network = Network.system

        /// What happens to the jobs that the loop's thread enqueues for Swift's global executor.
        public var globalExecutor = GlobalExecutor.loop

        /// How many batches of ready callbacks run before the loop polls for input again, at most.
        ///
        /// A batch is what was ready when it began. One is asyncio's rule to the letter, at the price of a poll (about
        /// a microsecond) for each batch; more lets short chains of callbacks finish without one. Must be positive.
        public var batchesPerPoll = 61

        /// Tell more to somebody who looks for a mistake; the default is what `ASYNCIO_DEBUG` in the environment says.
        ///
        /// Setting it sets ``slowCallbackThreshold`` to 100 ms, if that is nil. Then ``onIssue`` receives which step of which
        /// task took that long; which tasks a run waits for that has been ending for five seconds; and which tasks had
        /// not ended, and which callbacks not run, when the loop was closed, with where they were made. A wait that
        /// nobody ever ends is found that way. What belongs to a loop and is used on another traps in any case.
        ///
        /// The corresponding asyncio names are `loop.set_debug` and `PYTHONASYNCIODEBUG`.
        public var isDebug = false {
            didSet { if isDebug && slowCallbackThreshold == nil { slowCallbackThreshold = .milliseconds(100) } }
        }

        /// Report callbacks, and steps of tasks, that keep the thread for this long; nil, the default, reads no clock.
        ///
        /// A step of a spawned task is reported with the task's name and where it was spawned, that of a connection's handler
        /// with the connection's number.
        ///
        /// The corresponding asyncio name is `loop.slow_callback_duration`, which needs debug mode.
        public var slowCallbackThreshold: Duration?

        /// Measure how long the loop waits for something to happen, for ``LoopStatistics/idleTime``.
        ///
        /// Costs two readings of the clock for each poll, and a second system call for each that waits: libuv first looks
        /// without waiting.
        ///
        /// The corresponding libuv option is `UV_METRICS_IDLE_TIME`.
        public var measuresIdleTime = false

        /// Receives what nobody else can be told, on the loop's thread.
        ///
        /// Errors have no other way out of a callback.
        ///
        /// The corresponding asyncio name is `loop.set_exception_handler`.
        public var onIssue: @Sendable (LoopIssue) -> Void = LoopIssue.writeToStandardError

        /// Receives what was still open when a loop was closed that `AsyncIO` made, on the loop's thread.
        public var onClose: (@Sendable (CloseReport) -> Void)?

        /// Ignore SIGPIPE in this process if its disposition is the default, so that writing to a connection that the
        /// peer has closed is an error and not the end of the process.
        public var ignoresSIGPIPE = true

        /// Let libuv 1.45 to 1.48 do file operations through io_uring, for which they keep a kernel thread polling
        /// unless they are told not to.
        ///
        /// The first loop of the process decides. Later versions of libuv do not do it of their own accord.
        public var allowsIOURing = false

        /// What tests ask for: see `withTestLoop` in AsyncIOTesting.
        package var testing: Testing?

        /// The name of the loop in messages.
        public var name = "loop"

        /// The default settings; with `ASYNCIO_DEBUG=1` in the environment those of ``isDebug``.
        public init() {
            if Environment.isDebug { (isDebug, slowCallbackThreshold) = (true, .milliseconds(100)) }
        }
    }

    /// What a loop does for tests.
    package struct Testing: Sendable {
        /// Runs what is ready together in an order that this decides; nil is the order in which it became ready.
        package var seed: UInt64?
        /// How long, in real milliseconds, tasks that nothing can wake wait before that is reported; nil is for ever.
        package var deadlockAfter: UInt64?
        /// Is told that tasks wait for one another.
        package var onDeadlock: @Sendable (EventLoop) -> Void
        /// Whether tasks are used again although whoever spawns has task-local values, as a test runner's tests have.
        package var ignoresTaskLocals: Bool

        package init(
            seed: UInt64?,
            deadlockAfter: UInt64? = nil,
            ignoresTaskLocals: Bool = false,
            onDeadlock: @escaping @Sendable (EventLoop) -> Void = { _ in }
        ) {
            (self.seed, self.deadlockAfter, self.onDeadlock) = (seed, deadlockAfter, onDeadlock)
            self.ignoresTaskLocals = ignoresTaskLocals
        }
    }

    /// Where tasks that are isolated to nothing go on when the loop's thread enqueues them.
    public enum GlobalExecutor: Sendable, Hashable {
        /// They stay on the loop: `Task { }`, `async let`, group children, `Task.yield`, `AsyncStream`, `Task.sleep` and
        /// ordinary actors that the loop's code calls run on the loop's thread, without a switch of threads.
        ///
        /// What keeps the processor busy for long must then leave by `AsyncIO.offload` or
        /// `withTaskExecutorPreference(globalConcurrentExecutor)`.
        case loop
        /// They go to Swift's pool of threads, as without a loop. Only what suspended on the loop is resumed on it.
        case pool
    }

    /// What connections and listeners of a loop are made of.
    public enum Network: Sendable, Hashable {
        /// The operating system's sockets, through libuv.
        case system
        /// Connections in memory, between listeners and clients of the same loop, for tests: the same transports and
        /// the same semantics, with no descriptor and no kernel.
        ///
        /// - Parameters:
        ///   - capacity: How many bytes a connection holds in one direction before writing would block.
        ///   - largestRead: How many bytes one read brings at most, to test the handling of short reads.
        case memory(capacity: Int = 65_536, largestRead: Int = 65_536)
    }
}
