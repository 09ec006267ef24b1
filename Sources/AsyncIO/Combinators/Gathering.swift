// The mark by which the tree of tasks knows who gathers, for functions that are inlined into the program.

internal import Reactor

/// The calling task awaits operations that it has begun together: see Reactor's `Gatherings`.
@usableFromInline
enum Gathering {
    /// What began the operations.
    enum Kind {
        case gather
        case race
    }

    /// It does from here on.
    @usableFromInline
    static func begins(_ count: Int) { Reactor.Gathering.begins(count, .gather) }

    /// The same for another kind.
    static func begins(_ count: Int, _ kind: Kind) { Reactor.Gathering.begins(count, kind == .race ? .race : .gather) }

    /// It does no longer.
    @usableFromInline
    static func ends() { Reactor.Gathering.ends() }
}
