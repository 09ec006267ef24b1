// What keeps tests of different targets apart, which run in one process: they count its descriptors.

public import Testing

/// Lets one test of the process run at a time, whichever target it is in.
public struct Exclusively: SuiteTrait, TestTrait, TestScoping {
    /// Creates the trait.
    public init() {}

    /// Whether it holds for the tests of a suite.
    public var isRecursive: Bool { true }

    /// Runs one test while no other runs.
    public func provideScope(
        for test: Test,
        testCase: Test.Case?,
        performing function: @Sendable @concurrent () async throws -> Void
    ) async throws {
        // The scope of a suite holds those of its tests.
        guard testCase != nil else { return try await function() }
        await ExclusiveLock.shared.lock()
        let result: Result<Void, any Error>
        do { result = .success(try await function()) } catch { result = .failure(error) }
        await ExclusiveLock.shared.unlock()
        try result.get()
    }
}

/// Lets one in at a time, in the order in which they come.
private actor ExclusiveLock {
    /// The one lock of the process.
    static let shared = ExclusiveLock()

    private var isHeld = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    /// Waits for the lock and takes it.
    func lock() async {
        if isHeld {
            await withCheckedContinuation { waiting.append($0) }
        } else {
            isHeld = true
        }
    }

    /// Hands the lock on.
    func unlock() {
        if waiting.isEmpty { isHeld = false } else { waiting.removeFirst().resume() }
    }
}
