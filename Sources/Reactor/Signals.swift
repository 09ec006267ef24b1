// Signals as callbacks of the loop: they run between other callbacks, like everything else, and may do whatever those
// may. Several loops may watch one signal; each hears of it.

internal import CLibUV
#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// A signal of the operating system, by its number.
public struct Signal: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The number.
    public let rawValue: CInt

    /// Creates a signal from its number.
    public init(rawValue: CInt) { self.rawValue = rawValue }

    /// Ctrl-C.
    ///
    /// The C name is `SIGINT`.
    public static var interrupt: Signal { Signal(rawValue: SIGINT) }
    /// A polite request to end.
    ///
    /// The C name is `SIGTERM`.
    public static var terminate: Signal { Signal(rawValue: SIGTERM) }
    /// The terminal is gone; servers take it as a request to read their configuration again.
    ///
    /// The C name is `SIGHUP`.
    public static var hangUp: Signal { Signal(rawValue: SIGHUP) }
    /// Ctrl-\.
    ///
    /// The C name is `SIGQUIT`.
    public static var quit: Signal { Signal(rawValue: SIGQUIT) }
    /// Free for programs to use.
    ///
    /// The C name is `SIGUSR1`.
    public static var user1: Signal { Signal(rawValue: SIGUSR1) }
    /// Free for programs to use.
    ///
    /// The C name is `SIGUSR2`.
    public static var user2: Signal { Signal(rawValue: SIGUSR2) }

    /// The number, as `signal 2`.
    public var description: String { "signal \(rawValue)" }
}

/// A watch on a signal, made by ``EventLoop/onSignal(_:_:)``.
///
/// Goes on until it is cancelled, kept or not.
///
/// Not `Sendable`: it belongs to its loop.
public final class SignalWatcher {
    private var handle: SignalHandle?
    /// Keeps what the handle refers to.
    private let core: LoopCore

    fileprivate init(_ handle: SignalHandle, _ core: LoopCore) {
        self.handle = handle
        self.core = core
    }

    /// Ends the watch and drops its closure.
    ///
    /// Without another watch the signal has its default effect again.
    ///
    /// The corresponding asyncio name is `loop.remove_signal_handler`.
    public func cancel() {
        core.requireHere("SignalWatcher")
        handle?.stop()
        handle = nil
    }
}

extension EventLoop {
    /// Runs `body` on the loop each time the process receives a signal.
    ///
    /// While a watch exists the signal does not have its default effect. A signal that comes while no loop that watches
    /// it runs is delivered by the next run. Signals that come faster than the loop turns may be delivered as one.
    ///
    /// - Parameters:
    ///   - signal: Any but SIGKILL and SIGSTOP, which cannot be watched.
    ///   - body: Runs once for each delivery. An error that it throws goes to ``Configuration/onIssue``.
    /// - Returns: The watch; it goes on if this is dropped.
    /// - Throws: ``SystemError`` for a signal that cannot be watched.
    ///
    /// The corresponding asyncio name is `loop.add_signal_handler`; the corresponding libuv call is `uv_signal_start`.
    @discardableResult
    public func onSignal(_ signal: Signal, _ body: @escaping () throws -> Void) throws -> SignalWatcher {
        try unsafe core.requireOpen()
        return unsafe SignalWatcher(try SignalHandle(core, signal, body), core)
    }
}

/// libuv's side of a watch.
final class SignalHandle: HandleBox, LiveHandle {
    private let signal: Signal
    private var body: (() throws -> Void)?

    init(_ core: LoopCore, _ signal: Signal, _ body: @escaping () throws -> Void) throws(SystemError) {
        self.signal = signal
        self.body = body
        let loop = unsafe core.raw
        unsafe try super.init(UV_SIGNAL, on: core, "uv_signal_init") {
            unsafe uv_signal_init(loop, $0.assumingMemoryBound(to: uv_signal_t.self))
        }
        let status = unsafe uv_signal_start(
            raw.assumingMemoryBound(to: uv_signal_t.self),
            onSignalDelivered,
            signal.rawValue
        )
        guard status >= 0 else {
            close()
            throw SystemError(status: status, call: "uv_signal_start(\(signal))")
        }
    }

    func stop() {
        body = nil
        close()
    }

    func delivered() {
        guard let body else { return }
        unsafe core.enter()
        do { try body() } catch { unsafe core.report(.uncaughtError(error), "the watch on \(signal)") }
        unsafe core.leave { summary }
    }

    override func didClose() { body = nil }
    override var summary: String { "watch on \(signal)" }
    var closingOrder: Int { 2 }
    func closeWithLoop() { stop() }
}

private func onSignalDelivered(_ handle: UnsafeMutablePointer<uv_signal_t>?, _: CInt) {
    // SAFETY: `data` is the handle's box until its close callback (rule 2 of HandleBox.swift).
    let handle = unsafe Unmanaged<SignalHandle>.fromOpaque(handle!.pointee.data!).takeUnretainedValue()
    handle.delivered()
}
