// What a descriptor is that a program brings along, found out before it is taken over: whoever is refused keeps it as
// it was.

internal import CLibUV
internal import CReactor
#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// Why a descriptor cannot be taken over; it is still the caller's, and as it was.
public enum DescriptorError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A regular file or a directory: it is always ready, and so nothing can wait for it.
    case isFile
    /// A device that the system cannot wait for, such as `/dev/null`.
    case cannotBeWaitedFor
    /// Something else than a socket, a pipe, a FIFO or a character device.
    case notAStream
    /// No socket, where one is needed.
    case notASocket
    /// A socket of another type than `SOCK_STREAM`.
    case notAStreamSocket
    /// A socket of another type than `SOCK_DGRAM`, where one for datagrams is needed.
    case notADatagramSocket
    /// A stream socket of another family than IPv4, IPv6 and Unix.
    case unknownFamily
    /// A datagram socket of another family than IPv4 and IPv6, such as a Unix socket.
    case notUDP
    /// A socket that is not connected.
    case notConnected
    /// A socket that listens, where one that is connected is needed.
    case isListening
    /// A socket that is connected, where one that is to listen is needed.
    case isConnected
    /// A socket without an address to listen on.
    case notBound
    /// No terminal, where one is needed.
    case notATerminal
    /// A connection, a listener, a watch or another handle of the same loop has it already.
    case isOwned

    /// What is the matter, in one sentence.
    public var description: String {
        switch self {
        case .isFile: "The descriptor is a file, which cannot be waited for; read and write it with offload(_:)."
        case .cannotBeWaitedFor: "The descriptor is a device that the system cannot wait for."
        case .notAStream: "The descriptor is neither a socket, nor a pipe, a FIFO or a character device."
        case .notASocket: "The descriptor is not a socket."
        case .notAStreamSocket: "The descriptor is a socket, but not of type SOCK_STREAM."
        case .notADatagramSocket: "The descriptor is a socket, but not of type SOCK_DGRAM."
        case .notUDP: "The descriptor is a datagram socket, but neither of IPv4 nor of IPv6: use a RawSocket for it."
        case .unknownFamily: "The descriptor is a stream socket, but neither of IPv4, nor of IPv6, nor a Unix socket."
        case .notConnected: "The descriptor is a socket that is not connected."
        case .isListening: "The descriptor is a socket that listens, and so cannot be a connection."
        case .isConnected: "The descriptor is a socket that is connected, and so cannot listen."
        case .notBound: "The descriptor is a socket that is not bound to an address."
        case .notATerminal: "The descriptor is not a terminal."
        case .isOwned: "The descriptor belongs to a connection or another handle of this loop already."
        }
    }
}

/// A stream socket's state.
struct SocketState {
    let kind: StreamKind
    let isConnected: Bool
    let isListening: Bool

    /// Asks the system.
    init(of descriptor: CInt) throws {
        let description = try DescriptorState(of: descriptor)
        guard description.kind == creactor_kind_socket else { throw DescriptorError.notASocket }
        var state = creactor_socket_state()
        try unsafe check(creactor_socket_state_of(descriptor, &state), "getsockopt")
        guard state.is_stream != 0 else { throw DescriptorError.notAStreamSocket }
        guard let kind = StreamKind(family: state.family) else { throw DescriptorError.unknownFamily }
        self.kind = kind
        isConnected = state.is_connected != 0
        isListening = state.is_listening != 0
    }
}

/// A datagram socket that a program brings along.
struct AdoptedDatagrams {
    let isIPv6: Bool

    /// Asks the system whether it is one that can be taken over.
    init(_ descriptor: CInt) throws {
        let description = try DescriptorState(of: descriptor)
        guard description.kind == creactor_kind_socket else { throw DescriptorError.notASocket }
        var state = creactor_socket_state()
        try unsafe check(creactor_socket_state_of(descriptor, &state), "getsockopt")
        guard state.is_datagram != 0 else { throw DescriptorError.notADatagramSocket }
        guard StreamKind(family: state.family) == .tcp else { throw DescriptorError.notUDP }
        isIPv6 = state.family == AF_INET6
    }

    /// Sets what an existing socket can be given.
    func apply(_ options: DatagramOptions, to descriptor: CInt) throws(SystemError) {
        // Some of them have a meaning of their own for the system, and libuv refuses them.
        if let hops = options.timeToLive, !(1...255).contains(hops) {
            throw SystemError(.invalidArgument, call: "setsockopt")
        }
        let status = creactor_set_datagram_options(
            descriptor,
            isIPv6 ? 1 : 0,
            CInt(clamping: options.timeToLive ?? 0),
            options.allowsBroadcast ? 1 : 0,
            CInt(clamping: options.receiveBufferSize ?? 0),
            CInt(clamping: options.sendBufferSize ?? 0)
        )
        try check(status, "setsockopt")
    }
}

/// What a descriptor is.
struct DescriptorState {
    let kind: creactor_kind
    let isReadable: Bool
    let isWritable: Bool
    let isNonBlocking: Bool

    /// Asks the system.
    init(of descriptor: CInt) throws(SystemError) {
        var description = creactor_description()
        try unsafe check(creactor_describe(descriptor, &description), "fstat")
        kind = description.kind
        isReadable = description.readable != 0
        isWritable = description.writable != 0
        isNonBlocking = description.nonblocking != 0
    }
}

/// A stream that a program brings along.
enum AdoptedStream {
    /// Whether the system can tell when the descriptor is ready.
    static func isPollable(_ descriptor: CInt) throws(SystemError) -> Bool {
        let answer = creactor_is_pollable(descriptor)
        try check(answer, "epoll_ctl")
        return answer > 0
    }

    /// The kind of stream that a descriptor is, if it is one that works.
    static func kind(of descriptor: CInt) throws -> StreamKind {
        let state = try DescriptorState(of: descriptor)
        switch state.kind {
        case creactor_kind_socket:
            let socket = try SocketState(of: descriptor)
            guard !socket.isListening else { throw DescriptorError.isListening }
            guard socket.isConnected else { throw DescriptorError.notConnected }
            return socket.kind
        case creactor_kind_fifo:
            return .pipe
        case creactor_kind_character_device:
            // libuv would end the process.
            guard try isPollable(descriptor) else { throw DescriptorError.cannotBeWaitedFor }
            return .pipe
        case creactor_kind_file, creactor_kind_directory:
            throw DescriptorError.isFile
        default:
            throw DescriptorError.notAStream
        }
    }
}
