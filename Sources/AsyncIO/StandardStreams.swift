// Standard input, output and errors for tasks. Whatever they are: what can be waited for is a connection of the loop's;
// what cannot, a file or `/dev/null`, is read and written by threads of the pool.
//
// They are shared: with the shell, with the other programs of a pipeline, with what prints. So the descriptors are
// never closed, and never made not to block, which would hold for all who share them: a pipe and a terminal are opened
// once more for that. What cannot be opened once more, a socket or a FIFO with a name, blocks again when the stream is
// closed.

internal import Reactor

/// What the program is given to read.
///
///     let input = try await StandardInput.open()
///     for try await bytes in input { try await output.write(bytes) }
///
/// A terminal, a pipe, a socket or a file: `program < file` works as well. Nothing is read before somebody asks, so
/// that what is left is there for others. One task at a time may read; any thread may use it. Dropping it closes it;
/// the descriptor itself stays open.
///
/// For single keys, and for how a terminal shows what is typed, see ``Terminal``.
///
/// The corresponding asyncio name is `loop.connect_read_pipe` with `sys.stdin`.
public final class StandardInput: Sendable, AsyncSequence {
    private let source: Source

    private enum Source {
        case stream(TCPConnection)
        case file(LoopBound<FileInput>)
    }

    private init(_ source: Source) { self.source = source }

    /// Makes standard input a stream of the loop that runs here.
    ///
    /// Waits for nothing. Two of them at the same time take each other's bytes.
    ///
    /// - Returns: The stream.
    /// - Throws: ``SystemError`` such as `EBADF` if there is no standard input, ``DescriptorError`` if it is a socket
    ///   that is no stream, `CancellationError`.
    public static func open() async throws -> StandardInput { try await open(descriptor: 0) }

    /// The same for any descriptor.
    package static func open(descriptor: CInt) async throws -> StandardInput {
        try Task.checkCancellation()
        return try await open(descriptor, on: Loops.here("StandardInput.open"))
    }

    private static func open(_ descriptor: CInt, on loop: isolated EventLoop) throws -> StandardInput {
        if let stream = try TCPConnection.sharing(descriptor, writing: false, StreamOptions(), on: loop) {
            return StandardInput(.stream(stream))
        }
        return StandardInput(.file(LoopBound(FileInput(BlockingDescriptor(descriptor)), on: loop)))
    }

    /// Reads what there is, at least one byte, or nil at the end.
    ///
    /// - Throws: `CancellationError` as soon as the task is cancelled: what comes later, or is on its way from a file,
    ///   stays for the next read. ``SystemError``; ``StreamError/closed``; ``StreamError/busyReader`` while another
    ///   task reads.
    public func read() async throws -> Bytes? {
        switch source {
        case .stream(let stream): try await stream.read()
        case .file(let file): try await Self.read(file, on: file.loop)
        }
    }

    private static func read(_ file: LoopBound<FileInput>, on loop: isolated EventLoop) async throws -> Bytes? {
        try await file.value(on: loop).read(on: loop)
    }

    /// Ends the stream; the descriptor stays open.
    ///
    /// A task that reads gets ``StreamError/closed``. Idempotent.
    ///
    /// - Throws: `CancellationError`.
    public func close() async throws {
        switch source {
        case .stream(let stream): try await stream.close()
        case .file(let file): await Self.close(file, on: file.loop)
        }
    }

    private static func close(_ file: LoopBound<FileInput>, on loop: isolated EventLoop) {
        file.value(on: loop).isClosed = true
    }

    /// What there is to read, until the end.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let input: StandardInput

        /// The next bytes: see ``StandardInput/read()``.
        public mutating func next() async throws -> Bytes? { try await input.read() }

        /// The next bytes, with the isolation of the caller.
        public mutating func next(isolation: isolated (any Actor)?) async throws(any Error) -> Bytes? {
            try await input.read()
        }
    }

    /// Iterates over what there is to read.
    ///
    /// One task at a time may.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(input: self) }
}

/// Where the program prints, or reports errors.
///
///     let output = try await StandardOutput.open()
///     try await output.write("What is your name? ")
///
/// A terminal, a pipe, a socket or a file: `program > file` works as well. Writing waits for a slow reader, and the
/// loop does not. Any thread may use it. What other code prints meanwhile by `print` goes its own way: it may come in
/// between two writes, but not into the middle of one that the system takes at once. Dropping it closes it; the
/// descriptor itself stays open.
///
/// The corresponding asyncio name is `loop.connect_write_pipe` with `sys.stdout`.
public final class StandardOutput: Sendable {
    private let sink: Sink

    private enum Sink {
        case stream(TCPConnection)
        case file(LoopBound<FileOutput>)
    }

    /// Which of the two.
    public enum Channel: Sendable, Hashable {
        /// Standard output.
        case output
        /// Standard error.
        case error
    }

    private init(_ sink: Sink) { self.sink = sink }

    /// Makes standard output, or standard error, a stream of the loop that runs here.
    ///
    /// Waits for nothing.
    ///
    /// - Parameter channel: Which of the two.
    /// - Returns: The stream.
    /// - Throws: ``SystemError`` such as `EBADF` if there is none, ``DescriptorError`` if it is a socket that is no
    ///   stream, `CancellationError`.
    public static func open(_ channel: Channel = .output) async throws -> StandardOutput {
        try await open(descriptor: channel == .output ? 1 : 2)
    }

    /// The same for any descriptor.
    package static func open(descriptor: CInt) async throws -> StandardOutput {
        try Task.checkCancellation()
        return try await open(descriptor, on: Loops.here("StandardOutput.open"))
    }

    private static func open(_ descriptor: CInt, on loop: isolated EventLoop) throws -> StandardOutput {
        if let stream = try TCPConnection.sharing(descriptor, writing: true, StreamOptions(), on: loop) {
            return StandardOutput(.stream(stream))
        }
        return StandardOutput(.file(LoopBound(FileOutput(BlockingDescriptor(descriptor)), on: loop)))
    }

    /// Writes bytes, and returns when the system has them.
    ///
    /// Writes of several tasks are in the order of the calls, and each stays together.
    ///
    /// - Throws: ``SystemError`` such as ``SystemError/Code/brokenPipe`` if nobody reads any more, or `ENOSPC`;
    ///   ``StreamError/closed``; `CancellationError` if the task is cancelled: before anything was taken over, or while
    ///   this waits, in which case the bytes stay queued and are written.
    public func write(_ bytes: Bytes) async throws {
        switch sink {
        case .stream(let stream): try await stream.write(bytes)
        case .file(let file): try await Self.write(bytes, file, on: file.loop)
        }
    }

    private static func write(
        _ bytes: Bytes,
        _ file: LoopBound<FileOutput>,
        on loop: isolated EventLoop
    ) async throws {
        try await file.value(on: loop).write(bytes, on: loop)
    }

    /// Writes the UTF-8 of a text.
    ///
    /// Like ``write(_:)-(Bytes)``.
    public func write(_ text: String) async throws { try await write(Bytes(text.utf8)) }

    /// Ends the stream when what was written is the system's; the descriptor stays open.
    ///
    /// Idempotent.
    ///
    /// - Throws: What the stream broke with; `CancellationError`.
    public func close() async throws {
        switch sink {
        case .stream(let stream): try await stream.close()
        case .file(let file): try await Self.close(file, on: file.loop)
        }
    }

    private static func close(_ file: LoopBound<FileOutput>, on loop: isolated EventLoop) async throws {
        try await file.value(on: loop).close(on: loop)
    }
}
