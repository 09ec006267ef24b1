// The rules that no compiler checks, checked over the text of the repository: who may import libuv, that everything
// unsafe says why, that no test sleeps, that whatever is named like a test is one, and that files stay readable.

import Foundation
import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct SourceRulesTests {
        private let sources: [SourceFile]
        private let tests: [SourceFile]

        init() throws {
            // This file is Tests/ReactorTests/SourceRulesTests.swift.
            let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent()
            sources = try SourceFile.all(below: root, "Sources")
            tests = try SourceFile.all(below: root, "Tests")
            let package = try SourceFile(root, "Package.swift")
            self.package = package
        }

        private let package: SourceFile

        @Test func `the files are found`() {
            #expect(sources.contains { $0.path == "Sources/Reactor/EventLoop.swift" })
            #expect(tests.contains { $0.path == "Tests/ReactorTests/SourceRulesTests.swift" })
        }

        @Test func `only the reactor imports libuv and the C target`() {
            for file in sources + tests where !file.path.hasPrefix("Sources/Reactor/") {
                file.forbid("imports the C layer") {
                    $0.contains("import " + "CLibUV") || $0.contains("import " + "CReactor")
                }
            }
        }

        @Test func `every claim that the compiler cannot check has a reason within four lines above it`() {
            let claims = ["@unchecked " + "Sendable", "nonisolated" + "(unsafe)", "unsafe" + "BitCast"]
            for file in sources + tests {
                for (number, line) in file.code where claims.contains(where: line.contains) {
                    let before = file.lines[max(0, number - 5)..<number]
                    guard !before.contains(where: { $0.contains("SAFETY:") }) else { continue }
                    guard !file.continuesReason(at: number, claims) else { continue }
                    Issue.record("\(file.path):\(number): no SAFETY comment: \(line.trimmed)")
                }
            }
        }

        @Test func `no test sleeps for real`() {
            let sleeps = ["usleep" + "(", "nanosleep" + "(", "Thread" + ".sleep"]
            for file in tests {
                file.forbid("sleeps") { line in sleeps.contains(where: line.contains) }
                // C's function. `AsyncIO.sleep`, in tests, takes the time of a virtual clock.
                file.forbid("sleeps") { $0.contains("sleep" + "(") && $0.contains(/(^|[^.A-Za-z])sleep\([0-9]/) }
                // What `Task.sleep` does is a matter of the executor's tests.
                guard !file.path.hasSuffix("ExecutorTests.swift"), !file.path.contains("RunFixture") else { continue }
                file.forbid("sleeps") { $0.contains("Task" + ".sleep(") }
            }
        }

        @Test func `no test vanishes for want of a program`() {
            let ways = ["if: ForeignProgram" + ".", "guard ForeignProgram" + "."]
            let excepted = ["Reference.swift", "Needs.swift"]
            for file in tests where !excepted.contains(where: file.path.hasSuffix) {
                file.forbid("vanishes: use .needs") { line in ways.contains(where: line.contains) }
            }
        }

        @Test func `whatever is named like a test is one`() {
            for file in tests {
                for (number, line) in file.code where line.contains("func " + "`") {
                    // The attribute is on the line, or above it with nothing but its own lines between.
                    var first = number - 1
                    while first > 0 && !file.lines[first].contains("@Test") && file.lines[first - 1].isAttributePart {
                        first -= 1
                    }
                    if !file.lines[first].contains("@Test") {
                        Issue.record("\(file.path):\(number): never runs, as it has no @Test: \(line.trimmed)")
                    }
                }
            }
        }

        @Test func `no file is longer than 400 lines`() {
            for file in sources + tests where file.lines.count > 400 {
                Issue.record("\(file.path) has \(file.lines.count) lines")
            }
        }

        @Test func `no library prints`() {
            for file in sources where !file.path.hasPrefix("Sources/echo-server/") {
                file.forbid("prints") { $0.contains("print" + "(") && $0.contains(/(^|[^A-Za-z.])print\(/) }
            }
        }

        @Test func `the package has no unsafe flags, which would keep others from depending on it`() {
            package.forbid("unsafe flags") { $0.contains("unsafe" + "Flags") }
        }

        @Test func `every file begins by saying what it is for`() {
            for file in sources + tests {
                #expect(file.lines.first?.hasPrefix("// ") == true, "\(file.path)")
            }
        }
    }
}

/// A Swift file of the repository.
private struct SourceFile {
    let path: String
    let lines: [String]

    init(_ root: URL, _ path: String) throws {
        self.path = path
        let text = try String(contentsOf: root.appending(path: path), encoding: .utf8)
        lines = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init)
    }

    static func all(below root: URL, _ folder: String) throws -> [SourceFile] {
        let start = root.appending(path: folder).path(percentEncoded: false)
        let names = try #require(FileManager.default.enumerator(atPath: start)).compactMap { $0 as? String }
        return try names.filter { $0.hasSuffix(".swift") }.sorted().map { try SourceFile(root, "\(folder)/\($0)") }
    }

    /// The lines that are no comments, with their numbers, the first of which is 1.
    var code: [(Int, String)] {
        zip(1..., lines).filter { !$0.1.trimmed.hasPrefix("//") }.map { ($0.0, String($0.1)) }
    }

    func forbid(_ what: String, _ isForbidden: (String) -> Bool) {
        for (number, line) in code where isForbidden(line) {
            Issue.record("\(path):\(number): \(what): \(line.trimmed)")
        }
    }

    /// Whether the line belongs to a block whose first lines have a reason: declarations right below one another, or
    /// one function's statements of the same kind.
    func continuesReason(at number: Int, _ claims: [String]) -> Bool {
        var index = number - 1
        while index > 0, !lines[index - 1].trimmed.isEmpty, !lines[index - 1].contains("func ") {
            index -= 1
            if lines[index].contains("SAFETY:") {
                return lines[index..<number].filter { line in claims.contains(where: line.contains) }.count > 1
            }
        }
        return false
    }
}

extension String {
    fileprivate var trimmed: String { trimmingCharacters(in: .whitespaces) }

    /// Whether a line may stand between an attribute and the function that it belongs to.
    fileprivate var isAttributePart: Bool {
        let text = trimmed
        return !text.isEmpty && !text.hasSuffix("}") && !text.hasSuffix("{")
    }
}
