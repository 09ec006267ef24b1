// The system's look-ups, as the C library has them: from names and services to addresses and back. They block, so they
// belong on threads that may, except where nothing but numbers is asked about.

internal import CLibUV
internal import CReactor
#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// One way to reach a host and a service.
///
/// The corresponding asyncio name is an entry of what `loop.getaddrinfo` returns; the C type is `addrinfo`.
public struct AddressInfo: Hashable, Sendable, CustomStringConvertible {
    /// What kind of socket it is for.
    public enum Kind: Hashable, Sendable {
        /// Connections: `SOCK_STREAM`.
        case stream
        /// Datagrams: `SOCK_DGRAM`.
        case datagram
        /// Any other, by the system's number.
        case other(Int32)
    }

    /// What a look-up may and may not do.
    public struct Flags: OptionSet, Hashable, Sendable {
        /// Bits of this type's own; those that have no name here are ignored.
        public let rawValue: UInt8

        /// Creates flags from their bits.
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        /// Without a host: all addresses of this machine, for listening.
        ///
        /// The C name is `AI_PASSIVE`.
        public static let passive = Flags(rawValue: 1)
        /// Say the host's canonical name.
        ///
        /// The C name is `AI_CANONNAME`.
        public static let canonicalName = Flags(rawValue: 2)
        /// Take addresses only and no names.
        ///
        /// The C name is `AI_NUMERICHOST`.
        public static let numericHost = Flags(rawValue: 4)
        /// Take port numbers only and no names of services.
        ///
        /// The C name is `AI_NUMERICSERV`.
        public static let numericService = Flags(rawValue: 8)
        /// Say IPv4 addresses as IPv6 ones, if there are no others.
        ///
        /// The C name is `AI_V4MAPPED`.
        public static let v4Mapped = Flags(rawValue: 16)
        /// With ``v4Mapped``, also if there are others.
        ///
        /// The C name is `AI_ALL`.
        public static let all = Flags(rawValue: 32)
        /// Only families of which this machine has an address.
        ///
        /// The C name is `AI_ADDRCONFIG`.
        public static let configuredFamilies = Flags(rawValue: 64)

        var raw: CInt {
            let names: [(Flags, CInt)] = [
                (.passive, AI_PASSIVE), (.canonicalName, AI_CANONNAME), (.numericHost, AI_NUMERICHOST),
                (.numericService, AI_NUMERICSERV), (.v4Mapped, AI_V4MAPPED), (.all, AI_ALL),
                (.configuredFamilies, AI_ADDRCONFIG),
            ]
            return names.reduce(0) { contains($1.0) ? $0 | $1.1 : $0 }
        }
    }

    /// The address and port.
    public let address: SocketAddress
    /// What kind of socket it is for.
    public let kind: Kind
    /// The protocol, as the system numbers them: 6 is TCP, 17 is UDP.
    public let protocolNumber: Int32
    /// The host's canonical name; only of the first entry, and only with ``Flags/canonicalName``.
    public let canonicalName: String?

    /// The address, the kind and the protocol.
    public var description: String { "\(address) \(kind) \(protocolNumber)" }
}

extension AddressInfo.Kind {
    var raw: CInt {
        switch self {
        case .stream: creactor_kind_stream()
        case .datagram: creactor_kind_datagram()
        case .other(let number): number
        }
    }

    init(raw: CInt) {
        self = raw == creactor_kind_stream() ? .stream : raw == creactor_kind_datagram() ? .datagram : .other(raw)
    }
}

/// What to look up.
package struct AddressQuery: Sendable {
    package var host: String?
    package var service: String?
    package var family: SocketAddress.Family?
    package var kind: AddressInfo.Kind?
    package var protocolNumber: Int32 = 0
    package var flags: AddressInfo.Flags = []

    package init(host: String?, service: String?) { (self.host, self.service) = (host, service) }

    /// The same, if it can be answered from numbers alone.
    package var numeric: AddressQuery {
        var query = self
        query.flags.formUnion([.numericHost, .numericService])
        return query
    }

    /// Whether nothing would have to be looked up, if host and service are numbers.
    package var isNumeric: Bool { flags.isSuperset(of: [.numericHost, .numericService]) }

    /// What the system answers, in its order.
    ///
    /// Blocks, unless ``isNumeric``.
    package func answer() throws -> [AddressInfo] {
        let name = try host.map { text throws(ResolverError) in try HostName.ascii(text) }
        if let service, service.utf8.contains(0) {
            throw ResolverError.notAName(service, reason: "the service contains a zero byte")
        }
        var hints = unsafe addrinfo()
        unsafe hints.ai_family = family.map { $0 == .ipv6 ? AF_INET6 : AF_INET } ?? AF_UNSPEC
        unsafe hints.ai_socktype = kind?.raw ?? 0
        unsafe hints.ai_protocol = protocolNumber
        unsafe hints.ai_flags = flags.raw
        var list: UnsafeMutablePointer<addrinfo>?
        let status = unsafe creactor_name_status(getaddrinfo(name, service, &hints, &list))
        guard status == 0 else { throw SystemError(status: status, call: "getaddrinfo(\(subject))") }
        // SAFETY: the list is the system's until it is given back, after the last use.
        defer { unsafe freeaddrinfo(list) }
        var found: [AddressInfo] = []
        var next = unsafe list
        while let info = unsafe next?.pointee {
            if let pointer = unsafe info.ai_addr, let address = unsafe SocketAddress(pointer) {
                found.append(
                    AddressInfo(
                        address: address,
                        kind: unsafe AddressInfo.Kind(raw: info.ai_socktype),
                        protocolNumber: unsafe info.ai_protocol,
                        canonicalName: unsafe info.ai_canonname.map { unsafe String(cString: $0) }
                    )
                )
            }
            unsafe next = info.ai_next
        }
        return found
    }

    private var subject: String { [host, service].compactMap(\.self).joined(separator: ":") }
}

/// What a host and a service are called.
///
/// The corresponding asyncio name is what `loop.getnameinfo` returns.
public struct NameInfo: Hashable, Sendable {
    /// What a look-up may and may not do.
    public struct Flags: OptionSet, Hashable, Sendable {
        /// Bits of this type's own; those that have no name here are ignored.
        public let rawValue: UInt8

        /// Creates flags from their bits.
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        /// Say the address and look up no name.
        ///
        /// The C name is `NI_NUMERICHOST`.
        public static let numericHost = Flags(rawValue: 1)
        /// Say the port and look up no service.
        ///
        /// The C name is `NI_NUMERICSERV`.
        public static let numericService = Flags(rawValue: 2)
        /// Fail if the host has no name, in place of saying its address.
        ///
        /// The C name is `NI_NAMEREQD`.
        public static let nameRequired = Flags(rawValue: 4)
        /// Services are those of datagrams.
        ///
        /// The C name is `NI_DGRAM`.
        public static let datagram = Flags(rawValue: 8)
        /// Leave out the domain if it is this machine's own.
        ///
        /// The C name is `NI_NOFQDN`.
        public static let localName = Flags(rawValue: 16)

        var raw: CInt {
            let names: [(Flags, CInt)] = [
                (.numericHost, NI_NUMERICHOST), (.numericService, NI_NUMERICSERV), (.nameRequired, NI_NAMEREQD),
                (.datagram, NI_DGRAM), (.localName, NI_NOFQDN),
            ]
            return names.reduce(0) { contains($1.0) ? $0 | $1.1 : $0 }
        }
    }

    /// The host's name, or its address if it has none.
    public let host: String
    /// The service's name, or its port if it has none.
    public let service: String

    /// What the system answers; blocks unless the flags ask for both numbers.
    package static func find(_ address: SocketAddress, _ flags: Flags) throws(SystemError) -> NameInfo {
        var host = [CChar](repeating: 0, count: 1_025)
        var service = [CChar](repeating: 0, count: 64)
        // SAFETY: both buffers go with their lengths, and the system ends what it writes with a zero.
        let error = unsafe address.withSockaddr { pointer, length in
            unsafe getnameinfo(
                pointer,
                socklen_t(length),
                &host,
                socklen_t(host.count),
                &service,
                socklen_t(service.count),
                flags.raw
            )
        }
        let status = creactor_name_status(error)
        guard status == 0 else { throw SystemError(status: status, call: "getnameinfo", address: address) }
        return NameInfo(host: text(host), service: text(service))
    }

    private static func text(_ buffer: [CChar]) -> String {
        String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
