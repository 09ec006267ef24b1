// Reading records instead of pieces: lines, so many bytes, what stands before a separator. The reader of a connection
// has no bytes of its own between reads: what was received and not asked for yet waits in the connection, whose own
// `read` returns it first.
//
// In this module, and with its first steps inlined into the caller, for the same reason as TCPConnection: a line that
// has come whole is a slice of what came, and costs one suspension, a search, and nothing of the heap.

internal import CReactor

/// Reads lines, records and blocks from what delivers pieces of any size.
///
/// A connection has one, ``TCPConnection/reader``; others are made over any ``ByteSource``.
///
///     while let line = try await connection.reader.readLine() { connection.writer.write(line) }
///
/// Nothing is read from the source before somebody asks, and then as much as comes at once. One task at a time may read;
/// a second gets ``StreamError/busyReader``. A read that is cancelled, or that fails for want of bytes, loses nothing:
/// what had come by then is there for the next read. So is what came before the source broke; after it every read that
/// needs more throws the source's error.
///
/// What is returned is mostly a slice of what was received: see ``Bytes`` for what keeping it costs. A part that has to
/// wait for more is copied to memory of the reader's, of which it keeps 16 KiB at most.
///
/// Belongs to its loop: not `Sendable`, and traps when it is used elsewhere.
///
/// The corresponding asyncio name is `asyncio.StreamReader`.
@safe
public final class StreamReader {
    /// How long a line, or what stands before a separator, may be in bytes, if nothing else is said: 64 KiB.
    public static var defaultLimit: Int { 65_536 }

    let core: LoopCore
    /// The fast way.
    let channel: StreamChannel?
    // SAFETY: `channel`, not counted.
    private let hot: Unmanaged<StreamChannel>?
    /// The way of everything else.
    let source: SourceState?

    /// What a read puts together; it holds bytes only while one is under way.
    let buffer = StreamBuffer()
    /// What keeps reads from the fast way: bits, so that it is one comparison.
    private var obstacles: UInt8 = 0
    /// Whether a read is under way that has not found all in one piece.
    var isBusy: Bool {
        get { obstacles & 1 != 0 }
        set { obstacles = newValue ? obstacles | 1 : obstacles & ~1 }
    }
    /// Whether the rest of a line is to be dropped, whose beginning was too long for ``readTextLine()``.
    var isSkippingLine: Bool {
        get { obstacles & 2 != 0 }
        set { obstacles = newValue ? obstacles | 2 : obstacles & ~2 }
    }

    /// How long a line, or what stands before a separator, may be in bytes, the separator not counted.
    ///
    /// A limit on what a peer can make this side keep. It does not concern ``read(exactly:)``, which says itself how much.
    public var limit: Int {
        didSet { Self.check(limit) }
    }

    /// Makes a reader over a source.
    ///
    /// Must be called on a loop, to which the reader then belongs. One that is made over a ``TCPConnection``, which must
    /// be of that loop, has a limit of its own and shares the bytes with the connection and its other readers.
    public convenience init(_ source: some ByteSource, limit: Int = StreamReader.defaultLimit) {
        guard let core = LoopCore.current else {
            fault("A StreamReader was made where no EventLoop runs. Make it inside AsyncIO.run { }.")
        }
        if let connection = source as? any ChannelBacked {
            self.init(connection.channelHere("StreamReader"), limit: limit)
        } else {
            self.init(core, nil, SourceState(source), limit)
        }
    }

    /// Makes a reader over a connection's channel.
    package convenience init(_ channel: StreamChannel, limit: Int = StreamReader.defaultLimit) {
        self.init(channel.arrival.core, channel, nil, limit)
    }

    private init(_ core: LoopCore, _ channel: StreamChannel?, _ source: SourceState?, _ limit: Int) {
        Self.check(limit)
        self.core = core
        self.channel = channel
        unsafe hot = channel.map { unsafe Unmanaged.passUnretained($0) }
        self.source = source
        self.limit = limit
    }

    private static func check(_ limit: Int) {
        require(limit > 0, "The limit of a StreamReader must be at least one byte, but is \(limit).")
    }
}

// MARK: Reading

extension StreamReader {
    /// Reads what is there, at least one byte; nil at the end.
    ///
    /// Waits only if nothing was received that was not asked for.
    ///
    /// - Throws: `CancellationError`, ``StreamError/busyReader``, and what the source throws, for a connection as
    ///   ``TCPConnection/read()``. So do all others.
    ///
    /// The corresponding asyncio name is `StreamReader.read`.
    @inlinable
    public func read() async throws -> Bytes? {
        // PERF: as in `readLine`.
        if Isolation.exists(#isolation), beginWait() {
            if await suspend() { throw CancellationError() }
            if let bytes = takeHeld() { return bytes }
        } else if let bytes = takeHeld() {
            return bytes
        }
        return try await readSlowly()
    }

    /// Reads what is there, at least one byte and at most `count`; nil at the end.
    ///
    /// With 0 it returns no bytes, at once. Not subject to the limit.
    ///
    /// The corresponding asyncio name is `StreamReader.read(n)`.
    public func read(upTo count: Int) async throws -> Bytes? {
        require(count >= 0, "read(upTo: \(count)): nothing can be read less than no bytes.")
        return count == 0 ? try nothing() : try await perform(.upTo(count))
    }

    /// Reads exactly `count` bytes, in one piece.
    ///
    /// With 0 it returns no bytes, at once. Not subject to the limit: who takes the number from a peer checks it first.
    ///
    /// - Throws: ``StreamError/incompleteRead(partial:expected:)`` if the stream ends before, with what there was.
    ///
    /// The corresponding asyncio name is `StreamReader.readexactly`.
    @inlinable
    public func read(exactly count: Int) async throws -> Bytes {
        // PERF: as in `readLine`.
        if count > 0, Isolation.exists(#isolation), beginWait() {
            if await suspend() { throw CancellationError() }
            if let bytes = takeHeld(count) { return bytes }
        } else if let bytes = takeHeld(count) {
            return bytes
        }
        return try await readSlowly(count)
    }

    /// Reads a line, with its end; at the end of the stream what there is, and then nil.
    ///
    /// Lines end with LF; a CR before it is part of the line. ``Bytes/withoutLineEnd`` has neither.
    ///
    /// - Throws: ``StreamError/lineTooLong(limit:)`` if the line without its LF is longer than ``limit``. If its end had
    ///   come, the line was dropped; otherwise everything was that had come, and the next read begins with the rest of
    ///   the line. ``readTextLine()`` drops that too.
    ///
    /// The corresponding asyncio name is `StreamReader.readline`.
    @inlinable
    public func readLine() async throws -> Bytes? {
        // PERF: the way of a line that comes whole while its reader waits: no frame but the caller's.
        if Isolation.exists(#isolation), beginWait() {
            if await suspend() { throw CancellationError() }
            if let line = takeHeldLine() { return line }
        } else if let line = takeHeldLine() {
            return line
        }
        return try await readLineSlowly()
    }

    /// Reads a line as text, without its end, which is LF or CRLF; nil at the end of the stream.
    ///
    /// Bytes that are no UTF-8 become the character for that.
    ///
    /// - Throws: ``StreamError/lineTooLong(limit:)`` as soon as the line, without its LF, is longer than ``limit``. All of
    ///   it is dropped, also what has not come yet: the next line is read as if nothing had been.
    public func readTextLine() async throws -> String? {
        if isSkippingLine {
            _ = try await perform(.restOfLine)
            isSkippingLine = false
        }
        guard let line = try await perform(.line(isText: true)) else { return nil }
        return String(decoding: line.withoutLineEnd, as: UTF8.self)
    }

    /// Reads up to and with a separator.
    ///
    /// - Throws: ``StreamError/limitExceeded(consumed:)`` if more than ``limit`` bytes stand before the separator, or have
    ///   come without it: they stay where they are, and a larger limit or ``read()`` gets them.
    ///   ``StreamError/incompleteRead(partial:expected:)`` if the stream ends before, with what there was.
    ///
    /// The corresponding asyncio name is `StreamReader.readuntil`.
    public func readUntil(_ separator: Bytes) async throws -> Bytes { try await readUntil(anyOf: [separator]) }

    /// Reads up to and with the separator that ends first, which makes what is returned as short as can be.
    ///
    /// Of separators that end at the same place the shortest counts, as to the limit. Otherwise like ``readUntil(_:)``.
    ///
    /// The corresponding asyncio name is `StreamReader.readuntil` with a tuple.
    public func readUntil(anyOf separators: [Bytes]) async throws -> Bytes {
        try await perform(.until(Separators(separators))) ?? Bytes()
    }

    /// Reads to the end of the stream; no bytes if it is there already.
    ///
    /// - Parameter limit: How many bytes there may be: 16 MiB if nothing else is said. `.max` takes what comes.
    /// - Returns: Everything that had not been read.
    /// - Throws: ``StreamError/limitExceeded(consumed:)`` as soon as there are more; what has come stays.
    ///
    /// The corresponding asyncio name is `StreamReader.read(-1)`.
    public func readToEnd(limit: Int = 16 << 20) async throws -> Bytes {
        require(limit >= 0, "readToEnd(limit: \(limit)): the limit must not be less than no bytes.")
        return try await perform(.toEnd(limit)) ?? Bytes()
    }

    // MARK: What is there

    /// What was received and not read yet, without taking it out.
    public var buffered: Bytes {
        core.requireHere("StreamReader")
        return (channel != nil ? channel?.held : source?.held) ?? Bytes()
    }

    /// Whether the end was reached and everything before it was read.
    ///
    /// False as long as nobody has asked for more than there is: only reading finds the end.
    ///
    /// The corresponding asyncio name is `StreamReader.at_eof`.
    public var isAtEnd: Bool {
        core.requireHere("StreamReader")
        return !isBusy && (channel?.isAtEndOfBytes ?? source?.isAtEnd ?? true)
    }
}

// MARK: The fast way

extension StreamReader {
    /// Whether the loop runs here, at this moment.
    @inline(__always)
    private var isHere: Bool { unsafe creactor_current_loop() == core.identity }

    /// Begins a wait in the simplest case: over a connection, in its handler, with nothing there.
    @usableFromInline
    func beginWait() -> Bool {
        guard isHere, obstacles == 0, let hot = unsafe hot else { return false }
        return unsafe hot._withUnsafeGuaranteedRef { $0.beginWaitForBytes() }
    }

    @inlinable
    func suspend() async -> Bool {
        #if compiler(>=6.2) && compiler(<6.5)
        // Without steps to the caller's isolation before and after.
        unsafe await _unsafeInheritExecutor_withUnsafeContinuation { unsafe store($0) }
        #else
        unsafe await withUnsafeContinuation { unsafe store($0) }
        #endif
    }

    @usableFromInline
    func store(_ continuation: UnsafeContinuation<Bool, Never>) {
        unsafe hot?._withUnsafeGuaranteedRef { unsafe $0.arrival.store(continuation) }
    }

    /// The next line, if all of it is there and nothing is amiss.
    @usableFromInline
    func takeHeldLine() -> Bytes? {
        guard isHere, obstacles == 0, let hot = unsafe hot else { return nil }
        return unsafe hot._withUnsafeGuaranteedRef { $0.takeLine(limit) }
    }

    /// What is there, if nothing is amiss.
    @usableFromInline
    func takeHeld() -> Bytes? {
        guard isHere, obstacles == 0, let hot = unsafe hot else { return nil }
        return unsafe hot._withUnsafeGuaranteedRef { $0.takeAll() }
    }

    /// So many bytes, if they are there and nothing is amiss.
    @usableFromInline
    func takeHeld(_ count: Int) -> Bytes? {
        guard count > 0, isHere, obstacles == 0, let hot = unsafe hot else { return nil }
        return unsafe hot._withUnsafeGuaranteedRef { $0.take(count) }
    }
}
