// Writing without waiting: bytes are taken over and go out together, at the end of the turn at the latest. `drain` is
// where a writer waits for a peer that does not read, and hears of errors.
//
// Over a connection this holds nothing: what was written is in the transport (StreamTransport+Queueing.swift). Over any
// other sink it is in a `SinkRelay`.

internal import CReactor

/// Writes to a connection, or to any ``ByteSink``, without waiting for it.
///
/// What is written in one turn of the loop goes out in one system call: before the loop polls, when 16 KiB have come
/// together, and by ``drain()``, ``writeEOF()`` and ``close()``; and when a handler ends or the loop stops. Who writes
/// much calls ``drain()`` in between, which waits for a peer that does not read:
///
///     writer.write("200 OK\n")
///     writer.write(body)
///     try await writer.drain()
///
/// Belongs to its loop: not `Sendable`, and traps when it is used elsewhere. Several tasks of the loop may write and drain.
///
/// The corresponding asyncio name is `asyncio.StreamWriter`.
@safe
public final class StreamWriter {
    let core: LoopCore
    /// The fast way.
    private let channel: StreamChannel?
    // SAFETY: `channel`, not counted.
    private let hot: Unmanaged<StreamChannel>?
    /// The way of everything else.
    private let relay: SinkRelay?

    /// Makes a writer over a sink.
    ///
    /// Must be called on a loop, to which the writer then belongs. One that is made over a ``TCPConnection``, which must
    /// be of that loop, is as good as its ``TCPConnection/writer``. A sink of the program's own is called by a task that
    /// this starts as it is needed: drain or close such a writer before the loop's run ends, or what waits is lost.
    public convenience init(_ sink: some ByteSink) {
        guard let core = LoopCore.current else {
            fault("A StreamWriter was made where no EventLoop runs. Make it inside AsyncIO.run { }.")
        }
        if let connection = sink as? any ChannelBacked {
            self.init(connection.channelHere("StreamWriter"))
        } else {
            self.init(core, nil, SinkRelay(sink, core))
        }
    }

    /// Makes a writer over a connection's channel.
    package convenience init(_ channel: StreamChannel) { self.init(channel.arrival.core, channel, nil) }

    private init(_ core: LoopCore, _ channel: StreamChannel?, _ relay: SinkRelay?) {
        self.core = core
        self.channel = channel
        unsafe hot = channel.map { unsafe Unmanaged.passUnretained($0) }
        self.relay = relay
    }

    // MARK: Writing

    /// Writes bytes.
    ///
    /// Small pieces are copied, large ones kept until they have gone out. What is written after ``writeEOF()``, or to a
    /// connection that is closing or gone, is dropped; ``drain()`` says so. What is written while a file is being sent on
    /// the connection goes out behind the file; if that is not sent to its end it is dropped, and ``drain()`` says so once.
    ///
    /// The corresponding asyncio name is `StreamWriter.write`.
    public func write(_ bytes: Bytes) {
        core.requireHere("StreamWriter")
        if let hot = unsafe hot {
            unsafe hot._withUnsafeGuaranteedRef { $0.queue(bytes) }
        } else {
            relay?.queue(bytes)
        }
    }

    /// Writes the bytes of a span, which is free again when this returns.
    ///
    /// Otherwise like ``write(_:)-(Bytes)``.
    public func write(_ span: RawSpan) { unsafe span.withUnsafeBytes { unsafe write(copying: $0) } }

    /// Writes the bytes of an array, which are copied.
    ///
    /// Otherwise like ``write(_:)-(Bytes)``.
    public func write(_ bytes: [UInt8]) { unsafe bytes.withUnsafeBytes { unsafe write(copying: $0) } }

    /// Writes the UTF-8 of a text.
    ///
    /// Otherwise like ``write(_:)-(Bytes)``.
    public func write(_ text: String) {
        var text = text
        text.withUTF8 { unsafe write(copying: UnsafeRawBufferPointer($0)) }
    }

    /// Writes several pieces.
    ///
    /// Like as many calls of ``write(_:)-(Bytes)``. The corresponding asyncio name is `StreamWriter.writelines`.
    public func write(contentsOf pieces: some Sequence<Bytes>) {
        for bytes in pieces { write(bytes) }
    }

    private func write(copying bytes: UnsafeRawBufferPointer) {
        core.requireHere("StreamWriter")
        if let hot = unsafe hot {
            unsafe hot._withUnsafeGuaranteedRef { unsafe $0.queue(bytes) }
        } else if bytes.count > 0 {
            unsafe relay?.queue(Bytes(copying: bytes))
        }
    }

    // MARK: Waiting

    /// Sends what was written, and waits while more waits to be sent than is good.
    ///
    /// Over a connection it hands the kernel what it takes, and returns at once unless more bytes are left than the
    /// high-water mark; then when they are no more than the low one. Over another sink it returns when the sink has taken
    /// everything. What was written while a file is being sent waits for the end of the file. Any number of tasks may wait.
    /// While the connection is closing it lets a turn pass, so that a loop that writes and drains hears of the end.
    ///
    /// - Throws: What the connection broke with; ``StreamError/closed`` if it is gone; ``StreamError/writeAfterEnd`` if
    ///   something was written after ``writeEOF()``; ``StreamError/sendingFile`` if something was dropped, as it would have
    ///   followed a part of a file only. `CancellationError` if the task is cancelled: the bytes stay queued and are sent.
    ///
    /// The corresponding asyncio name is `StreamWriter.drain`.
    @inlinable
    public func drain() async throws {
        // PERF: no frame but the caller's if the kernel takes everything.
        if try !flush() { try await drainSlowly() }
    }

    /// Sends what was written, and says whether nothing is in the way of more.
    @usableFromInline
    func flush() throws -> Bool {
        core.requireHere("StreamWriter")
        guard let hot = unsafe hot else { return false }
        return try unsafe hot._withUnsafeGuaranteedRef { try $0.flushQueue() }
    }

    @usableFromInline
    func drainSlowly() async throws {
        // SAFETY: both sides of the call are on the loop, and the caller waits for it.
        nonisolated(unsafe) let this = self
        unsafe try await this.drain(on: core.withLoop { $0 })
    }

    private func drain(on loop: isolated EventLoop) async throws {
        if let channel { try await channel.drain(on: loop) } else { try await relay?.drain() }
    }

    // MARK: Ending

    /// Sends the end of the stream after everything that was written; reading goes on.
    ///
    /// Returns at once. Idempotent, and does nothing to a connection that is closing or gone. While a file is being sent the
    /// end comes behind the file, and not at all if the file does not come to its end.
    ///
    /// The corresponding asyncio name is `StreamWriter.write_eof`.
    public func writeEOF() {
        core.requireHere("StreamWriter")
        if let channel { channel.queueEnd() } else { relay?.end() }
    }

    /// Closes the connection after everything that was written has been sent.
    ///
    /// Returns at once; ``waitClosed()`` waits for it. Reading ends. Idempotent.
    ///
    /// The corresponding asyncio name is `StreamWriter.close`.
    public func close() {
        core.requireHere("StreamWriter")
        if let channel { channel.closeSoon() } else { relay?.close() }
    }

    /// Waits until the connection is closed, by whomever.
    ///
    /// Does not close it.
    ///
    /// - Throws: What the connection broke with, such as ``LoopError/timedOut(_:)`` if the last bytes could not be sent.
    ///   `CancellationError`: the connection is closed all the same.
    ///
    /// The corresponding asyncio name is `StreamWriter.wait_closed`.
    public func waitClosed() async throws {
        core.requireHere("StreamWriter")
        // SAFETY: as in `drainSlowly`.
        nonisolated(unsafe) let this = self
        unsafe try await this.waitClosed(on: core.withLoop { $0 })
    }

    private func waitClosed(on loop: isolated EventLoop) async throws {
        if let channel { try await channel.waitClosed(on: loop) } else { try await relay?.waitClosed() }
    }

    /// Drops what waits to be sent, and breaks the connection off.
    ///
    /// Returns at once. Idempotent.
    ///
    /// The corresponding asyncio name is `Transport.abort`.
    public func abort() {
        core.requireHere("StreamWriter")
        if let channel { channel.abort() } else { relay?.abort() }
    }

    /// Whether the connection is closing or closed.
    ///
    /// The corresponding asyncio name is `StreamWriter.is_closing`.
    public var isClosing: Bool {
        core.requireHere("StreamWriter")
        return channel.map { $0.isLost || $0.transport?.isClosing != false } ?? relay?.isClosing ?? true
    }

    /// How many bytes were written and are not the system's yet, nor a sink's.
    ///
    /// The corresponding asyncio name is `Transport.get_write_buffer_size`.
    public var queuedCount: Int {
        core.requireHere("StreamWriter")
        return channel.map { $0.queuedCount } ?? relay?.queuedCount ?? 0
    }
}
