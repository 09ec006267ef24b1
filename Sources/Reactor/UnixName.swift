// The name of a Unix socket: its bytes, in an array of their own, so that an address is no larger for it. A path never
// has a zero byte; an abstract name, which Linux has, begins with one and may have more; a socket without a name has no
// bytes.

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// What a `sockaddr_un` names.
struct UnixName: Hashable, Sendable, CustomStringConvertible {
    private let bytes: [UInt8]

    static let unnamed = UnixName(bytes: [])

    /// How many bytes the structure has room for.
    private static var capacity: Int { MemoryLayout.size(ofValue: sockaddr_un().sun_path) }
    private static var pathOffset: Int { MemoryLayout<sockaddr_un>.offset(of: \.sun_path)! }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    init(_ text: String) throws(LoopError) {
        let bytes = Array(text.utf8)
        let isAbstract = bytes.first == 0
        // A path ends with a zero byte of its own.
        let limit = isAbstract ? Self.capacity : Self.capacity - 1
        if isAbstract {
            #if os(Linux)
            let isName = bytes.count > 1
            #else
            let isName = false
            #endif
            guard isName else { throw .notAUnixPath(text) }
        } else if bytes.isEmpty || bytes.contains(0) {
            throw .notAUnixPath(text)
        }
        guard bytes.count <= limit else { throw .unixPathTooLong(text, limit: limit) }
        self.bytes = bytes
    }

    /// Reads a structure, of which `length` bytes are the address; at most as many as it has.
    init(_ address: UnsafePointer<sockaddr>, length: Int) {
        let count = min(length, MemoryLayout<sockaddr_un>.size) - Self.pathOffset
        guard count > 0 else {
            bytes = []
            return
        }
        // SAFETY: the caller passes a structure with that many bytes.
        let name = unsafe UnsafeRawBufferPointer(start: UnsafeRawPointer(address) + Self.pathOffset, count: count)
        // A path ends at its first zero byte, an abstract name at the end of the address.
        let isAbstract = unsafe length < .max && name[0] == 0
        bytes = unsafe isAbstract ? Array(name) : Array(name.prefix { $0 != 0 })
    }

    /// Whether it is the path of a file.
    var isPath: Bool { (bytes.first ?? 0) != 0 }

    var text: String { String(decoding: bytes, as: UTF8.self) }

    /// As other tools print it: an abstract name with `@` in place of its first byte.
    var description: String {
        bytes.first == 0 ? "@" + String(decoding: bytes.dropFirst(), as: UTF8.self) : text
    }

    /// Calls `body` with the name as a C structure, which lives for the length of the call.
    func withSockaddr<R>(_ body: (UnsafePointer<sockaddr>, Int) -> R) -> R {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        let length = Self.pathOffset + bytes.count + (isPath ? 1 : 0)
        // SAFETY: a `sockaddr_un` begins as a `sockaddr` does, and its length goes with it.
        return unsafe withUnsafePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe body($0, length) }
        }
    }

    /// Calls `body` with the path as C has it.
    func withPath<R>(_ body: (UnsafePointer<CChar>) -> R) -> R {
        // SAFETY: a path has no zero byte, and gets one at its end.
        unsafe (bytes + [0]).withUnsafeBytes { unsafe body($0.baseAddress!.assumingMemoryBound(to: CChar.self)) }
    }
}
