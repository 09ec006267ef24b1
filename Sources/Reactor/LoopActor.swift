// Actors that live on a loop, without a word of unsafe code of their own.

/// An actor whose code runs on a loop.
///
///     actor Score: LoopActor {
///         let loop: EventLoop
///         private var points = 0
///         init(on loop: EventLoop) { self.loop = loop }
///         func add(_ more: Int) { points += more }
///     }
///
/// For state that several tasks of one loop share where the loop is not the main actor: in `withEventLoop`, in tests with a
/// virtual clock, on loops of other threads. Any task may capture the actor, what belongs to it need not be `Sendable`, and
/// its code takes turns at each `await` as all code of the loop does. Calls from the loop's own code stay on its thread.
///
/// Any thread may call it. When the loop is closed, its code runs on a thread that all closed loops share.
public protocol LoopActor: Actor {
    /// The loop that it lives on; always the same one.
    nonisolated var loop: EventLoop { get }
}

extension LoopActor {
    /// The executor of ``loop``.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.unownedExecutor }
}
