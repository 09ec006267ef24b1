// Datagrams on a simulated network: each goes its own way, which may be longer than that of a later one, and arrives twice, or
// not at all. Nobody is told, except who is connected to a port of a host that is there and on which nobody listens.

extension MemoryDatagrams {
    /// Sends a datagram to another host, or to all of them.
    func send(
        _ bytes: Bytes,
        from sender: MemoryDatagramSocket,
        to address: SocketAddress,
        _ sendsToOwnMachine: Bool,
        by simulation: NetworkSimulation
    ) {
        let model = simulation.model
        if address.isToMany {
            for host in 0..<model.hostCount where host != sender.host || sendsToOwnMachine {
                send(bytes, from: sender, to: address, on: host, simulation)
            }
        } else if let host = model.host(at: address, from: sender.host) {
            send(bytes, from: sender, to: address, on: host, simulation)
        }
    }

    private func send(
        _ bytes: Bytes,
        from sender: MemoryDatagramSocket,
        to address: SocketAddress,
        on host: Int,
        _ simulation: NetworkSimulation
    ) {
        let model = simulation.model
        let link = NetworkLink(sender.host, host)
        guard let source = source(of: sender, to: address, by: simulation) else { return }
        func note(_ kind: NetworkEvent.Kind) {
            let (from, to) = (NetworkPlace(sender.host, source), NetworkPlace(host, address))
            model.note(NetworkEvent(kind: kind, source: from, target: to, count: bytes.count))
        }
        let (start, targetStart) = (model.start(of: sender.host), model.start(of: host))
        let copies = model.copies(link)
        if copies == 0 { note(.lost) }
        if copies > 1 { note(.duplicated) }
        for _ in 0..<copies {
            simulation.timetable.after(model.transit(bytes.count, link)) { [self, weak sender] in
                guard model.isOpen(link), model.start(of: link.source) == start,
                    model.start(of: link.target) == targetStart
                else { return note(.dropped) }
                note(.datagram)
                if deliver(bytes, to: address, on: host, as: source) || address.isToMany { return }
                guard let sender, sender.remoteAddress != nil else { return }
                refuse(sender, address, link.back, simulation)
            }
        }
    }

    /// Tells the sender that nobody listens, if that gets through.
    private func refuse(
        _ sender: MemoryDatagramSocket,
        _ address: SocketAddress,
        _ link: NetworkLink,
        _ simulation: NetworkSimulation
    ) {
        let model = simulation.model
        simulation.timetable.after(model.transit(0, link)) { [weak sender] in
            guard model.isOpen(link), let sender, !sender.isClosed else { return }
            sender.failed(SystemError(.connectionRefused, call: "recvmsg", address: address))
        }
    }

    /// The address that receivers see.
    private func source(
        of sender: MemoryDatagramSocket,
        to address: SocketAddress,
        by simulation: NetworkSimulation
    ) -> SocketAddress? {
        let local = sender.localAddress
        guard local.isUnspecified else { return local }
        if address.isToMany { return simulation.model.address(of: sender.host, address.family)?.with(port: local.port) }
        return try? simulation.source(on: sender.host, to: address).with(port: local.port)
    }

    /// A host goes off the network.
    func stopHost(_ host: Int) {
        for socket in sockets where socket.host == host { socket.hostStopped() }
    }
}
