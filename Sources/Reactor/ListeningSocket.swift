// Sockets that listen: made and bound here, or brought along by the program. A Unix socket that was made here has a
// file, which is removed with it if it is still the same file; what somebody else has put there meanwhile stays.

internal import CReactor

/// A listening socket and what goes with it.
@safe
struct ListeningSocket {
    let descriptor: CInt
    /// The file to be removed.
    private let file: File?

    private struct File {
        let name: UnixName
        let device: UInt64
        let inode: UInt64

        func remove() { unsafe name.withPath { unsafe creactor_unlink_if_same($0, device, inode) } }
    }

    /// A socket that listens on the address.
    static func make(_ options: ListenerOptions, _ address: SocketAddress) throws(SystemError) -> ListeningSocket {
        let socket =
            if let name = address.unixName {
                try bound(name, options.unix, address)
            } else {
                try bound(address, options)
            }
        let status = creactor_listen(socket.descriptor, CInt(clamping: options.backlog))
        guard status >= 0 else {
            socket.close()
            throw SystemError(status: status, call: "listen", address: address)
        }
        return socket
    }

    private static func bound(_ address: SocketAddress, _ options: ListenerOptions) throws(SystemError) -> Self {
        var call: UnsafePointer<CChar>?
        let socket = unsafe address.withSockaddr {
            unsafe creactor_bound_socket(
                $0,
                CInt($1),
                options.reuseAddress ? 1 : 0,
                options.reusePort ? 1 : 0,
                &call
            )
        }
        // SAFETY: on failure the call is named by a literal of the C code.
        guard socket >= 0 else {
            throw SystemError(status: socket, call: unsafe String(cString: call!), address: address)
        }
        #if os(Linux)
        // An accepted socket has what its listener has, which saves a system call for each connection.
        let status = options.connection.apply(to: socket)
        guard status >= 0 else {
            creactor_close(socket)
            throw SystemError(status: status, call: "setsockopt", address: address)
        }
        #endif
        return Self(descriptor: socket, file: nil)
    }

    private static func bound(
        _ name: UnixName,
        _ options: UnixListenerOptions,
        _ address: SocketAddress
    ) throws(SystemError) -> Self {
        let socket = creactor_unix_socket()
        if socket < 0 { throw SystemError(status: socket, call: "socket", address: address) }
        let mode = options.permissions.map { CInt($0 & 0o7777) } ?? -1
        var (device, inode): (UInt64, UInt64) = (0, 0)
        var call: UnsafePointer<CChar>?
        let status = unsafe name.withSockaddr { pointer, length in
            func bind(_ path: UnsafePointer<CChar>?) -> CInt {
                let replaces: CInt = options.replacesExisting ? 1 : 0
                return unsafe creactor_bind_unix(
                    socket,
                    pointer,
                    CInt(length),
                    path,
                    replaces,
                    mode,
                    &device,
                    &inode,
                    &call
                )
            }
            return name.isPath ? unsafe name.withPath { unsafe bind($0) } : bind(nil)
        }
        guard status >= 0 else {
            creactor_close(socket)
            // SAFETY: the call is named by a literal of the C code.
            throw SystemError(status: status, call: unsafe String(cString: call!), address: address)
        }
        let isOurs = name.isPath && options.removesOnClose
        return Self(descriptor: socket, file: isOurs ? File(name: name, device: device, inode: inode) : nil)
    }

    /// A socket that the program has bound, which listens from now on, if it does not already.
    ///
    /// It stays the caller's; its file, if it has one, stays when the listener is closed.
    static func adopted(
        _ descriptor: CInt,
        _ options: ListenerOptions
    ) throws -> (ListeningSocket, SocketAddress) {
        let state = try SocketState(of: descriptor)
        guard !state.isConnected else { throw DescriptorError.isConnected }
        guard let address = try SocketName.find(descriptor, remote: false) else { throw DescriptorError.notBound }
        guard address.port != 0 || !(address.unixPath ?? "").isEmpty else { throw DescriptorError.notBound }
        if state.kind == .tcp { try check(options.connection.apply(to: descriptor), "setsockopt", address) }
        try check(creactor_listen(descriptor, CInt(clamping: options.backlog)), "listen", address)
        try check(creactor_set_nonblocking(descriptor, 1), "fcntl", address)
        return (ListeningSocket(descriptor: descriptor, file: nil), address)
    }

    /// Closes the socket and removes its file.
    func close() {
        // In this order: the number of a file is not given to another one while the socket has it.
        file?.remove()
        creactor_close(descriptor)
    }
}
