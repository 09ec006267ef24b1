// Where concurrent operations leave their results, each in a place of its own.

/// Places for results, which are set each by one operation and read when all have ended.
///
/// What is common to it is inlined into the program, which knows the type.
// SAFETY: a place is written by one task and read after that has ended, which the group that awaits them orders.
@safe
@usableFromInline
package final class ResultSlots<Value: Sendable>: @unchecked Sendable {
    // SAFETY: `count` places, initialised in `init` and until `deinit`.
    @usableFromInline let places: UnsafeMutablePointer<Value?>
    @usableFromInline let count: Int

    @inlinable
    package init(_ count: Int) {
        self.count = count
        unsafe places = .allocate(capacity: count)
        unsafe places.initialize(repeating: nil, count: count)
    }

    @inlinable
    deinit {
        unsafe places.deinitialize(count: count)
        unsafe places.deallocate()
    }

    /// Sets a result; once for each place.
    @inlinable
    package func set(_ index: Int, _ value: Value) {
        require(index >= 0 && index < count, "There is no such place for a result.")
        unsafe places[index] = value
    }

    /// All results, which must have been set.
    @inlinable
    package var all: [Value] { (0..<count).map { unsafe places[$0]! } }
}
