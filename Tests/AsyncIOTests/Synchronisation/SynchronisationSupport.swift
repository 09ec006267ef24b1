// What the tests of locks and queues stand on: a look at tasks that may still wait, and time for all that can go on to
// do so.

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

/// The seeds of tests with random operations.
var modelSeeds: ClosedRange<UInt64> {
    guard let seed = Seeds.current else { return 1...200 }
    // Others each time, and few, as they are played for each seed.
    let first = seed % 1_000_000 * 5
    return first...first + 4
}

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
    // Those whose turn came in one turn of the loop go on in the seed's order.
    guard Seeds.current == nil else { return Set(numbers).isSubset(of: order) }
    var rest = order[...]
    for number in numbers {
        guard let place = rest.firstIndex(of: number) else { return false }
        rest = rest[(place + 1)...]
    }
    return true
}
