// The examples in the doc comments of channels and pacing do what they say, and each is the text of one that is compiled.

import AsyncIO
import AsyncIOTesting
import Foundation
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct ChannelExampleTests {
        @Test func `the examples of channels do what they say`() async throws {
            let (lines, values) = (Recorder<String>(), Recorder<Int>())
            try await onLoop { loop in
                try await ChannelExample.run(show: { lines.append("channel: \($0)") }, on: loop)
                try await BroadcastChannelExample.run(show: { lines.append("news: \($0)") }, on: loop)
                try await WatchExample.run(show: { values.append($0) }, on: loop)
            }
            #expect(lines.all == ["channel: hello", "news: hello"])
            #expect(values.all == [3, 12])
        }

        @Test(arguments: ["Channels", "Pacing"])
        func `every example in a doc comment is compiled`(folder: String) throws {
            let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent().deletingLastPathComponent()
            let compiled = try texts(root.appending(path: "Tests/AsyncIOTests/\(folder)")) {
                $0.hasSuffix("Examples.swift")
            }
            .map { code(of: $0) }
            let examples = try texts(root.appending(path: "Sources/AsyncIO/\(folder)")) { _ in true }.flatMap(
                docExamples
            )
            #expect(examples.count >= 3)
            for example in examples {
                let isCompiled = compiled.contains { holds($0, example) }
                #expect(isCompiled, "\(example)")
            }
        }
    }
}

private func texts(_ folder: URL, _ isWanted: (String) -> Bool) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder.path(percentEncoded: false))
        .filter { $0.hasSuffix(".swift") && isWanted($0) }
        .map { try String(contentsOf: folder.appending(path: $0), encoding: .utf8) }
}

/// The lines without their indentation, as an example stands deeper where it is compiled.
private func code(of text: String) -> [String] {
    text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
}

/// Whether the lines of an example stand in a text, in their order.
private func holds(_ text: [String], _ example: [String]) -> Bool {
    var rest = text[...]
    for line in example {
        guard let found = rest.firstIndex(of: line) else { return false }
        rest = rest[(found + 1)...]
    }
    return true
}

/// The blocks in doc comments that are indented by four spaces after an empty line.
private func docExamples(_ source: String) -> [[String]] {
    var examples: [[String]] = []
    var current: [String]?
    var previousIsEmpty = false
    for line in source.components(separatedBy: "\n") {
        let comment = line.trimmingCharacters(in: .whitespaces)
        if comment.hasPrefix("///     "), current != nil || previousIsEmpty {
            current = (current ?? []) + code(of: String(comment.dropFirst(3)))
        } else if let example = current {
            examples.append(example)
            current = nil
        }
        previousIsEmpty = comment == "///"
    }
    return examples
}
