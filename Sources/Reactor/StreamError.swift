// The small set of errors for what a connection or a reader itself refuses: none of them comes from the system.

/// A mistake in the use of a connection, or its end.
public enum StreamError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The connection is closed: by this side, or because its scope has ended.
    case closed
    /// A task reads from the connection already; bytes would go to one of the two by chance.
    case busyReader
    /// The end of the stream was sent; nothing can follow it.
    case writeAfterEnd
    /// A file is being sent, between whose bytes nothing else may come; or one was not sent to its end, behind which something
    /// was to come.
    case sendingFile
    /// What a ``StreamReader`` was asked for is larger than its limit. Nothing was taken out: all of it can still be read.
    ///
    /// `consumed` is how many bytes belong to it for certain: those before the separator if one was found, or else those
    /// in which none begins.
    case limitExceeded(consumed: Int)
    /// A line is longer than the limit of its ``StreamReader``, which is `limit`, and was dropped.
    case lineTooLong(limit: Int)
    /// The stream has ended within what was asked for. `partial` is what there was of it, which was taken out; `expected`
    /// is how many bytes were asked for, or nil if it was a separator.
    case incompleteRead(partial: Bytes, expected: Int?)
    /// It is the reading end of a pipe.
    case notWritable
    /// Bytes that were written wait to be sent, so that the connection cannot be given away.
    case unsentBytes
    /// The connection is one in memory, or the listener has no socket of its own.
    case hasNoDescriptor

    /// What happened, in one sentence.
    public var description: String {
        switch self {
        case .closed: "The connection is closed."
        case .busyReader: "Another task is reading from this connection already."
        case .writeAfterEnd: "The connection's end was sent with writeEOF(), so that nothing can be written to it."
        case .sendingFile:
            "A file is being sent on this connection, or was not sent to its end: nothing else can be written before that."
        case .limitExceeded(let consumed): "What was to be read exceeds the reader's limit after \(consumed) bytes."
        case .lineTooLong(let limit): "The line is longer than the reader's limit of \(limit) bytes."
        case .incompleteRead(let partial, let expected?):
            "The stream ended after \(partial.count) of the \(expected) bytes that were to be read."
        case .incompleteRead(let partial, nil):
            "The stream ended \(partial.count) bytes after the last separator."
        case .notWritable: "The connection is the reading end of a pipe, to which nothing can be written."
        case .unsentBytes: "Bytes that were written wait to be sent; wait for that before you give the connection away."
        case .hasNoDescriptor: "The connection is one in memory and has no descriptor."
        }
    }
}
