// A TCP server for tasks. The object may go to any thread; its listeners stay on the loop that made them, and so do the
// connections. What happens while it serves is in TCPServer+Serving.swift.

/// The settings of a server.
public struct ServerOptions: Sendable {
    /// The settings of its listeners, and of the connections that they accept.
    ///
    /// The limit of connections, ``ListenerOptions/maxConnections``, is that of the whole server, however many addresses
    /// and loops it has.
    public var listener = ListenerOptions()

    /// Close connections on which nothing was received or sent for this long; nil, the default, waits for ever.
    ///
    /// Reading and writing then throw ``LoopError/timedOut(_:)``, of which ``onError`` hears. Kept by looking now and then,
    /// so up to half of it late and never early; a message pays nothing for it. Must be longer than nothing, or listening
    /// traps.
    public var idleTimeout: Duration?

    /// Close connections whose client has sent nothing for this long from the beginning; nil, the default, waits for ever.
    ///
    /// For servers whose clients speak first 30 seconds are recommended: else whoever connects and is silent takes a
    /// place for nothing. Kept like ``idleTimeout``, and likewise longer than nothing.
    public var firstByteTimeout: Duration?

    /// Count the bytes of each connection, for ``TCPServer/statistics`` and ``TCPConnection/statistics``.
    ///
    /// Costs each message some ten nanoseconds. The loop's own figures, ``EventLoop/statistics``, cost nothing.
    public var countsBytes = false

    /// Whether a handler is cancelled whose client goes while it does not read, as when it waits for a database;
    /// ``HandlerCancellation/never`` is the default.
    ///
    /// It is cancelled a millisecond or two after the kernel knows. A handler that reads is not: it is told by what it reads,
    /// and one that has read the end goes on. What was received before the end may be unread by then. Like other handlers
    /// that were cancelled it has its connection aborted, and its `CancellationError` is no error of which ``onError`` hears.
    ///
    /// It costs a server one descriptor on each of its loops, and each connection one system call. On Linux and in memory;
    /// other systems do not tell, and handlers go on there.
    public var cancelsHandlers = HandlerCancellation.never

    /// Whether a server on several loops accepts on one of them and hands clients over to the others, as the system does
    /// not share clients between sockets.
    package var handsOver = ServerOptions.mustHandOver

    private static var mustHandOver: Bool {
        #if os(Linux)
        false
        #else
        true
        #endif
    }

    /// What finds the addresses of names to listen on.
    public var resolver: any Resolver = SystemResolver.shared

    /// When ``TCPServer/serve(_:)`` is cancelled: how long handlers that do not end are waited for before their
    /// connections are aborted.
    public var shutdownTimeout = Duration.seconds(5)

    /// Receives what a handler threw, on the loop, after its connection was closed.
    ///
    /// Nil, the default, tells ``EventLoop/Configuration/onIssue`` of errors other than the loss of the connection
    /// itself. Either way the error concerns that connection only. The cancellation of a handler that was cancelled is
    /// no error.
    public var onError: (@Sendable (any Error, TCPConnection) -> Void)?

    /// The defaults.
    public init() {}
}

/// What becomes of a handler whose client goes while it does something else than reading: see
/// ``ServerOptions/cancelsHandlers``.
public enum HandlerCancellation: Sendable, Hashable {
    /// It goes on, and hears of it by its next read or write.
    case never
    /// It is cancelled if the connection is broken: the client has reset it, or its kernel has, as it does when something is
    /// sent to a program that has gone; or what was sent was not acknowledged in time. Of Unix sockets also if the client
    /// has closed its end.
    case afterReset
    /// It is cancelled as well if the client has ended its sending.
    ///
    /// Most clients do that by closing the connection; but the same is told of one that goes on reading and has only said
    /// that it sends no more, such as one that sends a request, then the end, and waits for the answer. So this is for
    /// protocols whose clients do not.
    case afterEnd
}

/// A TCP server.
///
///     let server = try await TCPServer.listen(host: "127.0.0.1", port: 7777)
///     try await server.serve { connection in
///         for try await bytes in connection { try await connection.write(bytes) }
///     }
///
/// It ends in one of four ways: ``close()`` stops accepting, and serving ends with the last handler; ``drain(within:)``
/// also cancels the handlers that have not ended in time; ``abort()`` cancels them at once; and cancelling the task that
/// serves does the last, with some time for handlers to clean up.
///
/// Any thread may use it. One that is dropped without having served is closed.
///
/// The corresponding asyncio name is `asyncio.Server`; the corresponding libuv call is `uv_listen`.
public final class TCPServer: Sendable {
    /// Its state on the loop that it belongs to, and on the others that it serves on.
    let bound: LoopBound<ServerState>
    let others: [LoopBound<ServerState>]
    let group: LoopGroup?

    var everywhere: [LoopBound<ServerState>] { [bound] + others }

    /// The addresses that it listens on, with the ports that the system chose where 0 was asked for.
    public let localAddresses: [SocketAddress]

    /// The first of ``localAddresses``.
    public var localAddress: SocketAddress { localAddresses[0] }

    /// The port of ``localAddress``.
    public var port: Int { Int(localAddress.port) }

    /// The loop that it belongs to.
    public var loop: EventLoop { bound.loop }

    /// All loops that it serves on, ``loop`` first.
    public var loops: [EventLoop] { everywhere.map(\.loop) }

    init(
        _ addresses: [SocketAddress],
        _ bound: LoopBound<ServerState>,
        _ others: [LoopBound<ServerState>],
        _ group: LoopGroup?
    ) {
        localAddresses = addresses
        (self.bound, self.others, self.group) = (bound, others, group)
    }

    deinit { close() }

    /// A server with one listener, which `begin` makes.
    static func listen(
        _ options: ServerOptions,
        on loop: isolated EventLoop,
        _ begin: @Sendable (ServerState, isolated EventLoop) throws -> Void
    ) throws -> TCPServer {
        let state = ServerState(options, ConnectionLimit(options.listener.maxConnections), on: loop)
        try begin(state, loop)
        return TCPServer(state.listeners.map(\.localAddress), LoopBound(state, on: loop), [], nil)
    }

    /// Stops accepting.
    ///
    /// Handlers that run go on; ``serve(_:)`` returns when the last has ended. One that waits for something else than its
    /// client does not hear that the client has gone, without ``ServerOptions/cancelsHandlers``: ``drain(within:)`` and
    /// ``abort()`` end it. Clients that wait in the
    /// backlog are refused. Any thread; returns at once. Idempotent.
    ///
    /// The corresponding asyncio name is `Server.close`.
    public func close() { perform { $0.close() } }

    /// Stops accepting and cancels the handlers, whose connections are aborted at once.
    ///
    /// ``serve(_:)`` returns when they have ended. Any thread; returns at once. Idempotent.
    ///
    /// The corresponding asyncio names are `Server.close` and `Server.abort_clients`.
    public func abort() { perform { $0.abort() } }

    /// Closes the connections that are open after what was written has been sent; goes on listening.
    ///
    /// Their handlers' next read or write throws ``StreamError/closed``. Any thread; returns at once.
    ///
    /// The corresponding asyncio name is `Server.close_clients`.
    public func closeClients() { perform { $0.closeConnections() } }

    /// Aborts the connections that are open; goes on listening.
    ///
    /// Their handlers' next read or write throws ``StreamError/closed``. Any thread; returns at once.
    ///
    /// The corresponding asyncio name is `Server.abort_clients`.
    public func abortClients() { perform { $0.abortConnections() } }

    /// Stops accepting, gives the handlers some time to end by themselves, and then cancels those that have not.
    ///
    /// Returns when all have ended. If the task is cancelled the time is over at once.
    ///
    /// A handler may drain its own server, itself and in tasks that it has started, as within a time limit: it does not wait
    /// for itself then, nor for other handlers that drain it too. When the time is over it is cancelled like the others.
    ///
    /// - Parameter limit: How long to wait.
    ///
    /// The corresponding asyncio names are `Server.close` and `wait_closed`.
    public func drain(within limit: Duration) async {
        close()
        let end = ContinuousClock.now.advanced(by: limit)
        // All loops hear which handler it is before any is waited for.
        let place = HandlerPlace.current
        var isInHandler = false
        if let place {
            for bound in everywhere where await Self.beginDraining(bound, place, on: bound.loop) { isInHandler = true }
        }
        // One after the other, as all have been closed.
        for bound in everywhere {
            let rest = others.isEmpty ? limit : ContinuousClock.now.duration(to: end)
            await Self.drain(bound, rest, isInHandler, on: bound.loop)
        }
        if let place, isInHandler {
            for bound in everywhere { await Self.endDraining(bound, place, on: bound.loop) }
        }
    }

    private static func beginDraining(
        _ bound: LoopBound<ServerState>,
        _ place: HandlerPlace,
        on loop: isolated EventLoop
    ) -> Bool { bound.value(on: loop).handlerBeginsDraining(place) }

    private static func endDraining(
        _ bound: LoopBound<ServerState>,
        _ place: HandlerPlace,
        on loop: isolated EventLoop
    ) { bound.value(on: loop).handlerEndsDraining(place) }

    private static func drain(
        _ bound: LoopBound<ServerState>,
        _ limit: Duration,
        _ isInHandler: Bool,
        on loop: isolated EventLoop
    ) async {
        await bound.value(on: loop).drain(limit, isInHandler: isInHandler, on: loop)
    }

    /// Whether it accepts clients: from when ``serve(_:)`` begins until the server is closed, in whichever way.
    ///
    /// Clients connect before that as well, and wait.
    ///
    /// The corresponding asyncio name is `Server.is_serving`.
    public var isServing: Bool { get async { await Self.isServing(bound, on: bound.loop) } }

    private static func isServing(
        _ bound: LoopBound<ServerState>,
        on loop: isolated EventLoop
    ) -> Bool { bound.value(on: loop).isServing }

    /// How many connections its handlers have open.
    public var connectionCount: Int { get async { await statistics.active } }

    /// How many connections it has accepted so far.
    public var acceptedCount: UInt64 { get async { await statistics.accepted } }

    /// What it has done so far and has to do at this moment, on all its loops together.
    public var statistics: ServerStatistics {
        get async {
            var sum = await Self.statistics(bound, on: bound.loop)
            for other in others { sum.add(await Self.statistics(other, on: other.loop)) }
            return sum
        }
    }

    private static func statistics(
        _ bound: LoopBound<ServerState>,
        on loop: isolated EventLoop
    ) -> ServerStatistics { bound.value(on: loop).statistics }

    private func perform(_ action: @escaping @Sendable (ServerState) -> Void) {
        for bound in everywhere {
            if let state = bound.ifHere {
                action(state)
            } else {
                // A loop that is closed has closed its listeners.
                _ = try? bound.loop.submit { loop in action(bound.value(on: loop)) }
            }
        }
    }
}
