// One end of a connection in memory: the second driver of a transport. It keeps a socket's manners, so that a test on
// it says something about sockets: a bounded buffer, partial writes, an end of stream that comes after the bytes, a
// reset that overtakes them, and a reset for whoever sends to an end that is closed. On a simulated network what it sends
// takes a path (Simulation/MemoryPath.swift); otherwise it is with the peer at once.

/// One end of a memory connection.
final class MemoryStream: LiveHandle {
    private let network: MemoryNetwork
    private var peer: MemoryStream?
    private var path: MemoryPath?
    var transport: StreamTransport?
    /// The host whose it is, on a simulated network.
    let host: Int
    /// Whether its host has gone, though its owner has not closed it.
    private(set) var isDead = false
    let localAddress: SocketAddress
    let remoteAddress: SocketAddress

    /// What has arrived and was not read.
    private var inbound: [UInt8] = []
    private var inboundEnded = false
    /// Why nothing can be read or written any more.
    private var failure: SystemError.Code?
    private weak var watch: PeerWatch?
    private var isReading = false
    private var deliveryIsScheduled = false

    /// What was handed to `write` and does not fit yet.
    private var outbound: [Bytes] = []
    private var outboundIsActive = false
    private(set) var isClosed = false

    init(_ network: MemoryNetwork, local: SocketAddress, remote: SocketAddress, host: Int = 0) {
        self.network = network
        self.host = host
        localAddress = local
        remoteAddress = remote
    }

    func connect(to other: MemoryStream) {
        peer = other
        other.peer = self
        guard let simulation = network.simulation else { return }
        path = MemoryPath(simulation, from: self, to: other)
        other.path = MemoryPath(simulation, from: other, to: self)
    }

    /// Runs `body` in the loop's next batch, as the host, whose code it may call.
    private func soon(_ body: @escaping () -> Void) { network.soon(as: isDead ? -1 : host, body) }

    // MARK: Reading

    func startReading() {
        isReading = true
        scheduleDelivery()
    }

    private var hasNews: Bool { !inbound.isEmpty || inboundEnded || failure != nil }

    private func scheduleDelivery() {
        guard isReading, !deliveryIsScheduled, !isClosed, hasNews else { return }
        deliveryIsScheduled = true
        soon { [self] in
            deliveryIsScheduled = false
            deliver()
        }
    }

    private func deliver() {
        guard isReading, !isClosed, let transport else { return }
        // As libuv does it: it asks for room first, and no room is a pause, or the end of the transport.
        let room = unsafe failure != nil ? nil : transport.room()
        if let failure {
            isReading = false
            transport.didFailReading(SystemError(failure, call: "read", address: remoteAddress))
        } else if let room = unsafe room, room.count == 0 {
            isReading = false
        } else if let room = unsafe room, !inbound.isEmpty {
            let count = min(room.count, inbound.count, network.largestRead)
            // SAFETY: the room is at least that large, and stays valid until `didReceive`.
            unsafe inbound.withUnsafeBytes {
                unsafe room.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[..<count]))
            }
            inbound.removeFirst(count)
            if let path = peer?.path { path.wasRead(count) } else { peer?.roomAppeared() }
            transport.didReceive(count)
            scheduleDelivery()
        } else if inboundEnded {
            isReading = false
            transport.didReachEnd()
        }
    }

    // MARK: Writing

    func tryWrite(_ bytes: UnsafeRawBufferPointer) -> Int {
        if let failure { return Int(failure.rawValue) }
        if let path {
            return unsafe outbound.isEmpty ? path.send(bytes) : Int(SystemError.Code.wouldBlock.rawValue)
        }
        guard let peer, !peer.isClosed else { return Int(SystemError.Code.brokenPipe.rawValue) }
        let room = network.capacity - peer.inbound.count
        guard room > 0, outbound.isEmpty else { return Int(SystemError.Code.wouldBlock.rawValue) }
        let count = min(room, bytes.count)
        unsafe peer.arrived(UnsafeRawBufferPointer(rebasing: bytes[..<count]))
        return count
    }

    func tryWrite(_ buffers: ArraySlice<Bytes>) -> Int {
        var total = 0
        for bytes in buffers {
            let written = unsafe bytes.withUnsafeBytes { unsafe tryWrite($0) }
            if written < 0 { return total > 0 ? total : written }
            total += written
            if written < bytes.count { break }
        }
        return total
    }

    func write(_ buffers: [Bytes]) {
        outbound = buffers
        outboundIsActive = true
        soon { [self] in roomAppeared() }
    }

    /// The peer has read something, or something else happened that may let a write go on.
    func roomAppeared() {
        guard outboundIsActive, !isClosed else { return }
        let waiting = outbound
        outbound = []
        let written = tryWrite(waiting[...])
        if written < 0 && written != Int(SystemError.Code.wouldBlock.rawValue) {
            finishWrite(CInt(written))
            return
        }
        var sent = max(written, 0)
        for bytes in waiting {
            let part = Swift.min(sent, bytes.count)
            sent -= part
            if part < bytes.count { outbound.append(bytes[(bytes.startIndex + part)...]) }
        }
        if outbound.isEmpty { finishWrite(0) }
    }

    private func finishWrite(_ status: CInt) {
        outboundIsActive = false
        outbound = []
        soon { [self] in if !isClosed { transport?.didWrite(status) } }
    }

    func shutDown() {
        soon { [self] in
            guard !isClosed else { return }
            if let path { path.sendEnd() } else { peer?.ended() }
            transport?.didShutDown(0)
        }
    }

    /// Whether something of what was sent has not come to the peer's end, or nobody can say so.
    func hasUnacknowledged() throws(SystemError) -> Bool {
        guard let path, path.hasUnacknowledged else { return false }
        if let failure { throw SystemError(failure, call: "close", address: remoteAddress) }
        return true
    }

    // MARK: What the peer sends

    func arrived(_ bytes: some Sequence<UInt8>) {
        guard failure == nil else { return }
        inbound.append(contentsOf: bytes)
        scheduleDelivery()
    }

    func ended() {
        inboundEnded = true
        scheduleDelivery()
        tellWatch()
    }

    /// Has a server hear of the peer's end also while nobody reads.
    func watch(by watch: PeerWatch) {
        self.watch = watch
        if inboundEnded || failure != nil { tellWatch() }
    }

    private func tellWatch() {
        guard let watch, let transport else { return }
        watch.peerHasGone(transport.number, isBroken: failure != nil)
    }

    // MARK: Closing

    func close(reset: Bool) {
        guard !isClosed else { return }
        isClosed = true
        // As the kernel does it: bytes that nobody read turn an end of stream into a reset.
        let isReset = reset || !inbound.isEmpty
        if let path {
            path.close(reset: isReset)
        } else if isReset {
            peer?.broke(.connectionReset)
        } else {
            peer?.ended()
        }
        inbound = []
        outbound = []
        if network.core.value.state == .closing {
            finishClosing()
        } else {
            soon { [self] in finishClosing() }
        }
    }

    private func finishClosing() {
        network.didClose(self)
        let transport = transport.take()
        peer = nil
        path = nil
        transport?.didClose()
    }

    /// Nothing can be read or written any more.
    func broke(_ code: SystemError.Code) {
        guard !isClosed, failure == nil else { return }
        failure = code
        inbound = []
        scheduleDelivery()
        tellWatch()
        if outboundIsActive { finishWrite(code.rawValue) }
    }

    /// Its host has gone, which closes what is open if that is orderly.
    func hostStopped(isOrderly: Bool) {
        if isOrderly { path?.close(reset: !inbound.isEmpty) } else { path?.vanish() }
        isDead = true
        broke(.connectionReset)
    }

    /// The connection breaks on the way.
    func breakOff() { path?.breakOff() }

    /// Whether it leads from one host to another.
    func leads(_ link: NetworkLink) -> Bool { host == link.source && peer?.host == link.target }

    var summary: String { transport.map { "memory \($0.summary)" } ?? "memory connection \(localAddress)" }
    var closingOrder: Int { 1 }
    var liveTransport: StreamTransport? { transport }
    func closeWithLoop() {
        // It may be closing already, and its last event gone with the queue.
        if isClosed { return finishClosing() }
        if let transport { transport.closeWithLoop() } else { close(reset: true) }
    }
}
