// What libuv is told not to do: io_uring, of its own accord, in the versions that do that. In processes of their own, as it is
// said in the environment.

import Foundation
import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct ProcessTests {
        @Test func `libuv 1.45 to 1.48 are told to do without io_uring, and others are told nothing`() async {
            await #expect(processExitsWith: .success) {
                unsafe unsetenv("UV_USE_IO_URING")
                for version: UInt32 in [0x012a00, 0x012c02, 0x012c63, 0x013100, 0x013401] {
                    Process.forbidIOURing(of: version)
                    precondition(unsafe getenv("UV_USE_IO_URING") == nil)
                }
                for version: UInt32 in [0x012d00, 0x013000, 0x013063] {
                    unsafe unsetenv("UV_USE_IO_URING")
                    Process.forbidIOURing(of: version)
                    precondition(unsafe String(cString: getenv("UV_USE_IO_URING")) == "0")
                }
            }
        }

        @Test func `what the environment says of io_uring stays`() async {
            await #expect(processExitsWith: .success) {
                unsafe setenv("UV_USE_IO_URING", "1", 1)
                Process.forbidIOURing(of: 0x012d00)
                precondition(unsafe String(cString: getenv("UV_USE_IO_URING")) == "1")
            }
        }

        @Test func `the first loop tells the libuv that is there, unless it may`() async {
            await #expect(processExitsWith: .success) {
                unsafe unsetenv("UV_USE_IO_URING")
                var configuration = EventLoop.Configuration()
                configuration.allowsIOURing = true
                try Self.openAndClose(configuration)
                precondition(unsafe getenv("UV_USE_IO_URING") == nil)
                configuration.allowsIOURing = false
                try Self.openAndClose(configuration)
                let isTold = (0x012d00..<0x013100).contains(Process.libuvVersion)
                precondition(unsafe (getenv("UV_USE_IO_URING") != nil) == isTold)
            }
        }

        private static func openAndClose(_ configuration: EventLoop.Configuration) throws {
            let loop = try EventLoop(configuration)
            _ = loop.close()
        }
    }
}
