// The zone of an IPv6 address, such as the `eth0` of `fe80::1%eth0`: which of the machine's links the address is on. It
// must never be lost on the way, as the same address on another link is another machine.

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

extension SocketAddress {
    /// The scope that the text of an IPv6 address names: an interface or its number, or 0 if there is none.
    ///
    /// Nil if there is no such interface: libuv takes that for no zone at all.
    static func scope(in text: String) -> UInt32? {
        guard let sign = text.firstIndex(of: "%") else { return 0 }
        let zone = String(text[text.index(after: sign)...])
        let index = unsafe if_nametoindex(zone)
        if index != 0 { return index }
        // No sign and no blanks, which the conversion would take.
        return zone.utf8.allSatisfy { (48...57).contains($0) } ? UInt32(zone) : nil
    }
}
