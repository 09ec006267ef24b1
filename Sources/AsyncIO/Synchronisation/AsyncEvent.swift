// A flag that tasks wait for.

internal import Reactor

/// A flag that tasks of one loop wait for, and that stays set until it is cleared.
///
/// Belongs to the code of one loop; not `Sendable`.
///
/// The corresponding asyncio name is `asyncio.Event`.
public final class AsyncEvent {
    private let line = WaitQueue("AsyncEvent")

    /// Whether the flag is set.
    public private(set) var isSet: Bool

    /// Creates an event.
    public init(isSet: Bool = false) { self.isSet = isSet }

    /// Sets the flag and wakes all who wait, in the order in which they came.
    ///
    /// They go on later, in that order, even if the flag is cleared before.
    public func set() {
        isSet = true
        line.wakeAll()
    }

    /// Clears the flag: who waits from now on waits for the next ``set()``.
    public func clear() { isSet = false }

    /// Waits until the flag is set; returns at once if it is.
    ///
    /// - Throws: `CancellationError` if the task has to wait and is cancelled before the flag is set.
    public func wait() async throws {
        if !isSet { try await line.wait() }
    }
}
