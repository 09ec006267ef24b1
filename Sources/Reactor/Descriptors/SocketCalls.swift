// System calls on a socket that is non-blocking, as they are tried before anybody waits. Each says what it did, that it
// would have to wait (nil), or why it failed.

internal import CLibUV
internal import CReactor
#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

enum SocketCalls {
    /// A count, or nil if the call would have to wait.
    private static func count(
        _ status: Int,
        _ call: String,
        _ address: SocketAddress? = nil
    ) throws(SystemError) -> Int? {
        if status >= 0 { return status }
        if status == Int(SystemError.Code.wouldBlock.rawValue) { return nil }
        throw SystemError(status: CInt(status), call: call, address: address)
    }

    /// The most that is read at once into memory that is not the caller's.
    static var largestRead: Int { 65_536 }

    static func receive(_ descriptor: CInt, upTo limit: Int) throws(SystemError) -> Bytes? {
        let result: Result<Bytes?, SystemError> = unsafe withUnsafeTemporaryAllocation(
            byteCount: min(limit, largestRead),
            alignment: 16
        ) { room in
            Result { () throws(SystemError) -> Bytes? in
                let read = unsafe creactor_receive(descriptor, room.baseAddress, room.count)
                guard let count = try count(read, "recv") else { return nil }
                // SAFETY: the kernel has filled so many bytes of the room.
                return unsafe Bytes(copying: UnsafeRawBufferPointer(rebasing: room[..<count]))
            }
        }
        return try result.get()
    }

    static func receive(_ descriptor: CInt, into span: inout MutableRawSpan) throws(SystemError) -> Int? {
        let status = unsafe span.withUnsafeMutableBytes {
            unsafe creactor_receive(descriptor, $0.baseAddress, $0.count)
        }
        return try count(status, "recv")
    }

    static func receiveFrom(_ descriptor: CInt) throws(SystemError) -> Datagram? {
        let result: Result<Datagram?, SystemError> = unsafe withUnsafeTemporaryAllocation(
            byteCount: DatagramParts.largestDatagram,
            alignment: 16
        ) { room in
            var storage = sockaddr_storage()
            var length = CInt(MemoryLayout<sockaddr_storage>.size)
            var isTruncated: CInt = 0
            // SAFETY: the storage is as large as any address, and its length goes with it.
            let (status, sender) = unsafe withUnsafeMutablePointer(to: &storage) { storage in
                let status = unsafe creactor_receive_from(
                    descriptor,
                    room.baseAddress,
                    room.count,
                    storage,
                    &length,
                    &isTruncated
                )
                // A Unix socket that is bound to nothing has no address to say.
                let sender: SocketAddress? =
                    length == 0
                    ? .unnamedUnix
                    : unsafe storage.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        unsafe SocketAddress($0, length: Int(length))
                    }
                return (status, sender)
            }
            return Result { () throws(SystemError) -> Datagram? in
                guard let count = try count(status, "recvmsg") else { return nil }
                guard let sender else { throw SystemError(.addressFamilyNotSupported, call: "recvmsg") }
                // SAFETY: the kernel has filled so many bytes of the room.
                let bytes = unsafe Bytes(copying: UnsafeRawBufferPointer(rebasing: room[..<count]))
                var datagram = Datagram(bytes, sender)
                datagram.isTruncated = isTruncated != 0
                return datagram
            }
        }
        return try result.get()
    }

    static func send(_ descriptor: CInt, _ bytes: Bytes) throws(SystemError) -> Int? {
        let status = unsafe bytes.withUnsafeBytes { unsafe creactor_send(descriptor, $0.baseAddress, $0.count) }
        return try count(status, "send")
    }

    /// Sends a datagram; true, or nil if the call would have to wait.
    static func send(_ descriptor: CInt, _ bytes: Bytes, to address: SocketAddress) throws(SystemError) -> Bool? {
        let status = unsafe bytes.withUnsafeBytes { bytes in
            unsafe address.withSockaddr {
                unsafe creactor_send_to(descriptor, bytes.baseAddress, bytes.count, $0, CInt($1))
            }
        }
        return try count(Int(status), "sendto", address).map { _ in true }
    }

    static func accept(_ descriptor: CInt) throws(SystemError) -> CInt? {
        try count(Int(creactor_accept(descriptor, nil, nil)), "accept").map { CInt($0) }
    }

    /// Sends from a file; nil if the call would have to wait.
    static func sendFile(
        _ descriptor: CInt,
        _ file: CInt,
        _ count: Int,
        at offset: Int
    ) throws(SystemError) -> FileStep? {
        let status = creactor_send_file(descriptor, file, Int64(offset), count)
        if status == Int(SystemError.Code.notImplemented.rawValue) { return .impossible }
        guard let sent = try self.count(status, "sendfile") else { return nil }
        return sent > 0 ? .sent(sent) : .endOfFile
    }

    /// Closes a descriptor that nobody owns.
    static func close(_ descriptor: CInt) { creactor_close(descriptor) }

    /// Begins to connect; true if that is done, false if it goes on.
    static func connect(_ descriptor: CInt, to address: SocketAddress) throws(SystemError) -> Bool {
        let status = unsafe address.withSockaddr { unsafe creactor_connect(descriptor, $0, CInt($1)) }
        if status < 0 { throw SystemError(status: status, call: "connect", address: address) }
        return status == 0
    }

    static func bind(_ descriptor: CInt, to address: SocketAddress) throws(SystemError) {
        let status = unsafe address.withSockaddr { unsafe creactor_bind(descriptor, $0, CInt($1)) }
        try check(status, "bind", address)
    }

    static func address(_ descriptor: CInt, remote: Bool) -> SocketAddress? {
        SocketName.of(descriptor, remote: remote)
    }
}
