// The tasks of a script, and a line as it should be.
//
// A model follows what tasks tell of themselves: each says when it comes, and what came of its wait, before any other
// code runs. So a model is exact at any moment, and knows nothing of how many turns a loop takes for what.

import AsyncIO

/// The tasks of a script, each with a number.
final class Crowd {
    let ledger = Ledger()
    private var tasks: [LoopTask<Void>] = []
    private var cancelled: Set<Int> = []

    /// How many tasks a script may make: what more would find takes longer than it is worth.
    private static let most = 64

    var isFull: Bool { tasks.count >= Self.most }

    /// The number of the next task.
    var next: Int { tasks.count }

    func add(_ task: LoopTask<Void>) { tasks.append(task) }

    func isCancelled(_ number: Int) -> Bool { cancelled.contains(number) }

    /// Cancels a task that the input names, mostly one of the last, and tells which.
    func cancelOne(_ input: inout FuzzInput) -> Int? {
        guard !tasks.isEmpty else { return nil }
        let number = max(0, tasks.count - 1 - input.roll(12))
        cancelled.insert(number)
        tasks[number].cancel()
        return number
    }

    /// Who has not ended.
    var waiting: [Int] { tasks.indices.filter { !tasks[$0].isDone } }

    /// Lets all run that can.
    func rest() async { await letRun(2 * waiting.count + 4) }

    /// Notes that a task threw something else than its cancellation, which somebody asked for.
    func expectCancelled(_ number: Int, _ error: any Error) {
        ledger.expect(error is CancellationError && isCancelled(number), "task \(number) threw \(error)")
    }

    /// Ends what a script began: nobody may be left, and nothing may have been noted.
    func end() async throws(FuzzFailure) {
        await rest()
        ledger.expect(waiting.isEmpty, "tasks \(waiting) wait at the end")
        for task in tasks { task.cancel() }
        await rest()
        try ledger.settle()
    }
}

/// Lets run what can run, and what that makes ready, and so on, for so many turns.
func letRun(_ turns: Int) async { for _ in 0..<turns { await AsyncIO.yield() } }

/// A line as it should be: who waits in it, and who was woken and has not run yet.
struct ModelLine {
    private(set) var waiting: [Int] = []
    private(set) var woken: Set<Int> = []

    mutating func join(_ number: Int) { waiting.append(number) }

    /// One who is cancelled leaves the line, unless he was woken.
    mutating func cancel(_ number: Int?) { waiting.removeAll { $0 == number } }

    /// Wakes the first, and tells whether there was one.
    @discardableResult
    mutating func wakeFirst() -> Bool {
        guard !waiting.isEmpty else { return false }
        woken.insert(waiting.removeFirst())
        return true
    }

    mutating func wakeAll() { while wakeFirst() {} }

    /// One who was woken runs; false if he was not woken.
    mutating func run(_ number: Int) -> Bool { woken.remove(number) != nil }
}
