// What belongs to a loop is not `Sendable`, so the compiler keeps it there. What unchecked code takes elsewhere all the
// same is a race, which is found here, in release builds too: a comparison where all is well.

internal import CReactor

extension LoopCore {
    /// Traps unless the caller is on this loop.
    @inline(__always)
    func requireHere(_ what: StaticString) {
        if !isCurrentHere { requireNearby(what) }
    }

    /// Whether the loop runs on this thread, at this moment.
    @inline(__always)
    var isCurrentHere: Bool { unsafe creactor_is_current_loop(identity) != 0 }

    /// The same where the loop does not run: on its thread, or for the tasks that it has left.
    @inline(never)
    private func requireNearby(_ what: StaticString) {
        // What is left of a closed loop does nothing any more, wherever that is.
        require(
            isCurrent || state == .closed,
            "\(what) was used outside of the EventLoop '\(configuration.name)' that it belongs to. Use it there: reach the "
                + "loop with submit(_:), or `await` a function that is isolated to it."
        )
    }
}
