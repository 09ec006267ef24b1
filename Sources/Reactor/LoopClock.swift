// What a loop asks of time. The real clock is the system's monotonic one; a virtual clock makes every timer test
// exact and instantaneous, because time then passes only when the loop has nothing else to do.

/// The source of a loop's time, when it is not the system's monotonic clock.
///
/// A loop with such a clock never sleeps for a timer: it polls, and when the poll brought nothing and nothing is
/// ready to run, it tells the clock to jump to the next deadline. Without a deadline it waits for input as usual.
///
/// Real sockets and a virtual clock go together badly, because the kernel takes real time: use the loop's memory
/// network (``EventLoop/Configuration/network-swift.property``) with it.
public protocol LoopClock: AnyObject, Sendable {
    /// The present instant. It must never go back.
    var now: LoopInstant { get }

    /// Called on the loop's thread when nothing can happen before `deadline`.
    ///
    /// A clock that jumps sets its time to `deadline`; one that is driven by hand leaves it and so stops the loop's
    /// timers until it is advanced.
    func idle(until deadline: LoopInstant)
}
