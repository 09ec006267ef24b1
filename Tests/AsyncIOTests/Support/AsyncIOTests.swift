// What the tests of the async layer share: the suite that holds them all, and the configuration that they run with, which
// the environment decides.
//
// `ASYNCIO_TEST_EXECUTOR=pool` runs them without the loop keeping jobs. `ASYNCIO_TEST_SEED=17` runs them with what is
// ready together in an order drawn from that seed, see Seeds.swift.

import AsyncIO
import Foundation
import TestSupport
import Testing

/// All tests of the async layer, one after the other, as they count the descriptors of the process.
@Suite(.serialized, Exclusively(), Seeded()) struct AsyncIOTests {}

/// The configuration under test: with `ASYNCIO_TEST_EXECUTOR=pool` the whole suite runs without the loop keeping jobs,
/// and with `ASYNCIO_TEST_SEED` under the seeds that it names.
func testConfiguration() -> EventLoop.Configuration {
    var configuration = EventLoop.Configuration()
    if ProcessInfo.processInfo.environment["ASYNCIO_TEST_EXECUTOR"] == "pool" {
        configuration.globalExecutor = .pool
    }
    // The runner's own task-local values would keep tasks from being used again, as programs have them used.
    configuration.testing = EventLoop.Testing(seed: Seeds.current, ignoresTaskLocals: true)
    return configuration
}
