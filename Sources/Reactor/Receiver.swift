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
    try receiver.stream!.dataReceived(bytes, from: transport, on: loop)
}

/// The one who receives a connection's events.
///
/// An object with constant fields, so that using one, which happens for every message, counts no references.
final class Receiver {
    /// Set if it is handed what arrives.
    let stream: (any StreamProtocol)?
    /// Set if it reads into memory of its own.
    let buffered: (any BufferedStreamProtocol)?

    init(_ receiver: any StreamProtocol) {
        stream = receiver
        buffered = nil
    }

    init(buffered receiver: any BufferedStreamProtocol) {
        stream = nil
        buffered = receiver
    }

    var base: any ConnectionProtocol {
        if let stream { return stream }
        return buffered!
    }
}
