// What the fuzzer plays, in every run of the tests: the inputs that are kept, and some that are drawn from fixed seeds.
// What is looked for, and against which models, is in Tests/Fuzz/Checks; .ci/fuzz looks for more.

import AsyncIO
import AsyncIOTesting
import Foundation
import FuzzChecks
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1))), .testsMany) struct FuzzReplayTests {
        @Test(arguments: FuzzTarget.allCases)
        func `every input that is kept plays as its model says`(_ target: FuzzTarget) async throws {
            let inputs = try Corpus.inputs(of: target)
            #expect(inputs.count >= 5, "there is no corpus of \(target.rawValue)")
            try await play(inputs, target)
        }

        @Test(arguments: FuzzTarget.allCases)
        func `so do some hundred that are drawn`(_ target: FuzzTarget) async throws {
            var inputs: [(name: String, bytes: [UInt8])] = []
            for seed in 1...150 {
                var chance = Chance(seed: seed)
                inputs.append(("seed \(seed)", (0..<1 + chance.roll(200)).map { _ in UInt8(chance.roll(256)) }))
            }
            try await play(inputs, target)
        }

        /// Plays all of them on one loop, as the fuzzer does, until one fails.
        private func play(_ inputs: [(name: String, bytes: [UInt8])], _ target: FuzzTarget) async throws {
            try await onLoop { loop in
                for input in inputs {
                    do {
                        try await target.check(input.bytes, on: loop)
                    } catch {
                        Issue.record("\(target.rawValue), \(input.name): \(error)")
                        return
                    }
                }
            }
        }
    }
}

/// The inputs that are kept.
private enum Corpus {
    static func inputs(of target: FuzzTarget) throws -> [(name: String, bytes: [UInt8])] {
        // This file is Tests/AsyncIOTests/Fuzz/FuzzReplayTests.swift.
        let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let folder = tests.appending(path: "Fuzz/Corpora/\(target.rawValue)")
        return try FileManager.default.contentsOfDirectory(atPath: folder.path(percentEncoded: false)).sorted().map {
            ($0, Array(try Data(contentsOf: folder.appending(path: $0))))
        }
    }
}
