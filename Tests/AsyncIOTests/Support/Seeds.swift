// The whole suite under an order that nobody has promised: what is ready together runs as a seed decides.
//
//     ASYNCIO_TEST_SEED=17 swift test --filter AsyncIOTests
//     ASYNCIO_TEST_SEED='0..<200' swift test --filter LockTests
//     ASYNCIO_TEST_SEED=1,2,40..<50 swift test --filter AsyncIOTests
//
// Each test then runs once for each seed, all its loops shuffling with it, and stops at the first seed that fails it,
// which is named. What fails fails again under the same seed, unless other threads take part. A test that fails depends
// on an order that the library does not promise, or the library does; only a test whose subject is the order itself
// says `.testsOrder`, and is left out.

import Foundation
import Testing

/// The seeds that the environment names.
enum Seeds {
    /// All that this run of the suite goes through; empty is the order in which callbacks became ready.
    static let all = parse(ProcessInfo.processInfo.environment["ASYNCIO_TEST_SEED"] ?? "")

    /// The time limit of a test that takes so long with one seed: more with many, as it is run with each of them.
    static func minutes(_ minutes: Int) -> Int { minutes * (1 + all.count / 50) }

    /// The one that this run of a test is under.
    @TaskLocal static var current: UInt64?

    /// The seeds of a test with random operations of its own: few, where it runs again for each seed of the loop.
    static func few(of seeds: Range<UInt64>) -> Range<UInt64> {
        all.isEmpty ? seeds : seeds.lowerBound..<seeds.lowerBound + 1
    }

    /// Numbers, and ranges such as `0..<200`, with commas between them.
    static func parse(_ text: String) -> [UInt64] {
        text.split(separator: ",").flatMap { part in
            let ends = part.split(separator: "..<", omittingEmptySubsequences: false).map { UInt64($0) }
            guard let first = ends[0] else { return malformed(text) }
            if ends.count == 1 { return [first] }
            guard ends.count == 2, let last = ends[1], first < last else { return malformed(text) }
            return Array(first..<last)
        }
    }

    private static func malformed(_ text: String) -> [UInt64] {
        fatalError("ASYNCIO_TEST_SEED is \"\(text)\"; it is 17, or 0..<200, or several of both: 1,2,40..<50.")
    }
}

/// Runs a test once for each seed, until one fails it.
struct Seeded: SuiteTrait, TestTrait, TestScoping {
    var isRecursive: Bool { true }

    func provideScope(
        for test: Test,
        testCase: Test.Case?,
        performing function: @Sendable @concurrent () async throws -> Void
    ) async throws {
        // The scope of a suite holds those of its tests.
        guard testCase != nil, !Seeds.all.isEmpty else { return try await function() }
        for seed in Seeds.all {
            let issues = Recorder<Issue>()
            let naming: IssueHandlingTrait = .compactMapIssues { issue in
                issues.append(issue)
                var issue = issue
                issue.comments.append("With the seed \(seed).")
                return issue
            }
            try await Seeds.$current.withValue(seed) {
                try await naming.provideScope(for: test, testCase: testCase) {
                    do { try await function() } catch is ExpectationFailedError {
                        // It was recorded where it was found.
                    } catch {
                        Issue.record(error, sourceLocation: test.sourceLocation)
                    }
                }
            }
            if issues.count > 0 { return }
        }
    }
}

extension Trait where Self == ConditionTrait {
    /// The subject of the test is an order, so it runs without a seed only.
    static var testsOrder: Self { .enabled(if: Seeds.all.isEmpty, "it tests the order in which what is ready runs") }

    /// What the test runs, it runs in processes of their own, which know no seed.
    static var testsProcess: Self { .enabled(if: Seeds.all.isEmpty, "it runs in a process of its own, without a seed") }

    /// The subject of the test is what very many waits cost, or how deep they nest, which is the same in any order.
    static var testsMany: Self { .enabled(if: Seeds.all.isEmpty, "it takes long, and has little to do with the order") }
}

/// Whether it was told in this order; under a seed, whether all of it was, in any order.
func told<Element: Comparable>(_ events: some Sequence<Element>, _ expected: [Element]) -> Bool {
    Seeds.current == nil ? events.elementsEqual(expected) : events.sorted() == expected.sorted()
}
