// What the tests of the async layer share: the suite that holds them all, and a loop to run on that must be left clean.

import AsyncIO
import Foundation
import TestSupport
import Testing

/// All tests of the async layer, one after the other, as they count the descriptors of the process.
@Suite(.serialized, Exclusively()) struct AsyncIOTests {}

/// The configuration under test: with `ASYNCIO_TEST_EXECUTOR=pool` the whole suite runs without the loop keeping jobs.
func testConfiguration() -> EventLoop.Configuration {
    var configuration = EventLoop.Configuration()
    if ProcessInfo.processInfo.environment["ASYNCIO_TEST_EXECUTOR"] == "pool" {
        configuration.globalExecutor = .pool
    }
    return configuration
}
