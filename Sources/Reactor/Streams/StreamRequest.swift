// What a reader is asked for, and whether the bytes that are there are that. No task, no loop: the same decisions as
// asyncio's StreamReader makes, in the same order, so that both leave the same behind after each error.

/// One read.
@safe
struct StreamRequest {
    enum Kind {
        /// Whatever is there.
        case any
        case upTo(Int)
        case exactly(Int)
        /// As far as a separator, which is part of it.
        case until(Separators)
        /// As far as the end of a line, or of the stream.
        case line(isText: Bool)
        /// To the end of the stream, with a limit of its own.
        case toEnd(Int)
        /// The end of a line that was too long, whose beginning is gone; nothing is returned.
        case restOfLine
    }

    let kind: Kind
    /// In so many bytes no separator begins.
    private var searched = 0
    /// Whether the rest of a line that was dropped is to be dropped as well, whose end has not come; nil if this read has
    /// nothing to say about it.
    private(set) var leavesLineOpen: Bool?

    init(_ kind: Kind) { self.kind = kind }

    /// How many bytes there will be in the end, as far as that is known.
    var expected: Int { if case .exactly(let count) = kind { count } else { 0 } }

    /// Takes what was asked for; nil if more is needed.
    mutating func take(from buffer: StreamBuffer, _ limit: Int) throws(StreamError) -> Bytes? {
        let count = buffer.count
        switch kind {
        case .any: return count > 0 ? buffer.takeAll() : nil
        case .upTo(let most): return count > 0 ? buffer.take(min(count, most)) : nil
        case .exactly(let wanted): return count >= wanted ? buffer.take(wanted) : nil
        case .until(let separators): return try find(separators, in: buffer, limit)
        case .line(let isText): return try takeLine(from: buffer, limit, isText)
        case .toEnd(let limit):
            if count > limit { throw .limitExceeded(consumed: count) }
            return nil
        case .restOfLine:
            if let end = buffer.find(.newline, from: 0)?.upperBound { return buffer.take(end) }
            buffer.removeAll()
            return nil
        }
    }

    /// Takes what there is of it at the end of the stream; nil if that is nothing.
    func takeLast(from buffer: StreamBuffer) throws(StreamError) -> Bytes? {
        switch kind {
        case .exactly(let wanted): throw .incompleteRead(partial: buffer.takeAll(), expected: wanted)
        case .until: throw .incompleteRead(partial: buffer.takeAll(), expected: nil)
        case .toEnd: return buffer.takeAll()
        case .any, .upTo, .line, .restOfLine: return buffer.count > 0 ? buffer.takeAll() : nil
        }
    }

    private mutating func find(
        _ separators: Separators,
        in buffer: StreamBuffer,
        _ limit: Int
    ) throws(StreamError) -> Bytes? {
        if let found = buffer.find(separators, from: searched) {
            if found.lowerBound > limit { throw .limitExceeded(consumed: found.lowerBound) }
            return buffer.take(found.upperBound)
        }
        // The last bytes may be the beginning of one.
        searched = max(0, buffer.count + 1 - separators.longest)
        if searched > limit { throw .limitExceeded(consumed: searched) }
        return nil
    }

    private mutating func takeLine(
        from buffer: StreamBuffer,
        _ limit: Int,
        _ isText: Bool
    ) throws(StreamError) -> Bytes? {
        do {
            return try find(.newline, in: buffer, limit)
        } catch {
            if let end = buffer.find(.newline, from: 0)?.upperBound {
                _ = buffer.take(end)
                leavesLineOpen = false
            } else {
                buffer.removeAll()
                if isText { leavesLineOpen = true }
            }
            throw .lineTooLong(limit: limit)
        }
    }
}
