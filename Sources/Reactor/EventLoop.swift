// The public loop. It is an actor, so that the compiler refuses what would be a race: its methods are synchronous on
// the loop and need an `await` everywhere else, and a closure that was made on the loop may capture whatever lives
// there. The state is in LoopCore.

/// An event loop: callbacks, timers, signals and connections on one thread.
///
/// A loop belongs to the thread that made it, runs there, and is closed there. Inside a run all its methods are plain
/// synchronous calls:
///
///     let loop = try EventLoop()
///     try loop.runForever { loop in
///         loop.schedule(after: .seconds(1)) { loop.stop() }
///     }
///     loop.close()
///
/// Every callback runs to its end before the next begins. From other threads ``submit(_:)`` a closure. What returns
/// plain values, such as ``statistics``, ``dump()`` and ``stop()``, can also be awaited, as with any actor; a listener
/// or a token belongs to the loop and cannot leave it.
///
/// A loop must be closed with ``close()``: one that is merely dropped keeps its descriptors.
///
/// The corresponding asyncio name is `asyncio.AbstractEventLoop`; the corresponding libuv type is `uv_loop_t`.
@safe
public actor EventLoop {
    // SAFETY: isolated methods use it on the loop's thread, nonisolated ones use only its thread-safe parts.
    nonisolated(unsafe) let core: LoopCore
    nonisolated let executor: any LoopSerialExecutor
    nonisolated let taskLoopExecutor: LoopTaskExecutor
    // SAFETY: `executor`, which lives as long as the loop.
    private nonisolated let unowned: UnownedSerialExecutor

    /// The settings that the loop was made with.
    public nonisolated let configuration: Configuration

    /// The executor that runs the loop's isolated methods on its thread.
    ///
    /// An actor of yours lives on the loop if it returns this and keeps the loop:
    ///
    ///     actor Cache {
    ///         let loop: EventLoop
    ///         init(on loop: EventLoop) { self.loop = loop }
    ///         nonisolated var unownedExecutor: UnownedSerialExecutor { loop.unownedExecutor }
    ///     }
    ///
    /// ``LoopActor`` says that once for all.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe unowned }

    /// The executor for tasks that prefer this loop, as in `Task(executorPreference: loop.taskExecutor) { }`.
    ///
    /// Such a task runs on the loop wherever it is not isolated to an actor that runs elsewhere, and comes back to the
    /// loop whoever resumes it.
    public nonisolated var taskExecutor: any TaskExecutor { taskLoopExecutor }

    /// Makes a loop that belongs to the calling thread.
    ///
    /// The first loop of a process sets SIGPIPE to be ignored, unless the configuration forbids it.
    ///
    /// - Parameter configuration: What can be set about the loop.
    /// - Throws: ``SystemError`` if the system has no descriptor left for the loop.
    ///
    /// The corresponding asyncio name is `asyncio.new_event_loop`; the corresponding libuv call is `uv_loop_init`.
    public init(_ configuration: Configuration = .init()) throws {
        try self.init(configuration) { LoopExecutor($0) }
    }

    /// Makes a loop with the serial executor that `makeExecutor` returns.
    init(_ configuration: Configuration, _ makeExecutor: (LoopCore) -> any LoopSerialExecutor) throws {
        let core = try LoopCore(configuration)
        unsafe self.core = core
        self.configuration = configuration
        executor = makeExecutor(core)
        taskLoopExecutor = LoopTaskExecutor(core)
        unsafe unowned = unsafe executor.asUnownedSerialExecutor()
        core.attach(self)
    }

    deinit {
        unsafe core.wasDropped()
    }

    /// Whether the caller is on this loop: inside its run, or on its thread while it does not run.
    ///
    /// Any thread.
    ///
    /// The corresponding asyncio name is a comparison with `asyncio.get_running_loop()`.
    public nonisolated var isCurrent: Bool { unsafe core.isCurrent }

    /// The present instant on the loop's clock, read afresh each time.
    ///
    /// The corresponding asyncio name is `loop.time()`.
    public var now: LoopInstant { unsafe core.now }

    /// What the loop has done so far, what it has to do, and how late it runs.
    public var statistics: LoopStatistics { unsafe core.figures }

    /// A text that names everything the loop has open and says its figures, for people.
    ///
    /// In debug mode also where the callbacks were scheduled that wait.
    ///
    /// The corresponding libuv call is `uv_print_all_handles`.
    public func dump() -> String { unsafe core.dump() }
}

extension LoopCore {
    /// The actor is gone.
    ///
    /// Nothing can run on the loop any more; if it was not closed, that is said once.
    func wasDropped() {
        loopIsGone()
        guard state != .closed else { return }
        report(.notClosed, "EventLoop '\(configuration.name)'")
    }
}
