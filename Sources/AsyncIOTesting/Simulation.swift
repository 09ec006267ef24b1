// A simulation as a test sees it: the hosts that it makes, the links between them, and the story.
//
// All of it lives on the simulation's loop, and is used there; the object may be carried anywhere.

internal import AsyncIO
public import Reactor

/// Hosts in one process, on a network and a clock that a seed decides: see ``withSimulation(seed:_:_:)``.
///
/// Used on the simulation's loop only, where all that the simulation runs is: elsewhere its methods trap.
public final class Simulation: Sendable {
    /// What all is drawn from.
    public let seed: UInt64
    private let bound: LoopBound<SimulatedWorld>

    init(seed: UInt64, _ options: SimulationOptions, _ clock: any LoopClock, on loop: isolated EventLoop) {
        self.seed = seed
        let network = SimulatedNetwork(seed: seed, options, clock)
        bound = LoopBound(SimulatedWorld(network, seed: seed), on: loop)
        loop.simulate(network)
    }

    /// The loop that everything runs on.
    public var loop: EventLoop { bound.loop }

    func world(_ what: StaticString) -> SimulatedWorld {
        guard let world = bound.ifHere else {
            fatalError("\(what) was called where the simulation does not run; everything of it is on its loop.")
        }
        return world
    }

    // MARK: Hosts

    /// Makes a host.
    ///
    /// Its address is `10.0.0.1` for the first, `10.0.0.2` for the second; its name is known to all others, and to no other
    /// resolver. It is up and runs nothing.
    ///
    /// - Parameter name: Its name, which no other host has.
    /// - Returns: The host.
    public func host(_ name: String) -> SimulatedHost {
        let network = world("Simulation.host").network
        if network.hosts.contains(where: { $0.name == name }) || name == "localhost" {
            fatalError("A simulation cannot have two hosts named \"\(name)\".")
        }
        return SimulatedHost(name, network.addHost(name), self)
    }

    // MARK: Links

    /// Sets the conditions of all links that have none of their own, for what is sent from now on.
    public func setConditions(_ conditions: LinkConditions) {
        conditions.validate()
        world("Simulation.setConditions").network.defaults = conditions
    }

    /// Sets the conditions between two hosts, in both directions, for what is sent from now on; nil are those of all.
    public func setConditions(_ conditions: LinkConditions?, between one: SimulatedHost, and other: SimulatedHost) {
        let network = world("Simulation.setConditions").network
        let link = NetworkLink(one.number, other.number)
        network.setConditions(conditions, link)
        network.setConditions(conditions, link.back)
    }

    /// Lets nothing through between two hosts until ``heal(_:_:)``.
    ///
    /// Datagrams are lost. Connections keep what they have to send, and fail when that takes longer than
    /// ``SimulationOptions/retransmissionTimeout``; who only reads hears nothing.
    ///
    /// - Parameters:
    ///   - one: A host.
    ///   - other: Another.
    ///   - oneWay: Whether what the other sends still arrives.
    public func partition(_ one: SimulatedHost, _ other: SimulatedHost, oneWay: Bool = false) {
        let network = world("Simulation.partition").network
        network.note("partition \(one.name) \(oneWay ? ">" : "-") \(other.name)")
        network.cut(NetworkLink(one.number, other.number))
        if !oneWay { network.cut(NetworkLink(other.number, one.number)) }
    }

    /// Ends the partition between two hosts: what was kept is sent.
    public func heal(_ one: SimulatedHost, _ other: SimulatedHost) {
        let network = world("Simulation.heal").network
        network.note("heal \(one.name) - \(other.name)")
        network.heal(NetworkLink(one.number, other.number))
        network.heal(NetworkLink(other.number, one.number))
        onLoop { $0.linksChanged() }
    }

    /// Ends all partitions.
    public func heal() {
        let network = world("Simulation.heal").network
        network.note("heal all")
        network.healAll()
        onLoop { $0.linksChanged() }
    }

    /// Resets all connections between two hosts, as a router does that was restarted; both ends hear of it.
    public func reset(_ one: SimulatedHost, _ other: SimulatedHost) {
        world("Simulation.reset").network.note("reset \(one.name) - \(other.name)")
        let link = NetworkLink(one.number, other.number)
        onLoop { $0.breakConnections(link) }
        if link != link.back { onLoop { $0.breakConnections(link.back) } }
    }

    func onLoop(_ body: @Sendable (isolated EventLoop) -> Void) { bound.loop.assumeIsolated { body($0) } }

    // MARK: Story

    /// Adds a line to the trace.
    public func note(_ text: String) { world("Simulation.note").network.note(text) }

    /// What has happened so far, a line for each event: the same in each run with the seed.
    ///
    /// A line is `0.004218900 client:49152 > server:80 bytes 17`, with the instant in seconds. Of more than 200,000 events the
    /// oldest are left out.
    public var trace: String { world("Simulation.trace").network.trace.text }

    /// Makes a generator for the workload; each call makes another, the same in each run with the seed.
    public func makeGenerator() -> SimulationGenerator {
        let world = world("Simulation.makeGenerator")
        world.lastStream += 1
        return SimulationGenerator(seed: seed, stream: world.lastStream)
    }
}

/// What a simulation consists of, on its loop.
final class SimulatedWorld {
    let network: SimulatedNetwork
    let seed: UInt64
    fileprivate(set) var lastStream: UInt64 = 1
    /// What runs on each host, by a number that says the order.
    private var running: [Int: [(number: Int, cancel: @Sendable () -> Void)]] = [:]
    private var lastNumber = 0
    /// What each host runs when it is up.
    var programs: [Int: [@Sendable () -> Void]] = [:]
    /// Why the simulation has failed apart from its body.
    private(set) var failure: (any Error)?
    private var isOver = false

    init(_ network: SimulatedNetwork, seed: UInt64) { (self.network, self.seed) = (network, seed) }

    /// Keeps what ends something that runs on a host.
    func adopt(on host: Int, _ cancel: @escaping @Sendable () -> Void) -> Int {
        lastNumber += 1
        running[host, default: []].append((lastNumber, cancel))
        return lastNumber
    }

    func forget(_ number: Int, on host: Int) { running[host]?.removeAll { $0.number == number } }

    /// Cancels everything that runs on a host.
    func cancelAll(on host: Int) {
        for task in running[host] ?? [] { task.cancel() }
    }

    /// The simulation's body has ended: nothing is started any more.
    func end() {
        isOver = true
        // They hold the hosts, and those the simulation, which holds this.
        programs = [:]
    }

    /// Fails the simulation: nobody waits any longer.
    func fail(_ error: any Error, on loop: isolated EventLoop) {
        guard !isOver, failure == nil else { return }
        failure = error
        network.note("failed: \(error)")
        loop.cancelAllWaits()
    }
}
