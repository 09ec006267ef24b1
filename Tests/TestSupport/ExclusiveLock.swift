// What keeps tests of different targets apart, which run in one process: they count its descriptors.

/// Lets one test run at a time, in the order in which they come.
public actor ExclusiveLock {
    /// The one lock of the process.
    public static let shared = ExclusiveLock()

    private var isHeld = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    private init() {}

    /// Waits for the lock and takes it.
    public func lock() async {
        if isHeld {
            await withCheckedContinuation { waiting.append($0) }
        } else {
            isHeld = true
        }
    }

    /// Hands the lock on.
    public func unlock() {
        if waiting.isEmpty { isHeld = false } else { waiting.removeFirst().resume() }
    }
}
