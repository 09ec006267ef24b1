// The model of a simulated network: its hosts, which links are cut, and what the seed says of each piece that is sent.

internal import Reactor

/// Answers what a memory network asks.
final class SimulatedNetwork: NetworkModel {
    struct Host {
        let name: String
        let addresses: [SocketAddress]
        /// Whether it is on the network.
        var isReachable = true
        /// Whether programs run there.
        var isUp = true
        /// How often it was stopped.
        var start = 0
    }

    private let clock: any LoopClock
    private(set) var hosts: [Host] = []
    var defaults: LinkConditions
    private var conditions: [NetworkLink: LinkConditions] = [:]
    private var cuts: Set<NetworkLink> = []
    private var generator: SimulationGenerator
    private(set) var trace = SimulationTrace(names: [])
    let connectPatience: Int64
    let sendPatience: Int64

    init(seed: UInt64, _ options: SimulationOptions, _ clock: any LoopClock) {
        self.clock = clock
        defaults = options.conditions
        generator = SimulationGenerator(seed: seed, stream: 0)
        connectPatience = options.connectTimeout.nanosecondCount
        sendPatience = options.retransmissionTimeout.nanosecondCount
        defaults.validate()
        _ = addHost("outside")
    }

    // MARK: Hosts

    /// Code of a host that was stopped has no host any more.
    private static let nowhere = -1

    func addHost(_ name: String) -> Int {
        let number = hosts.count
        if number > 60_000 { fatalError("A simulation has room for 60,000 hosts.") }
        // Whoever is no host has an address that no host gets.
        let (high, low) = number == 0 ? (255, 254) : (number / 250, number % 250 + (number < 250 ? 0 : 1))
        let texts = ["10.0.\(high).\(low)", "fd00::\(String(high, radix: 16)):\(String(low, radix: 16))"]
        hosts.append(Host(name: name, addresses: texts.compactMap { try? SocketAddress(host: $0, port: 0) }))
        trace.names.append(name)
        return number
    }

    func stop(_ host: Int, isOrderly: Bool) {
        hosts[host].start += 1
        hosts[host].isReachable = isOrderly
        hosts[host].isUp = false
    }

    func restart(_ host: Int) {
        hosts[host].isReachable = true
        hosts[host].isUp = true
    }

    var here: Int {
        guard let identity = HostIdentity.current else { return 0 }
        guard identity.number >= 0, hosts[identity.number].start == identity.start else { return Self.nowhere }
        return identity.number
    }

    func run(as host: Int, _ body: () -> Void) {
        let identity = host == 0 ? nil : HostIdentity(number: host, start: start(of: host))
        HostIdentity.$current.withValue(identity, operation: body)
    }

    var hostCount: Int { hosts.count }

    func address(of host: Int, _ family: SocketAddress.Family) -> SocketAddress? {
        host == Self.nowhere ? nil : hosts[host].addresses.first { $0.family == family }
    }

    func host(at address: SocketAddress, from host: Int) -> Int? {
        var address = address
        address.port = 0
        if address.host == "::1" || address.family == .ipv4 && address.host.hasPrefix("127.") { return host }
        return hosts.firstIndex { $0.addresses.contains(address) }
    }

    func address(ofName name: String, _ family: SocketAddress.Family) -> SocketAddress? {
        if name == "localhost" { return try? SocketAddress(host: family == .ipv4 ? "127.0.0.1" : "::1", port: 0) }
        guard let number = hosts.firstIndex(where: { $0.name == name }) else { return nil }
        return address(of: number, family)
    }

    func name(of address: SocketAddress) -> String? {
        if address.host == "127.0.0.1" || address.host == "::1" { return "localhost" }
        return host(at: address, from: 0).map { hosts[$0].name }
    }

    func start(of host: Int) -> Int { host == Self.nowhere ? 0 : hosts[host].start }

    // MARK: Links

    func cut(_ link: NetworkLink) { cuts.insert(link) }
    func heal(_ link: NetworkLink) { cuts.remove(link) }
    func healAll() { cuts = [] }

    func setConditions(_ new: LinkConditions?, _ link: NetworkLink) {
        new?.validate()
        conditions[link] = new
    }

    private func conditions(_ link: NetworkLink) -> LinkConditions {
        if link.source == link.target { return .loopback }
        return conditions.isEmpty ? defaults : conditions[link] ?? defaults
    }

    func isOpen(_ link: NetworkLink) -> Bool {
        guard link.source != Self.nowhere, link.target != Self.nowhere else { return false }
        return hosts[link.source].isReachable && hosts[link.target].isReachable
            && (cuts.isEmpty || !cuts.contains(link))
    }

    func transit(_ size: Int, _ link: NetworkLink) -> Int64 {
        let conditions = conditions(link)
        let range = conditions.latency
        let latency = generator.draw(range.lowerBound.nanosecondCount...range.upperBound.nanosecondCount)
        return latency + Self.time(size, conditions.bandwidth)
    }

    func spacing(_ size: Int, _ link: NetworkLink) -> Int64 { max(1, Self.time(size, conditions(link).bandwidth)) }

    private static func time(_ size: Int, _ bandwidth: Int?) -> Int64 {
        bandwidth.map { Int64(Double(size) / Double($0) * 1_000_000_000) } ?? 0
    }

    func pieceSize(_ link: NetworkLink) -> Int { generator.draw(conditions(link).pieceSize) }
    func window(_ link: NetworkLink) -> Int { generator.draw(conditions(link).window) }

    func windowDelay(_ link: NetworkLink) -> Int64 {
        let range = conditions(link).windowDelay
        return generator.draw(range.lowerBound.nanosecondCount...range.upperBound.nanosecondCount)
    }

    func breaks(_ link: NetworkLink) -> Bool { generator.happens(conditions(link).resets) }

    func answer(_ link: NetworkLink) -> NetworkAnswer {
        let conditions = conditions(link)
        if generator.happens(conditions.silence) { return .silence }
        return generator.happens(conditions.refusals) ? .refused : .regular
    }

    func copies(_ link: NetworkLink) -> Int {
        let conditions = conditions(link)
        if generator.happens(conditions.loss) { return 0 }
        return generator.happens(conditions.duplication) ? 2 : 1
    }

    // MARK: Story

    func note(_ event: NetworkEvent) { trace.add(event, at: clock.now) }
    func note(_ text: String) { trace.add(text, at: clock.now) }
}

/// As which host code runs, and since which start of it.
struct HostIdentity: Sendable {
    let number: Int
    let start: Int

    @TaskLocal static var current: HostIdentity?
}
