// IP addresses with a port, and names of Unix sockets, as plain values: made from text without any look-up, compared by
// what they mean, printed as they are written in URLs. The C structures exist only for the length of a call.

internal import CLibUV
internal import CReactor
#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// An IPv4 or IPv6 address and a port, or the name of a Unix socket.
///
/// `description` is `127.0.0.1:80`, `[::1]:80` or `unix:/run/app.sock`. The corresponding C types are `sockaddr_in`,
/// `sockaddr_in6` and `sockaddr_un`.
public struct SocketAddress: Hashable, Sendable, CustomStringConvertible {
    /// The address family.
    public enum Family: Hashable, Sendable {
        /// IPv4, `AF_INET`.
        case ipv4
        /// IPv6, `AF_INET6`.
        case ipv6
        /// A Unix socket, `AF_UNIX`.
        case unix
    }

    private enum Storage: Hashable, Sendable {
        /// The four bytes in network order.
        case v4(UInt32)
        /// Two halves of the sixteen bytes, each in network order, and the scope.
        case v6(UInt64, UInt64, scope: UInt32)
        case unix(UnixName)
    }

    private let storage: Storage

    /// The port; 0 asks the system for any.
    ///
    /// A Unix socket has none: there it is 0, whatever it is set to.
    public var port: UInt16 {
        didSet { if case .unix = storage { port = 0 } }
    }

    /// What kind of address it is.
    public var family: Family {
        switch storage {
        case .v4: .ipv4
        case .v6: .ipv6
        case .unix: .unix
        }
    }

    /// Reads an address from text such as `127.0.0.1`, `::1` or `fe80::1%eth0`.
    ///
    /// Looks nothing up.
    ///
    /// - Parameters:
    ///   - host: The address. An IPv6 address may stand in brackets and may carry a scope.
    ///   - port: The port; 0 asks the system for any.
    /// - Throws: ``LoopError/notAnAddress(_:)`` for a host name or anything else; ``LoopError/notAPort(_:)``.
    ///
    /// The corresponding libuv calls are `uv_ip4_addr` and `uv_ip6_addr`.
    public init(host: String, port: Int) throws {
        guard let number = UInt16(exactly: port) else { throw LoopError.notAPort(port) }
        guard !host.utf8.contains(0) else { throw LoopError.notAnAddress("\(host):\(port)") }
        self.port = number
        var text = host
        let isBracketed = text.hasPrefix("[") && text.hasSuffix("]")
        if isBracketed { text = String(text.dropFirst().dropLast()) }
        var v4 = sockaddr_in()
        var v6 = sockaddr_in6()
        if unsafe !isBracketed && uv_ip4_addr(text, 0, &v4) == 0 {
            storage = .v4(v4.sin_addr.s_addr)
        } else if unsafe uv_ip6_addr(text, 0, &v6) == 0, let scope = Self.scope(in: text) {
            v6.sin6_scope_id = scope
            storage = Self.read(v6)
        } else {
            throw LoopError.notAnAddress(host)
        }
    }

    /// The address of a Unix socket: a path, or on Linux a name that begins with a zero byte and is no file.
    ///
    ///     let address = try SocketAddress(unixPath: "/run/app.sock")
    ///
    /// Touches no file. A relative path means what it does in the directory that is current when it is used.
    ///
    /// - Parameter unixPath: The path, or the abstract name, its zero byte included.
    /// - Throws: ``LoopError/unixPathTooLong(_:limit:)``: the system's limit is some hundred bytes of UTF-8, and a
    ///   longer path would be cut. ``LoopError/notAUnixPath(_:)`` for an empty path, for one with a zero byte behind
    ///   its beginning, and for an abstract name where there are none.
    ///
    /// The C type is `sockaddr_un`.
    public init(unixPath: String) throws {
        storage = .unix(try UnixName(unixPath))
        port = 0
    }

    /// The end of a Unix connection that was given no name, as clients are not.
    static let unnamedUnix = SocketAddress(storage: .unix(.unnamed), port: 0)

    private init(storage: Storage, port: UInt16) {
        self.storage = storage
        self.port = port
    }

    /// The path of a Unix socket, or its abstract name, which begins with a zero byte; empty if it has no name.
    ///
    /// Nil for an IP address. Bytes that are no UTF-8 are replaced.
    public var unixPath: String? { unixName?.text }

    var unixName: UnixName? { if case .unix(let name) = storage { name } else { nil } }

    /// Whether it stands for all addresses of the machine.
    var isUnspecified: Bool {
        switch storage {
        case .v4(let bytes): bytes == 0
        case .v6(let first, let second, _): first == 0 && second == 0
        case .unix: false
        }
    }

    /// Reads a C structure, of which `length` bytes are the address: for a Unix socket that says where its name ends.
    init?(_ address: UnsafePointer<sockaddr>, length: Int = .max) {
        // SAFETY: the caller passes a structure as large as its family says, or as `length`.
        switch unsafe CInt(address.pointee.sa_family) {
        case AF_INET:
            let v4 = unsafe UnsafeRawPointer(address).loadUnaligned(as: sockaddr_in.self)
            storage = .v4(v4.sin_addr.s_addr)
            port = UInt16(bigEndian: v4.sin_port)
        case AF_INET6:
            let v6 = unsafe UnsafeRawPointer(address).loadUnaligned(as: sockaddr_in6.self)
            storage = Self.read(v6)
            port = UInt16(bigEndian: v6.sin6_port)
        case AF_UNIX:
            storage = unsafe .unix(UnixName(address, length: length))
            port = 0
        default:
            return nil
        }
    }

    private static func read(_ address: sockaddr_in6) -> Storage {
        var bytes = address.sin6_addr
        return unsafe withUnsafeBytes(of: &bytes) {
            // SAFETY: `in6_addr` is sixteen bytes.
            unsafe .v6(
                $0.loadUnaligned(fromByteOffset: 0, as: UInt64.self),
                $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self),
                scope: address.sin6_scope_id
            )
        }
    }

    /// Calls `body` with the address as a C structure, which lives for the length of the call.
    func withSockaddr<R>(_ body: (UnsafePointer<sockaddr>, Int) -> R) -> R {
        switch storage {
        case .v4(let bytes):
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            address.sin_addr.s_addr = bytes
            // SAFETY: a `sockaddr_in` begins as a `sockaddr` does, and its length goes with it.
            return unsafe withUnsafePointer(to: &address) {
                unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe body($0, MemoryLayout<sockaddr_in>.size)
                }
            }
        case .v6(let high, let low, let scope):
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port.bigEndian
            address.sin6_scope_id = scope
            unsafe withUnsafeMutableBytes(of: &address.sin6_addr) {
                // SAFETY: `in6_addr` is sixteen bytes.
                unsafe $0.storeBytes(of: high, toByteOffset: 0, as: UInt64.self)
                unsafe $0.storeBytes(of: low, toByteOffset: 8, as: UInt64.self)
            }
            // SAFETY: as above, for `sockaddr_in6`.
            return unsafe withUnsafePointer(to: &address) {
                unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe body($0, MemoryLayout<sockaddr_in6>.size)
                }
            }
        case .unix(let name):
            return unsafe name.withSockaddr(body)
        }
    }

    /// The address without its port, such as `127.0.0.1` or `fe80::1%eth0`; a Unix socket's path, or its name behind
    /// `@`.
    public var host: String {
        if let unixName { return unixName.description }
        var buffer = [CChar](repeating: 0, count: 64)
        // SAFETY: libuv ends the text with a zero within the 64 bytes; the family says which structure it is.
        let name = unsafe withSockaddr { address, _ in
            let raw = unsafe UnsafeRawPointer(address)
            if family == .ipv4 {
                unsafe uv_ip4_name(raw.assumingMemoryBound(to: sockaddr_in.self), &buffer, buffer.count)
            } else {
                unsafe uv_ip6_name(raw.assumingMemoryBound(to: sockaddr_in6.self), &buffer, buffer.count)
            }
            return Self.text(buffer)
        }
        guard case .v6(_, _, let scope) = storage, scope != 0 else { return name }
        var size = buffer.count
        guard unsafe uv_if_indextoname(scope, &buffer, &size) == 0 else { return "\(name)%\(scope)" }
        return "\(name)%\(Self.text(buffer))"
    }

    private static func text(_ buffer: [CChar]) -> String {
        String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The address and port as they are written in URLs: `unix:/path` for a Unix socket, `unix:@name` for an abstract
    /// one.
    public var description: String {
        switch family {
        case .ipv4: "\(host):\(port)"
        case .ipv6: "[\(host)]:\(port)"
        case .unix: "unix:\(host)"
        }
    }

    /// Looks a host name up, blocking the thread until the system's resolver has answered.
    ///
    /// Meant for start-up; never call it on a running loop. Addresses come in the order that the system prefers, each
    /// once. An IP address is returned as it is.
    ///
    /// - Parameters:
    ///   - host: A name or an IP address.
    ///   - port: The port of the addresses that are returned.
    /// - Returns: At least one address.
    /// - Throws: ``SystemError`` with the resolver's code, such as ``SystemError/Code/nameNotKnown``;
    ///   ``LoopError/notAnAddress(_:)`` or ``ResolverError`` for what cannot be a name.
    ///
    /// The C name is `getaddrinfo`.
    public static func resolve(host: String, port: Int) throws -> [SocketAddress] {
        if let literal = try? SocketAddress(host: host, port: port) { return [literal] }
        guard let number = UInt16(exactly: port) else { throw LoopError.notAPort(port) }
        // No name is longer.
        guard !host.isEmpty, host.utf8.count <= 253, !host.utf8.contains(0) else {
            throw LoopError.notAnAddress("\(host):\(port)")
        }
        var query = AddressQuery(host: host, service: nil)
        query.kind = .stream
        var found: [SocketAddress] = []
        for var address in try query.answer().map(\.address) {
            address.port = number
            if !found.contains(address) { found.append(address) }
        }
        guard !found.isEmpty else { throw SystemError(.addressNotAvailable, call: "getaddrinfo(\(host))") }
        return found
    }
}
