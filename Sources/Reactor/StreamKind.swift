// What can be behind a stream of the system's.

internal import CLibUV
internal import CReactor
#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// The kind of a `SystemStream`.
enum StreamKind: UInt8, CustomStringConvertible {
    case tcp
    case unix
    /// A pipe, a FIFO, or a device that is read and written as one.
    case pipe
    case terminal

    /// Whether it has addresses, can be half-closed, and is written to with `send`.
    @inline(__always)
    var isSocket: Bool { rawValue <= StreamKind.unix.rawValue }

    var description: String {
        switch self {
        case .tcp: "TCP"
        case .unix: "Unix"
        case .pipe: "pipe"
        case .terminal: "terminal"
        }
    }

    /// The kind of the sockets of a family.
    init(_ family: SocketAddress.Family) { self = family == .unix ? .unix : .tcp }

    /// The same for the number of the family.
    init?(family: CInt) {
        switch family {
        case AF_INET, AF_INET6: self = .tcp
        case AF_UNIX: self = .unix
        default: return nil
        }
    }
}

/// How a terminal treats what is typed.
///
/// The corresponding libuv type is `uv_tty_mode_t`.
public enum TerminalMode: Sendable, Hashable {
    /// As the terminal was before: usually line by line, with echo, and with keys that send signals.
    case normal
    /// Each key at once, without echo, and without signals: control-C is a byte like others. What is written is still
    /// translated, so that a line feed also returns.
    case raw
    /// Bytes as they are in both directions, for talking binary over a terminal's line.
    case io

    var native: uv_tty_mode_t {
        switch self {
        case .normal: UV_TTY_MODE_NORMAL
        case .raw: UV_TTY_MODE_RAW
        case .io: UV_TTY_MODE_IO
        }
    }
}
