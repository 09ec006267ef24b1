// What a memory network asks if it is to be one of many hosts: who asks, who has which address, what becomes of what is
// sent. The answers are a model's, which tests have (AsyncIOTesting); what follows from them is the network's. Without a
// model there is one host, and everything arrives at once.

/// Hosts and the links between them.
///
/// Hosts are numbers; 0 is code that runs as none. All of it is asked on the loop's thread, and must answer the same in the
/// same order again.
package protocol NetworkModel: AnyObject {
    // MARK: Hosts

    /// The host as which the code runs that asks.
    var here: Int { get }
    /// Calls `body` as a host, or as one that has gone if it is negative.
    func run(as host: Int, _ body: () -> Void)
    /// How many hosts there are, 0 included.
    var hostCount: Int { get }
    /// The address of a host, of a family and without a port; nil if it has none.
    func address(of host: Int, _ family: SocketAddress.Family) -> SocketAddress?
    /// Whose address it is, seen from a host, whose own loopback it may be; nil if it is nobody's.
    func host(at address: SocketAddress, from host: Int) -> Int?
    /// The address of a host by name, seen from where the code runs that asks; nil if nobody has the name.
    func address(ofName name: String, _ family: SocketAddress.Family) -> SocketAddress?
    /// The name of the host that has an address.
    func name(of address: SocketAddress) -> String?
    /// How often a host has been started: what was sent to it or by it under another number is gone.
    func start(of host: Int) -> Int

    // MARK: Links

    /// Whether anything gets from one host to another now.
    func isOpen(_ link: NetworkLink) -> Bool
    /// How long a piece of so many bytes takes, in nanoseconds.
    func transit(_ size: Int, _ link: NetworkLink) -> Int64
    /// How long after the one before it a piece of so many bytes can arrive at the earliest, in nanoseconds; at least 1.
    func spacing(_ size: Int, _ link: NetworkLink) -> Int64
    /// How many bytes the next piece of a connection has at most.
    func pieceSize(_ link: NetworkLink) -> Int
    /// How many bytes a connection holds in this direction.
    func window(_ link: NetworkLink) -> Int
    /// How long a receiver keeps it to itself that it has read, in nanoseconds.
    func windowDelay(_ link: NetworkLink) -> Int64
    /// Whether the connection breaks with the piece that is about to be sent.
    func breaks(_ link: NetworkLink) -> Bool
    /// What becomes of an attempt to connect.
    func answer(_ link: NetworkLink) -> NetworkAnswer
    /// How often a datagram arrives: 0 is lost.
    func copies(_ link: NetworkLink) -> Int

    /// How long a connection that is being made waits for an answer, in nanoseconds.
    var connectPatience: Int64 { get }
    /// How long a connection tries to get rid of what it has to send, in nanoseconds.
    var sendPatience: Int64 { get }

    // MARK: Story

    /// Notes what has happened.
    func note(_ event: NetworkEvent)
}

/// The way from one host to another.
package struct NetworkLink: Hashable, Sendable {
    package var source: Int
    package var target: Int

    package init(_ source: Int, _ target: Int) { (self.source, self.target) = (source, target) }

    package var back: NetworkLink { NetworkLink(target, source) }
}

/// What becomes of an attempt to connect.
package enum NetworkAnswer: Sendable {
    /// What the host says.
    case regular
    case refused
    /// Nothing.
    case silence
}

/// What has happened on a network.
package struct NetworkEvent: Sendable {
    package enum Kind: String, Sendable {
        case listens, binds, connects, accepted, refused
        case connected
        case gaveUp = "gave up"
        case bytes, end, reset
        case held
        case readByNobody = "for nobody"
        case datagram, lost, duplicated, dropped
        case broken
    }

    package var kind: Kind
    package var source: NetworkPlace
    /// The other end, if there is one.
    package var target: NetworkPlace?
    /// How many bytes it is about, if it is about bytes.
    package var count: Int?
}

/// A port of a host.
package struct NetworkPlace: Hashable, Sendable {
    package var host: Int
    package var port: UInt16

    init(_ host: Int, _ address: SocketAddress) { (self.host, self.port) = (host, address.port) }
}
