// A reference in one word that is counted when it is set and when it is let go, and not for each use. What a message
// passes through is kept in such fields; a counted field with an uncounted copy of it beside took two. (idle connections)

/// A field that holds an object, or none.
@safe
struct Held<Object: AnyObject>: ~Copyable {
    /// The object, to be used without counting.
    // SAFETY: counted once, from when it is set until it is replaced, taken, or this is gone.
    private(set) var lent: Unmanaged<Object>?

    init() {}

    deinit { unsafe lent?.release() }

    /// The object, counted.
    var object: Object? { unsafe lent?.takeUnretainedValue() }

    /// Holds `next` instead of what is held.
    mutating func set(_ next: Object) {
        let last = unsafe lent
        unsafe lent = Unmanaged.passRetained(next)
        // What goes with it finds this in order.
        unsafe last?.release()
    }

    /// Lets the object go to the caller.
    mutating func take() -> Object? {
        guard let last = unsafe lent else { return nil }
        unsafe lent = nil
        return unsafe last.takeRetainedValue()
    }
}
