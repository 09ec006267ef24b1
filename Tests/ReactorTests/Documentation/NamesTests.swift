// The tables that lead from asyncio's names to ours, and the page of differences: every name exists, and so does every test
// that is said to hold a difference.

import Foundation
import Testing

extension ReactorTests {
    @Suite struct NamesTests {
        private static let root = URL(filePath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        private static let catalog = "Sources/AsyncIO/AsyncIO.docc"

        /// Read once for all tests, as it takes some seconds.
        private static let found = Result { try PublicNames(files("Sources/Reactor") + files("Sources/AsyncIO")) }

        private let names: PublicNames

        init() throws { names = try Self.found.get() }

        private static func files(_ folder: String) throws -> [URL] {
            let all = FileManager.default.enumerator(at: root.appending(path: folder), includingPropertiesForKeys: nil)
            return try #require(all).compactMap { $0 as? URL }.filter { $0.pathExtension == "swift" }
        }

        private static func text(_ path: String) throws -> String {
            try String(contentsOf: root.appending(path: path), encoding: .utf8)
        }

        /// What stands between backticks.
        private static func code(_ text: some StringProtocol) -> [String] {
            String(text).matches(of: /`([^`]+)`/).map { String($0.1) }
        }

        /// The last cells of the rows of a text's tables, without the first two rows of each.
        private static func lastCells(_ text: String) -> [Substring] {
            text.split(separator: "\n").filter { $0.hasPrefix("| `") || $0.hasPrefix("| |") || $0.hasPrefix("| a") }
                .filter { !$0.hasPrefix("| asyncio |") }.compactMap { $0.split(separator: "|").last }
        }

        @Test(arguments: [("README.md", 35), ("\(catalog)/NamesOfAsyncio.md", 55)])
        func `every name of ours in the tables of asyncio's names is public`(_ path: String, rows: Int) throws {
            var text = try Self.text(path)
            if path == "README.md" {
                let part = try #require(text.components(separatedBy: "\n## ").first { $0.hasPrefix("From asyncio") })
                text = part
            }
            let cells = Self.lastCells(text)
            #expect(cells.count >= rows, "\(cells.count)")
            for code in cells.flatMap(Self.code) where !["for try await", "@TaskLocal", "ASYNCIO_DEBUG"].contains(code)
            {
                let isKnown = names.know(code)
                #expect(isKnown, "\(code)")
            }
        }

        @Test func `names that do not exist, are elsewhere or have other labels are noticed`() {
            for code in ["EventLoop.stop()", "LoopTask", "AsyncIO.wait(for:until:timeout:)", "AsyncLock.isLocked"] {
                #expect(names.know(code), "\(code)")
            }
            for code in ["EventLoop.halt()", "LoopTisk", "AsyncIO.wait(while:)", "AsyncLock.isBroken", "HandleBox"] {
                #expect(!names.know(code), "\(code)")
            }
        }

        @Test func `every link to a symbol in the pages of the layer leads to one`() throws {
            var count = 0
            for page in ["AsyncIO", "DifferencesFromAsyncio", "NamesOfAsyncio"] {
                for match in try Self.text("\(Self.catalog)/\(page).md").matches(of: /``([^`]+)``/) {
                    count += 1
                    let symbol = String(match.1).replacing("/", with: ".")
                    #expect(symbol == "AsyncIO" || names.know(symbol), "\(page): \(symbol)")
                }
            }
            #expect(count > 60)
        }

        @Test func `every difference from asyncio says what, why and how, and names tests that exist`() throws {
            let tests = try Set(
                Self.files("Tests").flatMap { file in
                    try String(contentsOf: file, encoding: .utf8).matches(of: /func\s`([^`]+)`/).map { String($0.1) }
                }
            )
            let page = try Self.text("\(Self.catalog)/DifferencesFromAsyncio.md")
            let differences = page.components(separatedBy: "\n### ").dropFirst()
            #expect(differences.count >= 25)
            for difference in differences {
                let title = difference.prefix { $0 != "\n" }
                for part in ["- **asyncio**: ", "- **Here**: ", "- **Why**: ", "- **asyncio's way**: "] {
                    #expect(difference.contains(part), "\(title): \(part)")
                }
                let named = difference.matches(of: /\*`([^`]+)`\*/).map { String($0.1) }
                #expect(!named.isEmpty || difference.contains("No test holds this"), "\(title)")
                for name in named { #expect(tests.contains(name), "\(title): \(name)") }
            }
        }
    }
}
