// What a loop has open. libuv keeps the list, so nothing is registered anywhere: a walk over it finds every box.

internal import CLibUV

/// Something that a loop has open, that `dump()` names and that closing the loop closes.
protocol LiveHandle: AnyObject {
    /// What it is and for whom, in a few words.
    var summary: String { get }
    /// Listeners close first (0), then connections (1), then the rest (2).
    var closingOrder: Int { get }
    /// The connection, if it is one.
    var liveTransport: StreamTransport? { get }
    /// Closes it and tells its owner.
    func closeWithLoop()
}

extension LiveHandle {
    var liveTransport: StreamTransport? { nil }
}

extension LoopCore {
    /// Everything open but the loop's own handles, oldest first.
    func liveHandles() -> [any LiveHandle] {
        var found: [any LiveHandle] = []
        for box in boxes() where box.phase == .open {
            if let live = box as? any LiveHandle { found.append(live) }
        }
        if let memory { found += memory.liveHandles }
        return found
    }

    private func boxes() -> [HandleBox] {
        var boxes: [HandleBox] = []
        guard state != .closed else { return boxes }
        // SAFETY: the array outlives the walk, which runs on this thread and keeps no pointer.
        unsafe withUnsafeMutablePointer(to: &boxes) { unsafe uv_walk(raw, collectBox, $0) }
        return boxes
    }

    func dump() -> String {
        var lines = ["EventLoop '\(configuration.name)': \(state), \(figures)"]
        lines.append("scheduled \(callbacks.count)")
        dropCancelledDeadlines()
        if let next = deadlines.top { lines.append("next deadline \(LoopInstant(nanoseconds: next.deadline))") }
        if configuration.isDebug { for site in callbacks.sites { lines.append("  scheduled at \(site)") } }
        if workElsewhere > 0 {
            lines.append("offloaded \(workElsewhere); the shared pool: \(OffloadPool.shared.statistics)")
        }
        let handles = liveHandles()
        lines.append("handles \(handles.count)")
        for handle in handles { lines.append("  \(handle.summary)") }
        return lines.joined(separator: "\n")
    }
}

private func collectBox(_ handle: UnsafeMutablePointer<uv_handle_t>?, _ context: UnsafeMutableRawPointer?) {
    // SAFETY: the context is the array of `boxes()`, for the length of its walk.
    let boxes = unsafe context!.assumingMemoryBound(to: [HandleBox].self)
    if let box = unsafe HandleBox.borrow(handle!) { unsafe boxes.pointee.append(box) }
}
