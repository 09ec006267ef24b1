// One datagram socket in memory: what has arrived and was not read, what waits to be sent, and its settings.

/// A datagram socket in memory.
final class MemoryDatagramSocket: LiveHandle {
    private let datagrams: MemoryDatagrams
    private var network: MemoryNetwork { datagrams.network }
    var transport: DatagramTransport?
    /// The host whose it is, on a simulated network.
    let host: Int
    /// Whether its host has gone, though its owner has not closed it.
    private var isDead = false
    let localAddress: SocketAddress
    let remoteAddress: SocketAddress?
    /// Whether others may have the same address.
    let isShared: Bool
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
        _ host: Int,
        isShared: Bool,
        room: Int
    ) {
        self.datagrams = datagrams
        self.room = room
        self.host = host
        self.isShared = isShared
        localAddress = local
        remoteAddress = remote
    }

    /// Whether it is to get what is sent to `address`.
    func isOpen(for address: SocketAddress, from source: SocketAddress) -> Bool {
        guard !isClosed, !isDead, localAddress.port == address.port, localAddress.family == address.family else {
            return false
        }
        if let remoteAddress, remoteAddress != source { return false }
        if address.isBroadcast { return localAddress.isUnspecified }
        return address.isToMany ? groups.contains(address.host) : localAddress.overlaps(address)
    }

    /// Runs `body` in the loop's next batch, as the host, whose code it may call.
    private func soon(_ body: @escaping () -> Void) { network.soon(as: isDead ? -1 : host, body) }

    // MARK: Receiving

    func startReading() {
        isReading = true
        scheduleDelivery()
    }

    func arrived(_ datagram: Datagram) {
        // As the kernel does it: the last one may go beyond the buffer's size.
        guard inboundSize < room else {
            lostCount += 1
            return
        }
        inbound.append(datagram)
        inboundSize += datagram.bytes.count + 8
        scheduleDelivery()
    }

    func failed(_ error: SystemError) {
        pendingError = error
        scheduleDelivery()
    }

    private func scheduleDelivery() {
        guard isReading, !deliveryIsScheduled, !isClosed, !inbound.isEmpty || pendingError != nil else { return }
        deliveryIsScheduled = true
        soon { [self] in
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
        soon { [self] in
            underWay -= size
            let isToSelf = target.isToMany && !sendsToOwnMachine
            if let simulation = network.simulation {
                if !isDead { datagrams.send(copy, from: self, to: target, sendsToOwnMachine, by: simulation) }
            } else if !isToSelf && !datagrams.deliver(copy, from: self, to: target) && remoteAddress != nil {
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

    /// Its host has gone: nothing arrives any more, or is sent.
    func hostStopped() {
        isDead = true
        inbound = []
        inboundSize = 0
    }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        inbound = []
        if network.core.value.state == .closing {
            finishClosing()
        } else {
            soon { [self] in finishClosing() }
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
