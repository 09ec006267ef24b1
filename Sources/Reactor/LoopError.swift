// The small set of errors for what the loop itself refuses: none of them comes from the system.

/// An error of the loop, as opposed to one of the operating system.
public enum LoopError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The loop is closed or closing and takes no more work.
    case loopClosed
    /// The loop was stopped before the operation that `runUntilComplete` waits for had completed.
    case stoppedBeforeCompletion
    /// The text is no IP address: the loop itself resolves no names.
    case notAnAddress(String)
    /// The number is no port.
    case notAPort(Int)
    /// The text can be neither the path of a Unix socket nor, on Linux, an abstract name.
    case notAUnixPath(String)
    /// The path of a Unix socket has more bytes than the system takes.
    case unixPathTooLong(String, limit: Int)
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
            "'\(text)' is not an IP address; resolve names with SocketAddress.resolve(host:port:) first, or in tasks with "
                + "SystemResolver."
        case .notAPort(let number):
            "\(number) is not a port; those are the numbers from 0 to 65535."
        case .notAUnixPath(let path):
            "'\(path.replacing("\0", with: "\\0"))' cannot name a Unix socket: that takes a path without a zero byte, or on "
                + "Linux a name behind one."
        case .unixPathTooLong(let path, let limit):
            "'\(path)' has \(path.utf8.count) bytes; the path of a Unix socket may have \(limit). Use a shorter directory, or a "
                + "path relative to the current one."
        case .timedOut(let what):
            "\(what) timed out."
        case .emptyReadBuffer:
            "BufferedStreamProtocol.readBuffer(for:on:) returned a buffer with no room, so nothing can be read."
        }
    }
}
