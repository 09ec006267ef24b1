// What ends a record in a stream: one sequence of bytes or several, of which the one counts that ends first.

internal import CReactor

/// What a ``StreamReader`` reads up to.
@safe
struct Separators {
    /// The end of a line.
    static let newline = Separators(["\n"])

    private let all: [Bytes]
    /// How many bytes the shortest and the longest have.
    let shortest: Int
    let longest: Int

    /// Takes at least one separator of at least one byte.
    init(_ separators: [Bytes]) {
        require(!separators.isEmpty, "readUntil needs at least one separator.")
        // The shortest first: of two that end at the same place it counts.
        all = separators.sorted { $0.count < $1.count }
        shortest = all[0].count
        longest = all[all.count - 1].count
        require(shortest > 0, "A separator needs at least one byte: an empty one would be everywhere.")
    }

    /// Where the separator lies that ends first; of those that end at the same place, the shortest.
    func first(in bytes: UnsafeRawBufferPointer) -> Range<Int>? {
        var found: Range<Int>?
        for separator in all {
            // One that ends later does not count, so that nobody looks behind what was found.
            let room = unsafe UnsafeRawBufferPointer(rebasing: bytes[..<(found?.upperBound ?? bytes.count)])
            guard let place = unsafe Self.place(of: separator, in: room) else { continue }
            found = Self.earlier(found, place..<place + separator.count)
        }
        return found
    }

    /// Which of two matches ends first; the first of both if they end at the same place.
    static func earlier(_ first: Range<Int>?, _ second: Range<Int>?) -> Range<Int>? {
        guard let first else { return second }
        guard let second, second.upperBound < first.upperBound else { return first }
        return second
    }

    private static func place(of separator: Bytes, in bytes: UnsafeRawBufferPointer) -> Int? {
        guard let base = bytes.baseAddress, bytes.count >= separator.count else { return nil }
        // SAFETY: both are valid for the length of the call, with at least one byte each.
        let place = unsafe separator.withUnsafeBytes {
            unsafe creactor_find(base, bytes.count, $0.baseAddress!, $0.count)
        }
        return place < 0 ? nil : place
    }
}
