// Names on a simulated network are those of its hosts: nobody else is asked, as an answer from outside would be another one
// tomorrow.

extension AddressQuery {
    /// What the hosts of a network answer, at once.
    package func answer(by model: any NetworkModel) throws -> [AddressInfo] {
        var query = numeric
        if let host {
            let families: [SocketAddress.Family] = family.map { [$0] } ?? [.ipv4, .ipv6]
            guard let found = families.lazy.compactMap({ model.address(ofName: host, $0) }).first else {
                throw SystemError(.nameNotKnown, call: "getaddrinfo(\(host))")
            }
            query.host = found.host
        }
        // Services are numbers everywhere, and their names the system's.
        query.flags.remove(.numericService)
        return try query.answer()
    }
}

extension NameInfo {
    /// What the hosts of a network answer, at once.
    package static func find(
        _ address: SocketAddress,
        _ flags: Flags,
        by model: any NetworkModel
    ) throws(SystemError) -> NameInfo {
        let numbers = try find(address, [.numericHost, .numericService])
        guard !flags.contains(.numericHost) else { return numbers }
        if let name = model.name(of: address) { return NameInfo(host: name, service: numbers.service) }
        if flags.contains(.nameRequired) { throw SystemError(.nameNotKnown, call: "getnameinfo", address: address) }
        return numbers
    }
}
