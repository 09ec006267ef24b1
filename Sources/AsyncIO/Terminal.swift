// A terminal for tasks: a connection, and how it treats what is typed.

internal import Reactor

/// A terminal.
///
///     let terminal = try await Terminal.open()
///     try await terminal.setMode(.raw)
///     let key = try await terminal.connection.read()
///
/// Its mode is `normal` again when the connection is closed, and when the process exits in order; not after a signal
/// that kills it. The terminal is opened once more for it, so that others who share the descriptor notice nothing of
/// how it is read. A signal `SIGWINCH` says that its size has changed.
///
/// Any thread may use it. The corresponding libuv type is `uv_tty_t`; asyncio has none.
public final class Terminal: Sendable {
    /// What is typed and what is shown, as bytes.
    ///
    /// Closing it ends the terminal's use here, and leaves the descriptor open.
    public let connection: TCPConnection

    private init(_ connection: TCPConnection) { self.connection = connection }

    /// Takes a terminal into use on the loop that runs here.
    ///
    /// Waits for nothing.
    ///
    /// - Parameter descriptor: A terminal's, such as 0, standard input; it stays the caller's, and open.
    /// - Returns: The terminal, in the mode in which it is.
    /// - Throws: ``DescriptorError/notATerminal``, ``SystemError``, `CancellationError`.
    ///
    /// The corresponding libuv call is `uv_tty_init`.
    public static func open(descriptor: CInt = 0) async throws -> Terminal {
        try Task.checkCancellation()
        return try await open(descriptor, on: Loops.here("Terminal.open"))
    }

    private static func open(_ descriptor: CInt, on loop: isolated EventLoop) throws -> Terminal {
        Terminal(try TCPConnection.terminal(descriptor, StreamOptions(), on: loop))
    }

    /// Sets how the terminal treats what is typed.
    ///
    /// - Throws: ``SystemError`` if the system refuses; ``StreamError/closed``.
    ///
    /// The corresponding libuv call is `uv_tty_set_mode`.
    public func setMode(_ mode: TerminalMode) async throws { try await setMode(mode, on: connection.loop) }

    private func setMode(_ mode: TerminalMode, on loop: isolated EventLoop) throws {
        try connection.channel(on: loop).openTransport().setTerminalMode(mode)
    }

    /// How many columns and rows it has.
    ///
    /// - Returns: Both, as they are now.
    /// - Throws: ``SystemError`` if the system refuses; ``StreamError/closed``.
    ///
    /// The corresponding libuv call is `uv_tty_get_winsize`.
    public func size() async throws -> (columns: Int, rows: Int) { try await size(on: connection.loop) }

    private func size(on loop: isolated EventLoop) throws -> (columns: Int, rows: Int) {
        try connection.channel(on: loop).openTransport().terminalSize()
    }

    /// Ends the terminal's use here: see ``TCPConnection/close()``.
    public func close() async throws { try await connection.close() }
}
