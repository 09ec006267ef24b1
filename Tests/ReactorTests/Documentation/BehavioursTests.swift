// The page of behaviours and the tests say the same: every number there is cited by a test, or stands where it is said why
// there is none; and no test cites a number that the page does not explain.

import Foundation
import Testing

extension ReactorTests {
    @Suite struct BehavioursTests {
        private static let root = URL(filePath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()

        /// The numbers in the tables of the page, before and in its last section.
        private static func onPage() throws -> (promised: Set<Int>, without: Set<Int>) {
            let page = try String(
                contentsOf: root.appending(path: "Sources/AsyncIO/AsyncIO.docc/Behaviours.md"),
                encoding: .utf8
            )
            let halves = page.components(separatedBy: "## Without a test")
            #expect(halves.count == 2)
            return (numbers(inTablesOf: halves[0]), numbers(inTablesOf: halves[1]))
        }

        private static func numbers(inTablesOf text: String) -> Set<Int> {
            let cells = text.split(separator: "\n").compactMap { $0.firstMatch(of: /^\| ([0-9, ]+) \|/)?.1 }
            return Set(cells.flatMap { $0.split(separator: ", ").compactMap { Int($0) } })
        }

        /// The numbers that the tests cite: "behaviour 7", "behaviours 2 and 3", "behaviours 98, 99", "behaviours 11–13".
        private static func cited() throws -> Set<Int> {
            var found: Set<Int> = []
            let all = FileManager.default.enumerator(at: root.appending(path: "Tests"), includingPropertiesForKeys: nil)
            for file in try #require(all).compactMap({ $0 as? URL }) where file.pathExtension == "swift" {
                // Not what this file says of numbers in general.
                if file.lastPathComponent == "BehavioursTests.swift" { continue }
                let text = try String(contentsOf: file, encoding: .utf8)
                for match in text.matches(of: /[Bb]ehaviours? (\d+(?:(?:, | and |–| to )\d+)*)/) {
                    for part in match.1.replacing(" and ", with: ", ").split(separator: ", ") {
                        let ends = part.replacing(" to ", with: "–").split(separator: "–").compactMap { Int($0) }
                        guard let first = ends.first, let last = ends.last, first <= last else { continue }
                        found.formUnion(first...last)
                    }
                }
            }
            return found
        }

        @Test func `every behaviour has a test, or a reason on its page`() throws {
            let (promised, without) = try Self.onPage()
            let cited = try Self.cited()
            #expect(promised.subtracting(cited).sorted() == [], "promised by the page and cited by no test")
            #expect(cited.intersection(without).sorted() == [], "said to have no test, and cited by one")
            #expect(cited.subtracting(promised).sorted() == [], "cited by a test, and not on the page")
            #expect(promised.union(without) == Set(1...136))
        }
    }
}
