// Descriptors as programs without this package have them, and a folder for sockets: what tests bring along, and what
// they look at from outside.

import Foundation

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// A folder for the length of a test, with a short path, as those of sockets are limited.
public struct ScratchFolder: Sendable {
    /// Where it is.
    public let path: String

    /// Makes it.
    public init() {
        var template = Array("/tmp/asyncio-XXXXXX".utf8CString)
        unsafe mkdtemp(&template)
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The path of a file in it.
    public func file(_ name: String) -> String { "\(path)/\(name)" }

    /// The names of the files in it.
    public var files: [String] { (try? FileManager.default.contentsOfDirectory(atPath: path).sorted()) ?? [] }

    /// Removes it and what is in it.
    public func remove() { try? FileManager.default.removeItem(atPath: path) }
}

/// Plain calls on descriptors.
public enum Raw {
    #if canImport(Darwin)
    private static let stream = SOCK_STREAM
    private static let datagram = SOCK_DGRAM
    #else
    private static let stream = CInt(SOCK_STREAM.rawValue)
    private static let datagram = CInt(SOCK_DGRAM.rawValue)
    #endif

    /// Both ends of a Unix connection without names.
    public static func socketPair(ofDatagrams: Bool = false) -> (CInt, CInt) {
        var ends: [CInt] = [-1, -1]
        unsafe socketpair(AF_UNIX, ofDatagrams ? datagram : stream, 0, &ends)
        return (own(ends[0]), own(ends[1]))
    }

    /// The reading and the writing end of a pipe, which block.
    public static func pipe() -> (reading: CInt, writing: CInt) {
        var ends: [CInt] = [-1, -1]
        unsafe Foundation.pipe(&ends)
        return (own(ends[0]), own(ends[1]))
    }

    /// A TCP socket, bound to a free port of 127.0.0.1 if wanted, which listens if wanted.
    public static func tcpSocket(bound: Bool = false, listening: Bool = false) -> CInt {
        let descriptor = own(socket(AF_INET, stream, 0))
        var name = address(port: 0)
        if bound { _ = unsafe withSockaddr(&name) { unsafe bind(descriptor, $0, $1) } }
        if listening { listen(descriptor, 10) }
        return descriptor
    }

    /// The port that a socket is bound to.
    public static func port(of descriptor: CInt) -> Int {
        var name = address(port: 0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = unsafe withSockaddr(&name) { pointer, _ in unsafe getsockname(descriptor, pointer, &length) }
        return Int(UInt16(bigEndian: name.sin_port))
    }

    /// A blocking TCP connection to a port of 127.0.0.1, which keeps so many bytes that it has not read, about; or -1.
    public static func tcpConnection(to port: Int, receiveBuffer size: CInt = 0) -> CInt {
        let descriptor = own(socket(AF_INET, stream, 0))
        setReceiveBuffer(descriptor, size)
        var name = address(port: port)
        if unsafe withSockaddr(&name, { unsafe connect(descriptor, $0, $1) }) == 0 { return descriptor }
        close(descriptor)
        return -1
    }

    /// Both ends of a TCP connection, which block; the second keeps so many bytes that it has not read, about.
    public static func tcpPair(receiveBuffer size: CInt = 0) -> (CInt, CInt) {
        let listener = tcpSocket(bound: true)
        // What is accepted has what its listener has.
        setReceiveBuffer(listener, size)
        listen(listener, 1)
        defer { close(listener) }
        let first = tcpConnection(to: port(of: listener))
        return (first, own(accept(listener, nil, nil)))
    }

    private static func setReceiveBuffer(_ descriptor: CInt, _ size: CInt) {
        guard size > 0 else { return }
        var size = size
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<CInt>.size))
    }

    /// A UDP socket, bound to a free port of 127.0.0.1 if wanted, and connected to a port there if wanted.
    public static func udpSocket(bound: Bool = false, connectedTo port: Int? = nil) -> CInt {
        let descriptor = own(socket(AF_INET, datagram, 0))
        var name = address(port: 0)
        if bound { _ = unsafe withSockaddr(&name) { unsafe bind(descriptor, $0, $1) } }
        guard let port else { return descriptor }
        name = address(port: port)
        _ = unsafe withSockaddr(&name) { unsafe connect(descriptor, $0, $1) }
        return descriptor
    }

    /// A UDP socket of IPv6, bound to a free port of `::1`.
    public static func udpSocketOfIPv6() -> CInt {
        let descriptor = own(socket(AF_INET6, datagram, 0))
        var name = sockaddr_in6()
        name.sin6_family = sa_family_t(AF_INET6)
        name.sin6_addr = in6addr_loopback
        _ = unsafe withSockaddr(&name) { unsafe bind(descriptor, $0, $1) }
        return descriptor
    }

    /// The value of an option of a socket that is an `int`; -1 if it has none.
    public static func option(_ descriptor: CInt, _ level: CInt, _ name: CInt) -> CInt {
        var value: CInt = -1
        var length = socklen_t(MemoryLayout<CInt>.size)
        unsafe getsockopt(descriptor, level, name, &value, &length)
        return value
    }

    /// A Unix socket, bound to a path if there is one, which listens if wanted.
    public static func unixSocket(boundTo path: String? = nil, backlog: CInt? = nil) -> CInt {
        let descriptor = own(socket(AF_UNIX, stream, 0))
        if let path { _ = unsafe withUnixAddress(path) { unsafe bind(descriptor, $0, $1) } }
        if let backlog { listen(descriptor, backlog) }
        return descriptor
    }

    /// Connects a Unix socket without waiting, and returns the errno value, 0 for none.
    public static func connectNow(_ descriptor: CInt, to path: String) -> CInt {
        setNonBlocking(descriptor, true)
        return unsafe withUnixAddress(path) { unsafe connect(descriptor, $0, $1) } == 0 ? 0 : errno
    }

    private static func address(port: Int) -> sockaddr_in {
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        name.sin_port = UInt16(port).bigEndian
        return name
    }

    private static func withSockaddr<Address>(
        _ address: inout Address,
        _ body: (UnsafeMutablePointer<sockaddr>, socklen_t) -> CInt
    ) -> CInt {
        let length = socklen_t(MemoryLayout<Address>.size)
        return unsafe withUnsafeMutablePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe body($0, length) }
        }
    }

    private static func withUnixAddress(
        _ path: String,
        _ body: (UnsafeMutablePointer<sockaddr>, socklen_t) -> CInt
    ) -> CInt {
        var name = sockaddr_un()
        name.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &name.sun_path) { unsafe $0.copyBytes(from: Array(path.utf8)) }
        return unsafe withSockaddr(&name, body)
    }

    // MARK: Whatever it is

    /// Keeps a descriptor from programs that other tests start.
    private static func own(_ descriptor: CInt) -> CInt {
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        return descriptor
    }

    /// Makes `copy` another descriptor of the same open file, in place of what it was.
    public static func duplicate(_ descriptor: CInt, as copy: CInt) {
        dup2(descriptor, copy)
        _ = own(copy)
    }

    /// Whether a descriptor is open.
    public static func isOpen(_ descriptor: CInt) -> Bool { fcntl(descriptor, F_GETFD) >= 0 }

    /// Whether a descriptor does not block.
    public static func isNonBlocking(_ descriptor: CInt) -> Bool { fcntl(descriptor, F_GETFL) & O_NONBLOCK != 0 }

    /// Makes a descriptor block or not.
    public static func setNonBlocking(_ descriptor: CInt, _ on: Bool) {
        let flags = fcntl(descriptor, F_GETFL)
        _ = fcntl(descriptor, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK)
    }

    /// Closes a descriptor.
    public static func close(_ descriptor: CInt) { _ = Foundation.close(descriptor) }

    /// Opens a file.
    public static func open(_ path: String, writing: Bool = false, readingToo: Bool = false) -> CInt {
        let mode = readingToo ? O_RDWR : writing ? O_WRONLY : O_RDONLY
        return unsafe own(Foundation.open(path, mode | (writing ? O_CREAT : 0), 0o600))
    }

    /// Makes a FIFO.
    public static func makeFIFO(_ path: String) { unsafe mkfifo(path, 0o600) }

    /// The permissions of a file.
    public static func permissions(of path: String) -> UInt16 {
        var status = stat()
        unsafe stat(path, &status)
        return UInt16(status.st_mode & 0o7777)
    }

    /// Writes a text, all of it.
    public static func write(_ descriptor: CInt, _ text: String) {
        let bytes = Array(text.utf8)
        _ = unsafe Foundation.write(descriptor, bytes, bytes.count)
    }

    /// Reads once, at most so many bytes, as text; nil if there is nothing and the descriptor does not block.
    public static func read(_ descriptor: CInt, _ count: Int = 65_536) -> String? {
        var room = [UInt8](repeating: 0, count: count)
        let received = unsafe Foundation.read(descriptor, &room, count)
        return received < 0 ? nil : String(decoding: room[..<received], as: UTF8.self)
    }

    /// Reads to the end of what a peer sends, waiting for it: how many bytes those were, and the errno value of what ended
    /// it, 0 for the end.
    public static func readToEnd(_ descriptor: CInt) -> (count: Int, error: CInt) {
        var room = [UInt8](repeating: 0, count: 65_536)
        var count = 0
        while true {
            let received = unsafe Foundation.read(descriptor, &room, room.count)
            if received <= 0 { return (count, received == 0 ? 0 : errno) }
            count += received
        }
    }

    /// The two ends of a new pseudo-terminal of 80 columns and 24 rows.
    public static func terminalPair() -> (controller: CInt, terminal: CInt) {
        #if os(Linux)
        let controller = unsafe Foundation.open("/dev/ptmx", O_RDWR | O_NOCTTY)
        // TIOCSPTLCK and TIOCGPTN, which are no constants for Swift.
        var number: CInt = 0
        _ = unsafe ioctl(controller, 0x4004_5431, &number)
        _ = unsafe ioctl(controller, 0x8004_5430, &number)
        let terminal = unsafe Foundation.open("/dev/pts/\(number)", O_RDWR | O_NOCTTY)
        #else
        let controller = posix_openpt(O_RDWR | O_NOCTTY)
        grantpt(controller)
        unlockpt(controller)
        let terminal = unsafe Foundation.open(ptsname(controller), O_RDWR | O_NOCTTY)
        #endif
        resize(controller, columns: 80, rows: 24)
        return (own(controller), own(terminal))
    }

    /// Changes a terminal's size.
    public static func resize(_ terminal: CInt, columns: UInt16, rows: UInt16) {
        var size = winsize()
        size.ws_col = columns
        size.ws_row = rows
        _ = unsafe ioctl(terminal, UInt(TIOCSWINSZ), &size)
    }

    /// Whether a terminal waits for whole lines, and whether it shows what is typed.
    public static func lineMode(of terminal: CInt) -> (lines: Bool, echo: Bool) {
        var settings = termios()
        unsafe tcgetattr(terminal, &settings)
        return (settings.c_lflag & tcflag_t(ICANON) != 0, settings.c_lflag & tcflag_t(ECHO) != 0)
    }
}
