// What a program implements to serve a connection in callbacks: asyncio's protocols, with the loop as a parameter, so
// that the compiler knows that all of them run on it.
//
// The order is: connectionMade, then data any number of times, then eofReceived at most once, then connectionLost.
// `connectionMade` and `connectionLost` come exactly once each; nothing comes before the one or after the other.
//
// Every method is handed the transport, so that a protocol without state of its own needs none, and the common case
// counts no reference.

/// What both kinds of stream protocol have in common.
///
/// All methods run on the loop that the connection belongs to, one at a time. A method that throws closes the
/// connection: the error goes to ``EventLoop/Configuration/onIssue`` and to ``connectionLost(_:error:on:)``.
///
/// The corresponding asyncio name is `asyncio.BaseProtocol`.
public protocol ConnectionProtocol: AnyObject {
    /// The connection is there: it can be written to from now on. Data comes only after this has returned.
    func connectionMade(_ transport: StreamTransport, on loop: isolated EventLoop) throws

    /// The peer has sent its last byte.
    ///
    /// - Returns: Whether to keep the connection open for writing. After false, the default, it is flushed and closed.
    func eofReceived(from transport: StreamTransport, on loop: isolated EventLoop) throws -> Bool

    /// More bytes wait to be sent than the high-water mark: stop writing until ``resumeWriting(to:on:)``.
    ///
    /// Called once, from within the ``StreamTransport/write(_:)-(Bytes)`` that crossed the mark.
    func pauseWriting(to transport: StreamTransport, on loop: isolated EventLoop) throws

    /// No more bytes wait than the low-water mark: writing may go on. Called once for each ``pauseWriting(to:on:)``,
    /// unless the connection closes first.
    func resumeWriting(to transport: StreamTransport, on loop: isolated EventLoop) throws

    /// The connection is gone; the transport does nothing any more and lets this object go.
    ///
    /// - Parameters:
    ///   - transport: The connection.
    ///   - error: Why, or nil if either side closed it in order or it was aborted by this side.
    ///   - loop: The loop.
    func connectionLost(_ transport: StreamTransport, error: (any Error)?, on loop: isolated EventLoop)
}

extension ConnectionProtocol {
    /// Does nothing.
    public func connectionMade(_ transport: StreamTransport, on loop: isolated EventLoop) {}
    /// Closes the connection, after what was written has been sent.
    public func eofReceived(from transport: StreamTransport, on loop: isolated EventLoop) -> Bool { false }
    /// Does nothing.
    public func pauseWriting(to transport: StreamTransport, on loop: isolated EventLoop) {}
    /// Does nothing.
    public func resumeWriting(to transport: StreamTransport, on loop: isolated EventLoop) {}
    /// Does nothing.
    public func connectionLost(_ transport: StreamTransport, error: (any Error)?, on loop: isolated EventLoop) {}
}

/// A protocol that is handed what arrives.
///
///     final class Echo: StreamProtocol {
///         func dataReceived(_ bytes: Bytes, from transport: StreamTransport, on loop: isolated EventLoop) {
///             transport.write(bytes)
///         }
///     }
///
/// The corresponding asyncio name is `asyncio.Protocol`.
public protocol StreamProtocol: ConnectionProtocol {
    /// Bytes have arrived, at least one. They may be kept; see ``Bytes`` for what that costs.
    func dataReceived(_ bytes: Bytes, from transport: StreamTransport, on loop: isolated EventLoop) throws
}

/// A protocol that reads into memory of its own.
///
/// The corresponding asyncio name is `asyncio.BufferedProtocol`.
public protocol BufferedStreamProtocol: ConnectionProtocol {
    /// The memory for the next read, which goes from the buffer's ``ReadBuffer/position`` to its end.
    ///
    /// The connection keeps the buffer until the read has ended. A buffer with no room closes the connection with
    /// ``LoopError/emptyReadBuffer``: to read nothing for a while, pause reading.
    func readBuffer(for transport: StreamTransport, on loop: isolated EventLoop) throws -> ReadBuffer

    /// The next `count` bytes of the buffer, from its position on, have been filled. The position has not moved.
    func bufferUpdated(_ count: Int, from transport: StreamTransport, on loop: isolated EventLoop) throws
}
