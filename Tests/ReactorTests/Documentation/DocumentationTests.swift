// What the documentation says is compiled, and its examples do what they say.

import Foundation
import Reactor
import Testing

extension ReactorTests {
    @Suite struct DocumentationTests {
        private static let root = URL(filePath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()

        /// The lines of an example without their indentation, as it stands deeper where it is compiled.
        private static func lines(_ text: some StringProtocol) -> [String] {
            text.split(separator: "\n").map {
                $0.trimmingCharacters(in: .whitespaces).replacing("static func", with: "func")
                    .replacing("@main struct", with: "struct").replacing("unsafe ", with: "")
            }
            .filter { !$0.isEmpty && !$0.hasPrefix("import ") }
        }

        /// The Swift files in a folder and those below it.
        private static func files(_ folder: String) throws -> [URL] {
            let all = FileManager.default.enumerator(at: root.appending(path: folder), includingPropertiesForKeys: nil)
            return try #require(all).compactMap { $0 as? URL }.filter { $0.pathExtension == "swift" }
        }

        private static func isCompiled(_ example: [String]) throws -> Bool {
            let compiled = try files("Tests").filter { $0.lastPathComponent.hasSuffix("Examples.swift") }
                .sorted { $0.path < $1.path }
                .flatMap { lines(try String(contentsOf: $0, encoding: .utf8)) }
            // Declarations of one example may stand apart; what follows a blank line starts anew there, so each line
            // must be found behind the one before.
            var rest = compiled[...]
            for line in example {
                guard let found = rest.firstIndex(of: line) else { return false }
                rest = rest[(found + 1)...]
            }
            return true
        }

        @Test func `every Swift example of the README is compiled`() throws {
            let readme = try String(contentsOf: Self.root.appending(path: "README.md"), encoding: .utf8)
            let examples = readme.components(separatedBy: "```swift\n").dropFirst().map {
                Self.lines($0.components(separatedBy: "```")[0])
            }
            #expect(examples.count >= 2)
            for example in examples {
                #expect(try Self.isCompiled(example), "not in Examples.swift: \(example.first ?? "")")
            }
        }

        @Test func `every example in a doc comment is compiled`() throws {
            var count = 0
            for module in ["Reactor", "AsyncIO", "AsyncIOTesting"] {
                for file in try Self.files("Sources/\(module)") {
                    for example in Self.docExamples(try String(contentsOf: file, encoding: .utf8)) {
                        count += 1
                        #expect(try Self.isCompiled(example), "\(file.lastPathComponent): \(example)")
                    }
                }
            }
            #expect(count >= 4)
        }

        /// The blocks in doc comments that are indented by four spaces after an empty line.
        private static func docExamples(_ source: String) -> [[String]] {
            var examples: [[String]] = []
            var current: [String]?
            var previousIsEmpty = false
            for line in source.components(separatedBy: "\n") {
                let comment = line.trimmingCharacters(in: .whitespaces)
                if comment.hasPrefix("///     "), current != nil || previousIsEmpty {
                    current = (current ?? []) + lines(comment.dropFirst(3))
                } else if let example = current {
                    examples.append(example)
                    current = nil
                }
                previousIsEmpty = comment == "///"
            }
            return examples
        }

        @Test func `the hour of the README takes no time`() async throws {
            let start = ContinuousClock.now
            #expect(try await TestingExample.anHourInNoTime() == .seconds(3600))
            #expect(start.duration(to: .now) < .seconds(5))
        }

        @Test func `a completion's value is what the run returns`() throws {
            let answer = try withLoop { loop in try CompletionExample.run(loop) }
            #expect(answer == 42)
        }

        @Test func `a slice of bytes reads as text`() {
            #expect(BytesExample.line("GET /\r\n", 5) == "GET /")
        }
    }
}
