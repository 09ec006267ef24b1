// What readers and writers are built on: whatever moves bytes in one direction or both. A connection is one, a pair in
// memory for tests another, and a program's own may be a third.

/// Where bytes come from.
///
/// A ``StreamReader`` reads from it what comes and keeps what was not asked for yet. It asks for one piece at a time.
///
///     final class Countdown: ByteSource {
///         private var next = 3
///         func read() async throws -> Bytes? {
///             defer { next -= 1 }
///             return next > 0 ? Bytes("\(next)\n".utf8) : nil
///         }
///     }
///
/// The corresponding asyncio name is `asyncio.ReadTransport`.
public protocol ByteSource: AnyObject {
    /// Waits for bytes, and returns at least one, or nil at the end and ever after.
    ///
    /// Should honour the cancellation of the task, and lose nothing by it: what comes later is for the next call.
    func read() async throws -> Bytes?
}

/// Where bytes go to.
///
/// A ``StreamWriter`` hands it what was written, in order and one call at a time.
///
/// The corresponding asyncio name is `asyncio.WriteTransport`.
public protocol ByteSink: AnyObject {
    /// Takes bytes over, and returns when more can be taken.
    ///
    /// An error is the end: nothing is written after it.
    func write(_ bytes: Bytes) async throws

    /// The same for several pieces; by default one after the other.
    func write(contentsOf pieces: [Bytes]) async throws

    /// Tells the other side that nothing more comes, after everything that was written.
    func writeEOF() async throws

    /// Ends everything, after what was written has gone out, and waits for that.
    func close() async throws

    /// Ends everything at once.
    func abort()
}

extension ByteSink {
    /// Writes one piece after the other.
    public func write(contentsOf pieces: [Bytes]) async throws {
        for bytes in pieces { try await write(bytes) }
    }
}

/// What moves bytes in both directions.
public typealias ByteStream = ByteSink & ByteSource

extension TCPConnection: ByteSource, ByteSink {}
