// Which connection's handler a task belongs to: a handler that drains its own server must not wait for itself, also where it
// does that in a child task, as within a time limit. Nothing but a task-local value knows whose child a task is.

internal import Reactor
internal import Synchronization

/// The handlers that a task belongs to: the innermost, and those in which that one's server is served.
struct HandlerPlace: Sendable {
    /// The number of the server's state on the handler's loop, and that of the connection there.
    let state: UInt64
    let connection: UInt64
    /// The handler within which the server is served, which few are.
    let outer: Outer?

    final class Outer: Sendable {
        let place: HandlerPlace
        init(_ place: HandlerPlace) { self.place = place }
    }

    /// That of the calling task; tasks that are started inherit it.
    @TaskLocal static var current: HandlerPlace?

    /// The connection whose handler it is, of a server's state.
    func connection(ofState number: UInt64) -> UInt64? {
        state == number ? connection : outer?.place.connection(ofState: number)
    }

    private static let states = Atomic<UInt64>(0)

    /// A number that no other state has, also of another loop.
    static func nextState() -> UInt64 {
        // What handlers spawn is to be as cheap as what others spawn.
        TaskLocals.carry($current) {
            guard let place = current else { return nil }
            return { loop, body in
                await $current.withValue(place) {
                    // Named, or else the body would begin elsewhere.
                    _ = loop
                    await body(loop)
                }
            }
        }
        return states.add(1, ordering: .relaxed).newValue
    }
}
