// A server as its loop sees it: listeners that are accepting, connections on their way to a handler, and how many handlers
// run. The tasks that run them are behind it: ServerWorker.swift.

/// The state of a ``TCPServer``, on its loop.
final class ServerState {
    private(set) var listeners: [Listener] = []
    let options: ServerOptions
    /// Who hears of handlers' errors; by itself, as the options are large to copy.
    let onError: (@Sendable (any Error, TCPConnection) -> Void)?
    private let news: Park
    /// Connections that no worker has yet.
    private var accepted: [StreamChannel] = []
    private var workers: [ServerWorker] = []
    /// The first of the workers that can take another connection.
    private var roomy: ServerWorker?
    private(set) var isClosed = false
    /// Whether the handlers are to be cancelled.
    private(set) var isAborted = false
    private var hasBegun = false
    /// For ``HandlerPlace``.
    private let number = HandlerPlace.nextState()
    /// How many handlers run.
    private(set) var active = 0
    /// Those that have handlers.
    private let connections = ChannelList()
    private var drains: [ServerDrain] = []
    /// The connections whose handlers drain the server themselves, by their numbers, and how often.
    private var drainingHandlers: [UInt64: Int] = [:]
    /// Whether there have been any: asked whenever a handler ends.
    private var isDraining = false
    /// What is common to the server's listeners on all its loops.
    private let limit: ConnectionLimit
    private let limits: ActivityLimits
    private var sweeper: Scheduled?
    /// What notices clients that go, if that is wanted.
    private var watch: PeerWatch?
    private lazy var accept = StreamChannel.OnMade { [unowned self] channel in didAccept(channel) }
    /// Of connections whose handlers have ended.
    private var past = ServerStatistics()

    var acceptedCount: UInt64 { listeners.reduce(0) { $0 + $1.acceptedCount } }

    init(_ options: ServerOptions, _ limit: ConnectionLimit, on loop: isolated EventLoop) {
        self.options = options
        onError = options.onError
        self.limit = limit
        limits = ActivityLimits(options)
        news = ExplainedPark(on: loop, .text("clients of a TCPServer"))
    }

    func listen(on address: SocketAddress, _ loop: isolated EventLoop) throws {
        let listener = try loop.listen(on: address, options: options.listener) { [unowned self] in
            makeChannel(on: loop)
        }
        keep(listener)
    }

    func listen(adopting descriptor: CInt, _ loop: isolated EventLoop) throws {
        let listener = try loop.listen(adopting: descriptor, options: options.listener) { [unowned self] in
            makeChannel(on: loop)
        }
        keep(listener)
    }

    private func keep(_ listener: Listener) {
        listener.hold()
        listeners.append(listener)
    }

    /// Takes clients of an address that the server's first loop accepts.
    func takeClients(of address: SocketAddress, _ loop: isolated EventLoop) throws {
        let listener = try loop.listenWithoutSocket(on: address, options: options.listener) { [unowned self] in
            makeChannel(on: loop)
        }
        listener.hold()
        listeners.append(listener)
    }

    /// The listeners, for handing clients over to them.
    func boundListeners(on loop: isolated EventLoop) -> [LoopBound<Listener>] {
        listeners.map { LoopBound($0, here: loop) }
    }

    /// Gives clients by turns to the listeners of other loops, each of which has as many as this one.
    func handOver(to others: [[LoopBound<Listener>]]) {
        for (index, listener) in listeners.enumerated() { listener.handOver(to: others.map { $0[index] }) }
    }

    /// All listeners are there: if they are several, of this loop or of others, they have one limit.
    func shareLimit() {
        for listener in listeners { listener.share(limit) }
    }

    /// Closes the listeners and forgets them, to begin anew.
    func closeListeners() {
        for listener in listeners { listener.close() }
        listeners = []
    }

    private func makeChannel(on loop: isolated EventLoop) -> StreamChannel { StreamChannel(on: loop, onMade: accept) }

    private func didAccept(_ channel: StreamChannel) {
        guard let worker = roomy else {
            accepted.append(channel)
            news.wake()
            return
        }
        give(channel, to: worker)
        if worker.active == ServerWorker.mostHandlers { roomy = worker.nextRoomy.take() }
        worker.news.wake()
    }

    private func hasRoom(_ worker: ServerWorker) {
        worker.nextRoomy = roomy
        roomy = worker
    }

    private func give(_ channel: StreamChannel, to worker: ServerWorker) {
        worker.append(channel)
        worker.active += 1
        active += 1
    }

    // MARK: What others ask for

    func close() {
        guard !isClosed else { return }
        isClosed = true
        for listener in listeners { listener.close() }
        for channel in accepted { channel.abort() }
        accepted = []
        wakeAll()
        endDrainsIfDone()
    }

    private func wakeAll() {
        news.wake()
        for worker in workers { worker.news.wake() }
    }

    func abort() {
        close()
        guard !isAborted else { return }
        isAborted = true
        abortConnections()
        wakeAll()
    }

    func abortConnections() {
        for channel in connections.all { channel.abort() }
    }

    func closeConnections() {
        for channel in connections.all { channel.closeSoon() }
    }

    var statistics: ServerStatistics {
        var now = past
        now.active = active
        for listener in listeners {
            now.accepted += listener.acceptedCount
            now.failedAccepts += listener.failedAcceptCount
            now.pauses += listener.pauseCount
            now.isPaused = now.isPaused || listener.isPaused
        }
        for channel in connections.all { now.add(channel.activity) }
        return now
    }

    // MARK: Activity

    /// Looks for connections at which nothing happens, every so often while there are any.
    private func sweep(on loop: isolated EventLoop) {
        sweeper = nil
        for channel in connections.all {
            guard let found = channel.lookForActivity(), let reason = limits.reason(for: found, at: loop.now) else {
                continue
            }
            past.expired += 1
            // Its handler ends later, by steps of its own.
            channel.expire(reason)
        }
        sweepLater(on: loop)
    }

    private func sweepLater(on loop: isolated EventLoop) {
        guard sweeper == nil, !connections.isEmpty, let interval = limits.interval else { return }
        sweeper = loop.schedule(after: interval) { [unowned self] in sweep(on: loop) }
    }

    private func endSweeps() {
        sweeper?.cancel()
        sweeper = nil
    }

    // MARK: Serving

    /// Begins to serve.
    func begin(on loop: isolated EventLoop) throws {
        if hasBegun {
            fatalError("TCPServer.serve was called twice. One task serves; it starts a task per connection.")
        }
        hasBegun = true
        if options.cancelsHandlers != .never {
            do { watch = try PeerWatch(endCounts: options.cancelsHandlers == .afterEnd, on: loop) } catch {
                close()
                throw error
            }
        }
        for listener in listeners { listener.release() }
    }

    /// A new worker with the connections that wait for one, or nil if none does.
    func nextWorker(
        _ server: TCPServer,
        _ bound: LoopBound<ServerState>,
        _ handler: @escaping TCPServer.Handler,
        on loop: isolated EventLoop
    ) -> ServerWorker? {
        guard !accepted.isEmpty else { return nil }
        let worker = ServerWorker(server, bound, number, handler, on: loop)
        for channel in accepted.prefix(ServerWorker.mostHandlers) { give(channel, to: worker) }
        accepted.removeFirst(min(accepted.count, ServerWorker.mostHandlers))
        workers.append(worker)
        if worker.active < ServerWorker.mostHandlers { hasRoom(worker) }
        return worker
    }

    /// Serving has ended; the workers hold the server, which holds this.
    func end() {
        endSweeps()
        watch.take()?.close()
        workers = []
        while let worker = roomy { roomy = worker.nextRoomy.take() }
    }

    /// Whether clients are accepted.
    var isServing: Bool { hasBegun && !isClosed }

    /// Whether nothing is left to do.
    var isDone: Bool { isClosed && active == 0 && accepted.isEmpty }

    func waitForNews(on loop: isolated EventLoop) async throws { try await news.wait(on: loop) }
    func waitForNewsUncancellable(on loop: isolated EventLoop) async -> Bool { await news.waitUncancellable(on: loop) }

    func handlerBegins(_ channel: StreamChannel, on loop: isolated EventLoop) {
        connections.add(channel)
        if isAborted { channel.abort() }
        watch?.add(channel)
        guard limits.isWatching else { return }
        channel.watchActivity(countingBytes: limits.countsBytes)
        sweepLater(on: loop)
    }

    /// A handler has ended.
    func handlerEnded(_ channel: StreamChannel, of worker: ServerWorker) {
        channel.keeper = nil
        watch?.remove(channel)
        connections.remove(channel)
        if limits.countsBytes { past.add(channel.activity) }
        if isDraining { drainingHandlers[channel.number] = nil }
        connectionGone(of: worker)
    }

    /// One connection less: its handler has ended, or it was gone before one began.
    func connectionGone(of worker: ServerWorker) {
        if worker.active == ServerWorker.mostHandlers { hasRoom(worker) }
        worker.active -= 1
        active -= 1
        if isClosed && worker.active == 0 { worker.news.wake() }
        if active == 0 && isClosed { news.wake() }
        // A server that is drained is closed.
        if isClosed { endDrainsIfDone() }
    }

    // MARK: Draining

    // A handler that drains is not waited for by handlers that drain: two would wait for each other. Which handlers do is
    // counted before any of them waits, and whether a wait is over is decided for all of them at the same moment: who is told
    // first goes on, and is one that the next would wait for.

    /// A task begins to drain the server.
    ///
    /// Returns whether it belongs to one of the handlers here, which has to be told by ``handlerEndsDraining(_:)``.
    func handlerBeginsDraining(_ place: HandlerPlace) -> Bool {
        guard let connection = place.connection(ofState: number),
            connections.all.contains(where: { $0.number == connection })
        else { return false }
        drainingHandlers[connection, default: 0] += 1
        isDraining = true
        endDrainsIfDone()
        return true
    }

    /// It goes on; the handler may have ended meanwhile.
    func handlerEndsDraining(_ place: HandlerPlace) {
        guard let connection = place.connection(ofState: number), let count = drainingHandlers[connection] else {
            return
        }
        drainingHandlers[connection] = count > 1 ? count - 1 : nil
    }

    /// Waits for the handlers, and aborts the server when the time is over.
    ///
    /// Within a handler of the server's, for those that do not drain it themselves.
    func drain(_ limit: Duration, isInHandler: Bool, on loop: isolated EventLoop) async {
        close()
        let drain = ServerDrain(isInHandler, on: loop)
        drains.append(drain)
        defer { drains.removeAll { $0 === drain } }
        endDrainsIfDone()
        do {
            guard !drain.isOver else { return }
            try await withTimeout(limit) { while !drain.isOver { try await drain.park.wait(on: loop) } }
        } catch {
            abort()
            // Without a loop there are no ends to hear of.
            while !drain.isOver, await drain.park.waitUncancellable(on: loop) {}
        }
    }

    private func endDrainsIfDone() {
        for drain in drains where active <= (drain.isInHandler ? drainingHandlers.count : 0) { drain.end() }
    }
}

/// A task that waits for a server's handlers.
private final class ServerDrain {
    let park: Park
    /// Whether it belongs to a handler of that server.
    let isInHandler: Bool
    private(set) var isOver = false

    init(_ isInHandler: Bool, on loop: isolated EventLoop) {
        park = ExplainedPark(on: loop, .text("the end of a TCPServer's handlers"))
        self.isInHandler = isInHandler
    }

    func end() {
        isOver = true
        park.wake()
    }
}
