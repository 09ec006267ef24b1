// Whose child a task is, found out when somebody asks. A task that awaits children is in no wait of this library, but they
// mostly are, and a child knows its parent: so whoever awaits them is found from below, and pays nothing for it.
//
// Swift's runtime has no word for that. A child has its parent's address behind what every task has, whose size is part of
// the runtime's binary interface. What is read there is looked at before it is believed: with a runtime that does it in
// another way no parent is found, and the children are listed without one.

internal import CReactor

/// Whose child a task is.
enum TaskFamily {
    /// Where in a child its parent is: behind the two words of an object and the 24 that are a task's own.
    private static var place: Int { 26 * MemoryLayout<UInt>.size }

    /// The parent of a task that waits; nil for one that has none, or if it is not known.
    ///
    /// The parent lives as long as its children, and a task keeps its parent, so that any thread may look.
    static func parent(of task: UInt) -> UInt? {
        // SAFETY: the task waits, and so lives.
        guard let address = unsafe UnsafeRawPointer(bitPattern: task), unsafe creactor_is_child_task(address) != 0
        else {
            return nil
        }
        // SAFETY: a child has this word.
        let parent = unsafe address.load(fromByteOffset: place, as: UInt.self)
        // All tasks are objects of one class, which is their first word.
        guard let itself = firstWord(of: task), let other = firstWord(of: parent), itself == other else { return nil }
        return parent
    }

    /// Whether a task that lives is another's child.
    static func isChild(_ task: UInt) -> Bool {
        // SAFETY: the task lives.
        unsafe UnsafeRawPointer(bitPattern: task).map { unsafe creactor_is_child_task($0) != 0 } ?? false
    }

    private static func firstWord(of address: UInt) -> UInt? {
        var words: (UInt, UInt) = (0, 0)
        guard unsafe withUnsafeMutableBytes(of: &words, { unsafe creactor_peek(address, $0.baseAddress!) }) != 0 else {
            return nil
        }
        return words.0
    }
}

extension LoopCore {
    typealias Wait = (task: UInt?, reason: WaitReason)

    /// The parent of a task that waits, on this loop: whose child the main task is, is none of its business.
    private func parent(of task: UInt) -> UInt? {
        task == mainTask ? nil : TaskFamily.parent(of: task) ?? sharedChildren.parent(of: task)
    }

    private func isChild(_ task: UInt) -> Bool {
        task != mainTask && (TaskFamily.isChild(task) || sharedChildren.parent(of: task) != nil)
    }

    /// Takes the timers of time limits out of waits: they are told of as what their parents wait for.
    func takeTimers(_ waits: [Wait]) -> (waits: [Wait], limits: [UInt: WaitReason]) {
        var limits: [UInt: WaitReason] = [:]
        let others = waits.filter { wait in
            guard wait.reason.isTimer, let task = wait.task, let parent = parent(of: task) else {
                return true
            }
            limits[parent] = wait.reason
            return false
        }
        return (others, limits)
    }

    /// Adds those to the list who await the children in it, up to the tasks that are nobody's children, and says of each
    /// parent what it waits for.
    func addParents(_ sightings: inout [TaskSighting], _ limits: [UInt: WaitReason]) {
        var places: [UInt: Int] = [:]
        for (index, sighting) in sightings.enumerated() {
            guard let address = sighting.address else { continue }
            places[address] = index
            if sighting.record == nil, sighting.title == "a task", isChild(address) {
                sightings[index].title = "a child task"
            }
        }
        func place(of task: UInt) -> Int {
            if let place = places[task] { return place }
            let place: Int
            if let known = sightings.firstIndex(where: { $0.record?.isTask(task) == true }) {
                place = known
            } else {
                place = sightings.count
                let title = isChild(task) ? "a child task" : "a task"
                let isCurrent = unsafe task == UInt(bitPattern: creactor_current_task())
                sightings.append(TaskSighting(title: title, isCurrent: isCurrent))
            }
            sightings[place].address = task
            places[task] = place
            return place
        }
        for parent in limits.keys.sorted() { _ = place(of: parent) }
        var index = 0
        while index < sightings.count {
            if let address = sightings[index].address, let parent = parent(of: address) {
                sightings[place(of: parent)].children.append(index)
            }
            index += 1
        }
        for (address, index) in places where sightings[index].reason == nil {
            sightings[index].reason = limits[address] ?? familyReason(address, sightings[index])
        }
    }

    /// What a task waits for that is in no wait of this library.
    private func familyReason(_ task: UInt, _ sighting: TaskSighting) -> WaitReason? {
        guard !sighting.isCurrent, !ready.contains(task: task), !inner.contains(task: task) else { return nil }
        // SAFETY: it has children, or waits for its timer, and so lives.
        let number = unsafe creactor_task_number(UnsafeRawPointer(bitPattern: task))
        if let text = gatherings.text(of: number) { return WaitReason(text: text) }
        let count = sighting.children.count
        return count > 0 ? WaitReason(text: "\(count == 1 ? "a child" : "\(count) children")") : nil
    }
}
