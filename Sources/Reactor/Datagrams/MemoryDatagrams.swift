// Datagram sockets in memory: the second driver of a datagram transport. It keeps a socket's manners, so that a test on
// it says something about sockets: what the receiver has no room for is lost, a sender that is faster than the network
// waits, whoever is connected hears that nobody listens, and what is too long is refused.

/// The datagram sockets of a memory network.
final class MemoryDatagrams {
    // Holds this.
    fileprivate unowned let network: MemoryNetwork
    private var sockets: [MemoryDatagramSocket] = []

    init(_ network: MemoryNetwork) { self.network = network }

    func open(
        local: SocketAddress?,
        remote: SocketAddress?,
        _ options: DatagramOptions
    ) throws(SystemError) -> MemoryDatagramSocket {
        // Whoever is only connected sends from any port of the address that it sends to.
        var local = local ?? remote!
        if local.port == 0 || local == remote { local.port = network.freePort() }
        let isShared = options.reuseAddress || options.reusePort
        let others = sockets.filter { !$0.isClosed && $0.localAddress.port == local.port }
        if others.contains(where: { !($0.isShared && isShared) && $0.localAddress.overlaps(local) }) {
            throw SystemError(.addressInUse, call: "uv_udp_bind", address: local)
        }
        let room = options.receiveBufferSize ?? network.capacity
        let socket = MemoryDatagramSocket(self, local, remote, isShared: isShared, room: room)
        if options.allowsBroadcast { try socket.change(.broadcast(true)) }
        sockets.append(socket)
        return socket
    }

    /// Delivers a datagram to whoever is bound to its address, and says whether there was anybody.
    fileprivate func deliver(_ bytes: Bytes, from sender: MemoryDatagramSocket, to address: SocketAddress) -> Bool {
        var source = sender.localAddress
        if source.isWildcard { source = address.isToMany ? source : address.with(port: source.port) }
        let receivers = sockets.filter { $0.isOpen(for: address, from: source) }
        if address.isToMany {
            for receiver in receivers { receiver.arrived(Datagram(bytes, source)) }
            return true
        }
        // The one that was bound last, as with Linux; an address of its own comes before the wildcard.
        let receiver = receivers.last { !$0.localAddress.isWildcard } ?? receivers.last
        receiver?.arrived(Datagram(bytes, source))
        return receiver != nil
    }

    fileprivate func didClose(_ socket: MemoryDatagramSocket) { sockets.removeAll { $0 === socket } }

    var liveHandles: [any LiveHandle] { sockets.filter { !$0.isClosed } }

    /// What was closing already was not told yet.
    func loopIsClosing() { for socket in sockets { socket.closeWithLoop() } }
}

extension SocketAddress {
    fileprivate var isWildcard: Bool { host == "0.0.0.0" || host == "::" }
    fileprivate var isBroadcast: Bool { host == "255.255.255.255" || host == "127.255.255.255" }
    /// Whether this is a group's address, or everybody's.
    fileprivate var isToMany: Bool {
        if isBroadcast { return true }
        guard family == .ipv4 else { return host.hasPrefix("ff") }
        return (224...239).contains(Int(host.prefix { $0 != "." }) ?? 0)
    }
    fileprivate func with(port: UInt16) -> SocketAddress {
        var address = self
        address.port = port
        return address
    }
    fileprivate func overlaps(_ other: SocketAddress) -> Bool {
        family == other.family && (host == other.host || isWildcard || other.isWildcard)
    }
    /// The longest datagram that can go there.
    fileprivate var largestDatagram: Int { family == .ipv4 ? 65_507 : 65_527 }
}

/// A datagram socket in memory.
final class MemoryDatagramSocket: LiveHandle {
    private let datagrams: MemoryDatagrams
    private var network: MemoryNetwork { datagrams.network }
    var transport: DatagramTransport?
    let localAddress: SocketAddress
    let remoteAddress: SocketAddress?
    /// Whether others may have the same address.
    fileprivate let isShared: Bool
    private var groups: Set<String> = []
    private var sendsToOwnMachine = true
    private var allowsBroadcast = false

    /// How many bytes it keeps that nobody has read.
    private let room: Int
    private var inbound: [Datagram] = []
    private var inboundSize = 0
    private var pendingError: SystemError?
    private var isReading = false
    private var deliveryIsScheduled = false
    /// How many datagrams were lost for want of room.
    private(set) var lostCount = 0

    /// What the network has been given and has not delivered yet: it takes no more than its capacity at a time.
    private var underWay = 0
    private var waiting: [DatagramSending] = []
    private(set) var isClosed = false

    init(
        _ datagrams: MemoryDatagrams,
        _ local: SocketAddress,
        _ remote: SocketAddress?,
        isShared: Bool,
        room: Int
    ) {
        self.datagrams = datagrams
        self.room = room
        self.isShared = isShared
        localAddress = local
        remoteAddress = remote
    }

    /// Whether it is to get what is sent to `address`.
    fileprivate func isOpen(for address: SocketAddress, from source: SocketAddress) -> Bool {
        guard !isClosed, localAddress.port == address.port, localAddress.family == address.family else { return false }
        if let remoteAddress, remoteAddress != source { return false }
        if address.isBroadcast { return localAddress.isWildcard }
        return address.isToMany ? groups.contains(address.host) : localAddress.overlaps(address)
    }

    // MARK: Receiving

    func startReading() {
        isReading = true
        scheduleDelivery()
    }

    fileprivate func arrived(_ datagram: Datagram) {
        // As the kernel does it: the last one may go beyond the buffer's size.
        guard inboundSize < room else {
            lostCount += 1
            return
        }
        inbound.append(datagram)
        inboundSize += datagram.bytes.count + 8
        scheduleDelivery()
    }

    private func failed(_ error: SystemError) {
        pendingError = error
        scheduleDelivery()
    }

    private func scheduleDelivery() {
        guard isReading, !deliveryIsScheduled, !isClosed, !inbound.isEmpty || pendingError != nil else { return }
        deliveryIsScheduled = true
        network.soon { [self] in
            deliveryIsScheduled = false
            handOver()
        }
    }

    private func handOver() {
        guard isReading, !isClosed, let transport else { return }
        guard transport.hasRoom else {
            isReading = false
            return
        }
        let core = network.core.value
        core.enter()
        if let error = pendingError.take() {
            transport.didFail(error)
        } else if !inbound.isEmpty {
            let datagram = inbound.removeFirst()
            inboundSize -= datagram.bytes.count + 8
            transport.didReceive(datagram)
        }
        core.leave { transport.subject("datagramReceived") }
        scheduleDelivery()
    }

    // MARK: Sending

    func trySend(_ bytes: Bytes, to address: SocketAddress?) -> CInt {
        // As with a socket, the error of an earlier datagram takes the place of this one.
        if let error = pendingError.take() { return error.code.rawValue }
        let target = address ?? remoteAddress!
        if target.family != localAddress.family { return SystemError.Code.addressFamilyNotSupported.rawValue }
        if bytes.count > target.largestDatagram { return SystemError.Code.messageTooLarge.rawValue }
        if target.isBroadcast && !allowsBroadcast { return SystemError.Code.accessDenied.rawValue }
        guard underWay < network.capacity else { return SystemError.Code.wouldBlock.rawValue }
        let size = bytes.count + 8
        underWay += size
        let copy = bytes.exactCopy()
        network.soon { [self] in
            underWay -= size
            let isToSelf = target.isToMany && !sendsToOwnMachine
            if !isToSelf && !datagrams.deliver(copy, from: self, to: target) && remoteAddress != nil {
                failed(SystemError(.connectionRefused, call: "recvmsg", address: target))
            }
            sendWaiting()
        }
        return 0
    }

    func send(_ sending: DatagramSending) { waiting.append(sending) }

    private func sendWaiting() {
        while !isClosed, let first = waiting.first {
            let status = trySend(first.bytes, to: first.address)
            if status == SystemError.Code.wouldBlock.rawValue { return }
            waiting.removeFirst()
            transport?.didSend(first, status)
        }
    }

    // MARK: Settings

    func change(_ change: DatagramChange) throws(SystemError) {
        switch change {
        case .membership(let group, _, _, let isMember):
            guard let address = try? SocketAddress(host: group, port: 0), address.isToMany, !address.isBroadcast else {
                throw SystemError(.invalidArgument, call: change.call)
            }
            if isMember {
                groups.insert(address.host)
            } else if groups.remove(address.host) == nil {
                throw SystemError(.addressNotAvailable, call: change.call)
            }
        case .multicastLoopback(let isOn): sendsToOwnMachine = isOn
        case .broadcast(let isAllowed): allowsBroadcast = isAllowed
        case .timeToLive(let hops), .multicastTimeToLive(let hops):
            guard (1...255).contains(hops) else { throw SystemError(.invalidArgument, call: change.call) }
        case .multicastInterface: break
        }
    }

    // MARK: Closing

    func close() {
        guard !isClosed else { return }
        isClosed = true
        inbound = []
        if network.core.value.state == .closing {
            finishClosing()
        } else {
            network.soon { [self] in finishClosing() }
        }
    }

    private func finishClosing() {
        datagrams.didClose(self)
        let transport = transport.take()
        let dropped = waiting
        waiting = []
        for sending in dropped { transport?.didSend(sending, SystemError.Code.canceled.rawValue) }
        transport?.didClose()
    }

    var summary: String { transport.map { "memory \($0.summary)" } ?? "memory datagram socket \(localAddress)" }
    var closingOrder: Int { 1 }
    func closeWithLoop() {
        // It may be closing already, and its last event gone with the queue.
        if isClosed { return finishClosing() }
        if let transport { transport.closeWithLoop() } else { close() }
    }
}
