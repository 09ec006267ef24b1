// What a program implements to send and receive datagrams in callbacks: asyncio's datagram protocol, with the loop as a
// parameter, so that the compiler knows that all of it runs there.
//
// The order is: connectionMade, then datagrams and errors any number of times, then connectionLost. The first and the
// last come exactly once each. No error of the network ends a socket: only this side closes it.

/// One datagram, and who is at its other end.
public struct Datagram: Sendable, Hashable {
    /// What it carries, which may be nothing.
    public var bytes: Bytes
    /// Who sent it, or who is to get it.
    public var address: SocketAddress
    /// Whether its end is missing, as it was longer than there was room for.
    ///
    /// There is room for 65,536 bytes, and so for the longest datagram that IPv4 and IPv6 have without jumbograms: only those
    /// of Unix sockets can be longer. The libuv name is `UV_UDP_PARTIAL`.
    public var isTruncated = false

    /// Creates a datagram.
    public init(_ bytes: Bytes, _ address: SocketAddress) {
        self.bytes = bytes
        self.address = address
    }
}

/// A protocol that is handed the datagrams of a socket.
///
///     final class Answerer: DatagramProtocol {
///         func datagramReceived(_ datagram: Datagram, from udp: DatagramTransport, on loop: isolated EventLoop) throws {
///             try udp.send(datagram.bytes, to: datagram.address)
///         }
///     }
///
/// All methods run on the loop that the socket belongs to, one at a time. A method that throws does not close the
/// socket, as one bad datagram would then end the service of everybody: the error goes to
/// ``EventLoop/Configuration/onIssue``.
///
/// The corresponding asyncio name is `asyncio.DatagramProtocol`.
public protocol DatagramProtocol: AnyObject {
    /// The socket is there: it can be sent from, from now on. Datagrams come only after this has returned.
    ///
    /// If it throws, whoever made the socket gets the error, and the socket is closed.
    func connectionMade(_ transport: DatagramTransport, on loop: isolated EventLoop) throws

    /// A datagram has arrived, which may be empty. It may be kept; see ``Bytes`` for what that costs.
    func datagramReceived(_ datagram: Datagram, from transport: DatagramTransport, on loop: isolated EventLoop) throws

    /// The system reported an error of a datagram that was sent or of the socket, which stays open.
    ///
    /// Never called from within ``DatagramTransport/send(_:to:)``. A connected socket hears this way that nobody
    /// listens at the peer's port: ``SystemError/Code/connectionRefused``.
    func errorReceived(_ error: SystemError, from transport: DatagramTransport, on loop: isolated EventLoop) throws

    /// More waits to be sent than the high-water mark: stop sending until ``resumeWriting(to:on:)``.
    ///
    /// Called once, from within the ``DatagramTransport/send(_:to:)`` that crossed the mark.
    func pauseWriting(to transport: DatagramTransport, on loop: isolated EventLoop) throws

    /// No more waits than the low-water mark: sending may go on. Called once for each ``pauseWriting(to:on:)``,
    /// unless the socket closes first.
    func resumeWriting(to transport: DatagramTransport, on loop: isolated EventLoop) throws

    /// The socket is closed; the transport does nothing any more and lets this object go.
    ///
    /// - Parameters:
    ///   - transport: The socket.
    ///   - error: Why, or nil if this side closed or aborted it.
    ///   - loop: The loop.
    func connectionLost(_ transport: DatagramTransport, error: (any Error)?, on loop: isolated EventLoop)
}

extension DatagramProtocol {
    /// Does nothing.
    public func connectionMade(_ transport: DatagramTransport, on loop: isolated EventLoop) {}
    /// Does nothing, as datagrams may get lost without any error as well.
    public func errorReceived(_ error: SystemError, from transport: DatagramTransport, on loop: isolated EventLoop) {}
    /// Does nothing.
    public func pauseWriting(to transport: DatagramTransport, on loop: isolated EventLoop) {}
    /// Does nothing.
    public func resumeWriting(to transport: DatagramTransport, on loop: isolated EventLoop) {}
    /// Does nothing.
    public func connectionLost(_ transport: DatagramTransport, error: (any Error)?, on loop: isolated EventLoop) {}
}
