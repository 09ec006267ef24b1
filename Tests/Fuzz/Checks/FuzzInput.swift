// An input of any bytes, read as decisions: what to do next, with what, and how often. Every input means something, and
// one that has ended decides nothing more, so that taking bytes away makes a shorter story and not another one.

/// The bytes of an input, one after the other.
package struct FuzzInput {
    private var rest: ArraySlice<UInt8>

    /// Reads from the beginning.
    package init(_ bytes: [UInt8]) { rest = bytes[...] }

    /// Whether nothing is left to decide.
    var isAtEnd: Bool { rest.isEmpty }

    /// The next byte; 0 at the end.
    mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

    /// One of so many, at most 256, counted from zero; 0 at the end.
    mutating func roll(_ sides: Int) -> Int { Int(byte()) % sides }

    /// One of two, of which the end is false.
    mutating func flip() -> Bool { byte() & 1 == 1 }

    /// The next step of a script: one of so many, or nil at the end.
    mutating func step(_ sides: Int) -> Int? { isAtEnd ? nil : roll(sides) }

    /// So many bytes, or what is left.
    mutating func bytes(_ count: Int) -> [UInt8] {
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }

    /// All that is left.
    mutating func remainder() -> [UInt8] { bytes(rest.count) }
}
