// What the tests of locks and queues stand on: a look at tasks that may still wait, time for all that can go on to do
// so, and numbers that are random and the same in every run.

import AsyncIO
import AsyncIOTesting
import Testing

extension LoopTask {
    /// How the task ended: "ok" or its value, or its error in one word; "waits" as long as it has not.
    var outcome: String {
        switch result {
        case nil: "waits"
        case .success(let value): value is Void ? "ok" : "\(value)"
        case .failure(let error): brief(error)
        }
    }

    /// Whether the task was ended by its cancellation.
    var wasCancelled: Bool { outcome == "CancellationError" }
}

/// Lets run what can run, and what that makes ready, and so on.
func letAllRun(_ turns: Int = 10) async { for _ in 0..<turns { await AsyncIO.yield() } }

/// How many turns of the loop `body` takes.
func turnsTaken(on loop: isolated EventLoop, _ body: () async throws -> Void) async throws -> UInt64 {
    let before = loop.statistics.turns
    try await body()
    return loop.statistics.turns - before
}

/// How many there are, for tasks of one loop.
final class LoopCount {
    var count = 0
}

/// Numbers in the order in which tasks of one loop told them; a plain array, as a recorder is slow for very many.
final class NumberLog {
    var numbers: [Int] = []
}

/// A generator of the same numbers for the same seed: SplitMix64.
struct Chance: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// One of so many, counted from zero.
    mutating func roll(_ sides: Int) -> Int { Int(next() % UInt64(sides)) }
}

/// The seeds of tests with random operations.
let modelSeeds: ClosedRange<UInt64> = 1...200

/// What a test with random operations found wrong, which is told once for each seed.
final class Findings {
    private var sentences: [String] = []

    func expect(_ holds: Bool, _ sentence: @autoclosure () -> String) {
        if !holds && sentences.count < 5 { sentences.append(sentence()) }
    }

    func report(_ seed: UInt64, sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(sentences.isEmpty, "seed \(seed): \(sentences)", sourceLocation: sourceLocation)
    }
}

/// Whether `numbers` come in `order`, which may hold others in between.
func isInOrder(_ numbers: [Int], of order: [Int]) -> Bool {
    var rest = order[...]
    for number in numbers {
        guard let place = rest.firstIndex(of: number) else { return false }
        rest = rest[(place + 1)...]
    }
    return true
}
