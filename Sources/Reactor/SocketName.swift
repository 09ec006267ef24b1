// The addresses of a socket's two ends.

internal import CLibUV
internal import CReactor
#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

enum SocketName {
    /// The address of one end of the socket; nil if the system does not know it, or not any more.
    static func of(_ socket: CInt, remote: Bool) -> SocketAddress? {
        do { return try find(socket, remote: remote) } catch { return nil }
    }

    /// The same, or why the system does not say; nil for an address of a family that has no name here.
    static func find(_ socket: CInt, remote: Bool) throws(SystemError) -> SocketAddress? {
        var storage = sockaddr_storage()
        var length = CInt(MemoryLayout<sockaddr_storage>.size)
        // SAFETY: the storage is as large as any address, and its length goes with it.
        let status =
            remote
            ? unsafe creactor_peer_name(socket, &storage, &length)
            : unsafe creactor_socket_name(socket, &storage, &length)
        try check(status, remote ? "getpeername" : "getsockname")
        return unsafe withUnsafePointer(to: &storage) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe SocketAddress($0, length: Int(length))
            }
        }
    }
}
