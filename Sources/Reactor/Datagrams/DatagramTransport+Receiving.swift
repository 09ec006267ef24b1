// How datagrams come in. Whoever does not want any gives no room, and only then does the driver stop reading; the
// kernel keeps what fits into its buffer and drops the rest. One system call may bring several (`receiveBatch`): what
// comes with one after which reading was paused is held here, a batch at most.

extension DatagramTransport {
    /// Whether the protocol is given what arrives.
    public var isReading: Bool { wantsReading && phase == .open }

    /// Stops giving the protocol what arrives; the kernel keeps what it has room for, and drops the rest.
    ///
    /// Idempotent.
    public func pauseReading() {
        core.requireHere("DatagramTransport")
        wantsReading = false
    }

    /// Gives the protocol what arrives again.
    ///
    /// Never calls the protocol before it returns. Idempotent.
    public func resumeReading() {
        core.requireHere("DatagramTransport")
        wantsReading = true
        guard phase == .open else { return }
        if held.isEmpty { return startDriverReadingIfWanted() }
        guard !isHandingOver else { return }
        isHandingOver = true
        _ = core.scheduleSoon({ [self] in handOver() }, site: CallSite(file: #fileID, line: #line))
    }

    /// Gives the protocol what is held, as long as it wants it.
    private func handOver() {
        isHandingOver = false
        while wantsReading, phase == .open, let datagram = takeHeld() { deliver(datagram) }
        if held.isEmpty { startDriverReadingIfWanted() }
    }

    /// The oldest of what is held.
    package func takeHeld() -> Datagram? { held.isEmpty ? nil : held.removeFirst() }

    func startDriverReadingIfWanted() {
        guard wantsReading && phase == .open && !isDriverReading && held.isEmpty else { return }
        do {
            try driver.startReading()
            isDriverReading = true
        } catch {
            reportSoon(error)
        }
    }

    /// Whether the next datagram is wanted.
    ///
    /// If not, the driver is to stop reading.
    var hasRoom: Bool {
        if wantsReading && phase == .open && held.isEmpty { return true }
        isDriverReading = false
        return false
    }

    /// A datagram has arrived.
    ///
    /// The caller enters and leaves the loop.
    func didReceive(_ datagram: Datagram) {
        guard phase == .open else { return }
        core.statistics.bytesReceived &+= UInt64(datagram.bytes.count)
        if wantsReading && held.isEmpty { deliver(datagram) } else { held.append(datagram) }
    }

    private func deliver(_ datagram: Datagram) {
        call("datagramReceived") { try core.datagrams.crossings.received($0, datagram, self, $1) }
    }

    /// The system has reported an error of the socket.
    ///
    /// The caller enters and leaves the loop.
    func didFail(_ error: SystemError) {
        call("errorReceived") { try core.datagrams.crossings.failed($0, error, self, $1) }
    }

    /// Tells the protocol of an error, after the call that is running.
    func reportSoon(_ error: SystemError) {
        _ = core.scheduleSoon({ [self] in didFail(error) }, site: CallSite(file: #fileID, line: #line))
    }
}

extension DatagramTransport {
    /// Becomes a member of a multicast group, or ceases to be one.
    ///
    /// A socket gets what is sent to the groups that it has joined itself, and to its port, if it is bound to all
    /// addresses or the group's; by default Linux would add what any other socket of the machine has joined.
    ///
    /// - Parameters:
    ///   - isMember: Whether to join.
    ///   - group: The address of the group, such as `239.1.2.3` or `ff15::1`.
    ///   - interface: An address of the interface on which to listen; for IPv6 also `::%eth0`. Nil leaves it to the system.
    ///   - source: The only sender whose datagrams are wanted; nil wants those of all.
    /// - Throws: ``SystemError``, such as ``SystemError/Code/invalidArgument`` for what is no address, or if there is
    ///   no
    ///   interface that can multicast.
    ///
    /// The corresponding libuv calls are `uv_udp_set_membership` and `uv_udp_set_source_membership`.
    public func setMembership(
        _ isMember: Bool = true,
        of group: String,
        interface: String? = nil,
        source: String? = nil
    ) throws {
        try change(.membership(group: group, interface: interface, source: source, isMember: isMember))
    }

    /// Sets how many routers a datagram to a group may pass, 1 to 255; 1, the system's default, stays in the local
    /// network.
    ///
    /// - Throws: ``SystemError``.
    ///
    /// The corresponding libuv call is `uv_udp_set_multicast_ttl`.
    public func setMulticastTimeToLive(_ hops: Int) throws { try change(.multicastTimeToLive(hops)) }

    /// Sets whether what this socket sends to a group is delivered on this machine too, as it is by default.
    ///
    /// - Throws: ``SystemError``.
    ///
    /// The corresponding libuv call is `uv_udp_set_multicast_loop`.
    public func setMulticastLoopback(_ isOn: Bool) throws { try change(.multicastLoopback(isOn)) }

    /// Sets the interface by which what is sent to a group goes out; nil leaves it to the system.
    ///
    /// - Throws: ``SystemError``.
    ///
    /// The corresponding libuv call is `uv_udp_set_multicast_interface`.
    public func setMulticastInterface(_ address: String?) throws { try change(.multicastInterface(address)) }

    /// Allows or forbids sending to broadcast addresses.
    ///
    /// - Throws: ``SystemError``.
    ///
    /// The corresponding libuv call is `uv_udp_set_broadcast`.
    public func setBroadcast(_ isAllowed: Bool) throws { try change(.broadcast(isAllowed)) }

    /// Sets how many routers a datagram to one receiver may pass, 1 to 255.
    ///
    /// - Throws: ``SystemError``.
    ///
    /// The corresponding libuv call is `uv_udp_set_ttl`.
    public func setTimeToLive(_ hops: Int) throws { try change(.timeToLive(hops)) }

    private func change(_ change: DatagramChange) throws {
        core.requireHere("DatagramTransport")
        guard phase == .open else { throw DatagramError.closed }
        try driver.change(change)
    }
}
