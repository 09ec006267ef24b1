// What lets objects that belong to a loop be named by objects that any thread may hold.

internal import CReactor

/// A value that belongs to a loop, in a box that any thread may carry and only the loop can open.
package struct LoopBound<Value>: Sendable {
    /// The loop.
    package let loop: EventLoop
    // SAFETY: read on the loop's thread only; elsewhere it is copied and let go, which counts references atomically.
    private nonisolated(unsafe) let value: Value

    package init(_ value: Value, on loop: isolated EventLoop) {
        self.loop = loop
        unsafe self.value = value
    }

    /// Boxes a value of the loop that runs here, if `loop` is it.
    package init(_ value: Value, here loop: EventLoop) {
        require(loop.isCurrent, "A value was bound to an EventLoop that does not run here.")
        self.loop = loop
        unsafe self.value = value
    }

    /// The value, if the loop runs here.
    package var ifHere: Value? { loop.runsHere ? unsafe value : nil }

    /// The value.
    package func value(on loop: isolated EventLoop) -> Value { unsafe value }
}

extension EventLoop {
    /// Whether the loop runs here, at this moment.
    fileprivate nonisolated var runsHere: Bool { unsafe creactor_current_loop() == core.identity }
}

/// Carries a value that is not `Sendable` to code that runs in the same isolation.
///
/// For structured children that have the isolation of their parent, which the compiler does not know of the values
/// that pass between them.
// SAFETY: who makes one promises that both ends run in the same isolation, or that the value is not used twice.
package struct Transfer<Value>: @unchecked Sendable {
    package let value: Value

    package init(_ value: Value) { self.value = value }
}
