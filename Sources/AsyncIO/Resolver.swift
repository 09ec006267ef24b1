// From names to addresses and back. The system's functions for that block, for seconds if a server does not answer; so they
// run on threads of their own, of which there are few, and never on libuv's four or on those of `offload`.

public import Reactor

/// What finds the addresses of hosts.
///
/// Programs use the system's, ``SystemResolver``, unless they name another: one that remembers, that asks a service of
/// its own, or that gives tests what they need.
///
///     struct Fixed: Resolver {
///         func addresses(of host: String, port: Int, family: SocketAddress.Family?) async throws -> [SocketAddress] {
///             try [SocketAddress(host: "127.0.0.1", port: port)]
///         }
///     }
public protocol Resolver: Sendable {
    /// The addresses of a host, the best first.
    ///
    /// Is not asked about IP addresses. Who waits may be cancelled at any time and gives up at once.
    ///
    /// - Parameters:
    ///   - host: A name.
    ///   - port: The port of the addresses that are returned.
    ///   - family: The family that is wanted; nil is every one.
    /// - Returns: The addresses; none if the host has none of the family.
    /// - Throws: Why there is no answer, which is what connecting then throws.
    func addresses(of host: String, port: Int, family: SocketAddress.Family?) async throws -> [SocketAddress]

    /// The name of the host that has an address.
    func name(of address: SocketAddress) async throws -> String
}

extension Resolver {
    /// The name that the system knows.
    public func name(of address: SocketAddress) async throws -> String {
        try await SystemResolver.shared.name(of: address)
    }
}

/// The system's resolver: `getaddrinfo` and `getnameinfo`, on threads of its own.
///
/// What consists of numbers is answered at once: IP addresses in every form that the C library reads, with ports. All else
/// waits for one of a few threads. A task that is cancelled goes on at once: a look-up that has not begun never does, one
/// that is under way goes on and its answer is dropped; nor does it keep the loop from closing. Hosts with more than 253
/// bytes or with a zero byte are refused, as other programs would read another name there.
///
/// Any thread may use it, on a loop and elsewhere.
///
/// The corresponding libuv calls are `uv_getaddrinfo` and `uv_getnameinfo`, which share four threads with all else.
public final class SystemResolver: Resolver {
    /// The resolver of the process, which does four look-ups at a time.
    public static let shared = SystemResolver()

    /// How many look-ups go on at a time.
    public var concurrency: Int { pool.threadLimit }

    private let pool: OffloadPool

    /// Makes a resolver with threads of its own, which start as they are needed.
    ///
    /// - Parameter concurrency: How many look-ups go on at a time; more than that wait their turn.
    public init(concurrency: Int = 4) {
        require(concurrency > 0, "A SystemResolver needs room for at least one look-up at a time.")
        pool = OffloadPool(name: "asyncio-names", threads: concurrency)
    }

    /// Makes a resolver that looks up on the threads of a pool.
    package init(on pool: OffloadPool) { self.pool = pool }

    /// The addresses of a host for connections, each once, in the order that the system prefers.
    ///
    /// - Throws: ``SystemError`` with the resolver's code, such as ``SystemError/Code/nameNotKnown``; ``ResolverError``;
    ///   `CancellationError`.
    public func addresses(
        of host: String,
        port: Int,
        family: SocketAddress.Family? = nil
    ) async throws -> [SocketAddress] {
        guard let number = UInt16(exactly: port) else { throw LoopError.notAPort(port) }
        guard !host.isEmpty else { throw LoopError.notAnAddress("\(host):\(port)") }
        let found = try await addressInfo(host: host, family: family, kind: .stream)
        var addresses: [SocketAddress] = []
        for var address in found.map(\.address) {
            address.port = number
            if !addresses.contains(address) { addresses.append(address) }
        }
        return addresses
    }

    /// The name of the host that has an address.
    ///
    /// - Throws: ``SystemError``, ``SystemError/Code/nameNotKnown`` if it has none; `CancellationError`.
    public func name(of address: SocketAddress) async throws -> String {
        try await nameInfo(of: address, flags: [.nameRequired, .numericService]).host
    }

    /// All ways to reach a host and a service, as the C library says them.
    ///
    /// - Parameters:
    ///   - host: A name or an address; nil is this machine, or with ``AddressInfo/Flags/passive`` all its addresses.
    ///   - service: A name, such as `http`, or a number; nil is port 0.
    ///   - family: The family that is wanted; nil is every one.
    ///   - kind: The kind of socket that is wanted; nil is every one.
    ///   - protocolNumber: The protocol that is wanted; 0 is every one.
    ///   - flags: What the look-up may and may not do.
    /// - Returns: The ways in the system's order; at least one.
    /// - Throws: ``SystemError`` with the resolver's code; ``ResolverError``; `CancellationError`.
    ///
    /// The corresponding asyncio name is `loop.getaddrinfo`.
    public func addressInfo(
        host: String?,
        service: String? = nil,
        family: SocketAddress.Family? = nil,
        kind: AddressInfo.Kind? = nil,
        protocolNumber: Int32 = 0,
        flags: AddressInfo.Flags = []
    ) async throws -> [AddressInfo] {
        try Task.checkCancellation()
        var query = AddressQuery(host: host, service: service)
        (query.family, query.kind) = (family, kind)
        (query.protocolNumber, query.flags) = (protocolNumber, flags)
        do {
            return try query.numeric.answer()
        } catch let error as SystemError {
            if query.isNumeric { throw error }
            if let model = EventLoop.current?.networkModel { return try query.answer(by: model) }
            return try await offload(on: pool) { [query] in try query.answer() }
        }
    }

    /// What the host and the service of an address are called.
    ///
    /// - Parameters:
    ///   - address: The address and the port.
    ///   - flags: What the look-up may and may not do; with both numbers asked for it is answered at once.
    /// - Returns: Both names.
    /// - Throws: ``SystemError`` with the resolver's code; `CancellationError`.
    ///
    /// The corresponding asyncio name is `loop.getnameinfo`.
    public func nameInfo(of address: SocketAddress, flags: NameInfo.Flags = []) async throws -> NameInfo {
        try Task.checkCancellation()
        if flags.isSuperset(of: [.numericHost, .numericService]) { return try NameInfo.find(address, flags) }
        if let model = EventLoop.current?.networkModel { return try NameInfo.find(address, flags, by: model) }
        return try await offload(on: pool) { try NameInfo.find(address, flags) }
    }
}

/// How connecting and listening come by addresses.
enum HostLookup {
    /// The addresses of a host, of one family if one is named; at least one.
    static func addresses(
        of host: String,
        _ port: Int,
        _ family: SocketAddress.Family?,
        by resolver: any Resolver,
        until deadline: LoopInstant?,
        on loop: isolated EventLoop
    ) async throws -> [SocketAddress] {
        let found: [SocketAddress]
        if let address = try? SocketAddress(host: host, port: port) {
            found = [address]
        } else if !(0...65_535).contains(port) {
            throw LoopError.notAPort(port)
        } else if host.isEmpty {
            throw LoopError.notAnAddress("\(host):\(port)")
        } else if let deadline {
            do {
                found = try await withTimeout(loop.now.duration(to: deadline)) {
                    try await resolver.addresses(of: host, port: port, family: family)
                }
            } catch is TimeoutError {
                throw LoopError.timedOut("Looking up \(host)")
            }
        } else {
            found = try await resolver.addresses(of: host, port: port, family: family)
        }
        guard let family else {
            if found.isEmpty { throw SystemError(.nameNotKnown, call: "looking up \(host)") }
            return found
        }
        let fitting = found.filter { $0.family == family }
        if fitting.isEmpty { throw ResolverError.noAddressOfFamily(family, host: host) }
        return fitting
    }
}
