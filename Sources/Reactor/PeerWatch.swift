// Peers that go while nobody reads from them. libuv tells nothing of a stream that is not read, and cannot watch a
// descriptor a second time; but a descriptor can be in two epoll sets. So the connections of a server are in one of its own,
// which asks for ends and errors alone and is itself watched by libuv: it costs one descriptor for all of them, a system call
// for each connection, and nothing for what arrives.
//
// Ground rules:
//   * What is found is judged a millisecond later: whoever was reading has heard of it by then, or has read what came before.
//   * A connection that breaks is lost in the same way as without a watch if libuv notices; who does not hear of that
//     is cancelled then.
//   * A connection is known by its number, as its descriptor may be another's by the time that something is told.

internal import CLibUV
internal import CReactor

/// Cancels the handlers of connections whose peers have gone, unless they are reading.
package final class PeerWatch {
    /// How long after it was found something is judged.
    private static let delay = Duration.milliseconds(1)

    private let core: LoopCore
    /// Whether a peer that has ended its sending counts as gone.
    private let endCounts: Bool
    private let poll: PeerPoll?
    private var channels: [UInt64: StreamChannel] = [:]
    /// The connections to be judged, and whether they are broken.
    private var found: [UInt64: Bool] = [:]
    private var timer: Scheduled?

    /// A watch without connections.
    ///
    /// On systems without epoll it finds nothing.
    package init(endCounts: Bool, on loop: isolated EventLoop) throws {
        self.endCounts = endCounts
        core = unsafe loop.core
        poll = core.isInMemory ? nil : try PeerPoll.make(on: core)
        poll?.watch = self
    }

    /// Begins to look at a connection.
    package func add(_ channel: StreamChannel) {
        guard let transport = channel.transport, !channel.isLost else { return }
        channels[transport.number] = channel
        channel.made().watch = self
        switch transport.driver {
        case .system(let stream):
            guard let error = poll?.add(stream.descriptor, transport.number) else { break }
            core.report(.uncaughtError(error), "the watch for clients that go, which does not look at one")
        case .memory(let stream): stream.watch(by: self)
        case .none: break
        }
    }

    /// Forgets a connection, whose handler has ended.
    package func remove(_ channel: StreamChannel) {
        channels[channel.number] = nil
        if found.removeValue(forKey: channel.number) != nil && found.isEmpty { stopTimer() }
    }

    /// Ends the watch.
    package func close() {
        poll?.close()
        channels = [:]
        found = [:]
        stopTimer()
    }

    private func stopTimer() {
        timer?.cancel()
        timer = nil
    }

    /// A connection broke of which somebody else heard, as when what was queued could not be sent, and not its handler.
    func wasLost(_ channel: StreamChannel) { if channels[channel.number] === channel { channel.cancelHandler() } }

    /// Something is known of a peer: it has ended its sending, or the connection is broken.
    func peerHasGone(_ number: UInt64, isBroken: Bool) {
        guard endCounts || isBroken, channels[number] != nil else { return }
        found[number] = isBroken || found[number] == true
        judgeLater()
    }

    /// Something was found about a descriptor.
    fileprivate func peerHasGone(_ number: UInt64, _ events: Int32) {
        guard let transport = channels[number]?.transport, case .system(let stream) = transport.driver else { return }
        // A Unix socket breaks by no error, but has both ends closed at once.
        let isHungUp = events & CREACTOR_PEER_HUNG_UP != 0 && stream.streamKind == .unix
        peerHasGone(number, isBroken: isHungUp || events & CREACTOR_PEER_BROKE != 0)
    }

    private func judgeLater() {
        guard timer == nil else { return }
        timer = core.schedule(
            at: core.now.advanced(by: Self.delay),
            { [self] in judge() },
            site: CallSite(file: #fileID, line: #line)
        )
    }

    private func judge() {
        timer = nil
        let all = found
        found = [:]
        for (number, isBroken) in all {
            guard let channel = channels[number], let transport = channel.transport, !transport.isClosing else {
                continue
            }
            // Whoever has read the end knows of it.
            if channel.isAtEndOfBytes && !isBroken { continue }
            if channel.arrival.isOccupied {
                // There is something to read before.
                found[number] = isBroken
            } else {
                channel.cancelHandler()
            }
        }
        if !found.isEmpty { judgeLater() }
    }
}

/// An epoll set of connections that libuv watches.
@safe
private final class PeerPoll: HandleBox {
    weak var watch: PeerWatch?
    private let set: CInt

    /// Nil where there is none.
    static func make(on core: LoopCore) throws(SystemError) -> PeerPoll? {
        let set = creactor_peer_set()
        let code = SystemError.Code(rawValue: set)
        if code == .notImplemented { return nil }
        guard set >= 0 else { throw SystemError(code, call: "epoll_create1") }
        return try PeerPoll(set, on: core)
    }

    private init(_ set: CInt, on core: LoopCore) throws(SystemError) {
        self.set = set
        let loop = unsafe core.raw
        do throws(SystemError) {
            unsafe try super.init(UV_POLL, on: core, "uv_poll_init") {
                unsafe uv_poll_init(loop, $0.assumingMemoryBound(to: uv_poll_t.self), set)
            }
        } catch {
            creactor_close(set)
            throw error
        }
        // Closed with its server, whose connections are what keeps the loop going.
        unsafe uv_unref(handle)
        let poll = unsafe raw.assumingMemoryBound(to: uv_poll_t.self)
        let status = unsafe uv_poll_start(poll, CInt(UV_READABLE.rawValue), onPeersGone)
        guard status < 0 else { return }
        close()
        throw SystemError(status: status, call: "uv_poll_start")
    }

    /// Adds a connection, and returns an error if the system has no room: it is then not looked at.
    ///
    /// It leaves by being closed.
    func add(_ descriptor: CInt, _ number: UInt64) -> SystemError? {
        guard phase == .open else { return nil }
        let status = creactor_add_peer(set, descriptor, number)
        return status < 0 ? SystemError(status: status, call: "epoll_ctl") : nil
    }

    fileprivate func peersHaveGone() {
        unsafe core.enter()
        var number: UInt64 = 0
        var events: CInt = 0
        // SAFETY: both outlive the call, which keeps no pointer.
        while phase == .open, unsafe creactor_next_peer(set, &number, &events) > 0 {
            watch?.peerHasGone(number, events)
        }
        unsafe core.leave { summary }
    }

    override func didClose() { creactor_close(set) }

    override var summary: String { "watch for clients that go" }
}

private func onPeersGone(_ poll: UnsafeMutablePointer<uv_poll_t>?, _: CInt, _: CInt) {
    // SAFETY: `data` is the handle's box until its close callback (rule 2).
    unsafe Unmanaged<PeerPoll>.fromOpaque(poll!.pointee.data!).takeUnretainedValue().peersHaveGone()
}
