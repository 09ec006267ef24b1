// The waits of a loop that are under way, so that it can end them when it ends, and tell people of them.

/// The waits of a loop that are under way: a list through the places themselves.
@safe
final class Parked {
    // SAFETY: not counted: the tasks that wait hold their places, and a place leaves the list when its wait ends.
    private var first: Unmanaged<Park>?

    @inline(__always)
    func insert(_ park: Park) {
        unsafe park.previous = nil
        unsafe park.next = first
        let place = unsafe Unmanaged.passUnretained(park)
        unsafe first?._withUnsafeGuaranteedRef { unsafe $0.previous = place }
        unsafe first = place
    }

    @inline(__always)
    func remove(_ park: Park) {
        if let previous = unsafe park.previous {
            unsafe previous._withUnsafeGuaranteedRef { unsafe $0.next = park.next }
        } else {
            unsafe first = park.next
        }
        unsafe park.next?._withUnsafeGuaranteedRef { unsafe $0.previous = park.previous }
    }

    var isEmpty: Bool { unsafe first == nil }

    /// All places where a task waits, those that began to wait last first.
    var all: [Park] {
        var places: [Park] = []
        var place = unsafe first
        while let here = unsafe place {
            unsafe places.append(here.takeUnretainedValue())
            unsafe place = here._withUnsafeGuaranteedRef { unsafe $0.next }
        }
        return places
    }

    /// Ends all waits as if their tasks had been cancelled.
    func cancelAll() {
        while let park = unsafe first { unsafe park.takeUnretainedValue().cancel() }
    }
}
