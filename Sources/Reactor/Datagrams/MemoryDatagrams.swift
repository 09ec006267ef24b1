// Datagram sockets in memory: the second driver of a datagram transport. It keeps a socket's manners, so that a test on
// it says something about sockets: what the receiver has no room for is lost, a sender that is faster than the network
// waits, whoever is connected hears that nobody listens, and what is too long is refused. On a simulated network each has a
// host, and what goes there is late, lost or doubled: see Simulation/MemoryDatagrams+Simulation.swift.

/// The datagram sockets of a memory network.
final class MemoryDatagrams {
    // Holds this.
    unowned let network: MemoryNetwork
    private(set) var sockets: [MemoryDatagramSocket] = []

    init(_ network: MemoryNetwork) { self.network = network }

    func open(
        local: SocketAddress?,
        remote: SocketAddress?,
        _ options: DatagramOptions
    ) throws(SystemError) -> MemoryDatagramSocket {
        let host = network.simulation?.model.here ?? 0
        let local = try address(of: host, local: local, remote: remote)
        let isShared = options.reuseAddress || options.reusePort
        let others = sockets.filter { !$0.isClosed && $0.host == host && $0.localAddress.port == local.port }
        if others.contains(where: { !($0.isShared && isShared) && $0.localAddress.overlaps(local) }) {
            throw SystemError(.addressInUse, call: "uv_udp_bind", address: local)
        }
        let room = options.receiveBufferSize ?? network.capacity
        let socket = MemoryDatagramSocket(self, local, remote, host, isShared: isShared, room: room)
        if options.allowsBroadcast { try socket.change(.broadcast(true)) }
        sockets.append(socket)
        network.note(.binds, NetworkPlace(host, local))
        return socket
    }

    /// The address of a socket that is bound to `local`, or only sends to `remote`.
    private func address(
        of host: Int,
        local: SocketAddress?,
        remote: SocketAddress?
    ) throws(SystemError) -> SocketAddress {
        if let simulation = network.simulation {
            return try simulation.local(wanted: local, to: remote, on: host)
        }
        // Whoever is only connected sends from any port of the address that it sends to.
        var local = local ?? remote!
        if local.port == 0 || local == remote { local.port = network.freePort() }
        return local
    }

    /// Delivers a datagram to whoever is bound to its address, and says whether there was anybody.
    func deliver(_ bytes: Bytes, from sender: MemoryDatagramSocket, to address: SocketAddress) -> Bool {
        var source = sender.localAddress
        if source.isUnspecified { source = address.isToMany ? source : address.with(port: source.port) }
        return deliver(bytes, to: address, on: sender.host, as: source)
    }

    /// Delivers a datagram to whoever is bound to its address on a host, and says whether there was anybody.
    func deliver(_ bytes: Bytes, to address: SocketAddress, on host: Int, as source: SocketAddress) -> Bool {
        let receivers = sockets.filter { $0.host == host && $0.isOpen(for: address, from: source) }
        if address.isToMany {
            for receiver in receivers { receiver.arrived(Datagram(bytes, source)) }
            return true
        }
        // The one that was bound last, as with Linux; an address of its own comes before the wildcard.
        let receiver = receivers.last { !$0.localAddress.isUnspecified } ?? receivers.last
        receiver?.arrived(Datagram(bytes, source))
        return receiver != nil
    }

    func didClose(_ socket: MemoryDatagramSocket) { sockets.removeAll { $0 === socket } }

    var liveHandles: [any LiveHandle] { sockets.filter { !$0.isClosed } }

    /// What was closing already was not told yet.
    func loopIsClosing() { for socket in sockets { socket.closeWithLoop() } }
}

extension SocketAddress {
    var isBroadcast: Bool { host == "255.255.255.255" || host == "127.255.255.255" }
    /// Whether this is a group's address, or everybody's.
    var isToMany: Bool {
        if isBroadcast { return true }
        guard family == .ipv4 else { return host.hasPrefix("ff") }
        return (224...239).contains(Int(host.prefix { $0 != "." }) ?? 0)
    }
    func with(port: UInt16) -> SocketAddress {
        var address = self
        address.port = port
        return address
    }
    func overlaps(_ other: SocketAddress) -> Bool {
        family == other.family && (host == other.host || isUnspecified || other.isUnspecified)
    }
    /// The longest datagram that can go there.
    var largestDatagram: Int { family == .ipv4 ? 65_507 : 65_527 }
}
