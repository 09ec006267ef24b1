// The tasks that were spawned on a loop and have not ended. Swift lists no tasks; these are listed so that a run can
// end them, as `asyncio.run` does.

/// The unfinished tasks of a loop that were spawned with `AsyncIO.spawn`.
package final class SpawnedTasks {
    private var cancels: [UInt64: @Sendable () -> Void] = [:]
    private var last: UInt64 = 0
    /// Called when the last one has ended, while somebody waits for that.
    var onEmpty: (() -> Void)?
    /// Whether what is spawned from here on is cancelled at once.
    private var isEnding = false

    /// How many have not ended.
    package var count: Int { cancels.count }

    /// A number for a task that is about to be spawned.
    package func nextID() -> UInt64 {
        last += 1
        return last
    }

    /// Lists a task, and how to cancel it.
    package func insert(_ id: UInt64, cancel: @escaping @Sendable () -> Void) {
        cancels[id] = cancel
        if isEnding { cancel() }
    }

    /// A task has ended.
    package func remove(_ id: UInt64) {
        cancels[id] = nil
        if cancels.isEmpty { onEmpty?() }
    }

    /// Cancels all, oldest first, and what is spawned later.
    func cancelAll() {
        isEnding = true
        for (_, cancel) in cancels.sorted(by: { $0.key < $1.key }) { cancel() }
    }
}
