// The life of everything that libuv knows by an address. Every kind of handle is a subclass, and the rules are kept
// here and nowhere else:
//
//   1. `uv_*_init` runs on heap memory of its own. If it fails, the memory is freed and no object exists.
//   2. From a good init until the close callback libuv holds exactly one reference to the box, through `data`.
//   3. `close()` is idempotent and runs on the loop's thread. Memory is freed in the close callback, nowhere else.
//   4. A request holds one reference to itself from submit to callback; if submit fails it is taken back on the spot.
//   5. What libuv reads belongs to the request; what libuv writes into belongs to the box until the read callback ends.
//   6. C callbacks borrow or reclaim the box, translate the status, and call one Swift method.
//   7. One owner per descriptor: after `uv_tcp_open` nothing here calls `close(2)` on it.

internal import CLibUV

/// One libuv handle and the Swift object that stands for it.
@safe
class HandleBox {
    enum Phase {
        case open
        case closing
        case closed
    }

    private(set) var phase = Phase.open

    // A stream's, here because there is room: a connection is as small as a size of the allocator's. (idle connections)
    /// Whether libuv is asking for room.
    ///
    /// It goes on using the stream's callbacks after that, so that the stream must not be closed before the read
    /// callback that follows.
    final var isGivingRoom = false
    final var closeAfterRoom: Bool {
        get { rareFlags & 1 != 0 }
        set { rareFlags = newValue ? rareFlags | 1 : rareFlags & ~1 }
    }
    /// Whether the peer has reset the connection.
    final var wasReset: Bool {
        get { rareFlags & 2 != 0 }
        set { rareFlags = newValue ? rareFlags | 2 : rareFlags & ~2 }
    }
    private final var rareFlags: UInt8 = 0
    final var streamKind = StreamKind.tcp
    /// The descriptor, once it was asked for.
    // SAFETY: the loop's thread alone uses it: a check of exclusivity would find nothing.
    @exclusivity(unchecked) final var knownDescriptor: CInt = -1

    /// The loop, which outlives its handles: it does not close before the last close callback has run.
    unowned(unsafe) let core: LoopCore

    // SAFETY: valid from a good init to the close callback (rules 1 and 3), which is when `phase` becomes `.closed`.
    let raw: UnsafeMutableRawPointer

    /// A handle of the given type, which `initialize` makes of the memory by calling the `uv_*_init` function.
    init(
        _ type: uv_handle_type,
        on core: LoopCore,
        _ call: String,
        initialize: (UnsafeMutableRawPointer) -> CInt
    ) throws(SystemError) {
        // The size is asked for at run time: the library may be newer than the header.
        let memory = UnsafeMutableRawPointer.allocate(byteCount: uv_handle_size(type), alignment: 16)
        let status = unsafe initialize(memory)
        guard status >= 0 else {
            unsafe memory.deallocate()  // rule 1
            throw SystemError(status: status, call: call)
        }
        unsafe self.core = core
        unsafe raw = memory
        unsafe handle.pointee.data = unsafe Unmanaged.passRetained(self).toOpaque()  // rule 2
        core.handleOpened()
    }

    final var handle: UnsafeMutablePointer<uv_handle_t> {
        // SAFETY: every libuv handle begins as a `uv_handle_t` does.
        unsafe raw.assumingMemoryBound(to: uv_handle_t.self)
    }

    /// Whether libuv reports the handle as active.
    final var isActive: Bool { unsafe phase == .open && uv_is_active(handle) != 0 }

    /// Asks libuv to close the handle; `didClose()` follows in the loop's next closing phase.
    final func close() {
        guard phase == .open else { return }
        phase = .closing
        unsafe core.handleIsClosing()
        unsafe uv_close(handle, onHandleClosed)
    }

    fileprivate final func finishClosing() {
        require(phase == .closing, "libuv closed a handle that is \(phase)")
        phase = .closed
        unsafe raw.deallocate()
        unsafe core.handleClosed()
        didClose()
    }

    /// Runs once, in the close callback.
    ///
    /// Subclasses drop their closures and tell their owners here.
    func didClose() {}

    /// What the handle is, for `dump()`.
    var summary: String { "\(Self.self)" }

    /// Whether the loop made the handle for itself.
    var isInternal: Bool { false }

    /// The box behind a handle, borrowed.
    static func borrow(_ handle: UnsafeMutablePointer<uv_handle_t>) -> HandleBox? {
        // SAFETY: `data` is the box from a good init to the close callback (rule 2).
        guard let data = unsafe handle.pointee.data else { return nil }
        return unsafe Unmanaged<HandleBox>.fromOpaque(data).takeUnretainedValue()
    }
}

/// The one close callback.
///
/// A top-level function, so that it has no isolation to check.
private func onHandleClosed(_ handle: UnsafeMutablePointer<uv_handle_t>?) {
    // SAFETY: this is libuv's reference coming home (rule 2): after the close callback libuv forgets the handle.
    let box = unsafe Unmanaged<HandleBox>.fromOpaque(handle!.pointee.data!).takeRetainedValue()
    box.finishClosing()
}
