// Dispatch's main queue as something that the main loop serves: Foundation and other libraries put work there, and while
// a loop has the main thread nobody else would run it.

internal import CLibUV
internal import CReactor

/// Runs the work of Dispatch's main queue on the main loop.
final class MainQueueWatch: HandleBox {
    /// Nil where Dispatch's main queue has no descriptor to watch.
    static func make(on core: LoopCore) throws(SystemError) -> MainQueueWatch? {
        let descriptor = creactor_main_queue_descriptor()
        return descriptor < 0 ? nil : try MainQueueWatch(core, descriptor)
    }

    private init(_ core: LoopCore, _ descriptor: CInt) throws(SystemError) {
        let loop = unsafe core.raw
        unsafe try super.init(UV_POLL, on: core, "uv_poll_init") {
            unsafe uv_poll_init(loop, $0.assumingMemoryBound(to: uv_poll_t.self), descriptor)
        }
        let poll = unsafe raw.assumingMemoryBound(to: uv_poll_t.self)
        let status = unsafe uv_poll_start(poll, CInt(UV_READABLE.rawValue), onMainQueueWork)
        guard status >= 0 else {
            close()
            throw SystemError(status: status, call: "uv_poll_start")
        }
    }

    fileprivate func drain() {
        unsafe core.enter()
        creactor_drain_main_queue()
        unsafe core.leave { "work on Dispatch's main queue" }
    }

    override var summary: String { "Dispatch's main queue" }
    override var isInternal: Bool { true }
}

private func onMainQueueWork(_ handle: UnsafeMutablePointer<uv_poll_t>?, _: CInt, _: CInt) {
    // SAFETY: `data` is the handle's box until its close callback (rule 2 of HandleBox.swift).
    unsafe Unmanaged<MainQueueWatch>.fromOpaque(handle!.pointee.data!).takeUnretainedValue().drain()
}
