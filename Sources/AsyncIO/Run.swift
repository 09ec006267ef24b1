// Where a program meets a loop: the main thread's for the length of a run, or one on a thread of its own.

/// Runs `body` on a new event loop that has the main thread, and returns its result.
///
///     @main struct Echo {
///         static func main() throws {
///             try AsyncIO.run {
///                 let server = try await TCPServer.listen(host: "127.0.0.1", port: 7777)
///                 try await server.serve { connection in
///                     while let bytes = try await connection.read() { try await connection.write(bytes) }
///                 }
///             }
///         }
///     }
///
/// For the length of the run the loop is the main actor: everything that is isolated to `MainActor` runs on it, between
/// two `await`s nothing else does, and the loop serves Dispatch's main queue. When `body` has ended, tasks that were
/// spawned with ``spawn(name:eager:fileID:line:_:)`` are cancelled and awaited, waits of other tasks end with
/// `CancellationError`, and the loop is closed. Runs can follow one another; each has a loop of its own.
///
/// Must be called on the main thread, and not while a loop runs there: both are mistakes that trap. From an `async`
/// function it does not compile; there use ``withEventLoop(_:_:)``.
///
/// - Parameters:
///   - configuration: What can be set about the loop.
///   - signals: What Ctrl-C does.
///   - body: The main task.
/// - Returns: What `body` returns.
/// - Throws: What `body` throws, or ``SystemError`` if the system has no descriptor left for a loop.
///
/// The corresponding asyncio name is `asyncio.run`.
@available(*, noasync, message: "a loop cannot be run from an async function; use `try await withEventLoop { }`")
public nonisolated func run<Value>(
    _ configuration: EventLoop.Configuration = .init(),
    signals: SignalHandling = .cancelMain,
    _ body: @MainActor () async throws -> sending Value
) throws -> sending Value {
    try MainRun.run(configuration, signals: signals, body)
}

/// Runs `body` on a new event loop that has a thread of its own, and returns its result.
///
/// For `async` code that is on no loop: tests, `async` main functions, libraries.
///
///     let reply = try await withEventLoop { loop in
///         try await TCPConnection.withConnection(host: "127.0.0.1", port: 7777) { connection in
///             try await connection.write("hello")
///             return try await connection.read()
///         }
///     }
///
/// The loop is not the main actor. What several of its tasks share and is not `Sendable`, such as an ``AsyncQueue``,
/// belongs to an actor on the loop: see `LoopActor`.
///
/// `body` is part of the calling task: it hears of its cancellation and sees its task-local values. When it has ended,
/// what is left on the loop ends as with ``run(_:signals:_:)``, the loop is closed and its thread ends; then this
/// returns.
///
/// - Parameters:
///   - configuration: What can be set about the loop.
///   - body: Runs isolated to the loop.
/// - Returns: What `body` returns.
/// - Throws: What `body` throws, or ``SystemError`` if the loop or its thread cannot be made.
public func withEventLoop<Value>(
    _ configuration: EventLoop.Configuration = .init(),
    _ body: @Sendable (isolated EventLoop) async throws -> sending Value
) async throws -> sending Value {
    let (thread, loop) = try await LoopThread.start(configuration, isCallersOwn: true)
    do {
        let value = try await body(loop)
        await thread.end(loop)
        return value
    } catch {
        await thread.end(loop)
        throw error
    }
}
