// A value that one thread sets and others read afterwards.

/// A value that is set once.
@safe
package final class Once<Value: Sendable>: Sendable {
    private let lock = Lock()
    // SAFETY: under the lock.
    private nonisolated(unsafe) var stored: Value?

    package init() {}

    /// Sets the value, if there is none.
    package func set(_ value: Value) {
        lock.locked { if unsafe stored == nil { unsafe stored = value } }
    }

    /// The value, if there is one.
    package var value: Value? { lock.locked { unsafe stored } }
}
