// Who awaits operations that were begun together, and how many, for people who ask what tasks wait for.
//
// A task that awaits children waits by Swift's own means, which tell nobody. So it leaves a mark in a table of its loop: two
// words in a place that its number decides. No memory is asked for but once for each loop, and no lock is taken. Where two
// tasks have the same place, the mark of the one that came last counts, and the other is said to await children.

internal import CReactor

/// What the calling task is about to await.
package enum Gathering {
    /// What began the operations.
    package enum Kind: UInt {
        case gather
        case race

        fileprivate var name: String {
            switch self {
            case .gather: "gather"
            case .race: "staggered race"
            }
        }
    }

    /// The calling task awaits `count` operations from here on; on no loop nothing is noted.
    package static func begins(_ count: Int, _ kind: Kind) {
        guard let core = LoopCore.current else { return }
        core.gatherings.add(unsafe creactor_task_number(creactor_current_task()), count, kind)
    }

    /// It awaits them no longer.
    ///
    /// Elsewhere than where it began, as within an ordinary actor, the mark stays, and is nobody's but this task's: numbers of
    /// tasks do not come again, and a task that is used again takes its mark away.
    package static func ends() {
        guard let core = LoopCore.current else { return }
        core.gatherings.remove(unsafe creactor_task_number(creactor_current_task()))
    }
}

/// The marks of a loop.
@safe
final class Gatherings {
    private typealias Mark = (task: UInt64, meaning: UInt)
    private static var count: Int { 256 }
    // SAFETY: nil, or `count` places until `deinit`; used on the loop's thread only.
    @exclusivity(unchecked) private var places: UnsafeMutablePointer<Mark>?

    deinit { unsafe places?.deallocate() }

    @inline(__always)
    func add(_ task: UInt64, _ operations: Int, _ kind: Gathering.Kind) {
        let places = unsafe places ?? allocate()
        unsafe places[Int(task & UInt64(Self.count - 1))] = (task, UInt(operations) << 1 | kind.rawValue)
    }

    @inline(__always)
    func remove(_ task: UInt64) {
        guard let places = unsafe places else { return }
        let place = Int(task & UInt64(Self.count - 1))
        if unsafe places[place].task == task { unsafe places[place] = (0, 0) }
    }

    /// What a task awaits, in words, if it has a mark.
    func text(of task: UInt64) -> String? {
        guard task != 0, let places = unsafe places else { return nil }
        let mark = unsafe places[Int(task & UInt64(Self.count - 1))]
        guard mark.task == task, let kind = Gathering.Kind(rawValue: mark.meaning & 1) else { return nil }
        return "\(kind.name) of \(mark.meaning >> 1)"
    }

    @inline(never)
    private func allocate() -> UnsafeMutablePointer<Mark> {
        let places = UnsafeMutablePointer<Mark>.allocate(capacity: Self.count)
        unsafe places.initialize(repeating: (0, 0), count: Self.count)
        unsafe self.places = places
        return unsafe places
    }
}
