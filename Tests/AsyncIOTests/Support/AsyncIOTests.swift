// What the tests of the async layer share: the suite that holds them all, and a loop to run on that must be left clean.

import AsyncIO
import Foundation
import TestSupport
import Testing

/// All tests of the async layer, one after the other, as they count the descriptors of the process.
@Suite(.serialized, Exclusively()) struct AsyncIOTests {}

/// Keeps each test apart from those of the other test targets.
struct Exclusively: SuiteTrait, TestTrait, TestScoping {
    var isRecursive: Bool { true }

    func provideScope(
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

/// The configuration under test: with `ASYNCIO_TEST_EXECUTOR=pool` the whole suite runs without the loop keeping jobs.
func testConfiguration() -> EventLoop.Configuration {
    var configuration = EventLoop.Configuration()
    if ProcessInfo.processInfo.environment["ASYNCIO_TEST_EXECUTOR"] == "pool" {
        configuration.globalExecutor = .pool
    }
    return configuration
}
