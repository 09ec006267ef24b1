// Waiting for descriptors that others read and write: in callbacks, and for tasks.
//
// A wait that is cancelled has left its place when the next one asks for it, although its task has not run yet: so the
// next takes the place, and the end of the first does not remove it.

extension EventLoop {
    /// Calls `body` whenever a descriptor is ready, as long as it is.
    ///
    /// That is level-triggered: `body` is called in every turn of the loop until what made the descriptor ready is
    /// consumed, or the watch is cancelled. An error of the descriptor, such as that nobody reads from a pipe any more,
    /// calls the watches of both directions, for whom the next read or write says what it is.
    ///
    /// A watch replaces one for the same that was there before. The descriptor is set to non-blocking; it stays the
    /// caller's, who closes it after the watch was cancelled, and not before.
    ///
    /// - Parameters:
    ///   - descriptor: A socket, a pipe, a terminal or another device.
    ///   - readiness: What to wait for; both directions may be watched at a time.
    ///   - body: An error that it throws goes to ``Configuration/onIssue``.
    /// - Returns: The watch; it goes on if this is dropped.
    /// - Throws: ``ReadinessError/owned(_:)`` for a descriptor of a connection of this loop,
    ///   ``ReadinessError/alwaysReady(_:)`` for regular files and directories; ``SystemError``, such as
    ///   ``SystemError/Code/badDescriptor``; ``LoopError/loopClosed``.
    ///
    /// The corresponding asyncio names are `loop.add_reader` and `loop.add_writer`; the corresponding libuv call is
    /// `uv_poll_start`.
    @discardableResult
    public func watch(
        _ descriptor: CInt,
        for readiness: Readiness,
        _ body: @escaping () throws -> Void
    ) throws -> DescriptorWatch {
        let core = unsafe core
        try core.requireOpen()
        let poll = try core.watches.poll(descriptor, on: core)
        let watch = DescriptorWatch(core, poll, readiness, body, nil)
        try poll.set(watch, for: readiness)
        return watch
    }

    /// Waits until something can be read from a descriptor.
    ///
    /// Returns at once if that is so already, in the loop's next turn. The descriptor stays the caller's, as with
    /// ``watch(_:for:_:)``.
    ///
    /// - Throws: `CancellationError` as soon as the task is cancelled; the descriptor is then watched no more.
    ///   ``ReadinessError/busy(_:_:)`` if somebody else waits for the same, ``ReadinessError/replaced`` if a watch took
    ///   its place; and as ``watch(_:for:_:)``.
    ///
    /// The corresponding asyncio name is `loop.add_reader`.
    public func readable(_ descriptor: CInt) async throws {
        try await unsafe core.ready(descriptor, .readable, on: self)
    }

    /// Waits until something can be written to a descriptor.
    ///
    /// Like ``readable(_:)``.
    ///
    /// The corresponding asyncio name is `loop.add_writer`.
    public func writable(_ descriptor: CInt) async throws {
        try await unsafe core.ready(descriptor, .writable, on: self)
    }

    /// The moments at which a descriptor is ready, as a sequence.
    ///
    /// Each step waits as ``readable(_:)`` does; between the steps the descriptor is not watched.
    public nonisolated func readiness(of descriptor: CInt, for readiness: Readiness) -> DescriptorReadiness {
        DescriptorReadiness(loop: self, descriptor: descriptor, readiness: readiness)
    }
}

/// The moments at which a descriptor is ready, made by ``EventLoop/readiness(of:for:)``.
///
/// It has no end of its own; cancellation ends it with an error, as any wait.
public struct DescriptorReadiness: AsyncSequence, Sendable {
    let loop: EventLoop
    let descriptor: CInt
    let readiness: Readiness

    /// Waits for one moment after the other.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let sequence: DescriptorReadiness

        /// Waits until the descriptor is ready.
        public mutating func next() async throws -> Void? {
            try await sequence.wait()
            return ()
        }

        /// Waits until the descriptor is ready, with the isolation of the caller.
        public mutating func next(isolation: isolated (any Actor)?) async throws(any Error) -> Void? {
            try await sequence.wait()
            return ()
        }
    }

    /// Begins to wait.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(sequence: self) }

    fileprivate func wait() async throws {
        switch readiness {
        case .readable: try await loop.readable(descriptor)
        case .writable: try await loop.writable(descriptor)
        }
    }
}

extension LoopCore {
    fileprivate func ready(_ descriptor: CInt, _ readiness: Readiness, on loop: isolated EventLoop) async throws {
        try Task.checkCancellation()
        try requireOpen()
        let poll = try watches.poll(descriptor, on: self)
        try await poll.wait(for: readiness, on: loop)
    }
}

extension DescriptorPoll {
    /// Waits until the descriptor is ready.
    func wait(for readiness: Readiness, on loop: isolated EventLoop) async throws {
        if self[readiness]?.isWaitedFor == true { throw ReadinessError.busy(descriptor, readiness) }
        let park = ExplainedPark(on: loop, .text(readiness == .readable ? "a readable descriptor" : "a writable one"))
        let watch = unsafe DescriptorWatch(core, self, readiness, nil, park)
        try set(watch, for: readiness)
        defer { watch.cancel() }
        try await park.wait(on: loop)
        if let failure = watch.failure { throw failure }
    }
}
