// A datagram socket as its loop's thread sees it: the callbacks of its transport on one side, tasks that wait on the
// other.
//
// Ground rules:
//   * Datagrams are pulled: the transport reads only while a task waits for one, and each goes to exactly one `receive`.
//     So no cancellation loses one, and nothing grows without bound: what nobody receives, the kernel drops.
//   * An error of the network ends no socket: the next `receive` or `send` throws it, once. The first of several counts.

/// A datagram socket that tasks use, on its loop.
final class DatagramChannel: DatagramProtocol {
    private let arrival: Park
    private(set) var transport: DatagramTransport?
    private var arrived: Datagram?
    private var failure: SystemError?
    private var isLost = false
    private var reason: (any Error)?
    private var closers: [Park] = []

    init(on loop: isolated EventLoop) { arrival = ExplainedPark(on: loop, .text("a datagram")) }

    // MARK: What the transport reports

    func connectionMade(_ transport: DatagramTransport, on loop: isolated EventLoop) {
        self.transport = transport
        transport.pauseReading()
    }

    func datagramReceived(_ datagram: Datagram, from transport: DatagramTransport, on loop: isolated EventLoop) {
        arrived = datagram
        transport.pauseReading()
        arrival.wake()
    }

    func errorReceived(_ error: SystemError, from transport: DatagramTransport, on loop: isolated EventLoop) {
        note(error)
    }

    private func note(_ error: SystemError) {
        if failure == nil { failure = error }
        arrival.wake()
    }

    func connectionLost(_ transport: DatagramTransport, error: (any Error)?, on loop: isolated EventLoop) {
        isLost = true
        reason = error
        arrival.wake()
        for closer in closers { closer.wake() }
    }

    // MARK: Receiving

    func receive(on loop: isolated EventLoop) async throws -> Datagram {
        try Task.checkCancellation()
        if arrival.isOccupied { throw DatagramError.busyReceiver }
        while true {
            if let datagram = take() { return datagram }
            if let failure = failure.take() { throw failure }
            try openTransport().resumeReading()
            try await arrival.wait()
        }
    }

    func receive(upTo count: Int, on loop: isolated EventLoop) async throws -> [Datagram] {
        guard count > 0 else { return [] }
        var datagrams = [try await receive(on: loop)]
        while datagrams.count < count, let datagram = take() { datagrams.append(datagram) }
        return datagrams
    }

    /// The next datagram, if it is here.
    private func take() -> Datagram? {
        guard let transport, !transport.isClosing else { return nil }
        return arrived.take() ?? transport.takeHeld()
    }

    // MARK: Sending

    /// Sends a datagram, and says whether the kernel has taken it; if not, it is nowhere.
    func sendNow(_ bytes: Bytes, _ address: SocketAddress?) throws -> Bool {
        try Task.checkCancellation()
        let transport = try openTransport()
        let target = try transport.target(address)
        if let failure = failure.take() { throw failure }
        switch transport.offer(bytes, target) {
        case .sent: return true
        case .waits: return false
        case .failed(let error): throw error
        }
    }

    /// Sends what the kernel takes at once, and says how many datagrams that were.
    func sendNow(_ pieces: ArraySlice<Bytes>, _ address: SocketAddress?) throws -> Int {
        try Task.checkCancellation()
        let transport = try openTransport()
        let target = try transport.target(address)
        if let failure = failure.take() { throw failure }
        var rest = pieces
        while !rest.isEmpty {
            let (count, error) = transport.offer(rest, target)
            rest = rest.dropFirst(count)
            let sent = pieces.count - rest.count
            if let error {
                guard sent > 0 else { throw error }
                throw DatagramBatchError(sentCount: sent, reason: error)
            }
            if count == 0 { break }
        }
        return pieces.count - rest.count
    }

    /// Sends a datagram when the kernel takes it, and waits for that.
    func sendLater(_ bytes: Bytes, _ address: SocketAddress?, on loop: isolated EventLoop) async throws {
        let transport = try openTransport()
        let wait = SendWait(on: loop)
        transport.keep(bytes, try transport.target(address)) { [self] error in
            if !wait.end(error), let error { note(error) }
        }
        try await wait.wait(on: loop)
        guard let error = wait.error else { return }
        if transport.isClosing { throw reasonOfLoss }
        throw error
    }

    // MARK: Ending

    private func openTransport() throws -> DatagramTransport {
        guard let transport, !transport.isClosing else { throw reasonOfLoss }
        return transport
    }

    private var reasonOfLoss: any Error { reason ?? DatagramError.closed }

    func closeSoon() {
        transport?.close()
        arrival.wake()
    }

    func abort() {
        transport?.abort()
        arrival.wake()
    }

    /// Closes after what waits has been sent, and waits for that.
    func close(on loop: isolated EventLoop) async throws {
        closeSoon()
        let park = Park(on: loop)
        closers.append(park)
        defer { closers.removeAll { $0 === park } }
        while !isLost {
            do {
                try await park.wait()
            } catch {
                abort()
                throw error
            }
        }
        if let reason { throw reason }
    }
}

/// A task that waits until the kernel has taken its datagram.
private final class SendWait {
    private let park: Park
    private var isOver = false
    private var isAbandoned = false
    private(set) var error: SystemError?

    init(on loop: isolated EventLoop) { park = ExplainedPark(on: loop, .text("room for a datagram")) }

    /// Says whether there was somebody to tell.
    func end(_ error: SystemError?) -> Bool {
        isOver = true
        self.error = error
        park.wake()
        return !isAbandoned
    }

    func wait(on loop: isolated EventLoop) async throws {
        do {
            while !isOver { try await park.wait() }
        } catch {
            isAbandoned = true
            throw error
        }
    }
}
