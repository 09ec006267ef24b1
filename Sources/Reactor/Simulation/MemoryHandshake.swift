// How a connection comes about on a simulated network: a request goes there and an answer comes back. Either may be held on
// its way, and the attempt be over when the answer arrives.

/// An attempt to connect on a simulated network.
final class MemoryHandshake: HeldByLink {
    private let simulation: NetworkSimulation
    private unowned let network: MemoryNetwork
    private let attempt: ConnectAttempt
    private let local: SocketAddress, remote: SocketAddress
    /// Nil leads to nobody.
    private let link: NetworkLink?
    private let source: Int
    private let start: Int
    private var answer = NetworkAnswer.regular
    private var client: MemoryStream?
    /// What happens when the link that it waits for is open.
    private var goOn: (() -> Void)?

    private var model: any NetworkModel { simulation.model }
    private var from: NetworkPlace { NetworkPlace(source, local) }
    private var to: NetworkPlace? { link.map { NetworkPlace($0.target, remote) } }

    init(
        _ simulation: NetworkSimulation,
        _ network: MemoryNetwork,
        _ attempt: ConnectAttempt,
        from wanted: SocketAddress?,
        to remote: SocketAddress
    ) throws(SystemError) {
        (self.simulation, self.network, self.attempt, self.remote) = (simulation, network, attempt, remote)
        let model = simulation.model
        source = model.here
        local = try simulation.local(wanted: wanted, to: remote, on: source)
        start = model.start(of: source)
        link = model.host(at: remote, from: source).map { [source] in NetworkLink(source, $0) }
    }

    func begin() {
        network.note(.connects, from, to)
        simulation.timetable.after(model.connectPatience) { [self] in
            guard attempt.isPending else { return }
            network.note(.gaveUp, from, to)
            fail(.timedOut)
        }
        guard let link else { return }
        answer = model.answer(link)
        if answer == .silence { return }
        simulation.timetable.after(model.transit(0, link)) { [self] in requestArrived(link) }
    }

    private func fail(_ code: SystemError.Code) {
        let here = model.start(of: source) == start ? source : -1
        model.run(as: here) { attempt.fail(SystemError(code, call: "uv_tcp_connect", address: remote)) }
    }

    /// Whether what goes on after a link is still of interest, and gets through; otherwise it waits for that.
    private func passes(_ link: NetworkLink, _ goOn: @escaping () -> Void) -> Bool {
        guard model.start(of: source) == start else { return false }
        if model.isOpen(link) { return true }
        self.goOn = goOn
        simulation.hold(self)
        return false
    }

    func linksChanged() {
        let goOn = goOn.take()
        goOn?()
    }

    private func requestArrived(_ link: NetworkLink) {
        guard attempt.isPending, passes(link, { [self] in requestArrived(link) }) else { return }
        if answer == .regular, let listener = network.listener(on: link.target, remote) {
            let (client, server) = network.makeConnection(from: source, local, to: link.target, remote)
            self.client = client
            network.note(.accepted, from, to)
            model.run(as: link.target) { listener.arrived(server) }
        } else {
            answer = .refused
        }
        simulation.timetable.after(model.transit(0, link.back)) { [self] in answerArrived(link.back) }
    }

    private func answerArrived(_ link: NetworkLink) {
        guard attempt.isPending, model.start(of: source) == start else {
            client?.close(reset: true)
            return
        }
        guard passes(link, { [self] in answerArrived(link) }) else { return }
        guard let client else {
            network.note(.refused, from, to)
            return fail(.connectionRefused)
        }
        network.note(.connected, from, to)
        model.run(as: source) { network.giveTo(attempt, client) }
        // Nobody took this end: its factory threw, or cancelled.
        if client.transport == nil { client.close(reset: true) }
    }
}
