// The system's calls on a socket, for tasks: each is tried first, and only if it would have to wait is the descriptor
// watched. The object may go to any thread; the socket stays on its loop.
//
// Ground rules:
//   * The descriptor is this object's alone: made or adopted by it, closed by it, once.
//   * A wait that is cancelled watches no more when the next call asks: see EventLoop+Descriptors.swift.
//   * One task at a time waits in each direction; a second one is refused, as it would take from the first.

internal import CLibUV
internal import CReactor
#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// An operation on a socket ended when it had sent a part of the bytes.
public struct PartialSendError: Error, CustomStringConvertible {
    /// How many bytes the kernel has taken.
    public let sentCount: Int
    /// Why there were no more, such as `CancellationError`.
    public let reason: any Error

    package init(sentCount: Int, reason: any Error) {
        self.sentCount = sentCount
        self.reason = reason
    }

    /// Both in one sentence.
    public var description: String { "After \(sentCount) bytes were sent: \(reason)" }
}

/// A socket on which tasks make the system's calls themselves.
///
/// For what ``TCPConnection`` and ``UDPSocket`` do not cover: the socket is made and set up by system calls, and its
/// calls wait for it. Any thread may use it. A socket that is dropped without ``close()`` is closed.
///
/// The corresponding asyncio names are those of the `loop.sock_…` functions.
public final class RawSocket: Sendable {
    /// What a socket carries.
    public enum Kind: Sendable, Hashable {
        /// Bytes in order; the C name is `SOCK_STREAM`.
        case stream
        /// Datagrams; the C name is `SOCK_DGRAM`.
        case datagram
    }

    let bound: LoopBound<RawSocketState>

    /// The loop that it belongs to.
    public var loop: EventLoop { bound.loop }

    /// Makes a socket, which is non-blocking and not inherited by other programs.
    ///
    /// - Throws: ``SystemError``, such as ``SystemError/Code/tooManyOpenFiles``.
    ///
    /// The corresponding C name is `socket`.
    public convenience init(
        _ family: SocketAddress.Family,
        _ kind: Kind,
        on loop: isolated EventLoop
    ) throws {
        let domain =
            switch family {
            case .ipv4: AF_INET
            case .ipv6: AF_INET6
            case .unix: AF_UNIX
            }
        let number = creactor_socket(domain, kind == .stream ? 0 : 1)
        try check(number, "socket")
        do {
            try self.init(adopting: number, on: loop)
        } catch {
            creactor_close(number)
            throw error
        }
    }

    /// Takes over a socket that was made elsewhere, and makes it non-blocking.
    ///
    /// From here on nobody else may read, write or close it. If this throws, it is the caller's still.
    ///
    /// - Throws: ``ReadinessError/owned(_:)`` if a connection of the loop has it,
    ///   ``ReadinessError/alwaysReady(_:)`` for a
    ///   regular file, ``SystemError``, ``LoopError/loopClosed``.
    public init(adopting descriptor: CInt, on loop: isolated EventLoop) throws {
        let core = unsafe loop.core
        try core.requireOpen()
        bound = LoopBound(RawSocketState(try core.watches.keptPoll(descriptor, on: core)), on: loop)
    }

    deinit { close() }

    /// Closes the socket: who waits gets ``ReadinessError/closed``.
    ///
    /// Any thread; returns at once. Idempotent.
    public func close() {
        if let state = bound.ifHere { return state.close() }
        // A loop that is closed has closed its sockets.
        _ = try? bound.loop.submit { [bound] loop in bound.value(on: loop).close() }
    }

    /// Calls `body` with the descriptor, on the loop, for settings such as those of `setsockopt`.
    ///
    /// - Throws: ``ReadinessError/closed``, and what `body` throws.
    public func withDescriptor<Value: Sendable>(_ body: @Sendable (CInt) throws -> Value) async throws -> Value {
        try await Self.withDescriptor(bound, body, on: bound.loop)
    }

    private static func withDescriptor<Value: Sendable>(
        _ bound: LoopBound<RawSocketState>,
        _ body: @Sendable (CInt) throws -> Value,
        on loop: isolated EventLoop
    ) throws -> Value {
        try body(try bound.value(on: loop).openDescriptor())
    }

    /// This end's address; nil if the socket is closed.
    public var localAddress: SocketAddress? {
        get async { try? await withDescriptor { SocketCalls.address($0, remote: false) } }
    }

    /// The peer's address; nil if the socket is not connected.
    public var remoteAddress: SocketAddress? {
        get async { try? await withDescriptor { SocketCalls.address($0, remote: true) } }
    }

    /// Binds the socket to an address; port 0 takes any, see ``localAddress``.
    ///
    /// - Throws: ``SystemError`` that names the address.
    public func bind(to address: SocketAddress) async throws {
        try await withDescriptor { try SocketCalls.bind($0, to: address) }
    }

    /// Lets clients connect, who wait until they are accepted.
    ///
    /// - Throws: ``SystemError``.
    public func listen(backlog: Int = 4_096) async throws {
        try await withDescriptor { try check(creactor_listen($0, CInt(clamping: backlog)), "listen") }
    }
}

/// The socket, on its loop.
final class RawSocketState {
    private let poll: DescriptorPoll
    private var isClosed = false

    init(_ poll: DescriptorPoll) { self.poll = poll }

    func openDescriptor() throws -> CInt {
        // A loop that has closed has closed the handle.
        guard !isClosed, poll.phase == .open else { throw ReadinessError.closed }
        return poll.descriptor
    }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        poll.stop(ReadinessError.closed)
    }

    /// Makes a call until it need not wait.
    func attempt<Value>(
        _ readiness: Readiness,
        on loop: isolated EventLoop,
        _ call: (CInt) throws -> Value?
    ) async throws -> Value {
        while true {
            try Task.checkCancellation()
            if let value = try call(try openDescriptor()) { return value }
            try await poll.wait(for: readiness, on: loop)
        }
    }

    /// Waits until the socket is ready.
    func wait(for readiness: Readiness, on loop: isolated EventLoop) async throws {
        _ = try openDescriptor()
        try await poll.wait(for: readiness, on: loop)
    }

    /// Waits until the socket is ready, and throws the error that it has.
    func waitForConnection(to address: SocketAddress, on loop: isolated EventLoop) async throws {
        try await poll.wait(for: .writable, on: loop)
        let status = creactor_socket_error(try openDescriptor())
        if status < 0 { throw SystemError(status: status, call: "connect", address: address) }
    }
}
