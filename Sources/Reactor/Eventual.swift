// What becomes known once and stays, and who waits for it: what futures and tasks are made of.
//
// Ground rules:
//   * The result is set once, on any thread, by whoever comes first; that alone decides what is read.
//   * Who waits, waits on the loop. Being told (waking, calling back) happens there as well, after the result was set and
//     in the order of registration.
//   * The result has no type here: code that is generic over it would ask the runtime for its metadata at every step,
//     which for one task was 30,000 instructions.

internal import CReactor
internal import Synchronization

/// A result that is set once, and those who wait for it.
@safe
package final class Eventual: Sendable {
    /// What is completed, for messages.
    package enum Subject: Sendable {
        case future(file: StaticString, line: UInt)
        case task(name: String?, file: StaticString, line: UInt)
    }

    private enum State {
        static let pending: UInt8 = 0
        /// Somebody is setting it.
        static let beingSet: UInt8 = 1
        static let succeeded: UInt8 = 2
        static let failed: UInt8 = 3
    }

    /// The loop on which is waited.
    package let loop: EventLoop
    private let subject: Subject
    private let state = Atomic<UInt8>(State.pending)
    private let observed = Atomic<Bool>(false)
    // SAFETY: written once, by whoever took the state from `pending`, and read only when the state says so.
    private nonisolated(unsafe) var value: (any Sendable)?
    private nonisolated(unsafe) var error: (any Error)?
    // SAFETY: used on the loop's thread only.
    private nonisolated(unsafe) var waiters: Waiters?
    private nonisolated(unsafe) var record: TaskRecord?

    /// Something to be completed, on the loop that runs here.
    package init(_ subject: Subject, record: TaskRecord? = nil, here loop: EventLoop) {
        require(loop.isCurrent, "An Eventual was bound to an EventLoop that does not run here.")
        self.loop = loop
        self.subject = subject
        unsafe self.record = record
    }

    deinit {
        guard let error = failure, !observed.load(ordering: .relaxed), !(error is CancellationError) else { return }
        switch subject {
        case .future(let file, let line): loop.reportAnywhere(.unobservedError(error), "the future of \(file):\(line)")
        case .task(let name, let file, let line):
            loop.reportAnywhere(
                .unobservedError(error),
                "\(name.map { "task \($0)" } ?? "the task") of \(file):\(line)"
            )
        }
    }

    // MARK: The result

    /// Sets the value, if there is no result; says whether it did.
    @discardableResult
    package func succeed(_ value: any Sendable) -> Bool {
        guard begin() else { return false }
        unsafe self.value = value
        end(State.succeeded)
        return true
    }

    /// Sets the error, if there is no result; says whether it did.
    @discardableResult
    package func fail(_ error: any Error) -> Bool {
        guard begin() else { return false }
        unsafe self.error = error
        end(State.failed)
        return true
    }

    /// Whoever is told that it came too late finds the result set.
    private func begin() -> Bool {
        if state.compareExchange(expected: State.pending, desired: State.beingSet, ordering: .relaxed).exchanged {
            return true
        }
        while state.load(ordering: .acquiring) == State.beingSet { creactor_yield() }
        return false
    }

    private func end(_ state: UInt8) {
        self.state.store(state, ordering: .releasing)
        if unsafe creactor_current_loop() == loop.core.identity {
            unsafe waiters?.tell(loop)
        } else {
            // A loop that is closed has nobody who waits.
            _ = unsafe loop.core.submit { [self] loop in unsafe waiters?.tell(loop) }
        }
    }

    /// Whether there is a result.
    package var isDone: Bool { state.load(ordering: .acquiring) >= State.succeeded }

    /// The error, if the result is one.
    package var failure: (any Error)? { state.load(ordering: .acquiring) == State.failed ? unsafe error : nil }

    /// The value, or nil as long as there is no result.
    ///
    /// - Throws: The error.
    package func get() throws -> (any Sendable)? {
        switch state.load(ordering: .acquiring) {
        case State.succeeded: return unsafe value
        case State.failed: throw unsafe error!
        default: return nil
        }
    }

    /// Notes that somebody has seen the result, or will.
    package func observe() { observed.store(true, ordering: .relaxed) }

    // MARK: Waiting

    /// Waits until there is a result.
    ///
    /// - Throws: `CancellationError` if the waiting task was cancelled, or if the loop ends.
    package func wait() async throws {
        if Isolation.exists(#isolation), unsafe creactor_current_loop() == loop.core.identity {
            while !isDone { try await unsafe line.wait() }
        } else {
            try await wait(on: loop)
        }
    }

    private func wait(on loop: isolated EventLoop) async throws {
        while !isDone { try await unsafe line.wait() }
    }

    // SAFETY: on the loop.
    @unsafe
    private var line: WaitQueue { unsafe made().line(record) }

    @unsafe
    private func made() -> Waiters {
        let all = unsafe waiters ?? Waiters()
        unsafe waiters = all
        return all
    }

    /// Has `body` called on the loop when there is a result, in the order of registration: in a turn of its own, or, if it
    /// is `atOnce`, before tasks that wait go on.
    package func onCompletion(
        _ callback: EventualCallback,
        atOnce: Bool,
        _ body: @escaping @Sendable (isolated EventLoop) -> Void
    ) {
        let entry = EventualEntry(callback: callback, isAtOnce: atOnce, body: Crossing.submitted(body))
        if unsafe creactor_current_loop() == loop.core.identity {
            unsafe add(entry)
        } else {
            _ = unsafe loop.core.submit { [self] _ in unsafe add(entry) }
        }
    }

    @unsafe
    private func add(_ entry: EventualEntry) {
        unsafe made().add(entry)
        if isDone { unsafe waiters?.tell(loop) }
    }
}

/// A token for a callback.
package final class EventualCallback: Sendable {
    private let wasCancelled = Atomic<Bool>(false)

    package init() {}

    /// Takes the callback back, on any thread.
    package func cancel() { wasCancelled.store(true, ordering: .relaxed) }
    var isWanted: Bool { !wasCancelled.load(ordering: .relaxed) }
}

/// A callback that waits.
// SAFETY: the closure was made to be sent; it is called on the loop.
private struct EventualEntry: @unchecked Sendable {
    let callback: EventualCallback
    let isAtOnce: Bool
    let body: (EventLoop) throws -> Void
}

/// Who waits for a completion, on its loop.
private final class Waiters {
    private var line: WaitQueue?
    private var entries: [EventualEntry] = []

    func line(_ record: TaskRecord?) -> WaitQueue {
        if let line { return line }
        let line = WaitQueue("Future")
        line.record = record
        self.line = line
        return line
    }

    func add(_ entry: EventualEntry) {
        // What was taken back is not kept for as long as nothing happens.
        if entries.count >= 16 { entries.removeAll { !$0.callback.isWanted } }
        entries.append(entry)
    }

    func tell(_ loop: EventLoop) {
        let entries = entries
        self.entries = []
        for entry in entries where entry.isAtOnce && entry.callback.isWanted { call(entry, loop) }
        line?.wakeAll()
        for entry in entries where !entry.isAtOnce {
            _ = unsafe loop.core.scheduleSoon(
                { [self] in if entry.callback.isWanted { call(entry, loop) } },
                site: CallSite(file: #fileID, line: #line)
            )
        }
    }

    private func call(_ entry: EventualEntry, _ loop: EventLoop) {
        // The closures cannot throw; the type that they have to cross is one that may.
        do { try entry.body(loop) } catch { unsafe loop.core.report(.uncaughtError(error), "a done callback") }
    }
}
