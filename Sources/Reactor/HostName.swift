// Host names as the system's resolver takes them: checked for what it would cut or misread, and in the ASCII form of
// international names (RFC 3492), which the C library does not produce everywhere.

/// Why a name was not looked up, or what was found is of no use.
public enum ResolverError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The text cannot be a host's name; nothing was looked up.
    case notAName(String, reason: String)
    /// The host has addresses, but none of the family that was asked for.
    case noAddressOfFamily(SocketAddress.Family, host: String)
    /// None of the local addresses that were named is of a family that the host has an address of.
    case noMatchingLocalAddress([SocketAddress], host: String)

    /// What happened, in one sentence.
    public var description: String {
        switch self {
        case .notAName(let text, let reason):
            "'\(text.prefix(64))\(text.count > 64 ? "…" : "")' cannot be the name of a host: \(reason)."
        case .noAddressOfFamily(let family, let host):
            "'\(host)' has no \(family) address."
        case .noMatchingLocalAddress(let addresses, let host):
            "'\(host)' has no address of the family of a local address: "
                + addresses.map(\.host).joined(separator: ", ") + "."
        }
    }
}

enum HostName {
    /// How many bytes a name has at most, without a dot at its end.
    private static let mostBytes = 253
    /// What separates labels.
    private static let dots = Array(".。．｡".unicodeScalars)

    /// A name in the form in which it is looked up.
    static func ascii(_ host: String) throws(ResolverError) -> String {
        if host.utf8.contains(0) { throw .notAName(host, reason: "it contains a zero byte") }
        var name = host
        if !host.utf8.allSatisfy({ $0 < 0x80 }) {
            // By scalars: a dot with an accent on it is a dot, which must not come to stand inside of a label.
            let labels = host.unicodeScalars.split(omittingEmptySubsequences: false) { dots.contains($0) }
            var converted: [String] = []
            for label in labels { converted.append(try ascii(Substring(label), of: host)) }
            name = converted.joined(separator: ".")
        }
        let count = name.utf8.count - (name.hasSuffix(".") ? 1 : 0)
        if count > mostBytes {
            throw .notAName(host, reason: "it has \(count) bytes, and a name has at most \(mostBytes)")
        }
        return name
    }

    private static func ascii(_ label: Substring, of host: String) throws(ResolverError) -> String {
        if label.utf8.allSatisfy({ $0 < 0x80 }) { return String(label) }
        guard let encoded = Punycode.encode(label.lowercased()) else {
            throw .notAName(host, reason: "'\(label)' is too long to be written in ASCII")
        }
        return "xn--\(encoded)"
    }
}

/// The encoding of RFC 3492: the ASCII characters first, then how to insert the others.
private enum Punycode {
    private static let base = 36
    private static let leastThreshold = 1
    private static let mostThreshold = 26

    /// The text in ASCII; nil if it is longer than a label can be.
    static func encode(_ text: String) -> String? {
        let points = text.unicodeScalars.map { Int($0.value) }
        var output = points.filter { $0 < 0x80 }.map { UInt8($0) }
        var handled = output.count
        let basic = handled
        if basic > 0 { output.append(UInt8(ascii: "-")) }
        var (next, delta, bias) = (0x80, 0, 72)
        while handled < points.count {
            guard output.count < 64, let smallest = points.filter({ $0 >= next }).min() else { return nil }
            delta += (smallest - next) * (handled + 1)
            next = smallest
            for point in points {
                if point < next { delta += 1 }
                guard point == next else { continue }
                append(delta, bias, to: &output)
                bias = adapt(delta, count: handled + 1, isFirst: handled == basic)
                delta = 0
                handled += 1
            }
            delta += 1
            next += 1
        }
        // With the prefix a label has 63 bytes at most.
        return output.count <= 59 ? String(decoding: output, as: UTF8.self) : nil
    }

    /// Appends a number of variable length.
    private static func append(_ delta: Int, _ bias: Int, to output: inout [UInt8]) {
        var rest = delta
        var place = base
        while true {
            let threshold = min(max(place - bias, leastThreshold), mostThreshold)
            if rest < threshold { break }
            output.append(digit(threshold + (rest - threshold) % (base - threshold)))
            rest = (rest - threshold) / (base - threshold)
            place += base
        }
        output.append(digit(rest))
    }

    private static func digit(_ value: Int) -> UInt8 {
        UInt8(value < 26 ? value + 97 : value - 26 + 48)
    }

    private static func adapt(_ delta: Int, count: Int, isFirst: Bool) -> Int {
        var delta = isFirst ? delta / 700 : delta / 2
        delta += delta / count
        var place = 0
        while delta > ((base - leastThreshold) * mostThreshold) / 2 {
            delta /= base - leastThreshold
            place += base
        }
        return place + (base - leastThreshold + 1) * delta / (delta + 38)
    }
}
