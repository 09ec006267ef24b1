// The addresses of a TCP handle's two ends.

internal import CLibUV
#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

enum SocketName {
    /// The address of one end of the socket; nil if the system does not know it, or not any more.
    static func of(_ tcp: UnsafeMutablePointer<uv_tcp_t>, remote: Bool) -> SocketAddress? {
        var storage = sockaddr_storage()
        var length = CInt(MemoryLayout<sockaddr_storage>.size)
        // SAFETY: the storage is as large as any address, and its length goes with it.
        return unsafe withUnsafeMutablePointer(to: &storage) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                let status =
                    remote ? unsafe uv_tcp_getpeername(tcp, $0, &length) : unsafe uv_tcp_getsockname(tcp, $0, &length)
                return status == 0 ? unsafe SocketAddress($0) : nil
            }
        }
    }
}
