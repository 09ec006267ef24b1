// What ties a model to the code that it is of: it takes its operations on atomics and mutexes, with their orderings, one
// after the other from the text of the function. A function that is changed in these fails the test of its model, which
// must be brought up to date; an ordering that is changed changes the model.

import Foundation

/// A source file, for models.
struct SourceSteps {
    private let path: String
    private let lines: [String]
    /// Orderings that a test replaces, to see that the search finds out.
    var weakened: [Place: Ordering] = [:]

    /// An operation in a function, counted from 0.
    struct Place: Hashable {
        let function: String
        let index: Int
    }

    struct Mismatch: Error, CustomStringConvertible {
        let description: String
    }

    init(_ path: String) throws {
        // This file is Tests/ReactorTests/Interleavings/SourceSteps.swift.
        var root = URL(filePath: #filePath)
        for _ in 0..<4 { root.deleteLastPathComponent() }
        self.path = path
        lines = try String(contentsOf: root.appending(path: path), encoding: .utf8)
            .split(separator: "\n", omittingEmptySubsequences: false)
            .filter { !$0.trimmingPrefix { $0 == " " }.hasPrefix("//") }.map(String.init)
    }

    /// The operations of a function or a computed property, to be taken one after the other.
    func function(_ name: String) throws -> SourceFunction {
        let heads = ["func \(name)(", "var \(name): "]
        guard let start = lines.firstIndex(where: { line in heads.contains(where: line.contains) }) else {
            throw Mismatch(description: "\(path) has no function \(name) any more, of which there is a model.")
        }
        let indent = lines[start].prefix { $0 == " " }
        // One on a single line ends there.
        let end =
            lines[start].hasSuffix("}")
            ? start : lines[start...].firstIndex { $0 == indent + "}" } ?? lines.index(before: lines.endIndex)
        let operations = SourceOperation.all(in: lines[start...end].joined(separator: "\n")).enumerated()
            .map { index, operation in
                var operation = operation
                if let ordering = weakened[Place(function: name, index: index)] { operation.ordering = ordering }
                return operation
            }
        return SourceFunction(place: "\(name) in \(path)", operations: operations)
    }

    /// Where in these functions an operation has an ordering that could be weaker, and the next weaker ones.
    func weakenings(of functions: [String]) throws -> [(place: Place, was: SourceOperation, ordering: Ordering)] {
        try functions.flatMap { name in
            try function(name).operations.enumerated().flatMap { index, operation in
                operation.weaker.map { (Place(function: name, index: index), operation, $0) }
            }
        }
    }
}

/// An operation on an atomic or a mutex, or a call of libuv's.
struct SourceOperation {
    /// Such as `hasEntries.load`, `creactor_mutex_lock` or `lock.locked`.
    let name: String
    var ordering: Ordering?

    private static let kinds = "load|store|exchange|compareExchange|wrappingAdd|wrappingSubtract|locked"

    fileprivate static func all(in text: String) -> [SourceOperation] {
        guard let pattern = try? Regex("(creactor_mutex_\\w+|uv_async_send|\\w+\\.(?:\(kinds)))\\b") else { return [] }
        return text.matches(of: pattern).map { match in
            let name = String(text[match.range])
            let rest = text[match.range.upperBound...]
            guard rest.first == "(", name != "uv_async_send", !name.hasPrefix("creactor_") else {
                return SourceOperation(name: name)
            }
            // The arguments of this call, and no other's.
            var depth = 0
            let arguments = rest.prefix {
                if $0 == "(" { depth += 1 }
                if $0 == ")" { depth -= 1 }
                return depth > 0
            }
            let word = arguments.firstMatch(of: /ordering: \.(\w+)/)?.output.1
            return SourceOperation(name: name, ordering: word.flatMap { Ordering(rawValue: String($0)) })
        }
    }

    fileprivate var weaker: [Ordering] {
        switch ordering {
        case nil, .relaxed: []
        case .acquiring, .releasing: [.relaxed]
        case .acquiringAndReleasing: [.acquiring, .releasing]
        case .sequentiallyConsistent:
            if name.hasSuffix(".load") {
                [.acquiring]
            } else if name.hasSuffix(".store") {
                [.releasing]
            } else {
                [.acquiringAndReleasing]
            }
        }
    }
}

/// A function whose operations a model takes one after the other.
struct SourceFunction {
    fileprivate let place: String
    fileprivate let operations: [SourceOperation]
    private var taken = 0

    fileprivate init(place: String, operations: [SourceOperation]) {
        self.place = place
        self.operations = operations
    }

    /// The ordering of the next operation, which must be this one.
    @discardableResult
    mutating func next(_ name: String) throws -> Ordering {
        let found = taken < operations.count ? operations[taken].name : "nothing"
        guard found == name else {
            throw SourceSteps.Mismatch(
                description: "Operation \(taken) of \(place) is \(found), where its model expects \(name). "
                    + "Bring the model up to date with the code."
            )
        }
        taken += 1
        return operations[taken - 1].ordering ?? .relaxed
    }

    /// There must be no more.
    func finish() throws {
        guard taken < operations.count else { return }
        throw SourceSteps.Mismatch(
            description: "Operation \(taken) of \(place), \(operations[taken].name), is not in its model. "
                + "Bring the model up to date with the code."
        )
    }
}

extension Code {
    // What the code does, with the orderings that it has there.

    mutating func load(_ place: AtomicPlace, into register: Register, from source: inout SourceFunction) throws {
        add(.load(place, try source.next("\(place.name).load"), into: register))
    }

    mutating func store(_ place: AtomicPlace, _ value: Operand, from source: inout SourceFunction) throws {
        add(.store(place, try source.next("\(place.name).store"), value))
    }

    mutating func awaitValue(_ place: AtomicPlace, _ value: UInt8, from source: inout SourceFunction) throws {
        add(.awaitValue(place, try source.next("\(place.name).load"), value))
    }

    mutating func compareExchange(
        _ place: AtomicPlace,
        _ expected: UInt8,
        _ desired: UInt8,
        into register: Register,
        from source: inout SourceFunction
    ) throws {
        let ordering = try source.next("\(place.name).compareExchange")
        add(.compareExchange(place, ordering, expected: expected, desired: desired, into: register))
    }

    mutating func lock(_ mutex: MutexPlace, from source: inout SourceFunction) throws {
        try source.next("creactor_mutex_lock")
        add(.lock(mutex))
    }

    mutating func unlock(_ mutex: MutexPlace, from source: inout SourceFunction) throws {
        try source.next("creactor_mutex_unlock")
        add(.unlock(mutex))
    }

    /// Does `body` under a lock, by the method of that name.
    mutating func locked(
        _ mutex: MutexPlace,
        _ name: String,
        from source: inout SourceFunction,
        _ body: (inout Code, inout SourceFunction) throws -> Void
    ) throws {
        try source.next(name)
        add(.lock(mutex))
        try body(&self, &source)
        add(.unlock(mutex))
    }
}
