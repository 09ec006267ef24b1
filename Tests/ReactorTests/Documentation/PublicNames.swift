// What the libraries make public, as their text says it: so that the documentation can be held to it.

import Foundation

/// The public names of `Reactor` and `AsyncIO`, and the labels of what takes arguments.
struct PublicNames {
    /// Members by the name of their type, and what belongs to none by the empty name; types are members as well.
    private var members: [String: Set<String>] = [:]
    /// The labels of each declaration of a name.
    private var labels: [String: [Set<String>]] = [:]

    /// Reads the sources in a folder and those below it.
    init(_ files: [URL]) throws {
        for file in files { read(try String(contentsOf: file, encoding: .utf8)) }
    }

    /// Whether a piece of code, such as `AsyncIO.wait(for:until:timeout:)` or `loop.stop()`, names something public, and with
    /// the labels that it has.
    func know(_ code: String) -> Bool {
        let words = code.prefix { $0.isLetter || $0.isNumber || $0 == "." || $0 == "_" }
        var path = words.split(separator: ".").map(String.init)
        if path.first == "AsyncIO" { path.removeFirst() }
        let variables = ["loop": "EventLoop", "server": "TCPServer", "connection": "TCPConnection"]
        if path.count > 1, let type = variables[path[0]] { path[0] = type }
        guard let name = path.popLast() else { return false }
        let isMember =
            path.last.map { members[$0]?.contains(name) ?? false } ?? members.values.contains { $0.contains(name) }
        let wanted = Set(Self.labels(code.dropFirst(words.count)))
        return isMember && (wanted.isEmpty || labels[name, default: []].contains { wanted.isSubset(of: $0) })
    }

    private mutating func read(_ text: String) {
        let lines = text.components(separatedBy: "\n")
        var types: [(indentation: Int, name: String, isEnum: Bool)] = []
        let beginnings = ["public ", "@TaskLocal public ", "extension ", "case "]
        for (number, line) in lines.enumerated() {
            let code = line.drop { $0 == " " }
            guard !code.isEmpty, !code.hasPrefix("//") else { continue }
            let indentation = line.count - code.count
            types.removeAll { indentation <= $0.indentation }
            guard beginnings.contains(where: code.hasPrefix) else { continue }
            let type = types.last
            if let match = code.firstMatch(of: /^public .*?(class|struct|enum|actor|protocol|typealias) (\w+)/) {
                members[type?.name ?? "", default: []].insert(String(match.2))
                types.append((indentation, String(match.2), match.1 == "enum"))
            } else if let match = code.firstMatch(of: /^(public )?extension (\w+\.)*(\w+)/) {
                types.append((indentation, String(match.3), false))
            } else if let match = code.firstMatch(of: /^(public .*?|@TaskLocal public .*?)(func|var|let) (\w+)/) {
                members[type?.name ?? "", default: []].insert(String(match.3))
                labels[String(match.3), default: []].append(Self.parameters(lines[number...]))
            } else if let type, code.hasPrefix("public init") {
                labels[type.name, default: []].append(Self.parameters(lines[number...]))
            } else if let type, type.isEnum, let match = code.firstMatch(of: /^case (\w+)/) {
                members[type.name, default: []].insert(String(match.1))
            }
        }
    }

    /// The labels of a declaration, which may go on for some lines.
    private static func parameters(_ lines: ArraySlice<String>) -> Set<String> {
        var labels: Set<String> = []
        for line in lines.prefix(12) {
            for match in line.matches(of: #/(\w+)( \w+)?: /#) { labels.insert(String(match.1)) }
            if line.hasSuffix("{") { break }
        }
        return labels
    }

    /// The labels in an argument list at the beginning of a text.
    private static func labels(_ text: Substring) -> [String] {
        guard text.hasPrefix("("), let end = text.firstIndex(of: ")") else { return [] }
        return text[..<end].matches(of: /(\w+):/).map { String($0.1) }.filter { $0 != "_" }
    }
}
