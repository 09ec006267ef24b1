// What a reader reads, as sequences for `for try await`.

extension StreamReader {
    /// The lines as text, without their ends: see ``readTextLine()``.
    ///
    ///     for try await line in connection.reader.lines { connection.writer.write(line.uppercased() + "\n") }
    ///
    /// The corresponding asyncio name is `async for line in reader`.
    public var lines: Lines { Lines(reader: self) }

    /// What comes, in pieces as it comes: see ``read()``.
    public var chunks: Chunks { Chunks(reader: self) }

    /// The lines of a reader.
    public struct Lines: AsyncSequence {
        /// A line.
        public typealias Element = String

        let reader: StreamReader

        /// Iterates over the lines, which are taken out of the reader.
        public func makeAsyncIterator() -> Iterator { Iterator(reader: reader) }

        /// The lines of a reader, one by one.
        public struct Iterator: AsyncIteratorProtocol {
            let reader: StreamReader

            /// The next line, or nil at the end.
            public mutating func next() async throws -> String? { try await reader.readTextLine() }

            /// The next line, with the isolation of the caller.
            public mutating func next(isolation: isolated (any Actor)?) async throws(any Error) -> String? {
                try await reader.readTextLine()
            }
        }
    }

    /// What a reader reads.
    public struct Chunks: AsyncSequence {
        /// Some bytes, at least one.
        public typealias Element = Bytes

        let reader: StreamReader

        /// Iterates over what comes, which is taken out of the reader.
        public func makeAsyncIterator() -> Iterator { Iterator(reader: reader) }

        /// What a reader reads, piece by piece.
        public struct Iterator: AsyncIteratorProtocol {
            let reader: StreamReader

            /// The next bytes, or nil at the end.
            public mutating func next() async throws -> Bytes? { try await reader.read() }

            /// The next bytes, with the isolation of the caller.
            public mutating func next(isolation: isolated (any Actor)?) async throws(any Error) -> Bytes? {
                try await reader.read()
            }
        }
    }
}

extension Bytes {
    /// The bytes without the LF or CRLF at their end, if there is one; a slice, which shares the memory.
    public var withoutLineEnd: Bytes {
        guard last == UInt8(ascii: "\n") else { return self }
        let text = self[..<(endIndex - 1)]
        return text.last == UInt8(ascii: "\r") ? text[..<(text.endIndex - 1)] : text
    }
}
