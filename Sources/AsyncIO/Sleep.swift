// Waiting for time to pass, and for one's turn. On a loop both are the loop's own: its clock, which may be virtual, and
// its order.

/// Waits until at least `duration` has passed on the loop's clock.
///
/// Never early, and at most a millisecond late on an idle loop. Zero or less lets everything run once that is ready, as
/// ``yield()`` does. Outside a loop it waits by Swift's own clock.
///
/// - Throws: `CancellationError` as soon as the task is cancelled; the timer is then gone.
///
/// The corresponding asyncio name is `asyncio.sleep`.
public func sleep(for duration: Duration) async throws { try await LoopWait.sleep(for: duration) }

/// Waits until the loop's clock has reached `deadline`.
///
/// - Throws: `CancellationError` as soon as the task is cancelled.
///
/// The corresponding asyncio name is `loop.call_at` with a future.
public func sleep(until deadline: LoopInstant) async throws { try await LoopWait.sleep(until: deadline) }

/// Lets everything run that is ready on the loop, and then goes on: one turn.
///
/// Tasks that yield take turns in order. Cheaper than `Task.yield`, which takes several turns. Does not look at
/// cancellation.
///
/// The corresponding asyncio name is `asyncio.sleep(0)`.
@inlinable
public func yield() async { await LoopWait.turn() }
