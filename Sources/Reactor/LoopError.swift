// The small set of errors for what the loop itself refuses: none of them comes from the system.

/// An error of the loop, as opposed to one of the operating system.
public enum LoopError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The loop is closed or closing and takes no more work.
    case loopClosed
    /// The loop was stopped before the operation that `runUntilComplete` waits for had completed.
    case stoppedBeforeCompletion
    /// The text is no IP address: the loop itself resolves no names.
    case notAnAddress(String)
    /// A deadline of the loop's own passed; the text says which.
    case timedOut(String)
    /// A buffered protocol offered no memory to read into.
    case emptyReadBuffer

    /// What happened, in one sentence.
    public var description: String {
        switch self {
        case .loopClosed:
            "The event loop is closed and takes no more work."
        case .stoppedBeforeCompletion:
            "The event loop was stopped before the operation completed."
        case .notAnAddress(let text):
            "'\(text)' is not an IP address; resolve names with SocketAddress.resolve(host:port:) first."
        case .timedOut(let what):
            "\(what) timed out."
        case .emptyReadBuffer:
            "BufferedStreamProtocol.readBuffer(for:on:) returned a buffer with no room, so nothing can be read."
        }
    }
}
