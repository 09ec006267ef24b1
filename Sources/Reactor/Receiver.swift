// The step from the loop's own code, which runs on the loop by construction, into users' methods, which the compiler
// knows to be isolated to it.

/// The one who receives a connection's events.
enum Receiver {
    case stream(any StreamProtocol)
    case buffered(any BufferedStreamProtocol)

    var base: any ConnectionProtocol {
        switch self {
        case .stream(let receiver): receiver
        case .buffered(let receiver): receiver
        }
    }
}

/// Users' methods as plain functions: an isolated parameter is passed like any other, so that a function that takes
/// one can be called as a function that takes the loop. Made once for each loop, as making them costs and calling
/// them does not.
struct Crossings {
    let made: (any ConnectionProtocol, StreamTransport, EventLoop) throws -> Void
    let data: (any StreamProtocol, Bytes, EventLoop) throws -> Void
    let buffer: (any BufferedStreamProtocol, EventLoop) throws -> ReadBuffer
    let updated: (any BufferedStreamProtocol, Int, EventLoop) throws -> Void
    let eof: (any ConnectionProtocol, EventLoop) throws -> Bool
    let pause: (any ConnectionProtocol, EventLoop) throws -> Void
    let resume: (any ConnectionProtocol, EventLoop) throws -> Void
    let lost: (any ConnectionProtocol, (any Error)?, EventLoop) -> Void

    init() {
        // SAFETY: each pair of types differs in the isolation of its last parameter alone, which the calling
        // convention does not know; and only the loop's own thread calls them, within a run or a close.
        let made: (any ConnectionProtocol, StreamTransport, isolated EventLoop) throws -> Void = {
            try $0.connectionMade($1, on: $2)
        }
        self.made = unsafe unsafeBitCast(
            made, to: ((any ConnectionProtocol, StreamTransport, EventLoop) throws -> Void).self)
        let data: (any StreamProtocol, Bytes, isolated EventLoop) throws -> Void = {
            try $0.dataReceived($1, on: $2)
        }
        self.data = unsafe unsafeBitCast(
            data, to: ((any StreamProtocol, Bytes, EventLoop) throws -> Void).self)
        let buffer: (any BufferedStreamProtocol, isolated EventLoop) throws -> ReadBuffer = {
            try $0.readBuffer(on: $1)
        }
        self.buffer = unsafe unsafeBitCast(
            buffer, to: ((any BufferedStreamProtocol, EventLoop) throws -> ReadBuffer).self)
        let updated: (any BufferedStreamProtocol, Int, isolated EventLoop) throws -> Void = {
            try $0.bufferUpdated($1, on: $2)
        }
        self.updated = unsafe unsafeBitCast(
            updated, to: ((any BufferedStreamProtocol, Int, EventLoop) throws -> Void).self)
        let eof: (any ConnectionProtocol, isolated EventLoop) throws -> Bool = { try $0.eofReceived(on: $1) }
        self.eof = unsafe unsafeBitCast(eof, to: ((any ConnectionProtocol, EventLoop) throws -> Bool).self)
        let pause: (any ConnectionProtocol, isolated EventLoop) throws -> Void = { try $0.pauseWriting(on: $1) }
        self.pause = unsafe unsafeBitCast(pause, to: ((any ConnectionProtocol, EventLoop) throws -> Void).self)
        let resume: (any ConnectionProtocol, isolated EventLoop) throws -> Void = { try $0.resumeWriting(on: $1) }
        self.resume = unsafe unsafeBitCast(
            resume, to: ((any ConnectionProtocol, EventLoop) throws -> Void).self)
        let lost: (any ConnectionProtocol, (any Error)?, isolated EventLoop) -> Void = {
            $0.connectionLost($1, on: $2)
        }
        self.lost = unsafe unsafeBitCast(
            lost, to: ((any ConnectionProtocol, (any Error)?, EventLoop) -> Void).self)
    }
}
