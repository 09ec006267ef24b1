// A UDP socket behind a transport: the driver of the real network. See HandleBox.swift for the rules that its memory
// follows, DatagramDriver.swift for what it owes its transport.
//
//   * libuv stops reading when there is no room, and only then: `uv_udp_recv_stop` in the middle of a batch would lose
//     the rest of it.
//   * A batch is one libuv callback for each datagram and one more; all of them are one entry into the loop.
//   * Datagrams go to the kernel by system calls of our own, as libuv before 1.50 sends one at a time; those that the
//     kernel does not take go by libuv, which knows when it does.

internal import CLibUV
internal import CReactor
#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// One UDP handle of libuv's.
@safe
final class UDPHandle: HandleBox, LiveHandle {
    var transport: DatagramTransport?
    private let batch: Int
    /// Whether it is of IPv6 and libuv does not know that, as it has not bound it.
    private let isUnknownIPv6: Bool
    private var isInBatch = false
    private var isRoomOfSlab = false

    /// A socket that is bound to an address, if one is given, and connected to another, if one is given.
    init(
        on core: LoopCore,
        local: SocketAddress?,
        remote: SocketAddress?,
        _ options: DatagramOptions
    ) throws(SystemError) {
        let loop = unsafe core.raw
        let family = (local ?? remote)!.family == .ipv4 ? AF_INET : AF_INET6
        batch = options.receiveBatch
        isUnknownIPv6 = false
        let flags = UInt32(family) | (batch > 1 ? UInt32(UV_UDP_RECVMMSG.rawValue) : 0)
        unsafe try super.init(UV_UDP, on: core, "uv_udp_init_ex") {
            unsafe uv_udp_init_ex(loop, $0.assumingMemoryBound(to: uv_udp_t.self), flags)
        }
        do throws(SystemError) {
            try apply(options, family)
            if let local { try bind(local, options) }
            if let remote {
                let status = unsafe remote.withSockaddr { address, _ in unsafe uv_udp_connect(udp, address) }
                try Reactor.check(status, "uv_udp_connect", remote)
            }
        } catch {
            close()
            throw error
        }
    }

    /// A socket that the program brings along, and that is the caller's again if this throws.
    init(
        on core: LoopCore,
        adopting descriptor: CInt,
        isIPv6: Bool,
        _ options: DatagramOptions
    ) throws(SystemError) {
        let loop = unsafe core.raw
        batch = options.receiveBatch
        isUnknownIPv6 = isIPv6
        let flags = batch > 1 ? UInt32(UV_UDP_RECVMMSG.rawValue) : 0
        unsafe try super.init(UV_UDP, on: core, "uv_udp_init_ex") {
            unsafe uv_udp_init_ex(loop, $0.assumingMemoryBound(to: uv_udp_t.self), flags)
        }
        let sharing = Self.sharing(descriptor)
        let status = unsafe uv_udp_open(udp, descriptor)
        guard status >= 0 else {
            close()
            throw SystemError(status: status, call: "uv_udp_open")
        }
        // libuv lets others be bound to the same address, which who made the socket may not want.
        for (name, value) in sharing { _ = creactor_set_option(descriptor, SOL_SOCKET, name, value) }
    }

    /// Whether others may be bound to the socket's address, by the names of the options that say so.
    private static func sharing(_ descriptor: CInt) -> [(CInt, CInt)] {
        [SO_REUSEADDR, SO_REUSEPORT].compactMap { name in
            var value: CInt = 0
            let status = unsafe creactor_get_option(descriptor, SOL_SOCKET, name, &value)
            return status < 0 ? nil : (name, value == 0 ? 0 : 1)
        }
    }

    private func apply(_ options: DatagramOptions, _ family: CInt) throws(SystemError) {
        if options.reusePort { try Reactor.check(creactor_reuse_port(descriptor), "setsockopt(SO_REUSEPORT)") }
        if family == AF_INET6 && options.isIPv6Only {
            // By ourselves, as libuv does it when a socket is bound, and one that is only connected never is.
            try Reactor.check(creactor_ipv6_only(descriptor), "setsockopt(IPV6_V6ONLY)")
        }
        creactor_own_groups_only(descriptor, family == AF_INET6 ? 1 : 0)
        if let size = options.receiveBufferSize {
            var size = CInt(clamping: size)
            try Reactor.check(unsafe uv_recv_buffer_size(handle, &size), "uv_recv_buffer_size")
        }
        if let size = options.sendBufferSize {
            var size = CInt(clamping: size)
            try Reactor.check(unsafe uv_send_buffer_size(handle, &size), "uv_send_buffer_size")
        }
        if options.allowsBroadcast { try change(.broadcast(true)) }
        if let hops = options.timeToLive { try change(.timeToLive(hops)) }
    }

    private func bind(_ local: SocketAddress, _ options: DatagramOptions) throws(SystemError) {
        let flags = options.reuseAddress ? UInt32(UV_UDP_REUSEADDR.rawValue) : 0
        let status = unsafe local.withSockaddr { address, _ in unsafe uv_udp_bind(udp, address, flags) }
        try Reactor.check(status, "uv_udp_bind", local)
    }

    // SAFETY: the memory is a `uv_udp_t` until the close callback.
    var udp: UnsafeMutablePointer<uv_udp_t> { unsafe raw.assumingMemoryBound(to: uv_udp_t.self) }

    /// The socket's descriptor, which libuv owns and alone closes.
    private var descriptor: CInt {
        if unsafe knownDescriptor < 0 { _ = unsafe uv_fileno(handle, &knownDescriptor) }
        return unsafe knownDescriptor
    }

    // MARK: Receiving

    func startReading() throws(SystemError) {
        try Reactor.check(unsafe uv_udp_recv_start(udp, onDatagramRoom, onDatagram), "uv_udp_recv_start")
    }

    fileprivate func giveRoom(_ buffer: UnsafeMutablePointer<uv_buf_t>) {
        guard let transport, transport.hasRoom else {
            unsafe buffer.pointee = uv_buf_t(base: nil, len: 0)
            return
        }
        let slab = unsafe core.slab.room
        isRoomOfSlab = batch == 1 && slab.count >= DatagramParts.largestDatagram
        let room = unsafe isRoomOfSlab ? slab : core.datagrams.room(forBatch: batch)
        unsafe buffer.pointee = uv_buf_t(base: room.baseAddress?.assumingMemoryBound(to: CChar.self), len: room.count)
    }

    fileprivate func didReceive(
        _ count: Int,
        _ buffer: UnsafePointer<uv_buf_t>?,
        _ sender: UnsafePointer<sockaddr>?,
        _ flags: UInt32
    ) {
        if flags & UInt32(UV_UDP_MMSG_FREE.rawValue) != 0 { return endBatch() }
        if count < 0 { return didFail(CInt(count)) }
        guard let sender = unsafe sender, let address = unsafe SocketAddress(sender) else {
            // Nothing there, after all.
            return unsafe core.noteInput()
        }
        let isInMany = flags & UInt32(UV_UDP_MMSG_CHUNK.rawValue) != 0
        if !isInBatch { unsafe core.enter() }
        isInBatch = isInMany
        var datagram = Datagram(unsafe bytes(count, buffer), address)
        datagram.isTruncated = flags & UInt32(UV_UDP_PARTIAL.rawValue) != 0
        transport?.didReceive(datagram)
        if isInMany { return }
        if isRoomOfSlab && count > 0 {
            datagram.bytes = Bytes()
            unsafe core.slab.settle(count)
        }
        leave()
        if unsafe core.slab.isShared { unsafe core.slab.startOverIfFree() }
    }

    private func bytes(_ count: Int, _ buffer: UnsafePointer<uv_buf_t>?) -> Bytes {
        if count == 0 { return Bytes() }
        if isRoomOfSlab { return unsafe core.slab.bytes(count) }
        // SAFETY: libuv has filled so many bytes of the memory that it was given.
        return unsafe Bytes(copying: UnsafeRawBufferPointer(start: buffer!.pointee.base, count: count))
    }

    private func endBatch() {
        guard isInBatch else { return }
        isInBatch = false
        leave()
    }

    private func leave() { unsafe core.leave { transport?.subject("datagramReceived") ?? summary } }

    private func didFail(_ status: CInt) {
        unsafe core.noteInput()
        if status == UV_ENOBUFS.rawValue, let transport, !transport.isDriverReading {
            // Nobody wanted the datagram: this is where reading stops.
            unsafe uv_udp_recv_stop(udp)
            return
        }
        unsafe core.enter()
        transport?.didFail(SystemError(status: status, call: "recvmsg", address: transport?.remoteAddress))
        leave()
    }

    // MARK: Sending

    func trySend(_ bytes: Bytes, to address: SocketAddress?) -> CInt {
        unsafe bytes.withUnsafeBytes { bytes in
            guard let address else {
                return unsafe creactor_send_to(descriptor, bytes.baseAddress, bytes.count, nil, 0)
            }
            return unsafe address.withSockaddr {
                unsafe creactor_send_to(descriptor, bytes.baseAddress, bytes.count, $0, CInt($1))
            }
        }
    }

    func trySend(_ pieces: ArraySlice<Bytes>, to address: SocketAddress?) -> Int {
        let pieces = pieces.prefix(Int(CREACTOR_MOST_DATAGRAMS))
        return unsafe withUnsafeTemporaryAllocation(of: iovec.self, capacity: pieces.count) { list in
            for (place, piece) in pieces.enumerated() {
                // SAFETY: the caller keeps the bytes alive and their memory does not move; the kernel only reads it.
                unsafe piece.withUnsafeBytes {
                    unsafe list.initializeElement(
                        at: place,
                        to: iovec(iov_base: UnsafeMutableRawPointer(mutating: $0.baseAddress), iov_len: $0.count)
                    )
                }
            }
            let count = UInt32(pieces.count)
            guard let address else {
                return unsafe Int(creactor_send_datagrams(descriptor, list.baseAddress, count, nil, 0))
            }
            return unsafe address.withSockaddr {
                unsafe Int(creactor_send_datagrams(descriptor, list.baseAddress, count, $0, CInt($1)))
            }
        }
    }

    // MARK: Settings and state

    func change(_ change: DatagramChange) throws(SystemError) {
        let status: CInt =
            switch change {
            case .multicastTimeToLive(let hops) where isUnknownIPv6:
                creactor_set_ipv6_option(descriptor, creactor_ipv6_multicast_hops, CInt(clamping: hops))
            case .multicastLoopback(let isOn) where isUnknownIPv6:
                creactor_set_ipv6_option(descriptor, creactor_ipv6_multicast_loop, isOn ? 1 : 0)
            case .multicastInterface(nil) where isUnknownIPv6:
                creactor_set_ipv6_option(descriptor, creactor_ipv6_multicast_interface, 0)
            case .timeToLive(let hops) where isUnknownIPv6 && (1...255).contains(hops):
                creactor_set_ipv6_option(descriptor, creactor_ipv6_hops, CInt(clamping: hops))
            case .membership(let group, let interface, nil, let isMember):
                unsafe uv_udp_set_membership(udp, group, interface, isMember ? UV_JOIN_GROUP : UV_LEAVE_GROUP)
            case .membership(let group, let interface, let source?, let isMember):
                unsafe uv_udp_set_source_membership(
                    udp,
                    group,
                    interface,
                    source,
                    isMember ? UV_JOIN_GROUP : UV_LEAVE_GROUP
                )
            case .multicastTimeToLive(let hops): unsafe uv_udp_set_multicast_ttl(udp, CInt(clamping: hops))
            case .multicastLoopback(let isOn): unsafe uv_udp_set_multicast_loop(udp, isOn ? 1 : 0)
            case .multicastInterface(let address): unsafe uv_udp_set_multicast_interface(udp, address)
            case .broadcast(let isAllowed): unsafe uv_udp_set_broadcast(udp, isAllowed ? 1 : 0)
            case .timeToLive(let hops): unsafe uv_udp_set_ttl(udp, CInt(clamping: hops))
            }
        try Reactor.check(status, change.call)
    }

    func address(remote: Bool) -> SocketAddress? {
        guard phase == .open else { return nil }
        var storage = sockaddr_storage()
        var length = CInt(MemoryLayout<sockaddr_storage>.size)
        // SAFETY: the storage is as large as any address, and its length goes with it.
        return unsafe withUnsafeMutablePointer(to: &storage) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                let status =
                    remote ? unsafe uv_udp_getpeername(udp, $0, &length) : unsafe uv_udp_getsockname(udp, $0, &length)
                return status == 0 ? unsafe SocketAddress($0) : nil
            }
        }
    }

    // MARK: Closing

    override func didClose() {
        let transport = transport.take()
        endBatch()
        transport?.didClose()
    }

    override var summary: String { transport?.summary ?? "UDP socket" }
    var closingOrder: Int { 1 }
    func closeWithLoop() { if let transport { transport.closeWithLoop() } else { close() } }
}

/// A datagram that libuv sends when the kernel takes it; it holds itself from submit to callback (rule 4).
@safe
final class UDPSendRequest {
    // SAFETY: lives as long as this object, which is at least until the callback.
    private let raw: UnsafeMutablePointer<uv_udp_send_t>
    private let sending: DatagramSending
    private var socket: UDPHandle?

    init(_ sending: DatagramSending) {
        self.sending = sending
        unsafe raw = UnsafeMutableRawPointer.allocate(byteCount: uv_req_size(UV_UDP_SEND), alignment: 16)
            .bindMemory(to: uv_udp_send_t.self, capacity: 1)
    }

    deinit {
        unsafe raw.deallocate()
    }

    func submit(to socket: UDPHandle) throws(SystemError) {
        self.socket = socket
        unsafe raw.pointee.data = unsafe Unmanaged.passRetained(self).toOpaque()
        // libuv copies the address and the list of buffers, not what is in them.
        let status = unsafe sending.bytes.withUnsafeBytes { bytes in
            // SAFETY: libuv only reads what it sends; the type has no `const`.
            let base = unsafe UnsafeMutableRawPointer(mutating: bytes.baseAddress)
            var buffer = unsafe uv_buf_t(base: base?.assumingMemoryBound(to: CChar.self), len: bytes.count)
            guard let address = sending.address else {
                return unsafe uv_udp_send(raw, socket.udp, &buffer, 1, nil, onDatagramSent)
            }
            return unsafe address.withSockaddr { address, _ in
                unsafe uv_udp_send(raw, socket.udp, &buffer, 1, address, onDatagramSent)
            }
        }
        guard status < 0 else { return }
        _ = unsafe UDPSendRequest.reclaim(raw)
        throw SystemError(status: status, call: "uv_udp_send", address: sending.address)
    }

    fileprivate static func reclaim(_ raw: UnsafeMutablePointer<uv_udp_send_t>) -> (UDPHandle?, DatagramSending) {
        // SAFETY: this takes back the reference that `submit` gave, once: in the callback, or if there is none.
        let request = unsafe Unmanaged<UDPSendRequest>.fromOpaque(raw.pointee.data!).takeRetainedValue()
        return (request.socket.take(), request.sending)
    }
}

// MARK: libuv's callbacks

private func onDatagramRoom(
    _ handle: UnsafeMutablePointer<uv_handle_t>?,
    _: Int,
    _ buffer: UnsafeMutablePointer<uv_buf_t>?
) {
    // SAFETY: `data` is the socket, which libuv keeps alive until the close callback (rule 2).
    unsafe Unmanaged<UDPHandle>.fromOpaque(handle!.pointee.data!).takeUnretainedValue().giveRoom(buffer!)
}

private func onDatagram(
    _ handle: UnsafeMutablePointer<uv_udp_t>?,
    _ count: Int,
    _ buffer: UnsafePointer<uv_buf_t>?,
    _ sender: UnsafePointer<sockaddr>?,
    _ flags: UInt32
) {
    // SAFETY: as above.
    let socket = unsafe Unmanaged<UDPHandle>.fromOpaque(handle!.pointee.data!).takeUnretainedValue()
    unsafe socket.didReceive(count, buffer, sender, flags)
}

private func onDatagramSent(_ request: UnsafeMutablePointer<uv_udp_send_t>?, _ status: CInt) {
    let (socket, sending) = unsafe UDPSendRequest.reclaim(request!)
    socket?.transport?.didSend(sending, status)
}
