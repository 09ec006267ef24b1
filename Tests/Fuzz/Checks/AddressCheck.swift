// Addresses from text: what is printed is read as the same again, and an address is what the C library takes for one.
//
// The C library's word counts on Linux with glibc only: others take a little more or less for an address.

import AsyncIO

#if canImport(Glibc)
import Glibc
#endif

enum AddressCheck {
    /// What addresses are made of, and a little else.
    private static let alphabet =
        "0123456789abcdefABCDEF::::....%%[]/gx+- ".map { String($0) } + ["lo", "::", "ffff"]

    static func run(_ input: inout FuzzInput) throws {
        let ledger = Ledger()
        switch input.roll(5) {
        case 0: checkText(String(decoding: input.remainder(), as: UTF8.self), port: 80, ledger)
        case 1:
            let port = (Int(input.byte()) << 8 | Int(input.byte())) - 100
            checkText(input.remainder().map { alphabet[Int($0) % alphabet.count] }.joined(), port: port, ledger)
        case 2:
            checkV4(input.bytes(4), ledger)
        case 3:
            checkV6(input.bytes(16), scope: scope(&input), ledger)
        default:
            checkUnix(String(decoding: input.remainder(), as: UTF8.self), ledger)
        }
        try ledger.settle()
    }

    private static func scope(_ input: inout FuzzInput) -> UInt32 {
        let byte = UInt32(input.byte())
        return byte < 128 ? byte & 7 : byte << 24 | UInt32(input.byte())
    }

    // MARK: Any text

    private static func checkText(_ text: String, port: Int, _ ledger: Ledger) {
        let address: SocketAddress
        do { address = try SocketAddress(host: text, port: port) } catch {
            ledger.expect(error is LoopError, "'\(text)': \(error)")
            if (0...65_535).contains(port) { checkRefused(text, ledger) }
            return
        }
        ledger.expect(Int(address.port) == port, "'\(text)': \(port) became \(address.port)")
        ledger.expect(address.unixPath == nil && address.family != .unix, "'\(text)' is a path")
        checkRoundTrip(address, ledger)
        let found = try? SocketAddress.resolve(host: text, port: port)
        ledger.expect(found == [address], "'\(text)' resolves to \(String(describing: found))")
        checkAccepted(text, address, ledger)
    }

    /// An address is printed as it is read, alone and as in URLs.
    private static func checkRoundTrip(_ address: SocketAddress, _ ledger: Ledger) {
        let (host, port) = (address.host, Int(address.port))
        ledger.expect((try? SocketAddress(host: host, port: port)) == address, "'\(host)' is not read as it is printed")
        if address.family == .ipv6 {
            let bracketed = try? SocketAddress(host: "[\(host)]", port: port)
            ledger.expect(bracketed == address, "'[\(host)]' is not read as it is printed")
            ledger.expect(address.description == "[\(host)]:\(port)", "\(address)")
        } else {
            ledger.expect(address.description == "\(host):\(port)", "\(address)")
        }
    }

    // MARK: The C library's word

    #if canImport(Glibc)
    private static func checkAccepted(_ text: String, _ address: SocketAddress, _ ledger: Ledger) {
        let (literal, zone) = parts(text, isV6: address.family == .ipv6)
        let theirs = canonical(literal)
        let ours = address.host.prefix { $0 != "%" }
        ledger.expect(theirs == String(ours), "'\(text)' is \(ours), not \(String(describing: theirs))")
        guard let zone, zone.utf8.allSatisfy({ (48...57).contains($0) }) else { return }
        let found = scopeOf("\(literal)%\(zone)")
        let ourZone = address.host.split(separator: "%").dropFirst().first.map(String.init) ?? "0"
        let number = unsafe UInt32(ourZone) ?? if_nametoindex(ourZone)
        ledger.expect(found == number, "the zone of '\(text)' is \(number), not \(String(describing: found))")
    }

    private static func checkRefused(_ text: String, _ ledger: Ledger) {
        guard !text.utf8.contains(0) else { return }
        ledger.expect(canonical(text) == nil, "'\(text)' is refused")
        // The C library takes a zone for what it is where the link matters.
        if text.utf8.contains(UInt8(ascii: "%")) {
            ledger.expect(scopeOf(text) == nil, "'\(text)' is refused, and has a zone")
        }
    }

    /// An IPv6 address without brackets, and its zone.
    private static func parts(_ text: String, isV6: Bool) -> (String, String?) {
        guard isV6 else { return (text, nil) }
        let isBracketed = text.hasPrefix("[") && text.hasSuffix("]")
        let bare = isBracketed ? String(text.dropFirst().dropLast()) : text
        guard let sign = bare.firstIndex(of: "%") else { return (bare, nil) }
        return (String(bare[..<sign]), String(bare[bare.index(after: sign)...]))
    }

    /// The text of an address as the C library prints it; nil if it is none.
    private static func canonical(_ text: String) -> String? {
        var bytes = [UInt8](repeating: 0, count: 16)
        var name = [CChar](repeating: 0, count: 64)
        for family in [AF_INET, AF_INET6] where unsafe inet_pton(family, text, &bytes) == 1 {
            guard unsafe inet_ntop(family, bytes, &name, socklen_t(name.count)) != nil else { return nil }
            return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        return nil
    }

    /// The scope of an IPv6 address with a zone; nil if it is none.
    private static func scopeOf(_ text: String) -> UInt32? {
        var hints = unsafe addrinfo()
        unsafe hints.ai_family = AF_INET6
        unsafe hints.ai_flags = AI_NUMERICHOST
        unsafe hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard unsafe getaddrinfo(text, nil, &hints, &list) == 0, let first = unsafe list else { return nil }
        defer { unsafe freeaddrinfo(first) }
        guard let address = unsafe first.pointee.ai_addr else { return nil }
        return unsafe UnsafeRawPointer(address).loadUnaligned(as: sockaddr_in6.self).sin6_scope_id
    }
    #else
    private static func checkAccepted(_ text: String, _ address: SocketAddress, _ ledger: Ledger) {}
    private static func checkRefused(_ text: String, _ ledger: Ledger) {}
    #endif

    // MARK: From bytes

    private static func checkV4(_ bytes: [UInt8], _ ledger: Ledger) {
        guard bytes.count == 4 else { return }
        let text = bytes.map(String.init).joined(separator: ".")
        guard let address = try? SocketAddress(host: text, port: 7) else {
            return ledger.expect(false, "'\(text)' is refused")
        }
        ledger.expect(address.host == text, "'\(text)' is printed as '\(address.host)'")
        checkText(text, port: 7, ledger)
    }

    private static func checkV6(_ bytes: [UInt8], scope: UInt32, _ ledger: Ledger) {
        guard bytes.count == 16 else { return }
        let groups = (0..<8).map { String(UInt16(bytes[$0 * 2]) << 8 | UInt16(bytes[$0 * 2 + 1]), radix: 16) }
        let text = groups.joined(separator: ":")
        guard let plain = try? SocketAddress(host: text, port: 7) else {
            return ledger.expect(false, "'\(text)' is refused")
        }
        checkText(text, port: 7, ledger)
        guard let scoped = try? SocketAddress(host: "\(text)%\(scope)", port: 7) else {
            return ledger.expect(false, "'\(text)%\(scope)' is refused")
        }
        ledger.expect((scoped == plain) == (scope == 0), "the scope \(scope) of '\(text)' is lost")
        checkText("\(text)%\(scope)", port: 7, ledger)
        checkText("\(plain.host)%\(scope)", port: 7, ledger)
    }

    // MARK: Unix names

    private static func checkUnix(_ path: String, _ ledger: Ledger) {
        let count = path.utf8.count
        #if os(Linux)
        let isAbstract = path.utf8.first == 0 && count > 1
        let room = 107
        #else
        let isAbstract = false
        let room = 103
        #endif
        let isName = isAbstract ? count <= room + 1 : count > 0 && count <= room && !path.utf8.contains(0)
        guard let address = try? SocketAddress(unixPath: path) else {
            return ledger.expect(!isName, "the path '\(path)' is refused")
        }
        ledger.expect(isName, "the path '\(path)' is taken")
        ledger.expect(address.unixPath == path, "'\(path)' became '\(String(describing: address.unixPath))'")
        ledger.expect(address.family == .unix && address.port == 0, "\(address)")
        let name = isAbstract ? "@" + String(decoding: path.utf8.dropFirst(), as: UTF8.self) : path
        ledger.expect(address.description == "unix:\(name)", "\(address)")
    }
}
