// Connections of descriptors that the program brings along, and of pipes.

/// The reading end of a pipe: a connection to which nothing can be written.
///
/// Writing throws ``StreamError/notWritable``. It has no addresses.
public typealias PipeReader = TCPConnection

/// The writing end of a pipe: a connection from which nothing can be read.
///
/// Reading returns nil. Once nobody reads from the pipe any more, writing throws ``SystemError/Code/brokenPipe``, also
/// to who waits for room in it, and so does ``TCPConnection/close()`` if bytes were lost that waited. The end is sent by ``TCPConnection/writeEOF()``
/// and by ``TCPConnection/close()``, which close the descriptor. It has no addresses.
public typealias PipeWriter = TCPConnection

extension TCPConnection {
    /// Makes a connection of a descriptor.
    ///
    /// It may be a connected stream socket, or the end of a pipe, a FIFO or a character device that can be waited for:
    /// see ``PipeReader`` and ``PipeWriter``. Which directions it has is asked of the system.
    ///
    /// Must be called on a loop, to which the connection then belongs. Waits for nothing.
    ///
    /// - Parameters:
    ///   - descriptor: Is the connection's when this returns: nobody else may use or close it then. It is made not to
    ///     block, for all processes that have inherited it: see ``StandardInput`` for those.
    ///   - options: The settings of the connection.
    /// - Returns: The connection, which stays open until it is closed or dropped.
    /// - Throws: ``DescriptorError`` if the descriptor is nothing of that, ``SystemError``, `CancellationError`; it is
    ///   then still the caller's, and as it was.
    ///
    /// The corresponding asyncio names are `loop.connect_accepted_socket`, `loop.connect_read_pipe`,
    /// `loop.connect_write_pipe` and the argument `sock` of `asyncio.open_connection`; the libuv calls are
    /// `uv_tcp_open` and `uv_pipe_open`.
    public static func adopt(descriptor: CInt, options: StreamOptions = .init()) async throws -> TCPConnection {
        try Task.checkCancellation()
        return try await adopt(descriptor, options, on: Loops.here("TCPConnection.adopt"))
    }

    private static func adopt(
        _ descriptor: CInt,
        _ options: StreamOptions,
        on loop: isolated EventLoop
    ) throws -> TCPConnection {
        try adopting(descriptor, options, on: loop)
    }

    /// Makes a pipe: what is written to the one end is read from the other.
    ///
    /// Must be called on a loop, to which both ends then belong. Waits for nothing.
    ///
    /// - Parameter options: The settings of both ends.
    /// - Returns: Both ends, which stay open until they are closed or dropped.
    /// - Throws: ``SystemError`` if there is no descriptor left; `CancellationError`.
    ///
    /// The corresponding libuv call is `uv_pipe`.
    public static func makePipe(
        options: StreamOptions = .init()
    ) async throws -> (reader: PipeReader, writer: PipeWriter) {
        try Task.checkCancellation()
        return try await makePipe(options, on: Loops.here("TCPConnection.makePipe"))
    }

    private static func makePipe(
        _ options: StreamOptions,
        on loop: isolated EventLoop
    ) throws -> (reader: PipeReader, writer: PipeWriter) {
        let ends = try EventLoop.makePipe()
        let reader = try owning(ends.reading, orClosing: [ends.writing], options, on: loop)
        return (reader, try owning(ends.writing, orClosing: [], options, on: loop))
    }

    private static func owning(
        _ descriptor: CInt,
        orClosing others: [CInt],
        _ options: StreamOptions,
        on loop: isolated EventLoop
    ) throws -> TCPConnection {
        do {
            return try adopting(descriptor, options, on: loop)
        } catch {
            for each in [descriptor] + others { BlockingDescriptor(each).close() }
            throw error
        }
    }
}
