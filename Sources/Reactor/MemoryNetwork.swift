// The network in memory: who listens where, and how connections come about. It lives within one loop and uses nothing
// but the loop's queue, so that a test on it is as exact as the loop's order. Its events have a queue of their own, of
// which each has an entry in the loop's: so they are in order with callbacks, and not counted among them.

/// The memory network of a loop.
final class MemoryNetwork {
    let core: LoopCoreReference
    let capacity: Int
    let largestRead: Int
    private var listeners: [SocketAddress: MemoryListener] = [:]
    private var streams: [MemoryStream] = []
    /// Attempts that are under way, and those that have failed and were not told yet.
    private var attempts: [ConnectAttempt] = []
    private var failing: [ConnectAttempt] = []
    /// What never answers; with port 0 at none of its ports.
    var silent: Set<SocketAddress> = []
    private var events: [() -> Void] = []
    private var nextEvent = 0
    /// Where the search for a free port goes on, as an operating system does it.
    private var nextPort: UInt16 = 49_152
    private(set) lazy var datagrams = MemoryDatagrams(self)

    init(core: LoopCore, capacity: Int, largestRead: Int) {
        require(capacity > 0 && largestRead > 0, "A memory network needs room for at least one byte.")
        self.core = LoopCoreReference(core)
        self.capacity = capacity
        self.largestRead = largestRead
    }

    func listen(_ listener: Listener) throws -> MemoryListener {
        if listener.localAddress.port == 0 && listener.localAddress.family != .unix {
            listener.localAddress.port = freePort()
        }
        let address = listener.localAddress
        guard listeners[address] == nil else { throw SystemError(.addressInUse, call: "bind", address: address) }
        let memory = MemoryListener(listener, self)
        listeners[address] = memory
        return memory
    }

    func stopListening(on address: SocketAddress) { listeners[address] = nil }

    /// Connects; the local address, if one is asked for, must be free, as on a socket.
    func connect(
        _ attempt: ConnectAttempt,
        from wanted: SocketAddress?,
        to address: SocketAddress
    ) throws(SystemError) {
        if let wanted, listeners[wanted] != nil {
            throw SystemError(.addressInUse, call: "bind", address: wanted)
        }
        attempts.append(attempt)
        if isSilent(address) { return }
        soon { [self] in
            guard forget(attempt) else { return }
            guard let listener = listeners[address] else {
                attempts.append(attempt)
                attempt.fail(SystemError(.connectionRefused, call: "uv_tcp_connect", address: address))
                return
            }
            // As on Unix sockets, a client has no name there.
            var local = address.family == .unix ? SocketAddress.unnamedUnix : wanted ?? address
            if local.family != .unix && (wanted == nil || local.port == 0) { local.port = freePort() }
            let client = MemoryStream(self, local: local, remote: address)
            let server = MemoryStream(self, local: address, remote: local)
            client.connect(to: server)
            streams += [client, server]
            attempts.append(attempt)
            attempt.succeed(.memory(client)) { [self] in
                _ = forget(attempt)
                client.transport = $0
            }
            listener.arrived(server)
            // Nobody took this end: its factory threw, or cancelled.
            if client.transport == nil { client.close(reset: true) }
        }
    }

    /// Whether nothing answers at an address.
    private func isSilent(_ address: SocketAddress) -> Bool {
        var host = address
        host.port = 0
        return silent.contains(address) || silent.contains(host)
    }

    /// An attempt has failed: tells it so, soon or, as the loop closes, now.
    func attemptFailed(_ attempt: ConnectAttempt) {
        guard forget(attempt) else { return }
        if core.value.state == .closing {
            attempt.didFail()
        } else {
            failing.append(attempt)
            soon { [self] in
                failing.removeAll { $0 === attempt }
                attempt.didFail()
            }
        }
    }

    /// Whether the attempt was under way.
    private func forget(_ attempt: ConnectAttempt) -> Bool {
        guard let index = attempts.firstIndex(where: { $0 === attempt }) else { return false }
        attempts.remove(at: index)
        return true
    }

    func didClose(_ stream: MemoryStream) { streams.removeAll { $0 === stream } }

    // MARK: Events

    /// Runs `body` in the loop's next batch.
    func soon(_ body: @escaping () -> Void) {
        events.append(body)
        core.value.enqueue(.memoryEvent)
    }

    /// Runs the oldest event.
    ///
    /// Called by the loop for each entry.
    func runNext() {
        let body = events[nextEvent]
        events[nextEvent] = {}
        nextEvent += 1
        if nextEvent == events.count {
            events.removeAll(keepingCapacity: true)
            nextEvent = 0
        }
        body()
    }

    /// Tells whoever was about to hear of a failure, as the loop closes.
    func loopIsClosing() {
        events = []
        nextEvent = 0
        let waiting = failing
        failing = []
        for attempt in waiting { attempt.didFail() }
        for attempt in attempts { attempt.fail(LoopError.loopClosed) }
        // What was closing already was not told yet.
        for stream in streams { stream.closeWithLoop() }
        datagrams.loopIsClosing()
    }

    var liveHandles: [any LiveHandle] {
        listeners.values.sorted { $0.summary < $1.summary } + streams.filter { !$0.isClosed } + datagrams.liveHandles
    }

    func freePort() -> UInt16 {
        nextPort = nextPort == .max ? 49_152 : nextPort + 1
        return nextPort
    }
}

extension EventLoop {
    /// Makes an address of the memory network swallow what is sent to it; with port 0 all ports of its host do.
    package func silence(_ address: SocketAddress) {
        guard let memory = unsafe core.memory else {
            fault("Only an address of the memory network can be made silent; this EventLoop has the system's sockets.")
        }
        memory.silent.insert(address)
    }
}

/// A reference to the core that does not own it, as the core owns the network.
struct LoopCoreReference {
    unowned let value: LoopCore
    init(_ value: LoopCore) { self.value = value }
}

/// Accepts for a `Listener` in memory.
final class MemoryListener: LiveHandle {
    private let network: MemoryNetwork
    private var listener: Listener?
    private var backlog: [MemoryStream] = []
    private let address: SocketAddress

    init(_ listener: Listener, _ network: MemoryNetwork) {
        self.listener = listener
        self.network = network
        address = listener.localAddress
    }

    /// A client has connected; its end of the connection is there, ours waits to be accepted.
    func arrived(_ stream: MemoryStream) {
        guard listener != nil else { return stream.close(reset: true) }
        backlog.append(stream)
        resumeAccepting()
    }

    func resumeAccepting() {
        while let listener, !backlog.isEmpty, listener.mayAccept() {
            let stream = backlog.removeFirst()
            listener.didAccept(.memory(stream)) { stream.transport = $0 }
        }
    }

    func stop() {
        guard listener != nil else { return }
        listener = nil
        network.stopListening(on: address)
        for stream in backlog { stream.close(reset: true) }
        backlog = []
    }

    var summary: String { "memory \(listener?.summary ?? "listener")" }
    var closingOrder: Int { 0 }
    func closeWithLoop() { listener?.close() }
}
