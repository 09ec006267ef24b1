// How a server comes to listen: on all addresses of its hosts or on none, at one port, and on each of its loops.
//
// Ground rules:
//   * Each address has a socket of its own, IPv6 ones for IPv6 only. All have the same port, also where the system chose it.
//   * If one cannot be had, all are closed; except that an address which this machine does not have, as an IPv6 one where
//     IPv6 is off, is left out as long as there is another.

internal import Reactor

extension TCPServer {
    /// Listens on a host's addresses.
    ///
    /// Clients can connect when this returns, and wait in the kernel's backlog until ``serve(_:)`` accepts them.
    ///
    /// Must be called on a loop, to which the server and its connections then belong. With several loops the others are made
    /// for the server, each on a thread of its own and with the settings of this one, and end when serving has ended: each
    /// connection lives on the loop that accepted it. Handlers for them are written with ``serve(onEachLoop:)``; those of
    /// ``serve(_:)`` that are isolated to an actor take all connections to that actor's thread and back, which works and
    /// gains little.
    ///
    /// - Parameters:
    ///   - host: An IP address, or a name all of whose addresses are listened on. Nil, or nothing, is all addresses of this
    ///     machine; `0.0.0.0` and `::` are those of their family.
    ///   - port: The port; 0 takes any, the same one for all addresses.
    ///   - options: Limits, and the settings of the connections.
    ///   - loops: On how many loops. Linux gives each a share of the clients (`SO_REUSEPORT`); elsewhere they get them by
    ///     turns from the first.
    /// - Returns: The server, which accepts nobody before ``serve(_:)``.
    /// - Throws: ``SystemError`` that names the address, such as ``SystemError/Code/addressInUse``; what the resolver throws;
    ///   `CancellationError`.
    ///
    /// The corresponding asyncio name is `asyncio.start_server`.
    public static func listen(
        host: String?,
        port: Int,
        options: ServerOptions = .init(),
        loops: Int = 1
    ) async throws -> TCPServer {
        try await listen(hosts: [host ?? ""], port: port, options: options, loops: loops)
    }

    /// Listens on the addresses of several hosts, each once.
    ///
    /// Like ``listen(host:port:options:loops:)``.
    ///
    /// - Parameters:
    ///   - hosts: IP addresses and names, at least one.
    ///   - port: The port; 0 takes any, the same one for all addresses.
    ///   - options: Limits, and the settings of the connections.
    ///   - loops: On how many loops.
    /// - Returns: The server, which accepts nobody before ``serve(_:)``.
    /// - Throws: As ``listen(host:port:options:loops:)``.
    public static func listen(
        hosts: [String],
        port: Int,
        options: ServerOptions = .init(),
        loops: Int = 1
    ) async throws -> TCPServer {
        require(!hosts.isEmpty, "TCPServer.listen was called without a host; nil is all addresses of this machine.")
        require(loops > 0, "A TCPServer needs at least one loop.")
        return try await listen(hosts, port, options, loops, on: Loops.here("TCPServer.listen"))
    }

    private static func listen(
        _ hosts: [String],
        _ port: Int,
        _ options: ServerOptions,
        _ loops: Int,
        on loop: isolated EventLoop
    ) async throws -> TCPServer {
        var options = options
        if loops > 1 && !options.handsOver { options.listener.reusePort = true }
        let found = try await addresses(of: hosts, port, options.resolver, on: loop)
        let limit = ConnectionLimit(options.listener.maxConnections)
        let state = ServerState(options, limit, on: loop)
        let addresses = try state.listen(onAll: found, loop)
        if loops > 1 || addresses.count > 1 { state.shareLimit() }
        let bound = LoopBound(state, on: loop)
        guard loops > 1 else { return TCPServer(addresses, bound, [], nil) }
        var configuration = loop.configuration
        configuration.testing = nil
        do {
            let group = try await LoopGroup.start(loops - 1, configuration: configuration)
            do {
                var others: [LoopBound<ServerState>] = []
                var takers: [[LoopBound<Listener>]] = []
                for other in group.loops {
                    let (joined, listeners) = try await join(addresses, options, limit, on: other)
                    others.append(joined)
                    takers.append(listeners)
                }
                if options.handsOver { state.handOver(to: takers) }
                return TCPServer(addresses, bound, others, group)
            } catch {
                await group.end()
                throw error
            }
        } catch {
            state.close()
            throw error
        }
    }

    /// Listens on another loop on addresses that the first has bound already, or takes clients from there.
    private static func join(
        _ addresses: [SocketAddress],
        _ options: ServerOptions,
        _ limit: ConnectionLimit,
        on loop: isolated EventLoop
    ) throws -> (LoopBound<ServerState>, [LoopBound<Listener>]) {
        let state = ServerState(options, limit, on: loop)
        do {
            for address in addresses {
                if options.handsOver {
                    try state.takeClients(of: address, loop)
                } else {
                    try state.listen(on: address, loop)
                }
            }
        } catch {
            state.close()
            throw error
        }
        state.shareLimit()
        return (LoopBound(state, on: loop), state.boundListeners(on: loop))
    }

    /// The addresses of all hosts, which are looked up together, each once.
    private static func addresses(
        of hosts: [String],
        _ port: Int,
        _ resolver: any Resolver,
        on loop: isolated EventLoop
    ) async throws -> [SocketAddress] {
        let found = try await gather(
            hosts.map { host in
                { () async throws -> [SocketAddress] in
                    // IPv6 first, as what is bound to both has the port that is harder to get.
                    if host.isEmpty { return try ["::", "0.0.0.0"].map { try SocketAddress(host: $0, port: port) } }
                    return try await HostLookup.addresses(of: host, port, nil, by: resolver, until: nil, on: loop)
                }
            }
        )
        var addresses: [SocketAddress] = []
        for address in found.joined() where !addresses.contains(address) { addresses.append(address) }
        return addresses
    }
}

extension ServerState {
    /// How often a port that the system chose for the first address is given up because it is taken at another.
    private static let mostPorts = 32

    /// Listens on all the addresses, and returns those that this machine has, with their ports.
    func listen(onAll addresses: [SocketAddress], _ loop: isolated EventLoop) throws -> [SocketAddress] {
        var attempt = 1
        while true {
            do {
                var missing: SystemError?
                for var address in addresses {
                    let isChosen = address.port == 0
                    if isChosen, let first = listeners.first { address.port = first.localAddress.port }
                    do {
                        try listen(on: address, loop)
                    } catch let error as SystemError where Self.isMissing(error) {
                        missing = missing ?? error
                    } catch let error as SystemError where error.code == .addressInUse && isChosen && address.port != 0
                    {
                        throw PortIsTaken(error: error)
                    }
                }
                if listeners.isEmpty, let missing { throw missing }
                return listeners.map(\.localAddress)
            } catch let taken as PortIsTaken {
                closeListeners()
                attempt += 1
                if attempt > Self.mostPorts { throw taken.error }
            } catch {
                close()
                throw error
            }
        }
    }

    /// Whether an address could not be had because this machine does not have it, or its family.
    private static func isMissing(_ error: SystemError) -> Bool {
        error.code == .addressNotAvailable || error.code == .addressFamilyNotSupported
    }

    /// The port that the system chose for the first address is taken at another.
    private struct PortIsTaken: Error { let error: SystemError }
}
