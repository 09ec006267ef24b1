// The step from the loop's own code, which runs on the loop by construction, into users' methods, which the compiler
// knows to be isolated to it.
//
// A function with an isolated parameter is called like one with an ordinary parameter: the isolation is the compiler's
// knowledge and not the calling convention's. So each method is stored as a function that takes an isolated loop and
// read as one that takes a loop. The two structures below differ in nothing else; casting whole structures, and not
// the functions one by one, keeps the functions as they are (a function that is cast alone is wrapped twice, which
// costs 40 instructions a message).

/// Users' methods as functions that take the loop.
@safe
struct Crossings {
    let made: (any ConnectionProtocol, StreamTransport, EventLoop) throws -> Void
    let data: (Receiver, Bytes, StreamTransport, EventLoop) throws -> Void
    /// The same method for bytes that are lent: see `LentBytes`.
    let lent: (Receiver, LentBytes, StreamTransport, EventLoop) throws -> Void
    let buffer: (any BufferedStreamProtocol, StreamTransport, EventLoop) throws -> ReadBuffer
    let updated: (any BufferedStreamProtocol, Int, StreamTransport, EventLoop) throws -> Void
    let eof: (any ConnectionProtocol, StreamTransport, EventLoop) throws -> Bool
    let pause: (any ConnectionProtocol, StreamTransport, EventLoop) throws -> Void
    let resume: (any ConnectionProtocol, StreamTransport, EventLoop) throws -> Void
    let lost: (any ConnectionProtocol, StreamTransport, (any Error)?, EventLoop) -> Void

    static func make() -> Crossings {
        // SAFETY: same fields in the same order, of types that differ only in an isolation that is not represented, and
        // in `LentBytes`, which has the fields of `Bytes` and is borrowed as one would be; and only the loop's own
        // thread calls them, within a run or a close.
        unsafe unsafeBitCast(IsolatedMethods(), to: Crossings.self)
    }
}

/// Users' methods as functions that are isolated to the loop.
private struct IsolatedMethods {
    let made: (any ConnectionProtocol, StreamTransport, isolated EventLoop) throws -> Void = {
        try $0.connectionMade($1, on: $2)
    }
    let data = deliver
    let lent = deliver
    let buffer: (any BufferedStreamProtocol, StreamTransport, isolated EventLoop) throws -> ReadBuffer = {
        try $0.readBuffer(for: $1, on: $2)
    }
    let updated: (any BufferedStreamProtocol, Int, StreamTransport, isolated EventLoop) throws -> Void = {
        try $0.bufferUpdated($1, from: $2, on: $3)
    }
    let eof: (any ConnectionProtocol, StreamTransport, isolated EventLoop) throws -> Bool = {
        try $0.eofReceived(from: $1, on: $2)
    }
    let pause: (any ConnectionProtocol, StreamTransport, isolated EventLoop) throws -> Void = {
        try $0.pauseWriting(to: $1, on: $2)
    }
    let resume: (any ConnectionProtocol, StreamTransport, isolated EventLoop) throws -> Void = {
        try $0.resumeWriting(to: $1, on: $2)
    }
    let lost: (any ConnectionProtocol, StreamTransport, (any Error)?, isolated EventLoop) -> Void = {
        $0.connectionLost($1, error: $2, on: $3)
    }
}

/// Hands bytes to a stream protocol.
///
/// No closure in here: the compiler would check its isolation at run time.
private func deliver(
    _ receiver: Receiver,
    _ bytes: Bytes,
    _ transport: StreamTransport,
    _ loop: isolated EventLoop
) throws {
    try receiver.deliver(bytes, transport, loop)
}

/// The one who receives a connection's events.
///
/// A class of its own, with constant fields, so that using one, which happens for every message, counts no references;
/// and one to inherit from, so that what is made for it has no second object.
package class Receiver {
    init() {}

    /// The receiver for a protocol.
    static func of(_ receiver: any StreamProtocol) -> Receiver {
        (receiver as? StreamChannel) ?? ProtocolReceiver(receiver)
    }

    /// The protocol.
    var base: any ConnectionProtocol { fault("A receiver without a protocol, which is a fault in swift-asyncio.") }
    /// The same if it reads into memory of its own.
    var buffered: (any BufferedStreamProtocol)? { nil }
    /// The peer's address, if the receiver keeps it.
    var remoteAddress: SocketAddress? { nil }
    /// Hands bytes to one that does not.
    func deliver(_ bytes: Bytes, _ transport: StreamTransport, _ loop: isolated EventLoop) throws {}
}

/// A protocol that is handed what arrives.
private final class ProtocolReceiver: Receiver {
    private let stream: any StreamProtocol

    init(_ stream: any StreamProtocol) { self.stream = stream }

    override var base: any ConnectionProtocol { stream }

    override func deliver(_ bytes: Bytes, _ transport: StreamTransport, _ loop: isolated EventLoop) throws {
        try stream.dataReceived(bytes, from: transport, on: loop)
    }
}

/// A protocol that reads into memory of its own.
final class BufferedReceiver: Receiver {
    private let stream: any BufferedStreamProtocol

    init(_ stream: any BufferedStreamProtocol) { self.stream = stream }

    override var base: any ConnectionProtocol { stream }
    override var buffered: (any BufferedStreamProtocol)? { stream }
}
