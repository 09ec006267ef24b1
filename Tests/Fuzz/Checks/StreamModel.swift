// What a reader must return, told from all the bytes of the stream at once: so a reader that passes returns the same
// whatever the pieces are in which they come.
//
// Where what is returned depends on the pieces, as with `read(upTo:)`, it must be the next bytes of the stream, and
// what follows must go on behind them.

import AsyncIO

/// One read.
enum ReadOperation {
    case any
    case upTo(Int)
    case exactly(Int)
    case line
    case textLine
    case until([[UInt8]])
    case toEnd(limit: Int)

    init(_ input: inout FuzzInput, stretch: Int) {
        switch input.roll(8) {
        case 0: self = .any
        case 1: self = .upTo(input.roll(16) * stretch)
        case 2: self = .exactly(input.roll(32) * stretch)
        case 3: self = .line
        case 4...5: self = .textLine
        case 6: self = .until((0..<1 + input.roll(3)).map { _ in Self.separator(&input) })
        default: self = .toEnd(limit: input.byte() == 255 ? 16 << 20 : input.roll(64) * stretch)
        }
    }

    private static func separator(_ input: inout FuzzInput) -> [UInt8] {
        (0..<1 + input.roll(4)).map { _ in StreamModel.letters[input.roll(StreamModel.letters.count)] }
    }

    /// Reads; text as its bytes.
    func perform(_ reader: StreamReader) async throws -> Bytes? {
        switch self {
        case .any: try await reader.read()
        case .upTo(let count): try await reader.read(upTo: count)
        case .exactly(let count): try await reader.read(exactly: count)
        case .line: try await reader.readLine()
        case .textLine: try await reader.readTextLine().map { Bytes($0.utf8) }
        case .until(let separators): try await reader.readUntil(anyOf: separators.map { Bytes($0) })
        case .toEnd(let limit): try await reader.readToEnd(limit: limit)
        }
    }
}

/// The error at the end of a stream that breaks.
struct Breakage: Error {}

/// A stream as a whole, and how much of it was read.
final class StreamModel {
    /// What streams are made of: few letters, so that separators are found and nearly found.
    static let letters = Array("ab\n\r".utf8)

    let ledger = Ledger()
    let data: [UInt8]
    let breaks: Bool
    var limit = StreamReader.defaultLimit
    private(set) var place = 0
    /// Where the line ends whose beginning was too long for `readTextLine`; what is left of it is dropped.
    private var openLineEnd = 0
    /// What was returned, which must not change when more is read.
    private var returned: [(bytes: Bytes, copy: [UInt8])] = []

    init(_ data: [UInt8], breaks: Bool) { (self.data, self.breaks) = (data, breaks) }

    private var rest: ArraySlice<UInt8> { data[place...] }

    /// Checks what came of a read; `taken` is how many bytes the reader does not have any more, where that is known.
    func check(_ operation: ReadOperation, _ result: Result<Bytes?, any Error>, taken known: Int?) {
        let taken = known ?? place
        if case .success(let bytes?) = result { returned.append((bytes, Array(bytes))) }
        if case .textLine = operation, openLineEnd > place { skipLine(result, taken) }
        switch result {
        case .success(let bytes): check(operation, bytes.map { Array($0) })
        case .failure(let error): check(operation, error, taken: taken)
        }
        ledger.expect(known ?? place == place, "after \(operation), \(result): it has taken \(taken), not \(place)")
    }

    /// What is left of a long line goes before anything else, unless the read ends before that.
    private func skipLine(_ result: Result<Bytes?, any Error>, _ taken: Int) {
        if case .failure(let error) = result, !(error is StreamError), taken < openLineEnd || !hasLineEnd(openLineEnd) {
            ledger.expect(taken >= place, "bytes came back")
            place = taken
        } else {
            place = openLineEnd
        }
    }

    private func hasLineEnd(_ end: Int) -> Bool { end > 0 && data[end - 1] == 10 }

    private func check(_ operation: ReadOperation, _ bytes: [UInt8]?) {
        let expected: ArraySlice<UInt8>?
        switch operation {
        case .any: expected = rest.isEmpty ? nil : rest.prefix(max(1, bytes?.count ?? 0))
        case .upTo(0): expected = []
        case .upTo(let most): expected = rest.isEmpty ? nil : rest.prefix(max(1, min(most, bytes?.count ?? 0)))
        case .exactly(let count): expected = rest.count < count ? nil : rest.prefix(count)
        case .line, .textLine:
            let count = lineCount
            ledger.expect(count <= limit || (count == limit + 1 && hasLineEnd(place + count)), "a line is too long")
            expected = rest.isEmpty ? nil : rest.prefix(count)
        case .until(let separators):
            let found = find(separators)
            ledger.expect(found.map { $0.lowerBound - place <= limit } == true, "\(operation) has no end in its limit")
            expected = found.map { rest.prefix(upTo: $0.upperBound) }
        case .toEnd(let limit):
            ledger.expect(rest.count <= limit, "the rest is too long")
            expected = rest
        }
        let needsEnd = expected == nil || isToEnd(operation) || (isLine(operation) && expected?.last != 10)
        ledger.expect(!breaks || !needsEnd, "\(operation) did not break")
        if case .textLine = operation {
            let text = expected.map { Array(String(decoding: withoutEnd($0), as: UTF8.self).utf8) }
            ledger.expect(bytes == text, "\(operation) returned \(String(describing: bytes)), not \(text ?? [])")
        } else {
            ledger.expect(bytes == expected.map(Array.init), "\(operation) returned \(String(describing: bytes))")
        }
        place += expected?.count ?? 0
    }

    private func check(_ operation: ReadOperation, _ error: any Error, taken: Int) {
        switch (operation, error) {
        case (_, is CancellationError): break
        case (_, is Breakage): ledger.expect(breaks && mayEnd(operation), "\(operation) breaks")
        case (.exactly(let count), StreamError.incompleteRead(let partial, expected: let expected?)):
            ledger.expect(rest.count < count && expected == count && !breaks, "\(operation): \(error)")
            ledger.expect(partial.elementsEqual(rest), "\(operation): \(error)")
            place = data.count
        case (.until(let separators), StreamError.incompleteRead(let partial, expected: nil)):
            ledger.expect(find(separators) == nil && !breaks, "\(operation): \(error)")
            ledger.expect(partial.elementsEqual(rest) && searched(separators) <= limit, "\(operation): \(error)")
            place = data.count
        case (.until(let separators), StreamError.limitExceeded(let consumed)):
            let most = find(separators).map { $0.lowerBound - place } ?? searched(separators)
            ledger.expect(consumed > limit && consumed <= most, "\(operation): \(error), and it is \(most)")
        case (.toEnd(let limit), StreamError.limitExceeded(let consumed)):
            ledger.expect(consumed > limit && consumed <= rest.count, "\(operation): \(error)")
        case (.line, StreamError.lineTooLong(limit: limit)), (.textLine, StreamError.lineTooLong(limit: limit)):
            dropLine(operation, taken)
        default: ledger.expect(false, "\(operation) threw \(error)")
        }
    }

    /// A line that was too long is gone to its end, or as far as it had come.
    private func dropLine(_ operation: ReadOperation, _ taken: Int) {
        let end = place + lineCount
        let length = hasLineEnd(end) ? lineCount - 1 : lineCount
        ledger.expect(length > limit, "a line of \(length) bytes is too long")
        ledger.expect(taken <= end && taken > place + limit, "of a line as far as \(end) it dropped \(taken)")
        place = taken
        if case .textLine = operation { openLineEnd = end }
    }

    // MARK: Searching

    /// How long the next line is, its end included.
    private var lineCount: Int { (rest.firstIndex(of: 10).map { $0 + 1 } ?? data.count) - place }

    /// The separator that ends first, the shortest of those that end there.
    private func find(_ separators: [[UInt8]]) -> Range<Int>? {
        for end in place...data.count {
            let lengths = separators.map(\.count).filter { $0 <= end - place }
            let near = separators.filter { lengths.contains($0.count) }
            let found = near.filter { data[(end - $0.count)..<end].elementsEqual($0) }
            if let length = found.map(\.count).min() { return end - length..<end }
        }
        return nil
    }

    /// In how many bytes no separator begins, if there is none.
    private func searched(_ separators: [[UInt8]]) -> Int {
        max(0, rest.count + 1 - (separators.map(\.count).max() ?? 0))
    }

    private func withoutEnd(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        guard line.last == 10 else { return line }
        return line.dropLast().last == 13 ? line.dropLast(2) : line.dropLast()
    }

    // MARK: The end of the stream

    private func isToEnd(_ operation: ReadOperation) -> Bool { if case .toEnd = operation { true } else { false } }

    private func isLine(_ operation: ReadOperation) -> Bool {
        switch operation {
        case .line, .textLine: true
        default: false
        }
    }

    /// Whether a read of this kind needs more than there is, from here on.
    private func mayEnd(_ operation: ReadOperation) -> Bool {
        switch operation {
        case .any: rest.isEmpty
        case .upTo(let most): most > 0 && rest.isEmpty
        case .exactly(let count): rest.count < count
        case .line, .textLine: !hasLineEnd(place + lineCount) && lineCount <= limit || rest.isEmpty
        case .until(let separators): find(separators) == nil && searched(separators) <= limit
        case .toEnd(let limit): rest.count <= limit
        }
    }

    /// What was returned is still what it was.
    func checkReturned() {
        for (bytes, copy) in returned { ledger.expect(bytes.elementsEqual(copy), "returned bytes have changed") }
    }
}
