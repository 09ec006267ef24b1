// The network in memory: who listens where, and how connections come about. It lives within one loop and uses nothing
// but the loop's queue, so that a test on it is as exact as the loop's order. Its events have a queue of their own, of
// which each has an entry in the loop's: so they are in order with callbacks, and not counted among them. Where it is
// simulated, it has many hosts, and what goes from one to another takes time: see Simulation.

/// The memory network of a loop.
final class MemoryNetwork {
    let core: LoopCoreReference
    let capacity: Int
    let largestRead: Int
    private var listeners: [Place: MemoryListener] = [:]
    private var streams: [MemoryStream] = []
    /// What makes it many hosts; nil is one.
    var simulation: NetworkSimulation?
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

    /// Where one can listen.
    struct Place: Hashable {
        let host: Int
        let address: SocketAddress
    }

    init(core: LoopCore, capacity: Int, largestRead: Int) {
        require(capacity > 0 && largestRead > 0, "A memory network needs room for at least one byte.")
        self.core = LoopCoreReference(core)
        self.capacity = capacity
        self.largestRead = largestRead
    }

    func listen(_ listener: Listener) throws -> MemoryListener {
        let host = simulation?.model.here ?? 0
        if let simulation {
            listener.isBound(to: try simulation.bound(listener.localAddress, on: host))
        } else if listener.localAddress.port == 0 && listener.localAddress.family != .unix {
            var address = listener.localAddress
            address.port = freePort()
            listener.isBound(to: address)
        }
        let place = Place(host: host, address: listener.localAddress)
        guard listeners[place] == nil else { throw SystemError(.addressInUse, call: "bind", address: place.address) }
        let memory = MemoryListener(listener, self, place)
        listeners[place] = memory
        note(.listens, NetworkPlace(host, place.address))
        return memory
    }

    /// Frees the place of a listener, if that has not been given to another.
    func stopListening(_ listener: MemoryListener) {
        if listeners[listener.place] === listener { listeners[listener.place] = nil }
    }

    /// Who listens on an address of a host, or on all of them.
    func listener(on host: Int, _ address: SocketAddress) -> MemoryListener? {
        if let listener = listeners[Place(host: host, address: address)] { return listener }
        guard simulation != nil, let all = address.wildcard else { return nil }
        return listeners[Place(host: host, address: all)]
    }

    /// Connects; the local address, if one is asked for, must be free, as on a socket.
    func connect(
        _ attempt: ConnectAttempt,
        from wanted: SocketAddress?,
        to address: SocketAddress
    ) throws(SystemError) {
        let host = simulation?.model.here ?? 0
        if let wanted, listeners[Place(host: host, address: wanted)] != nil {
            throw SystemError(.addressInUse, call: "bind", address: wanted)
        }
        if let simulation, address.family != .unix {
            let handshake = try MemoryHandshake(simulation, self, attempt, from: wanted, to: address)
            attempts.append(attempt)
            if !isSilent(address) { handshake.begin() }
            return
        }
        attempts.append(attempt)
        if isSilent(address) { return }
        soon { [self] in
            guard forget(attempt) else { return }
            guard let listener = listener(on: host, address) else {
                attempts.append(attempt)
                attempt.fail(SystemError(.connectionRefused, call: "uv_tcp_connect", address: address))
                return
            }
            // As on Unix sockets, a client has no name there.
            var local = address.family == .unix ? SocketAddress.unnamedUnix : wanted ?? address
            if local.family != .unix && (wanted == nil || local.port == 0) { local.port = freePort() }
            let (client, server) = makeConnection(from: host, local, to: host, address)
            attempts.append(attempt)
            giveTo(attempt, client)
            listener.arrived(server)
            // Nobody took this end: its factory threw, or cancelled.
            if client.transport == nil { client.close(reset: true) }
        }
    }

    /// Makes the two ends of a connection.
    func makeConnection(
        from source: Int,
        _ local: SocketAddress,
        to target: Int,
        _ remote: SocketAddress
    ) -> (client: MemoryStream, server: MemoryStream) {
        let client = MemoryStream(self, local: local, remote: remote, host: source)
        let server = MemoryStream(self, local: remote, remote: local, host: target)
        client.connect(to: server)
        streams += [client, server]
        return (client, server)
    }

    /// Hands a connection to the attempt that asked for it.
    func giveTo(_ attempt: ConnectAttempt, _ client: MemoryStream) {
        attempt.succeed(.memory(client)) { [self] in
            _ = forget(attempt)
            client.transport = $0
        }
    }

    /// Notes what has happened, where somebody wants to know.
    func note(_ kind: NetworkEvent.Kind, _ source: NetworkPlace, _ target: NetworkPlace? = nil) {
        simulation?.model.note(NetworkEvent(kind: kind, source: source, target: target, count: nil))
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
            soon(as: simulation?.model.here ?? 0) { [self] in
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

    /// The same as a host, whose code may be called.
    func soon(as host: Int, _ body: @escaping () -> Void) {
        guard let simulation else { return soon(body) }
        soon { simulation.model.run(as: host, body) }
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
        simulation?.end()
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
        // What nobody has accepted, or been told of, is the system's affair on a simulated network.
        let open = streams.filter { !$0.isClosed && (simulation == nil || $0.transport != nil) }
        return listeners.values.sorted { $0.summary < $1.summary } + open + datagrams.liveHandles
    }

    // MARK: Hosts

    /// A host goes off the network, with all that it has open.
    func stopHost(_ host: Int, isOrderly: Bool) {
        for listener in listeners.values.sorted(by: { $0.summary < $1.summary }) where listener.place.host == host {
            stopListening(listener)
        }
        for stream in streams where stream.host == host { stream.hostStopped(isOrderly: isOrderly) }
        datagrams.stopHost(host)
    }

    /// The connections from one host to another break, in both directions.
    func breakConnections(_ link: NetworkLink) {
        for stream in streams where !stream.isClosed && stream.leads(link) { stream.breakOff() }
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
