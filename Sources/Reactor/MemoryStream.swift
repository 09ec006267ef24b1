// One end of a connection in memory: the second driver of a transport. It keeps a socket's manners, so that a test on
// it says something about sockets: a bounded buffer, partial writes, an end of stream that comes after the bytes, a
// reset that overtakes them, and a reset for whoever sends to an end that is closed.

/// One end of a memory connection.
final class MemoryStream: LiveHandle {
    private let network: MemoryNetwork
    private var peer: MemoryStream?
    var transport: StreamTransport?
    let localAddress: SocketAddress
    let remoteAddress: SocketAddress

    /// What has arrived and was not read.
    private var inbound: [UInt8] = []
    private var inboundEnded = false
    private var wasReset = false
    private var isReading = false
    private var deliveryIsScheduled = false

    /// What was handed to `write` and does not fit yet.
    private var outbound: [Bytes] = []
    private var outboundIsActive = false
    private(set) var isClosed = false

    init(_ network: MemoryNetwork, local: SocketAddress, remote: SocketAddress) {
        self.network = network
        localAddress = local
        remoteAddress = remote
    }

    func connect(to other: MemoryStream) {
        peer = other
        other.peer = self
    }

    // MARK: Reading

    func startReading() {
        isReading = true
        scheduleDelivery()
    }

    private func scheduleDelivery() {
        guard isReading, !deliveryIsScheduled, !isClosed, !inbound.isEmpty || inboundEnded || wasReset else { return }
        deliveryIsScheduled = true
        network.soon { [self] in
            deliveryIsScheduled = false
            deliver()
        }
    }

    private func deliver() {
        guard isReading, !isClosed, let transport else { return }
        // As libuv does it: it asks for room first, and no room is a pause, or the end of the transport.
        let room = unsafe wasReset ? nil : transport.room()
        if wasReset {
            isReading = false
            transport.didFailReading(SystemError(.connectionReset, call: "read", address: remoteAddress))
        } else if let room = unsafe room, room.count == 0 {
            isReading = false
        } else if let room = unsafe room, !inbound.isEmpty {
            let count = min(room.count, inbound.count, network.largestRead)
            // SAFETY: the room is at least that large, and stays valid until `didReceive`.
            unsafe inbound.withUnsafeBytes {
                unsafe room.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[..<count]))
            }
            inbound.removeFirst(count)
            peer?.roomAppeared()
            transport.didReceive(count)
            scheduleDelivery()
        } else if inboundEnded {
            isReading = false
            transport.didReachEnd()
        }
    }

    // MARK: Writing

    func tryWrite(_ bytes: UnsafeRawBufferPointer) -> Int {
        if wasReset { return Int(SystemError.Code.connectionReset.rawValue) }
        guard let peer, !peer.isClosed else { return Int(SystemError.Code.brokenPipe.rawValue) }
        let room = network.capacity - peer.inbound.count
        guard room > 0, outbound.isEmpty else { return Int(SystemError.Code.wouldBlock.rawValue) }
        let count = min(room, bytes.count)
        unsafe peer.inbound.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
        peer.scheduleDelivery()
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
        network.soon { [self] in roomAppeared() }
    }

    /// The peer has read something, or something else happened that may let a write go on.
    private func roomAppeared() {
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
        network.soon { [self] in if !isClosed { transport?.didWrite(status) } }
    }

    func shutDown() {
        network.soon { [self] in
            guard !isClosed else { return }
            peer?.ended()
            transport?.didShutDown(0)
        }
    }

    private func ended() {
        inboundEnded = true
        scheduleDelivery()
    }

    // MARK: Closing

    func close(reset: Bool) {
        guard !isClosed else { return }
        isClosed = true
        // As the kernel does it: bytes that nobody read turn an end of stream into a reset.
        if reset || !inbound.isEmpty { peer?.broke() } else { peer?.ended() }
        inbound = []
        outbound = []
        if network.core.value.state == .closing {
            finishClosing()
        } else {
            network.soon { [self] in finishClosing() }
        }
    }

    private func finishClosing() {
        network.didClose(self)
        let transport = transport.take()
        peer = nil
        transport?.didClose()
    }

    private func broke() {
        guard !isClosed else { return }
        wasReset = true
        inbound = []
        scheduleDelivery()
        if outboundIsActive { finishWrite(SystemError.Code.connectionReset.rawValue) }
    }

    var summary: String { transport.map { "memory \($0.summary)" } ?? "memory connection \(localAddress)" }
    var closingOrder: Int { 1 }
    var liveTransport: StreamTransport? { transport }
    func closeWithLoop() {
        // It may be closing already, and its last event gone with the queue.
        if isClosed { return finishClosing() }
        if let transport { transport.closeWithLoop() } else { close(reset: true) }
    }
}
