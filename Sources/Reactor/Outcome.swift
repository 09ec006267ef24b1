// What becomes known once and stays: completed by whoever comes first, on any thread, and read by all.

internal import Synchronization

private enum State {
    static let pending: UInt8 = 0
    /// Somebody is setting it.
    static let beingSet: UInt8 = 1
    static let set: UInt8 = 2
}

/// A result that is set once.
@safe
package final class Outcome<Value: Sendable>: Sendable {
    private let state = Atomic<UInt8>(State.pending)
    private let observed = Atomic<Bool>(false)
    // SAFETY: written once, by whoever took the state from `pending`, and read only after it is `set`.
    private nonisolated(unsafe) var stored: Result<Value, any Error>?

    package init() {}

    /// Sets the result if nobody has; says whether it did.
    package func complete(_ result: Result<Value, any Error>) -> Bool {
        let (isFirst, _) = state.compareExchange(
            expected: State.pending,
            desired: State.beingSet,
            ordering: .relaxed
        )
        guard isFirst else { return false }
        unsafe stored = result
        state.store(State.set, ordering: .releasing)
        return true
    }

    /// The result; nil as long as there is none.
    package var result: Result<Value, any Error>? {
        state.load(ordering: .acquiring) == State.set ? unsafe stored : nil
    }

    /// Notes that somebody has seen the result, or will.
    package func observe() { observed.store(true, ordering: .relaxed) }

    /// The error that nobody has seen, if there is one.
    package var unobservedFailure: (any Error)? {
        guard case .failure(let error) = result, !observed.load(ordering: .relaxed) else { return nil }
        return error
    }
}

/// A flag that is set once, on any thread.
package final class AtomicFlag: Sendable {
    private let value = Atomic<Bool>(false)

    package init() {}

    package func set() { value.store(true, ordering: .relaxed) }
    package var isSet: Bool { value.load(ordering: .relaxed) }
}
