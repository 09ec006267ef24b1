// One `uv_poll_t` for each descriptor that is watched on a loop, for both directions. What it keeps true:
//
//   * A descriptor may be closed as soon as nobody watches it: libuv forgets it when the handle stops, at once.
//   * A handle that is done with is stopped and closed in one step, so that it never touches a descriptor of the same
//     number that came later.
//   * libuv stops watching after an error (`POLLERR`); here both directions are told, and the watch goes on.
//   * One owner: what a connection, a listener or a datagram socket of the loop has is refused.

internal import CLibUV
internal import CReactor

/// What a descriptor is watched for.
public enum Readiness: Sendable, Hashable {
    /// Something can be read, or the end of it, or somebody wants to connect.
    ///
    /// The libuv name is `UV_READABLE`.
    case readable
    /// Something can be written, or a connection that was being made is there, or has failed.
    ///
    /// The libuv name is `UV_WRITABLE`.
    case writable
}

/// A mistake in waiting for a descriptor or in using a ``RawSocket``, or its end.
///
/// Why a descriptor is refused that a connection or a listener was to take over, ``DescriptorError`` says.
public enum ReadinessError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A connection, a listener or a datagram socket of this loop has the descriptor.
    case owned(CInt)
    /// It is a regular file or a directory, which is always ready: there is nothing to wait for.
    case alwaysReady(CInt)
    /// Somebody waits already for the descriptor to become this.
    case busy(CInt, Readiness)
    /// Another watch for the same took the place of this one.
    case replaced
    /// The socket is closed by this side.
    case closed

    /// What happened, in one sentence.
    public var description: String {
        switch self {
        case .owned(let descriptor):
            "Descriptor \(descriptor) belongs to a connection or another handle of this loop, which reads and writes it."
        case .alwaysReady(let descriptor):
            "Descriptor \(descriptor) is a regular file or a directory, which cannot be waited for: use AsyncIO.offload."
        case .busy(let descriptor, let readiness):
            "Something waits already until descriptor \(descriptor) is \(readiness)."
        case .replaced: "Another watch for the same has taken the place of this one."
        case .closed: "The socket is closed."
        }
    }
}

/// The descriptors that a loop watches.
final class DescriptorWatches {
    private var polls: [CInt: DescriptorPoll] = [:]

    /// The one handle for a descriptor, made if there is none.
    func poll(_ descriptor: CInt, on core: LoopCore) throws -> DescriptorPoll {
        if let poll = polls[descriptor] { return poll }
        try requireWatchable(descriptor, on: core)
        let poll = try DescriptorPoll(descriptor, on: core)
        polls[descriptor] = poll
        return poll
    }

    /// A handle that takes the descriptor over, keeps it when nobody waits, and closes it at its end.
    func keptPoll(_ descriptor: CInt, on core: LoopCore) throws -> DescriptorPoll {
        if polls[descriptor] != nil { throw ReadinessError.owned(descriptor) }
        try requireWatchable(descriptor, on: core)
        return try DescriptorPoll(descriptor, on: core, isKept: true)
    }

    private func requireWatchable(_ descriptor: CInt, on core: LoopCore) throws {
        let status = creactor_check_watchable(descriptor)
        if status == SystemError.Code.operationNotPermitted.rawValue { throw ReadinessError.alwaysReady(descriptor) }
        try check(status, "fstat(\(descriptor))")
        if core.owns(descriptor) { throw ReadinessError.owned(descriptor) }
    }

    fileprivate func forget(_ descriptor: CInt) { polls[descriptor] = nil }
}

/// libuv's side of the watches on one descriptor.
final class DescriptorPoll: HandleBox, LiveHandle {
    let descriptor: CInt
    private var reader: DescriptorWatch?
    private var writer: DescriptorWatch?
    /// Whether it has the descriptor for its own, stays when nobody watches, and closes it at its end.
    private let isKept: Bool

    init(_ descriptor: CInt, on core: LoopCore, isKept: Bool = false) throws(SystemError) {
        self.descriptor = descriptor
        self.isKept = isKept
        let loop = unsafe core.raw
        unsafe try super.init(UV_POLL, on: core, "uv_poll_init(\(descriptor))") {
            unsafe uv_poll_init(loop, $0.assumingMemoryBound(to: uv_poll_t.self), descriptor)
        }
    }

    // SAFETY: the memory is a `uv_poll_t` until the close callback.
    private var poll: UnsafeMutablePointer<uv_poll_t> { unsafe raw.assumingMemoryBound(to: uv_poll_t.self) }

    subscript(readiness: Readiness) -> DescriptorWatch? { readiness == .readable ? reader : writer }

    /// Sets who watches a direction; who did before is told that it was replaced.
    func set(_ watch: DescriptorWatch?, for readiness: Readiness) throws(SystemError) {
        let previous = self[readiness]
        if readiness == .readable { reader = watch } else { writer = watch }
        do throws(SystemError) {
            try apply()
        } catch {
            if readiness == .readable { reader = previous } else { writer = previous }
            throw error
        }
        if watch != nil { previous?.end(ReadinessError.replaced) }
    }

    /// Watches for what is wanted.
    private func apply() throws(SystemError) {
        guard phase == .open else { return }
        let events =
            (reader == nil ? 0 : CInt(UV_READABLE.rawValue)) | (writer == nil ? 0 : CInt(UV_WRITABLE.rawValue))
        if events != 0 {
            try check(unsafe uv_poll_start(poll, events, onReady), "uv_poll_start(\(descriptor))")
        } else if isKept {
            unsafe uv_poll_stop(poll)
        } else {
            stop(nil)
        }
    }

    /// Ends all watches because of an error, and forgets the descriptor.
    func stop(_ error: (any Error)?) {
        guard phase == .open else { return }
        unsafe uv_poll_stop(poll)
        close()
        // libuv forgets a descriptor as soon as it stops watching it.
        if isKept { creactor_close(descriptor) } else { unsafe core.watches.forget(descriptor) }
        let watches = [reader.take(), writer.take()]
        if let error { for watch in watches { watch?.end(error) } }
    }

    fileprivate func ready(_ status: CInt, _ events: CInt) {
        unsafe core.enter()
        let (reader, writer) = (reader, writer)
        if status < 0 || events & CInt(UV_READABLE.rawValue) != 0 { reader?.fire() }
        // The first may have cancelled the second.
        if status < 0 || events & CInt(UV_WRITABLE.rawValue) != 0 { writer?.fire() }
        if status < 0 {
            do { try apply() } catch { stop(error) }
        }
        unsafe core.leave { summary }
    }

    override var summary: String {
        let directions = [reader == nil ? nil : "readable", writer == nil ? nil : "writable"].compactMap { $0 }
        if isKept { return "socket with descriptor \(descriptor)" }
        return "watch on descriptor \(descriptor) (\(directions.joined(separator: ", ")))"
    }
    var closingOrder: Int { 2 }
    func closeWithLoop() { stop(LoopError.loopClosed) }
}

/// A watch on a descriptor, made by ``EventLoop/watch(_:for:_:)``.
///
/// Goes on until it is cancelled, kept or not. Not `Sendable`: it belongs to its loop.
public final class DescriptorWatch {
    private let core: LoopCore
    private weak var poll: DescriptorPoll?
    private let readiness: Readiness
    private var body: (() throws -> Void)?
    /// The task that waits, if it is one that watches.
    private let park: Park?
    /// Why it has ended, if not by ``cancel()``.
    private(set) var failure: (any Error)?

    init(
        _ core: LoopCore,
        _ poll: DescriptorPoll,
        _ readiness: Readiness,
        _ body: (() throws -> Void)?,
        _ park: Park?
    ) {
        self.core = core
        self.poll = poll
        self.readiness = readiness
        self.body = body
        self.park = park
    }

    /// Whether it watches: neither cancelled nor replaced.
    public var isActive: Bool { poll.map { $0[readiness] === self } ?? false }

    /// Whether somebody would miss it.
    var isWaitedFor: Bool { park.map(\.isOccupied) ?? true }

    /// Ends the watch and drops its closure, which is not called any more.
    ///
    /// If nothing else watches the descriptor, it may be closed as soon as this returns.
    ///
    /// - Returns: Whether it was active; false also if the loop is closed.
    ///
    /// The corresponding asyncio names are `loop.remove_reader` and `loop.remove_writer`; the corresponding libuv
    /// call is `uv_poll_stop`.
    @discardableResult
    public func cancel() -> Bool {
        core.requireHere("DescriptorWatch")
        guard let poll, isActive else { return false }
        body = nil
        self.poll = nil
        do { try poll.set(nil, for: readiness) } catch { poll.stop(error) }
        return true
    }

    /// The handle does not serve it any more.
    func end(_ error: any Error) {
        failure = error
        body = nil
        poll = nil
        park?.wakeHere()
    }

    fileprivate func fire() {
        guard isActive else { return }
        if let park {
            park.wakeHere()
        } else if let body {
            do { try body() } catch {
                core.report(.uncaughtError(error), "the watch on a \(readiness) descriptor")
            }
        }
    }
}

extension LoopCore {
    /// Whether a handle of the loop has the descriptor.
    func owns(_ descriptor: CInt) -> Bool {
        var search = OwnerSearch(descriptor: descriptor)
        // SAFETY: the search outlives the walk, which runs on this thread and keeps no pointer.
        unsafe withUnsafeMutablePointer(to: &search) { unsafe uv_walk(raw, compareDescriptor, $0) }
        return search.isFound
    }
}

private struct OwnerSearch {
    let descriptor: CInt
    var isFound = false
}

private func compareDescriptor(_ handle: UnsafeMutablePointer<uv_handle_t>?, _ context: UnsafeMutableRawPointer?) {
    // SAFETY: the context is the search of `owns`, for the length of its walk.
    let search = unsafe context!.assumingMemoryBound(to: OwnerSearch.self)
    var descriptor: CInt = -1
    // Handles without one, and those that are closing, say so.
    if unsafe uv_fileno(handle, &descriptor) == 0 && descriptor == search.pointee.descriptor {
        unsafe search.pointee.isFound = true
    }
}

private func onReady(_ poll: UnsafeMutablePointer<uv_poll_t>?, _ status: CInt, _ events: CInt) {
    // SAFETY: `data` is the handle's box until its close callback (rule 2 of HandleBox.swift).
    let handle = unsafe Unmanaged<DescriptorPoll>.fromOpaque(poll!.pointee.data!).takeUnretainedValue()
    handle.ready(status, events)
}
