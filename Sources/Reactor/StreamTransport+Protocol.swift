// The protocol of a connection can change while it lives, as it does where one is negotiated.

extension StreamTransport {
    /// The protocol that the connection has; nil once it is closed.
    ///
    /// The corresponding asyncio name is `BaseTransport.get_protocol`.
    public var currentProtocol: (any ConnectionProtocol)? {
        core.requireHere("StreamTransport")
        return receiver?.base
    }

    /// Gives the connection to another protocol, which is handed what arrives from now on.
    ///
    /// Allowed in every method of the protocol that it has, which is then let go of. Neither of the two hears of it:
    /// the new one gets no ``ConnectionProtocol/connectionMade(_:on:)``, the old one no
    /// ``ConnectionProtocol/connectionLost(_:error:on:)``. Bytes that the old one was given and does not use are its
    /// own to hand on. Whether reading or writing is paused stays as it is: a protocol that takes over paused writing
    /// gets the ``ConnectionProtocol/resumeWriting(to:on:)`` of it. Does nothing once the connection is closed.
    ///
    /// The corresponding asyncio name is `BaseTransport.set_protocol`.
    public func setProtocol(_ next: any StreamProtocol) { replaceReceiver(Receiver.of(next)) }

    /// Gives the connection to another protocol, which reads into memory of its own.
    ///
    /// Like ``setProtocol(_:)``.
    public func setProtocol(buffered next: any BufferedStreamProtocol) { replaceReceiver(BufferedReceiver(next)) }
}
