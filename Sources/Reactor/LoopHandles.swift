// The five handles that make a libuv loop into ours: prepare and check frame the poll, idle makes it not wait, one
// timer stands for the whole deadline heap, one async handle wakes the loop from other threads. Their callbacks do as
// little as can be: the turn is in LoopCore+Turn.swift.

internal import CLibUV

/// The loop's own handles, made when the loop is made and closed last.
final class LoopHandles {
    let prepare: InternalHandle
    let check: InternalHandle
    let idle: InternalHandle
    let timer: InternalHandle
    let wake: InternalHandle

    /// How many they are.
    static var count: Int { 5 }

    init(on core: LoopCore) throws(SystemError) {
        let loop = unsafe core.raw
        prepare = unsafe try InternalHandle(UV_PREPARE, "prepare", on: core, "uv_prepare_init") {
            unsafe uv_prepare_init(loop, $0.assumingMemoryBound(to: uv_prepare_t.self))
        }
        check = unsafe try InternalHandle(UV_CHECK, "check", on: core, "uv_check_init") {
            unsafe uv_check_init(loop, $0.assumingMemoryBound(to: uv_check_t.self))
        }
        idle = unsafe try InternalHandle(UV_IDLE, "idle", on: core, "uv_idle_init") {
            unsafe uv_idle_init(loop, $0.assumingMemoryBound(to: uv_idle_t.self))
        }
        timer = unsafe try InternalHandle(UV_TIMER, "timer", on: core, "uv_timer_init") {
            unsafe uv_timer_init(loop, $0.assumingMemoryBound(to: uv_timer_t.self))
        }
        wake = unsafe try InternalHandle(UV_ASYNC, "wake", on: core, "uv_async_init") {
            unsafe uv_async_init(loop, $0.assumingMemoryBound(to: uv_async_t.self), onWake)
        }
        try unsafe Self.require(uv_prepare_start(prepare.as(uv_prepare_t.self), onPrepare), "uv_prepare_start")
        try unsafe Self.require(uv_check_start(check.as(uv_check_t.self), onCheck), "uv_check_start")
    }

    private static func require(_ status: CInt, _ call: String) throws(SystemError) {
        if status < 0 { throw SystemError(status: status, call: call) }
    }

    /// Makes the next poll return at once, or lets it wait again.
    func setIdle(_ active: Bool) {
        // SAFETY: the handle is open as long as the loop can turn.
        if active {
            unsafe uv_idle_start(idle.as(uv_idle_t.self), onIdle)
        } else {
            unsafe uv_idle_stop(idle.as(uv_idle_t.self))
        }
    }

    /// Makes the next poll return after `milliseconds` at the latest; says whether it will.
    @discardableResult
    func startTimer(milliseconds: UInt64) -> Bool {
        unsafe uv_timer_start(timer.as(uv_timer_t.self), onTimer, milliseconds, 0) == 0
    }

    func stopTimer() {
        unsafe uv_timer_stop(timer.as(uv_timer_t.self))
    }

    func closeAll() {
        for handle in [prepare, check, idle, timer, wake] { handle.close() }
    }
}

/// A handle of the loop's own.
final class InternalHandle: HandleBox {
    private let name: String

    init(
        _ type: uv_handle_type,
        _ name: String,
        on core: LoopCore,
        _ call: String,
        initialize: (UnsafeMutableRawPointer) -> CInt
    ) throws(SystemError) {
        self.name = name
        unsafe try super.init(type, on: core, call, initialize: initialize)
    }

    func `as`<Raw>(_ type: Raw.Type) -> UnsafeMutablePointer<Raw> {
        unsafe raw.assumingMemoryBound(to: type)
    }

    override var summary: String { name }
    override var isInternal: Bool { true }
}

private func onPrepare(_ handle: UnsafeMutablePointer<uv_prepare_t>?) {
    unsafe LoopCore.of(handle!.pointee.loop).willPoll()
}

private func onCheck(_ handle: UnsafeMutablePointer<uv_check_t>?) {
    unsafe LoopCore.of(handle!.pointee.loop).didPoll()
}

private func onTimer(_ handle: UnsafeMutablePointer<uv_timer_t>?) {
    unsafe LoopCore.of(handle!.pointee.loop).timerFired()
}

// The two that only have to make the poll return; what there is to do is done after it.
private func onIdle(_ handle: UnsafeMutablePointer<uv_idle_t>?) {}
private func onWake(_ handle: UnsafeMutablePointer<uv_async_t>?) {}
