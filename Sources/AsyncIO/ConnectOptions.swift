// How a connection comes about: what may be tried, in which order and how fast, and what is said if nothing works.

public import Reactor

/// How to find a way to a host: see ``TCPConnection/connect(host:port:options:connecting:timeout:)``.
public struct ConnectOptions: Sendable {
    /// After how long without an answer the next address is tried as well; nil tries it only when the one before has
    /// failed.
    ///
    /// An address that does not answer then costs this and not minutes. RFC 8305 ("happy eyeballs") recommends the
    /// default and says between 100 milliseconds and 2 seconds.
    ///
    /// The corresponding asyncio name is `happy_eyeballs_delay`, which has no default.
    public var attemptDelay: Duration? = .milliseconds(250)

    /// How many addresses of the first family are tried before families take turns; 0 keeps the resolver's order.
    ///
    /// The corresponding asyncio name is `interleave`.
    public var firstFamilyCount = 1

    /// Use addresses of this family only; nil is every one.
    public var family: SocketAddress.Family?

    /// Addresses of this machine to connect from, with port 0 for any; none leaves the choice to the system.
    ///
    /// For each address of the host the first that is of its family and can be had; addresses of other families are not
    /// tried.
    ///
    /// The corresponding asyncio name is `local_addr`.
    public var localAddresses: [SocketAddress] = []

    /// What finds the addresses of names.
    public var resolver: any Resolver = SystemResolver.shared

    /// The defaults.
    public init() {}

    /// Addresses in the order in which to try them.
    package func order(_ addresses: [SocketAddress]) -> [SocketAddress] {
        guard firstFamilyCount > 0, let first = addresses.first?.family else { return addresses }
        let ofFirst = addresses.filter { $0.family == first }
        let others = addresses.filter { $0.family != first }
        var ordered = Array(ofFirst.prefix(firstFamilyCount - 1))
        var rest = (ofFirst.dropFirst(ordered.count), others[...])
        while let next = rest.0.popFirst() {
            ordered.append(next)
            if let other = rest.1.popFirst() { ordered.append(other) }
        }
        return ordered + rest.1
    }
}

/// Connecting failed at each of several addresses.
///
/// With one address the error is that address's own ``SystemError``.
///
/// The corresponding asyncio name is the `ExceptionGroup` of `create_connection(all_errors=True)`.
public struct ConnectError: Error, Sendable, CustomStringConvertible {
    /// What became of one address.
    public struct Attempt: Sendable, Hashable {
        /// The peer's address.
        public let address: SocketAddress
        /// Why it failed; names a local address if that could not be had.
        public let error: SystemError
    }

    /// What was to be connected to.
    public let host: String
    /// The port there.
    public let port: Int
    /// Every attempt, in the order in which they began.
    public let attempts: [Attempt]

    /// All attempts on one line; what failed for the same reason is told once, with its addresses.
    public var description: String {
        var reasons: [(error: SystemError, addresses: [SocketAddress])] = []
        for attempt in attempts {
            let same = reasons.firstIndex { $0.error.code == attempt.error.code && $0.error.call == attempt.error.call }
            if let same, attempt.error.address == attempt.address {
                reasons[same].addresses.append(attempt.address)
            } else {
                reasons.append((attempt.error, [attempt.address]))
            }
        }
        let told = reasons.map { reason in
            guard reason.addresses.count > 1 else { return "\(reason.error)" }
            let addresses = reason.addresses.map { "\($0)" }.joined(separator: ", ")
            return "\(reason.error.call) \(addresses): \(reason.error.code.message) (\(reason.error.code.name))"
        }
        return "Connecting to \(host):\(port) failed at all \(attempts.count) addresses: "
            + told.joined(separator: "; ")
    }
}
