// The waits that need nothing but a loop: for time to pass, and for everybody else's turn.

internal import CReactor

/// Waiting on the loop of this thread.
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
    package static func turn() async {
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
