// What the tests of channels and pacing share: chance that is the same in every run, and tasks in a state.

import AsyncIO
import Testing

/// Numbers that look like chance, and are the same for the same seed.
struct Seeded: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var bits = state
        bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
        return bits ^ (bits >> 31)
    }
}

/// Lets tasks run until each of them waits.
func settle(_ turns: Int = 5) async { for _ in 0..<turns { await AsyncIO.yield() } }

/// What became of a task.
func end(of task: LoopTask<Int?>) async -> String {
    do { return try await task.value.map(String.init) ?? "end" } catch { return word(error) }
}

/// An error in a word.
func word(_ error: any Error) -> String {
    switch error {
    case is CancellationError: "cancelled"
    case ChannelError.closed: "closed"
    case BroadcastError.missed(let count): "missed \(count)"
    case WatchError.finished: "finished"
    case let error as Refusal: error.name
    default: "\(error)"
    }
}

/// What `body` throws, in a word; "none" if it returns.
func problem<Value>(_ body: () async throws -> Value) async -> String {
    do { _ = try await body() } catch { return word(error) }
    return "none"
}
