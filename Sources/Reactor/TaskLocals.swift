// Whether a task has task-local values, which Swift's runtime tells nobody. A task that is used again may stand for a new
// one only where the new one would have inherited none.
//
// So the runtime is watched while it binds values, to find out where in a task the list of them begins. Each step is looked
// at before it is believed, and with a runtime that does it in another way nothing is found: then no task is used again.

internal import CReactor
internal import Synchronization

/// Binds a value for a body, which it calls, on the loop.
package typealias LocalBinding =
    @Sendable (_ loop: isolated EventLoop, _ body: @Sendable (isolated EventLoop) async -> Void) async -> Void

/// What is known of how tasks keep their task-local values.
@usableFromInline
package enum TaskLocals {
    /// The values of a task.
    enum Values: CInt {
        case none
        /// None but the one that is carried.
        case carried
        /// Others, or it is not known.
        case others
    }

    /// How many words of a task are looked at: its size in the runtime's binary interface.
    private static let words = 24
    /// The low bits of an entry's first word say what it is; the rest is the next entry's address.
    private static let tag: UInt = 7

    @TaskLocal private static var probe = 0

    // SAFETY: set once, before `isCarried` says so.
    private nonisolated(unsafe) static var bind: @Sendable () -> LocalBinding? = { nil }
    private static let wasCalled = Atomic<Bool>(false)
    private static let isCarried = Atomic<Bool>(false)

    /// Makes one value of this library's own no obstacle to using tasks again: it is bound anew for each body.
    ///
    /// The first call counts.
    ///
    /// - Parameters:
    ///   - key: The value's `TaskLocal`, which lives for ever.
    ///   - bind: Says how to bind what the calling task has; nil if it has none.
    package static func carry(_ key: AnyObject, _ bind: @escaping @Sendable () -> LocalBinding?) {
        guard !wasCalled.exchange(true, ordering: .relaxed) else { return }
        unsafe Self.bind = bind
        isCarried.store(true, ordering: .releasing)
        // SAFETY: compared, never followed.
        unsafe creactor_carry_local(Unmanaged.passUnretained(key).toOpaque())
    }

    /// What the calling task has, and its children see.
    @inline(__always)
    static func values(_ task: UnsafeRawPointer?) -> Values {
        Values(rawValue: unsafe creactor_task_locals(task)) ?? .others
    }

    /// Whether the calling code may have any; false only if it is a task that has none.
    @usableFromInline
    package static var mayBeSet: Bool {
        guard let task = unsafe creactor_current_task() else { return true }
        return unsafe values(task) != .none
    }

    /// How to bind what the calling task carries.
    static var carried: LocalBinding? { isCarried.load(ordering: .acquiring) ? unsafe bind() : nil }

    /// Finds it out, once in a process, if the calling task has no values; if it has, by another one.
    static func findOut() {
        guard creactor_locals_are_unknown() != 0, creactor_locals_begin() != 0 else { return }
        creactor_locals_end(find().map { CInt($0 * MemoryLayout<UInt>.size) } ?? -1)
    }

    /// The only word of the calling task that leads to its values, if it has none now.
    private static func find() -> Int? {
        let before = snapshot()
        let places = $probe.withValue(1) {
            let one = snapshot()
            return $probe.withValue(2) {
                let two = snapshot()
                return (0..<words).filter {
                    before[$0] == 0 && isBinding(one[$0], before: 0) && isBinding(two[$0], before: one[$0])
                }
            }
        }
        guard places.count == 1, let place = places.first, snapshot()[place] == 0 else { return nil }
        return place
    }

    /// Whether there is an entry of the probe's at an address, and the next is as said.
    private static func isBinding(_ address: UInt, before next: UInt) -> Bool {
        var words: (first: UInt, key: UInt) = (0, 0)
        guard unsafe withUnsafeMutableBytes(of: &words, { unsafe creactor_peek(address, $0.baseAddress!) }) != 0 else {
            return false
        }
        // SAFETY: compared, never followed.
        let key = unsafe UInt(bitPattern: Unmanaged.passUnretained($probe).toOpaque())
        return words.first & ~tag == next && words.key == key
    }

    /// The first words of the calling task.
    private static func snapshot() -> [UInt] {
        guard let task = unsafe creactor_current_task() else { return Array(repeating: 0, count: words) }
        // SAFETY: it has so many, and runs here.
        return (0..<words).map { unsafe task.load(fromByteOffset: $0 * MemoryLayout<UInt>.size, as: UInt.self) }
    }
}
