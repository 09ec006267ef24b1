// Deadlines that can be moved, and that tasks started within them inherit.

internal import Reactor

/// The deadline of a ``withDeadline(_:_:)``, for its body.
///
/// The corresponding asyncio name is the object of `asyncio.timeout_at`.
public final class Deadline {
    /// When the body is cancelled; nil is never.
    ///
    /// The corresponding asyncio name is `Timeout.when`.
    public private(set) var instant: LoopInstant?

    /// Whether the time has passed, and the body was cancelled for it.
    ///
    /// The corresponding asyncio name is `Timeout.expired`.
    public fileprivate(set) var isExpired = false

    fileprivate var isOver = false
    fileprivate let change: ExplainedPark

    fileprivate init(_ instant: LoopInstant?, here loop: EventLoop) {
        self.instant = instant
        change = ExplainedPark(here: loop, .limit("withDeadline", until: instant))
    }

    /// Moves the deadline; nil takes it away, an instant that has passed cancels the body in the loop's next turn.
    ///
    /// Does nothing if the body was cancelled for it. Traps after the body has ended.
    ///
    /// The corresponding asyncio name is `Timeout.reschedule`.
    public func reschedule(to instant: LoopInstant?) {
        require(!isOver, "A Deadline was rescheduled after its body had ended.")
        guard !isExpired else { return }
        self.instant = instant
        change.subject = .limit("withDeadline", until: instant)
        change.wake()
    }

    /// Waits until the time has passed.
    fileprivate static func pass(_ scope: Transfer<Deadline>, on loop: isolated EventLoop) async throws {
        let scope = scope.value
        while true {
            if let instant = scope.instant, instant <= loop.now { break }
            let timer = scope.instant.map { instant in loop.schedule(at: instant) { scope.change.wake() } }
            defer { timer?.cancel() }
            try await scope.change.wait()
        }
        scope.isExpired = true
    }

    /// The earliest deadline of the code that runs here, for passing on to others; nil if there is none.
    ///
    /// Tasks inherit it, and are cancelled when it has passed: those of `AsyncIO.spawn` at once, a bare `Task { }` where it
    /// waits in this library by itself, and not while it awaits children of its own. Where it waits on no loop, as for a
    /// ``Channel`` on Swift's pool, the instant is one of the system's clock: a loop's virtual time is not known there.
    /// ``OffloadPool/shutdown(within:discardingQueued:)`` waits in a child, and so has its own limit only.
    @TaskLocal public static var inherited: LoopInstant?

    /// Runs `body`, which starts a task that may outlive the calling one, or that hears of the end of its time by being
    /// cancelled: it inherits no deadline.
    package static func hidden<Value>(_ body: () -> Value) -> Value { $inherited.withValue(nil, operation: body) }
}

/// Runs `body`, and cancels it when the loop's clock has reached `deadline`.
///
/// Like ``withTimeout(_:_:)`` with an instant, and with a handle by which `body` can move it. Of nested ones each converts
/// only the cancellation that it caused.
///
/// Must be called on a loop: elsewhere it traps.
///
/// Moving it does not move what tasks have inherited before: see ``Deadline/inherited``.
///
/// - Parameters:
///   - deadline: When; nil is never, unless `body` sets it. One that has passed cancels `body` at its first wait.
///   - body: Has the caller's isolation; neither it nor what it returns needs to be `Sendable`.
/// - Returns: What `body` returns.
/// - Throws: ``DeadlineError`` if the time passed and `body` ended by it; what `body` throws.
///
/// The corresponding asyncio name is `asyncio.timeout_at`.
public func withDeadline<Value>(
    _ deadline: LoopInstant?,
    _ body: nonisolated(nonsending) @escaping (Deadline) async throws -> Value
) async throws -> Value {
    _ = Loops.here("withDeadline")
    try Task.checkCancellation()
    return try await Deadline.run(until: deadline, body)
}

extension Deadline {
    /// The same for a body that begins in any case.
    static func run<Value>(
        until deadline: LoopInstant?,
        _ body: nonisolated(nonsending) @escaping (Deadline) async throws -> Value
    ) async throws -> Value {
        let loop = Loops.here("withDeadline")
        InheritedDeadline.use({ inherited }, hidingBy: { hidden($0) })
        let scope = Deadline(deadline, here: loop)
        defer { scope.isOver = true }
        let (body, shared) = (Transfer(body), Transfer(scope))
        let earliest = [inherited, deadline].compactMap(\.self).min()
        return try await race(
            #isolation,
            { (isolation: isolated (any Actor)?) in
                try await $inherited.withValue(earliest) {
                    // Named, or else the body would begin on Swift's pool.
                    _ = isolation
                    return Transfer(try await body.value(shared.value))
                }
            },
            until: { (_: isolated (any Actor)?) in try await pass(shared, on: loop) },
            failure: { _ in scope.isExpired ? DeadlineError(deadline: scope.instant ?? LoopWait.now) : nil }
        ).value
    }
}

/// A deadline has passed.
///
/// The corresponding asyncio name is `TimeoutError`.
public struct DeadlineError: Error, Hashable, Sendable, CustomStringConvertible {
    /// When it was.
    public let deadline: LoopInstant

    /// Creates the error for a deadline.
    public init(deadline: LoopInstant) { self.deadline = deadline }

    /// A sentence.
    public var description: String { "The operation did not end before its deadline, \(deadline)." }
}
