// Eight threads submit and cancel while a loop runs, stops at a moment that nobody chose, and closes: each submission
// is run, cancelled, refused, or dropped and counted by the close, and is exactly one of them. Every closure goes, once.

import Synchronization
import TestSupport
import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct SubmissionRaceTests {
        @Test(arguments: [1, 2, 3, 4])
        func `each submission has one end, whoever cancels it and whenever the loop closes`(seed: Int) throws {
            var chance = Chance(seed: seed)
            for round in 0..<20 {
                let race = SubmissionRace(threads: 8, each: 60)
                // Early, in the middle, or never: then the last thread stops the loop.
                let limit = 1 + chance.roll(race.threads * race.each)
                let seeds = (0..<race.threads).map { _ in chance.next() }
                let dropped = try withLoop(.real) { loop in
                    let workers = seeds.enumerated().map { number, seed in
                        Worker { race.work(number, on: loop, stoppingAfter: limit, Chance(seed: seed)) }
                    }
                    race.start.raise()
                    try loop.runForever()
                    // The threads go on meanwhile.
                    let report = loop.close()
                    for worker in workers { worker.join() }
                    return report.droppedCallbacks
                }
                let ends = race.outcomes.map(\.end)
                #expect(!ends.contains(.several), "seed \(seed), round \(round)")
                #expect(ends.count { $0 == .dropped } == dropped, "seed \(seed), round \(round)")
                #expect(race.outcomes.allSatisfy { $0.isReleased }, "seed \(seed), round \(round)")
                #expect(ends.contains(.ran), "seed \(seed), round \(round)")
            }
        }

        @Test func `whoever waits for a submission goes on, and has prevented it or finds that it ran`() async throws {
            for round in 0..<20 {
                let tokens = Recorder<Submission>()
                let outcomes = (0..<64).map { _ in SubmissionOutcome() }
                let waiting = Flag()
                async let prevented = waitForAll(tokens, after: waiting)
                try await withLoopElsewhere { loop in
                    let gate = Flag()
                    try loop.submit { _ in gate.spin() }
                    for outcome in outcomes { tokens.append(try loop.submit { _ in outcome.note(.ran) }) }
                    waiting.raise()
                    // From here on the loop runs them, others take them back, and then it closes.
                    gate.raise()
                }
                let ran = outcomes.count { $0.end == .ran }
                #expect(await prevented + ran == outcomes.count, "round \(round)")
                #expect(!outcomes.contains { $0.end == .several }, "round \(round)")
                for token in tokens.all {
                    #expect(!token.isPending)
                    #expect(await token.cancelAndWait() == false)
                }
            }
        }
    }
}

/// Waits for the ends of all that was submitted, at the same time; returns how many of them that prevented.
private func waitForAll(_ tokens: Recorder<Submission>, after flag: Flag) async -> Int {
    while !flag.isRaised { await Task.yield() }
    return await withTaskGroup(of: Bool.self) { group in
        for token in tokens.all { group.addTask { await token.cancelAndWait() } }
        return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
    }
}

/// What became of a submission, as any threads saw it.
private final class SubmissionOutcome: Sendable {
    enum End: Int {
        case ran, cancelled, refused
        /// Accepted, and neither run nor cancelled.
        case dropped
        /// More than one of them, which must not be.
        case several
    }

    /// How often each of the first three was noted, in a byte each, and how many closures are there, in the fourth.
    private let counts = Atomic<Int>(0)

    func note(_ end: End) { counts.wrappingAdd(1 << (8 * end.rawValue), ordering: .relaxed) }
    func closureIsMade() { counts.wrappingAdd(1 << 24, ordering: .relaxed) }
    func closureIsGone() { counts.wrappingSubtract(1 << 24, ordering: .relaxed) }

    var end: End {
        switch counts.load(ordering: .relaxed) & 0xFFFFFF {
        case 0: .dropped
        case 1: .ran
        case 1 << 8: .cancelled
        case 1 << 16: .refused
        default: .several
        }
    }

    var isReleased: Bool { counts.load(ordering: .relaxed) >> 24 == 0 }

    /// What a closure holds, so that its end shows.
    final class Held: Sendable {
        let outcome: SubmissionOutcome

        init(_ outcome: SubmissionOutcome) {
            self.outcome = outcome
            outcome.closureIsMade()
        }

        deinit { outcome.closureIsGone() }
    }
}

/// A loop that threads submit to, and what became of each submission.
private final class SubmissionRace: Sendable {
    let threads: Int
    let each: Int
    /// One for each submission, and one for the last, which stops the loop.
    let outcomes: [SubmissionOutcome]
    let start = Flag()
    private let ran = Atomic<Int>(0)
    private let working: Atomic<Int>

    init(threads: Int, each: Int) {
        (self.threads, self.each) = (threads, each)
        working = Atomic(threads)
        outcomes = (0...(threads * each)).map { _ in SubmissionOutcome() }
    }

    /// What one of the threads does.
    func work(_ number: Int, on loop: EventLoop, stoppingAfter limit: Int, _ chance: Chance) {
        var chance = chance
        var kept: [(Submission, SubmissionOutcome)] = []
        start.spin()
        for place in (number * each)..<((number + 1) * each) {
            let outcome = outcomes[place]
            guard let token = submit(outcome, to: loop, stoppingAfter: limit) else { continue }
            kept.append((token, outcome))
            // At once, later, twice, or never; and sometimes what is long done.
            guard chance.roll(3) == 0 else { continue }
            let (cancelled, itsOutcome) = kept[chance.roll(kept.count)]
            if cancelled.cancel() { itsOutcome.note(.cancelled) }
        }
        guard working.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue == 0 else { return }
        _ = submit(outcomes[threads * each], to: loop, stoppingAfter: 0)
    }

    private func submit(_ outcome: SubmissionOutcome, to loop: EventLoop, stoppingAfter limit: Int) -> Submission? {
        let held = SubmissionOutcome.Held(outcome)
        do {
            return try loop.submit { [self] loop in
                held.outcome.note(.ran)
                if ran.wrappingAdd(1, ordering: .relaxed).newValue >= limit { loop.stop() }
            }
        } catch {
            outcome.note(.refused)
            return nil
        }
    }
}
