// The small set of errors for what a connection itself refuses: none of them comes from the system.

/// A mistake in the use of a connection, or its end.
public enum StreamError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The connection is closed: by this side, or because its scope has ended.
    case closed
    /// A task reads from the connection already; bytes would go to one of the two by chance.
    case busyReader
    /// The end of the stream was sent; nothing can follow it.
    case writeAfterEnd
    /// A file is being sent, between whose bytes nothing else may come.
    case sendingFile

    /// What happened, in one sentence.
    public var description: String {
        switch self {
        case .closed: "The connection is closed."
        case .busyReader: "Another task is reading from this connection already."
        case .writeAfterEnd: "The connection's end was sent with writeEOF(), so that nothing can be written to it."
        case .sendingFile: "A file is being sent on this connection; nothing else can be written before its end."
        }
    }
}
