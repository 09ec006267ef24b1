// A listener as its owner sees it: it makes a protocol for every connection, keeps the list of those that are open, and
// pauses at the limit. What accepts is behind it: ListenerHandle on real sockets, MemoryListener in memory.

/// Accepts connections and gives each a protocol.
///
/// Made by ``EventLoop/listen(on:options:_:)``. Belongs to its loop: not `Sendable`. It stays open until it is closed,
/// whether or not anybody keeps it.
///
/// There are three ways to end it: ``close()`` stops accepting, ``drain(within:_:)`` also waits for the connections
/// for some time, ``abort()`` also breaks them off.
///
/// The corresponding asyncio name is `asyncio.Server`; the corresponding libuv call is `uv_listen`.
@safe
public final class Listener {
    let core: LoopCore
    let options: ListenerOptions
    // SAFETY: the loop's thread alone uses it, and it is only ever replaced: a check of exclusivity would find nothing.
    @exclusivity(unchecked) private var makeReceiver: (() throws -> Receiver)?
    // SAFETY: a check of exclusivity at run time would find nothing in it: the loop's thread alone uses it, and no code of the
    // program's runs while it changes.
    @exclusivity(unchecked) private var connections: [StreamTransport] = []
    // SAFETY: the loop's thread alone uses it, and it is only ever replaced: a check of exclusivity would find nothing.
    @exclusivity(unchecked) private var heldBackend: Backend?
    private var backend: Backend? {
        get { unsafe heldBackend }
        set { unsafe heldBackend = newValue }
    }
    // SAFETY: as above.
    @exclusivity(unchecked) private var onDrained: [() -> Void] = []
    private var drainDeadline: Scheduled?

    enum Backend {
        case system(ListenerHandle)
        case memory(MemoryListener)
        /// It gets its clients from a listener of another loop: see HandOver.swift.
        case fed(Feed)
    }

    /// The address that it listens on, with the port that the system chose where 0 was asked for.
    public var localAddress: SocketAddress { unsafe heldAddress }
    // SAFETY: as above.
    @exclusivity(unchecked) private var heldAddress: SocketAddress

    /// The system has told the address.
    func isBound(to address: SocketAddress) { unsafe heldAddress = address }

    /// How many of its connections may be open at once.
    public let maxConnections: Int

    /// How many connections it has accepted so far.
    public var acceptedCount: UInt64 { accepted }
    // PERF: what a public name reads is checked for overlapping accesses at each use. (churn)
    private var accepted: UInt64 = 0

    /// Whether it accepts nobody yet: clients wait until it is released.
    private var isHeld = false

    /// How often accepting failed, for want of descriptors or memory.
    public internal(set) var failedAcceptCount: UInt64 = 0

    /// How often accepting paused because the limit was reached.
    public private(set) var pauseCount: UInt64 = 0

    /// Whether a client waits because the limit is reached.
    public var isPaused: Bool { hasPaused }
    private var hasPaused = false

    /// Whether it accepts connections, or would below the limit.
    public var isListening: Bool { backend != nil }

    /// How many of its connections are open.
    public var connectionCount: Int { unsafe connections.count }

    /// Those of its connections.
    let limits: StreamLimits

    /// The limit that it has in common with others; nil if it is alone.
    // SAFETY: the loop's thread alone uses it, and it is only ever replaced: a check of exclusivity would find nothing.
    @exclusivity(unchecked) private var heldCommon: ConnectionLimit?
    private var common: ConnectionLimit? {
        get { unsafe heldCommon }
        set { unsafe heldCommon = newValue }
    }
    /// Whether it holds a place of that for the client whom it is about to accept, and whether it waits for one.
    private var hasPlace = false
    private var waitsForPlace = false
    private(set) var handOver: HandOver?

    init(
        core: LoopCore,
        address: SocketAddress,
        options: ListenerOptions,
        makeReceiver: @escaping () throws -> Receiver
    ) {
        limits = StreamLimits(options.connection)
        self.core = core
        self.options = options
        unsafe self.makeReceiver = makeReceiver
        unsafe heldAddress = address
        maxConnections = options.maxConnections ?? Process.connectionLimit
        require(maxConnections > 0, "A listener needs room for at least one connection.")
    }

    func begin(_ backend: Backend) { self.backend = backend }

    /// Calls `body` with the descriptor of the socket that listens.
    ///
    /// It is the listener's, which closes it: use it for nothing but looking at it and setting options, and not after
    /// the call.
    ///
    /// - Returns: What `body` returns.
    /// - Throws: What `body` throws; ``StreamError/closed`` if the listener is closed; ``StreamError/hasNoDescriptor``.
    ///
    /// The corresponding asyncio name is `Server.sockets`; the corresponding libuv call is `uv_fileno`.
    public func withUnsafeFileDescriptor<Result>(_ body: (CInt) throws -> Result) throws -> Result {
        core.requireHere("Listener")
        switch backend {
        case .system(let handle): return try body(handle.descriptor)
        case .memory, .fed: throw StreamError.hasNoDescriptor
        case nil: throw StreamError.closed
        }
    }

    /// Stops accepting.
    ///
    /// Connections that are open stay open; clients that nobody has accepted are refused.
    ///
    /// Idempotent. The corresponding asyncio name is `Server.close`.
    public func close() {
        core.requireHere("Listener")
        unsafe makeReceiver = nil
        hasPaused = false
        switch backend.take() {
        case .system(let handle): handle.stop()
        case .memory(let listener): listener.stop()
        case .fed(let feed):
            for _ in feed.waiting { givePlaceBack() }
            feed.waiting = []
        case nil: break
        }
    }

    /// Stops accepting, gives the open connections until `limit` to end by themselves, and then aborts them.
    ///
    /// - Parameters:
    ///   - limit: How long to wait; zero aborts in the loop's next turn. Of several calls the earliest end counts.
    ///   - done: Called on the loop, once, when no connection is open any more; never before this returns, and not at
    ///     all if the loop is closed first.
    public func drain(within limit: Duration, _ done: @escaping () -> Void) {
        close()
        unsafe onDrained.append(done)
        if unsafe connections.isEmpty {
            reportDrained()
            return
        }
        let deadline = core.now.advanced(by: limit)
        if let earlier = drainDeadline?.deadline, earlier <= deadline { return }
        drainDeadline?.cancel()
        let site = CallSite(file: #fileID, line: #line)
        drainDeadline = core.schedule(
            at: deadline,
            { [self] in
                drainDeadline = nil
                abortConnections()
            },
            site: site
        )
    }

    /// Stops accepting and aborts every open connection.
    ///
    /// The corresponding asyncio names are `Server.close` and `Server.abort_clients`.
    public func abort() {
        close()
        abortConnections()
    }

    /// Closes every open connection after what was written to it has been sent; goes on listening.
    ///
    /// The corresponding asyncio name is `Server.close_clients`.
    public func closeConnections() {
        core.requireHere("Listener")
        for connection in unsafe connections { connection.close() }
    }

    /// Aborts every open connection; goes on listening.
    ///
    /// The corresponding asyncio name is `Server.abort_clients`.
    public func abortConnections() {
        core.requireHere("Listener")
        for connection in unsafe connections { connection.abort() }
    }

    // MARK: What the backend asks and reports

    /// Whether another connection fits.
    ///
    /// If not, the backend keeps the client waiting until `resumeAccepting`.
    func mayAccept() -> Bool {
        if isHeld { return false }
        if (common != nil || connectionCount < maxConnections) && takePlace() { return true }
        if !hasPaused {
            hasPaused = true
            pauseCount += 1
        }
        return false
    }

    /// There was nobody to accept.
    func foundNobody() {
        guard let common, hasPlace else { return }
        hasPlace = false
        common.giveBack()
    }

    /// Lets the place go with a client to another listener of the same limit.
    func takePlaceAlong() -> ConnectionLimit? {
        defer { hasPlace = false }
        return hasPlace ? common : nil
    }

    func givePlaceBack() { common?.giveBack() }

    /// Both addresses of the client that is being taken over, if they are known.
    var acceptedAddresses: StreamChannel.Addresses? {
        // Behind any other address a client may have come by one of many.
        guard case .system(let handle) = backend, !localAddress.isUnspecified else { return nil }
        return handle.acceptedAddresses
    }

    /// What others accepted for this one.
    var feed: Feed? { if case .fed(let feed) = backend { feed } else { nil } }

    var holdsClients: Bool { isHeld }

    /// Gives clients by turns to others and keeps every so many-th, from before the first connection on.
    package func handOver(to others: [LoopBound<Listener>]) { handOver = HandOver(others) }

    /// Makes it share its limit with others, from before the first connection on.
    package func share(_ limit: ConnectionLimit) { common = limit }

    /// Takes a place for a connection, if there is a common limit; false if it has to wait for one.
    private func takePlace() -> Bool {
        guard let common, !hasPlace else { return true }
        guard !waitsForPlace else { return false }
        let bound = LoopBound(self, here: core.withLoop { $0 })
        hasPlace = common.take {
            let asked = try? bound.loop.submit { loop in bound.value(on: loop).placeIsFree() }
            if asked == nil { common.wakeNext() }
        }
        waitsForPlace = !hasPlace
        return hasPlace
    }

    private func placeIsFree() {
        waitsForPlace = false
        guard backend != nil, hasPaused else {
            common?.wakeNext()
            return
        }
        hasPaused = false
        resume()
    }

    /// Lets clients wait in the kernel's backlog until ``release()``.
    package func hold() { isHeld = true }

    /// Accepts who waits, and who comes.
    package func release() {
        guard isHeld else { return }
        isHeld = false
        resume()
    }

    /// A connection was accepted; the driver is ready to be used.
    func didAccept(_ driver: StreamDriver, _ attach: (StreamTransport) -> Void) {
        hasPlace = false
        accepted += 1
        core.statistics.connectionsAccepted &+= 1
        let transport = StreamTransport(core: core, .listener(self))
        transport.driver = driver
        attach(transport)
        transport.indexInListener = Int32(truncatingIfNeeded: connectionCount)
        unsafe connections.append(transport)
        core.enter()
        do {
            if let makeReceiver = unsafe makeReceiver {
                transport.begin(with: try makeReceiver())
            } else {
                transport.abort()
            }
        } catch {
            core.report(.protocolError(error), "the protocol factory of \(summary)")
            transport.fail(error)
        }
        core.leave { transport.subject("connectionMade") }
    }

    /// A connection has closed.
    func didLose(_ transport: StreamTransport) {
        let index = Int(transport.indexInListener)
        let last = unsafe connections.removeLast()
        if last !== transport {
            unsafe connections[index] = last
            last.indexInListener = Int32(truncatingIfNeeded: index)
        }
        if unsafe connectionCount == 0 && !onDrained.isEmpty { reportDrained() }
        if let common { return common.giveBack() }
        guard hasPaused, connectionCount < maxConnections else { return }
        hasPaused = false
        resume()
    }

    private func resume() {
        switch backend {
        case .system(let handle): handle.resumeAccepting()
        case .memory(let listener): listener.resumeAccepting()
        case .fed: takeWaiting()
        case nil: break
        }
    }

    private func reportDrained() {
        drainDeadline?.cancel()
        drainDeadline = nil
        let callbacks = unsafe onDrained
        unsafe onDrained = []
        let site = CallSite(file: #fileID, line: #line)
        for callback in callbacks { _ = core.scheduleSoon(callback, site: site) }
    }

    var summary: String {
        "listener \(localAddress), \(connectionCount) of \(maxConnections) connections" + (hasPaused ? ", paused" : "")
    }
}
