// The waits that need nothing but a loop: for time to pass, and for everybody else's turn.

internal import CReactor

/// Waiting on the loop of this thread.
@usableFromInline
package enum LoopWait {
    /// Waits until the loop's clock has reached an instant; without a loop, by Swift's clock for as long.
    ///
    /// - Throws: `CancellationError`.
    package static func sleep(for delay: Duration) async throws {
        guard let loop = EventLoop.current else { return try await sleepElsewhere(for: delay) }
        try await loop.sleep(for: delay)
    }

    /// The present instant on the loop's clock; without a loop, on the system's.
    package static var now: LoopInstant { LoopCore.current?.now ?? .system }

    /// Waits until the loop's clock has reached an instant.
    ///
    /// - Throws: `CancellationError`.
    package static func sleep(until deadline: LoopInstant) async throws {
        guard let loop = EventLoop.current else {
            return try await sleepElsewhere(for: LoopInstant.system.duration(to: deadline))
        }
        try await loop.sleep(until: deadline)
    }

    private static func sleepElsewhere(for delay: Duration) async throws {
        let deadline = ForeignDeadline.watch()
        defer { deadline?.stop() }
        try await Task.sleep(for: delay)
    }

    /// The same for the timer of a function with a time limit, whose name it tells.
    ///
    /// - Throws: `CancellationError`.
    package static func sleep(until deadline: LoopInstant, for name: StaticString) async throws {
        guard let loop = EventLoop.current else { return try await sleep(until: deadline) }
        try await loop.sleep(until: deadline, .limit(name, until: deadline))
    }

    /// Lets everything run that is ready, and then goes on.
    @inlinable
    package static func turn() async {
        guard Isolation.exists(#isolation), isPossible else { return await turnOtherwise() }
        // Not resumed here and now: a continuation that is resumed before it suspends does not suspend.
        #if compiler(>=6.2) && compiler(<6.5)
        // Without steps to the caller's isolation before and after.
        _ = unsafe await _unsafeInheritExecutor_withUnsafeContinuation { unsafe goOnNext($0) }
        #else
        _ = unsafe await withUnsafeContinuation { unsafe goOnNext($0) }
        #endif
    }

    /// Whether a loop runs here that takes waits.
    @usableFromInline
    static var isPossible: Bool {
        guard let current = unsafe LoopCore.currentAddress else { return false }
        // SAFETY: the address of a core that runs here, and so lives.
        return unsafe Unmanaged<LoopCore>.fromOpaque(current)._withUnsafeGuaranteedRef { $0.acceptsWaits }
    }

    /// Lets the task go on in the next batch.
    @usableFromInline
    static func goOnNext(_ continuation: UnsafeContinuation<Bool, Never>) {
        guard let current = unsafe LoopCore.currentAddress else { fault("A turn was waited for where no loop runs.") }
        // SAFETY: as above.
        unsafe Unmanaged<LoopCore>.fromOpaque(current)._withUnsafeGuaranteedRef {
            unsafe $0.enqueue(ReadyEntry(turn: continuation))
        }
    }

    /// The same for code that is isolated to nothing, and without a loop.
    @usableFromInline
    static func turnOtherwise() async {
        guard let loop = EventLoop.current else { return await Task.yield() }
        await loop.turn()
    }
}

extension EventLoop {
    fileprivate func sleep(for delay: Duration) async throws {
        guard delay <= .zero else { return try await sleep(until: now.advanced(by: delay)) }
        try Task.checkCancellation()
        await turn()
        try Task.checkCancellation()
    }

    fileprivate func sleep(until deadline: LoopInstant) async throws {
        try await sleep(until: deadline, .sleep(until: deadline))
    }

    fileprivate func sleep(until deadline: LoopInstant, _ subject: ExplainedPark.Subject) async throws {
        let core = unsafe core
        try Task.checkCancellation()
        guard core.acceptsWaits else { throw CancellationError() }
        let park = ExplainedPark(on: self, subject)
        let timer = core.schedule(at: deadline, { park.wake() }, site: CallSite(file: #fileID, line: #line))
        defer { timer.cancel() }
        try await park.wait(on: self)
    }

    fileprivate func turn() async {
        let core = unsafe core
        guard core.acceptsWaits else { return }
        // Not resumed here and now: a continuation that is resumed before it suspends does not suspend.
        _ = unsafe await withUnsafeContinuation { unsafe core.enqueue(ReadyEntry(turn: $0)) }
    }
}
