// libFuzzer's way in: one input after the other, on one loop, as making a loop takes longer than most inputs. Which
// target it is the environment says, as the arguments are libFuzzer's.
//
//     .ci/fuzz 60 queue channel

import AsyncIO
import AsyncIOTesting
import Foundation
import FuzzChecks

/// Plays an input; called by libFuzzer, always on the main thread.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOne(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    // SAFETY: libFuzzer says how many bytes there are, and keeps them for the length of the call.
    let bytes = unsafe Array(UnsafeBufferPointer(start: start, count: count))
    do {
        try MainActor.assumeIsolated { try Fuzzer.shared.play(bytes) }
        return 0
    } catch {
        fatalError("\(error)")
    }
}

/// The loop and the target.
@MainActor
private final class Fuzzer {
    static let shared = Fuzzer()

    private let loop: EventLoop
    private let target: FuzzTarget

    private init() {
        let name = ProcessInfo.processInfo.environment["ASYNCIO_FUZZ_TARGET"] ?? ""
        guard let target = FuzzTarget(rawValue: name) else {
            let names = FuzzTarget.allCases.map(\.rawValue).joined(separator: ", ")
            fatalError("ASYNCIO_FUZZ_TARGET is \"\(name)\"; it is one of \(names).")
        }
        var configuration = EventLoop.Configuration()
        configuration.clock = VirtualClock()
        configuration.network = .memory()
        configuration.onIssue = { fatalError("\($0)") }
        do { loop = try EventLoop(configuration) } catch { fatalError("\(error)") }
        self.target = target
    }

    func play(_ bytes: [UInt8]) throws {
        let target = target
        try loop.runUntilComplete { (loop: isolated EventLoop, completion: Completion<Void>) in
            let completion = Transfer(completion)
            spawn {
                _ = loop
                do {
                    try await target.check(bytes, on: loop)
                    completion.value.succeed(())
                } catch {
                    completion.value.fail(error)
                }
            }
        }
    }
}
