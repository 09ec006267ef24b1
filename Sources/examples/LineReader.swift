// Lines out of bytes, for the servers among the examples: a connection delivers pieces of any size, people send lines.

import AsyncIO

/// Reads a connection line by line.
///
/// Lines end with LF or CRLF, which is not part of them; what follows the last end is a line too.
struct LineReader {
    /// What stood between two line ends.
    enum Line: Equatable {
        case text(String)
        /// More than the limit. All of it was dropped; the next line is read as if nothing had been.
        case tooLong
    }

    private let connection: TCPConnection
    private let limit: Int
    /// What has arrived and belongs to no line yet.
    private var rest: ArraySlice<UInt8> = []
    /// Whether the line that is arriving is too long and was said to be.
    private var isSkipping = false

    /// Reads lines of at most `limit` bytes, so that a peer that never ends its line cannot fill the memory.
    init(_ connection: TCPConnection, limit: Int) {
        self.connection = connection
        self.limit = limit
    }

    /// The next line, or nil at the end of what the peer sends.
    mutating func next() async throws -> Line? {
        while true {
            if let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                let line = take(rest[..<end], from: end + 1)
                if let line { return line }
            } else if rest.count > limit + 1 {
                // One more than the limit, for a CR whose LF is still on its way.
                rest = []
                if !isSkipping {
                    isSkipping = true
                    return .tooLong
                }
            } else if let bytes = try await connection.read() {
                rest = ArraySlice(rest + bytes)
            } else {
                return rest.isEmpty ? nil : take(rest, from: rest.endIndex)
            }
        }
    }

    /// Takes a line; nil for the end of one that was skipped.
    private mutating func take(_ line: ArraySlice<UInt8>, from next: Int) -> Line? {
        rest = rest[next...]
        if isSkipping {
            isSkipping = false
            return nil
        }
        let text = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
        // Bytes that are no UTF-8 become the character for that.
        return text.count > limit ? .tooLong : .text(String(decoding: text, as: UTF8.self))
    }
}
