// Turns the compiler's symbol graphs into lists for people: one line for each public declaration, sorted, with the
// attributes by which a program could not be compiled any more, and one for each protocol that a type conforms to.
//
//     list GRAPHS LISTS MODULE...

import Foundation

struct Graph: Decodable {
    struct Symbol: Decodable {
        struct Kind: Decodable { let identifier: String }
        struct Identifier: Decodable { let precise: String }
        struct Fragment: Decodable { let spelling: String }
        struct Availability: Decodable {
            let domain: String?
            let isUnconditionallyUnavailable: Bool?
            let isUnconditionallyDeprecated: Bool?
        }

        let kind: Kind
        let identifier: Identifier
        let pathComponents: [String]
        let declarationFragments: [Fragment]?
        let availability: [Availability]?
    }

    struct Relationship: Decodable {
        let kind: String
        let source: String
        let target: String
        let targetFallback: String?
    }

    let symbols: [Symbol]
    let relationships: [Relationship]
}

func lines(of module: String, in folder: URL) throws -> Set<String> {
    var lines: Set<String> = []
    var graphs: [Graph] = []
    // What a module adds to another one's types is in a file of its own.
    for file in try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil) {
        let name = file.lastPathComponent
        guard name == "\(module).symbols.json" || name.hasPrefix("\(module)@") else { continue }
        graphs.append(try JSONDecoder().decode(Graph.self, from: Data(contentsOf: file)))
    }
    var paths: [String: String] = [:]
    for symbol in graphs.flatMap(\.symbols) {
        let path = symbol.pathComponents.joined(separator: ".")
        paths[symbol.identifier.precise] = path
        var text = (symbol.declarationFragments ?? []).map(\.spelling).joined()
        text = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        for availability in symbol.availability ?? [] {
            let domain = availability.domain ?? "everywhere"
            if availability.isUnconditionallyUnavailable == true { text += " [unavailable \(domain)]" }
            if availability.isUnconditionallyDeprecated == true { text += " [deprecated \(domain)]" }
        }
        let parent = symbol.pathComponents.dropLast().joined(separator: ".")
        lines.insert(parent.isEmpty ? text : "\(parent): \(text)")
    }
    for relationship in graphs.flatMap(\.relationships) where relationship.kind == "conformsTo" {
        guard let source = paths[relationship.source] else { continue }
        let target = paths[relationship.target] ?? relationship.targetFallback ?? relationship.target
        // What every type is unless it says otherwise, or by being something else.
        if ["Swift.Copyable", "Swift.Escapable", "Swift.SendableMetatype"].contains(target) { continue }
        lines.insert("\(source) conforms to \(target)")
    }
    return lines
}

let arguments = CommandLine.arguments
guard arguments.count > 3 else { fatalError("list GRAPHS LISTS MODULE...") }
for module in arguments.dropFirst(3) {
    let found = try lines(of: module, in: URL(filePath: arguments[1]))
    if found.isEmpty { fatalError("no public declaration in \(module)") }
    let text = found.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }.map { $0 + "\n" }.joined()
    try text.write(to: URL(filePath: arguments[2]).appending(path: "\(module).txt"), atomically: true, encoding: .utf8)
}
