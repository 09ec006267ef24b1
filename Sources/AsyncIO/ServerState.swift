// A server as its loop sees it: listeners that are accepting, connections on their way to a handler, and how many handlers
// run.
//
// Everything that happens wakes the one task that serves, which looks at the state and acts: it alone starts handlers,
// cancels them and ends.

/// The state of a ``TCPServer``, on its loop.
final class ServerState {
    private(set) var listeners: [Listener] = []
    let options: ServerOptions
    private let news: Park
    /// Connections that no handler has yet.
    private var accepted: [StreamChannel] = []
    private(set) var isClosed = false
    /// Whether the handlers are to be cancelled.
    private(set) var isAborted = false
    private var isServing = false
    /// How many handlers run.
    private(set) var active = 0
    private var connections: [ObjectIdentifier: StreamChannel] = [:]
    private var drainers: [Park] = []

    var acceptedCount: UInt64 { listeners.reduce(0) { $0 + $1.acceptedCount } }

    init(_ options: ServerOptions, on loop: isolated EventLoop) {
        self.options = options
        news = Park(on: loop)
    }

    func listen(on address: SocketAddress, _ loop: isolated EventLoop) throws {
        let listener = try loop.listen(on: address, options: options.listener) { [unowned self] in
            makeChannel(on: loop)
        }
        listener.hold()
        listeners.append(listener)
    }

    private func makeChannel(on loop: isolated EventLoop) -> StreamChannel {
        let channel = StreamChannel(on: loop)
        channel.onMade = { [unowned self] channel in didAccept(channel) }
        return channel
    }

    private func didAccept(_ channel: StreamChannel) {
        accepted.append(channel)
        news.wake()
    }

    // MARK: What others ask for

    func close() {
        guard !isClosed else { return }
        isClosed = true
        for listener in listeners { listener.close() }
        for channel in accepted { channel.abort() }
        accepted = []
        news.wake()
        wakeDrainersIfDone()
    }

    func abort() {
        close()
        guard !isAborted else { return }
        isAborted = true
        abortConnections()
        news.wake()
    }

    func abortConnections() {
        for channel in connections.values { channel.abort() }
    }

    func drain(_ limit: Duration, on loop: isolated EventLoop) async {
        close()
        guard active > 0 else { return }
        let park = Park(on: loop)
        drainers.append(park)
        defer { drainers.removeAll { $0 === park } }
        do {
            try await withTimeout(limit) { [self] in while active > 0 { try await park.wait(on: loop) } }
        } catch {
            abort()
            while active > 0 && loop.isCurrent { await park.waitUncancellable(on: loop) }
        }
    }

    // MARK: Serving

    /// Begins to serve.
    func begin() {
        precondition(!isServing, "TCPServer.serve was called twice. One task serves; it starts a task per connection.")
        isServing = true
        for listener in listeners { listener.release() }
    }

    /// The next connection, or nil when somebody else is to be looked at first.
    func next() -> StreamChannel? {
        accepted.isEmpty ? nil : accepted.removeFirst()
    }

    /// Whether nothing is left to do.
    var isDone: Bool { isClosed && active == 0 && accepted.isEmpty }

    func waitForNews(on loop: isolated EventLoop) async throws { try await news.wait(on: loop) }
    func waitForNewsUncancellable(on loop: isolated EventLoop) async { await news.waitUncancellable(on: loop) }

    func handlerBegins(_ channel: StreamChannel) {
        active += 1
        connections[ObjectIdentifier(channel)] = channel
        if isAborted { channel.abort() }
    }

    func handlerEnded(_ channel: StreamChannel) {
        active -= 1
        connections[ObjectIdentifier(channel)] = nil
        guard active == 0 else { return }
        if isClosed { news.wake() }
        wakeDrainersIfDone()
    }

    private func wakeDrainersIfDone() {
        if active == 0 { for drainer in drainers { drainer.wake() } }
    }
}
