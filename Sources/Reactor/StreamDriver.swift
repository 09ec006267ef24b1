// The seam between transports and what carries their bytes: the system's streams or memory. Two final classes and a
// switch, not a protocol, so that calls through it are direct and every figure is measured through it.
//
// A driver calls its transport with what happened (`room`, `didReceive`, `didReachEnd`, `didFailReading`,
// `didWrite`, `didShutDown`, `didClose`), never from inside a verb.

/// What carries the bytes of a transport.
enum StreamDriver {
    case system(SystemStream)
    case memory(MemoryStream)
    /// Nothing any more: the connection is closed.
    case none

    /// Starts to deliver what arrives.
    ///
    /// Does nothing if it is doing so.
    func startReading() throws(SystemError) {
        switch self {
        case .system(let stream): try stream.startReading()
        case .memory(let stream): stream.startReading()
        case .none: break
        }
    }

    /// Hands the system as many bytes as it takes at once, and says how many; negative is an error, `EAGAIN` none.
    @inline(__always)
    func tryWrite(_ bytes: UnsafeRawBufferPointer) -> Int {
        switch self {
        case .system(let stream): unsafe stream.tryWrite(bytes)
        case .memory(let stream): unsafe stream.tryWrite(bytes)
        case .none: Int(SystemError.Code.brokenPipe.rawValue)
        }
    }

    /// The same for several buffers, in one call where the system can.
    func tryWrite(_ buffers: ArraySlice<Bytes>) -> Int {
        switch self {
        case .system(let stream): stream.tryWrite(buffers)
        case .memory(let stream): stream.tryWrite(buffers)
        case .none: Int(SystemError.Code.brokenPipe.rawValue)
        }
    }

    /// Sends all of the buffers when the system takes them; `didWrite` follows.
    ///
    /// One such call at a time.
    func write(_ buffers: [Bytes]) throws(SystemError) {
        switch self {
        case .system(let stream): try stream.write(buffers)
        case .memory(let stream): stream.write(buffers)
        case .none: break
        }
    }

    /// Sends the end of the stream; `didShutDown` follows.
    func shutDown() throws(SystemError) {
        switch self {
        case .system(let stream): try stream.shutDown()
        case .memory(let stream): stream.shutDown()
        case .none: break
        }
    }

    /// Closes; `didClose` follows.
    ///
    /// With `reset` the peer is told that the connection broke.
    func close(reset: Bool) {
        switch self {
        case .system(let stream): stream.close(reset: reset)
        case .memory(let stream): stream.close(reset: reset)
        case .none: break
        }
    }

    /// Whether this is TCP, or memory that stands for it.
    var isTCP: Bool {
        switch self {
        case .system(let stream): stream.streamKind == .tcp
        case .memory(let stream): stream.localAddress.family != .unix
        case .none: false
        }
    }

    /// Whether the peer's system has not acknowledged something of what was sent; throws if it never will.
    func hasUnacknowledged() throws(SystemError) -> Bool {
        switch self {
        case .system(let stream): try stream.hasUnacknowledged()
        case .memory(let stream): try stream.hasUnacknowledged()
        case .none: false
        }
    }

    /// The address of one end, while the connection is open.
    func address(remote: Bool) -> SocketAddress? {
        switch self {
        case .system(let stream): stream.address(remote: remote)
        case .memory(let stream): remote ? stream.remoteAddress : stream.localAddress
        case .none: nil
        }
    }

    /// Applies a setting of the connection.
    func apply(_ options: StreamOptions) throws(SystemError) {
        if case .system(let stream) = self { try stream.apply(options) }
    }
}
