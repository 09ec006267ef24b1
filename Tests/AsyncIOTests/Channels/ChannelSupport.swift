// What the tests of channels and pacing share: what has become of tasks, in words.

import AsyncIO
import Testing

/// Lets tasks run until each of them waits.
func settle(_ turns: Int = 10) async { for _ in 0..<turns { await AsyncIO.yield() } }

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
