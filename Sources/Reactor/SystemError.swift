// The one type for errors that come from the system: what libuv or a system call returned, in which call, about which
// address. Equality and hashing look at the code alone, so that `error == .connectionRefused` style tests and switches
// do not depend on where it happened.

internal import CLibUV
internal import CReactor

/// An error that the operating system or libuv reported.
///
/// `description` says the call, the address where there is one, what it means, and the code's name:
/// `uv_listen 127.0.0.1:7777: address already in use (EADDRINUSE)`.
///
/// The corresponding asyncio name is `OSError`; the corresponding libuv calls are `uv_strerror` and `uv_err_name`.
public struct SystemError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What went wrong, independent of where.
    public let code: Code
    /// The libuv function or system call that failed, for messages; never compare it.
    public let call: String
    /// The address that the call was about, where there is one.
    public let address: SocketAddress?

    /// Creates an error as if `call` had reported `code`.
    public init(_ code: Code, call: String, address: SocketAddress? = nil) {
        self.code = code
        self.call = call
        self.address = address
    }

    init(status: CInt, call: String, address: SocketAddress? = nil) {
        self.init(Code(rawValue: status), call: call, address: address)
    }

    /// Whether both errors have the same code, wherever they happened.
    public static func == (left: SystemError, right: SystemError) -> Bool { left.code == right.code }

    /// Hashes the code alone, as equality compares it alone.
    public func hash(into hasher: inout Hasher) { hasher.combine(code) }

    /// The call, the address, the meaning and the code's name in one line.
    public var description: String {
        let place = address.map { "\(call) \($0)" } ?? call
        return "\(place): \(code.message) (\(code.name))"
    }
}

extension SystemError {
    /// An error code, as libuv numbers them: negative, on Unix the negated `errno` value.
    public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
        /// The negative number.
        public let rawValue: CInt

        /// Creates a code from libuv's negative number.
        public init(rawValue: CInt) { self.rawValue = rawValue }

        /// The name, such as `ECONNREFUSED`.
        ///
        /// The corresponding libuv call is `uv_err_name_r`.
        public var name: String { unsafe text { unsafe uv_err_name_r(rawValue, $0, $1) } }

        /// The meaning in words.
        ///
        /// The corresponding libuv call is `uv_strerror_r`.
        public var message: String { unsafe text { unsafe uv_strerror_r(rawValue, $0, $1) } }

        /// The code's name.
        public var description: String { name }

        private func text(
            _ fill: (UnsafeMutablePointer<CChar>?, Int) -> UnsafeMutablePointer<CChar>?
        ) -> String {
            var buffer = [CChar](repeating: 0, count: 128)
            return unsafe buffer.withUnsafeMutableBufferPointer { buffer in
                // SAFETY: libuv ends what it writes with a zero, within the 128 bytes that it is told of.
                _ = unsafe fill(buffer.baseAddress, buffer.count)
                return unsafe String(cString: buffer.baseAddress!)
            }
        }
    }
}

extension SystemError.Code {
    /// The address is taken (libuv: `UV_EADDRINUSE`).
    public static var addressInUse: Self { .init(rawValue: UV_EADDRINUSE.rawValue) }
    /// The address is not one of this machine (libuv: `UV_EADDRNOTAVAIL`).
    public static var addressNotAvailable: Self { .init(rawValue: UV_EADDRNOTAVAIL.rawValue) }
    /// Permission denied, such as a port below 1024 (libuv: `UV_EACCES`).
    public static var accessDenied: Self { .init(rawValue: UV_EACCES.rawValue) }
    /// The peer does not listen there (libuv: `UV_ECONNREFUSED`).
    public static var connectionRefused: Self { .init(rawValue: UV_ECONNREFUSED.rawValue) }
    /// The peer reset the connection (libuv: `UV_ECONNRESET`).
    public static var connectionReset: Self { .init(rawValue: UV_ECONNRESET.rawValue) }
    /// The peer had closed before we wrote (libuv: `UV_EPIPE`).
    public static var brokenPipe: Self { .init(rawValue: UV_EPIPE.rawValue) }
    /// The socket is not connected (libuv: `UV_ENOTCONN`).
    public static var notConnected: Self { .init(rawValue: UV_ENOTCONN.rawValue) }
    /// The kernel gave up on the peer, or a deadline passed (libuv: `UV_ETIMEDOUT`).
    public static var timedOut: Self { .init(rawValue: UV_ETIMEDOUT.rawValue) }
    /// The call was abandoned by a close (libuv: `UV_ECANCELED`).
    public static var canceled: Self { .init(rawValue: UV_ECANCELED.rawValue) }
    /// This process has no descriptor left (libuv: `UV_EMFILE`).
    public static var tooManyOpenFiles: Self { .init(rawValue: UV_EMFILE.rawValue) }
    /// The whole system has no descriptor left (libuv: `UV_ENFILE`).
    public static var tooManyOpenFilesInSystem: Self { .init(rawValue: UV_ENFILE.rawValue) }
    /// The kernel has no buffer space (libuv: `UV_ENOBUFS`).
    public static var noBufferSpace: Self { .init(rawValue: UV_ENOBUFS.rawValue) }
    /// No memory (libuv: `UV_ENOMEM`).
    public static var outOfMemory: Self { .init(rawValue: UV_ENOMEM.rawValue) }
    /// An argument that the call does not take (libuv: `UV_EINVAL`).
    public static var invalidArgument: Self { .init(rawValue: UV_EINVAL.rawValue) }
    /// The call would have had to wait (libuv: `UV_EAGAIN`).
    public static var wouldBlock: Self { .init(rawValue: UV_EAGAIN.rawValue) }
    /// A datagram that is longer than the network takes (libuv: `UV_EMSGSIZE`).
    public static var messageTooLarge: Self { .init(rawValue: UV_EMSGSIZE.rawValue) }
    /// The system does not have the operation (libuv: `UV_ENOSYS`).
    public static var notImplemented: Self { .init(rawValue: UV_ENOSYS.rawValue) }
    /// A device has failed to read or write (libuv: `UV_EIO`).
    public static var inputOutput: Self { .init(rawValue: UV_EIO.rawValue) }
    /// There is no such file or directory (libuv: `UV_ENOENT`).
    public static var noSuchFile: Self { .init(rawValue: UV_ENOENT.rawValue) }
    /// An operation that the kind of descriptor does not have, or the user may not do (libuv: `UV_EPERM`).
    public static var operationNotPermitted: Self { .init(rawValue: UV_EPERM.rawValue) }
    /// No open descriptor, or one of another kind (libuv: `UV_EBADF`).
    public static var badDescriptor: Self { .init(rawValue: UV_EBADF.rawValue) }
    /// Something that the system, or this kind of descriptor, does not do (libuv: `UV_ENOTSUP`).
    public static var notSupported: Self { .init(rawValue: UV_ENOTSUP.rawValue) }
    /// No route to the host (libuv: `UV_EHOSTUNREACH`).
    public static var hostUnreachable: Self { .init(rawValue: UV_EHOSTUNREACH.rawValue) }
    /// The address is of a family that does not fit, or that this machine does not have (libuv: `UV_EAFNOSUPPORT`).
    public static var addressFamilyNotSupported: Self { .init(rawValue: UV_EAFNOSUPPORT.rawValue) }
    /// There is no such name, or it has no address (libuv: `UV_EAI_NONAME`).
    public static var nameNotKnown: Self { .init(rawValue: UV_EAI_NONAME.rawValue) }
    /// No route to the network (libuv: `UV_ENETUNREACH`).
    public static var networkUnreachable: Self { .init(rawValue: UV_ENETUNREACH.rawValue) }
}

/// Throws what libuv reports by a negative status.
func check(_ status: CInt, _ call: String, _ address: SocketAddress? = nil) throws(SystemError) {
    if status < 0 { throw SystemError(status: status, call: call, address: address) }
}
