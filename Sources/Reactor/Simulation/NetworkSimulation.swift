// A memory network that is one of many hosts: the model that answers for them, what is under way, and what waits for a link
// that nothing gets through at present.

/// The simulation of a memory network.
final class NetworkSimulation {
    let model: any NetworkModel
    let timetable: NetworkTimetable
    private var held: [any HeldByLink] = []
    /// Where each host's search for a free port goes on.
    private var nextPorts: [Int: UInt16] = [:]

    init(_ model: any NetworkModel, core: LoopCoreReference) {
        self.model = model
        timetable = NetworkTimetable(core: core)
    }

    /// Keeps something until links have changed.
    func hold(_ waiting: any HeldByLink) { held.append(waiting) }

    /// A link may be open that was not.
    func linksChanged() {
        let waiting = held
        held = []
        for one in waiting { one.linksChanged() }
    }

    func end() {
        timetable.end()
        held = []
    }

    func freePort(on host: Int) -> UInt16 {
        let last = nextPorts[host] ?? 49_151
        let port = last == .max ? 49_152 : last + 1
        nextPorts[host] = port
        return port
    }

    /// The address that a socket of a host gets which was told to have this one.
    func bound(_ address: SocketAddress, on host: Int) throws(SystemError) -> SocketAddress {
        guard address.family != .unix else { return address }
        guard address.isUnspecified || model.host(at: address, from: host) == host else {
            throw SystemError(.addressNotAvailable, call: "bind", address: address)
        }
        var address = address
        if address.port == 0 { address.port = freePort(on: host) }
        return address
    }

    /// The address of a socket that wants one, or is to send to one.
    func local(
        wanted: SocketAddress?,
        to remote: SocketAddress?,
        on host: Int
    ) throws(SystemError) -> SocketAddress {
        if let wanted { return try bound(wanted, on: host) }
        guard let remote else { fault("A socket needs an address of its own, or one to send to.") }
        return try bound(try source(on: host, to: remote), on: host)
    }

    /// The address from which a host sends to another, without a port.
    func source(on host: Int, to address: SocketAddress) throws(SystemError) -> SocketAddress {
        var own = address
        own.port = 0
        // To itself, by whatever address.
        if model.host(at: address, from: host) == host { return own }
        guard let own = model.address(of: host, address.family) else {
            throw SystemError(.networkUnreachable, call: "connect", address: address)
        }
        return own
    }
}

/// What waits for a link.
protocol HeldByLink: AnyObject {
    /// A link has changed: it goes on, or is held again.
    func linksChanged()
}

extension SocketAddress {
    /// All addresses of the family, with the same port.
    var wildcard: SocketAddress? {
        family == .unix ? nil : try? SocketAddress(host: family == .ipv4 ? "0.0.0.0" : "::", port: Int(port))
    }
}

extension EventLoop {
    /// Makes the loop's memory network one of many hosts.
    package func simulate(_ model: any NetworkModel) {
        guard let memory = unsafe core.memory else {
            fault("Only a memory network can be simulated; this EventLoop has the system's sockets.")
        }
        memory.simulation = NetworkSimulation(model, core: memory.core)
        unsafe core.reshuffle()
    }

    /// What answers for the hosts of the loop's network.
    package nonisolated var networkModel: (any NetworkModel)? {
        unsafe core.isInMemory ? unsafe core.memory?.simulation?.model : nil
    }

    /// As which host the calling code connects and listens; nil where there is but one.
    package nonisolated var networkHost: Int? { networkModel?.here }

    /// Calls `body` as a host, where there are several: for what code does later than its task.
    package nonisolated func run(asNetworkHost host: Int?, _ body: () -> Void) {
        if let host, let model = networkModel { model.run(as: host, body) } else { body() }
    }

    /// Lets what is held go on where links are open again.
    package func linksChanged() { unsafe core.memory?.simulation?.linksChanged() }

    /// Takes a host off the network: its sockets fail, and nothing that it has sent arrives any more; if it is orderly, its
    /// system goes on, and closes what its programs had open.
    package func stopHost(_ host: Int, isOrderly: Bool) { unsafe core.memory?.stopHost(host, isOrderly: isOrderly) }

    /// Breaks the connections between two hosts, as a router does that was restarted.
    package func breakConnections(_ link: NetworkLink) { unsafe core.memory?.breakConnections(link) }
}

extension LoopCore {
    /// Begins the orders of the seed anew, whatever the loop has done since it was made.
    fileprivate func reshuffle() {
        if let seed = configuration.testing?.seed { shuffler = Shuffler(seed: seed) }
    }
}
