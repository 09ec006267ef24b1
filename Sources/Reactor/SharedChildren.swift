// Operations that a task of a loop runs together, each in a task that others had: see SpawnWorkers.swift. For a group a task
// of Swift's is made for each operation, and most of what it costs is the making.
//
// Ground rules:
//   * Nobody can tell. What can be told apart is run by a group: operations with another isolation than the loop's, those
//     of a task with task-local values of the program's or with an executor that it prefers, and those of a loop that
//     keeps no tasks.
//   * Whoever gathers is gone on only when every operation has ended, also when the loop is closed meanwhile: then by
//     awaiting their tasks.
//   * A failure cancels the others, and the first one counts. A cancelled task is not used again.
//   * What a task runs belongs to whoever gathers, and the tree of tasks shows it there.

internal import CReactor

/// The operations of one gathering that have begun and not ended.
// SAFETY: used as the tasks that run them are: on the loop's thread, or the reaper's after the loop was closed.
@safe
@usableFromInline
package final class SharedChildren: @unchecked Sendable {
    /// Runs the operation that is the worker's current one, and tells the worker what became of it.
    @usableFromInline package typealias Entry = @Sendable (SpawnWorker, isolated EventLoop) async -> Void

    /// How many operations are run in this way: more tasks than a loop keeps would mostly be made anew.
    private static var most: Int { SpawnWorkers.most }

    private let loop: EventLoop
    // SAFETY: as said of the class; so are those that follow.
    @exclusivity(unchecked) private var park: GatheringPark?
    // SAFETY: as above. The first that runs; not counted, as a task that runs holds its worker.
    @exclusivity(unchecked) private var first: Unmanaged<SpawnWorker>?
    // SAFETY: as above.
    @exclusivity(unchecked) private var isCancelled = false
    // SAFETY: as above.
    @exclusivity(unchecked) private var failure: (any Error)?
    /// Who gathers.
    // SAFETY: compared, never followed.
    fileprivate let parent: UnsafeRawPointer
    /// What the operations inherit of who gathers.
    // SAFETY: as said of the class.
    private let binding: LocalBinding?
    /// What the operations need to run.
    // SAFETY: as said of the class.
    @exclusivity(unchecked) private(set) var context: AnyObject?
    // SAFETY: as above. The loop's list.
    @exclusivity(unchecked) fileprivate var next: Unmanaged<SharedChildren>?

    private var core: LoopCore { unsafe loop.core }

    private init(_ loop: EventLoop, _ parent: UnsafeRawPointer, _ binding: LocalBinding?) {
        self.loop = loop
        self.binding = binding
        unsafe self.parent = unsafe parent
    }

    /// For as many operations of the calling task, if they may be run in this way; nil if a group is to run them.
    @usableFromInline
    package static func forMany(_ count: Int, _ isolation: (any Actor)?) -> SharedChildren? {
        guard count > 0, count <= most, let isolation, let current = unsafe LoopCore.currentAddress else { return nil }
        // SAFETY: a loop that runs here lives.
        return unsafe Unmanaged<LoopCore>.fromOpaque(current)._withUnsafeGuaranteedRef { core in
            guard let task = unsafe creactor_current_task(), unsafe creactor_is_task_cancelled(task) == 0,
                let values = unsafe core.hotWorkers._withUnsafeGuaranteedRef({ unsafe $0.valuesOfChildren(core, task) }
                ),
                core.isOwn(isolation), core.mayRunNow, creactor_prefers_executor() == 0
            else { return nil }
            let binding = values == .none ? nil : TaskLocals.carried
            return core.withLoop { unsafe SharedChildren($0, task, binding) }
        }
    }

    /// Whether an operation may be run in this way.
    @usableFromInline
    package func takes(_ isolation: (any Actor)?) -> Bool { isolation.map { core.isOwn($0) } ?? false }

    /// Begins operations, in order, each of which runs within this call until it waits for the first time, or ends.
    ///
    /// The end is to be awaited. `entry` must capture nothing, as a task that waits for more keeps it: what it needs is
    /// `context`, which the worker tells.
    @usableFromInline
    package func begin(_ count: Int, _ context: AnyObject?, _ entry: @escaping Entry) {
        let core = core
        unsafe self.context = context
        core.sharedChildren.add(self)
        let (scope, registration) = unsafe listen()
        for index in 0..<count {
            let worker = unsafe SpawnWorker.forChild(core, loop, of: parent)
            if unsafe creactor_is_task_cancelled(parent) != 0 { cancel() }
            // As in a group that was cancelled: it begins, and finds that it was.
            if unsafe isCancelled { worker.cancel() }
            add(worker)
            worker.begin(index, of: self, entry, binding)
        }
        unsafe scope?._withUnsafeGuaranteedRef { unsafe $0.beginning = nil }
        unsafe Cancellation.stop(registration)
    }

    /// Has those that begin hear of it when one of them cancels the calling task, which does not wait for them yet.
    private func listen() -> (Unmanaged<TaskScope>?, UnsafeMutableRawPointer?) {
        guard let scope = unsafe core.taskScopes.scope(of: parent) else {
            // SAFETY: stopped by the function that asked for it.
            return unsafe (nil, Cancellation.listen(self))
        }
        unsafe scope._withUnsafeGuaranteedRef { unsafe $0.beginning = Unmanaged.passUnretained(self) }
        return unsafe (scope, nil)
    }

    /// The calling task was cancelled while they begin; any thread.
    ///
    /// What another thread cancels is heard of when the next begins, or by the wait for all of them.
    func cancelIfHere() { if core.isRunningHere { cancel() } }

    /// Returns when all have ended.
    ///
    /// - Throws: The first error in time.
    @usableFromInline
    package func end() async throws {
        defer { core.sharedChildren.remove(self) }
        if unsafe first != nil { await wait() }
        if let failure = unsafe failure { throw failure }
    }

    private func wait() async {
        let park = unsafe GatheringPark(core, self, parent)
        unsafe self.park = park
        while unsafe first != nil, unsafe !isCancelled {
            do { try await park.wait() } catch { cancel() }
        }
        while unsafe first != nil, core.acceptsWaits { await park.waitUncancellable() }
        // The loop is closed, and its tasks end elsewhere, which no wait of this loop hears of.
        while let worker = unsafe first {
            await unsafe worker._withUnsafeGuaranteedRef { $0 }.untilEnd()
        }
        unsafe self.park = nil
    }

    /// Cancels those that run, and those that are yet to begin.
    func cancel() {
        guard unsafe !isCancelled else { return }
        unsafe isCancelled = true
        var running: [SpawnWorker] = []
        var worker = unsafe first
        while let here = unsafe worker {
            unsafe running.append(here.takeUnretainedValue())
            unsafe worker = here._withUnsafeGuaranteedRef { unsafe $0.next }
        }
        for worker in running.reversed() { worker.cancel() }
    }

    private func add(_ worker: SpawnWorker) {
        let place = unsafe Unmanaged.passUnretained(worker)
        unsafe worker.next = first
        unsafe worker.previous = nil
        unsafe first?._withUnsafeGuaranteedRef { unsafe $0.previous = place }
        unsafe first = place
    }

    /// The operation that a worker ran has ended.
    func hasEnded(_ worker: SpawnWorker, _ error: (any Error)?) {
        if let previous = unsafe worker.previous {
            unsafe previous._withUnsafeGuaranteedRef { unsafe $0.next = worker.next }
        } else {
            unsafe first = worker.next
        }
        unsafe worker.next?._withUnsafeGuaranteedRef { unsafe $0.previous = worker.previous }
        unsafe worker.next = nil
        unsafe worker.previous = nil
        if let error {
            if unsafe failure == nil { unsafe failure = error }
            cancel()
        }
        if unsafe first == nil { unsafe park?.wakeHere() }
    }

    /// Whether a task runs one of them.
    fileprivate func contains(_ task: UInt) -> Bool {
        var worker = unsafe first
        while let here = unsafe worker {
            if unsafe here._withUnsafeGuaranteedRef({ $0.isTask(task) }) { return true }
            unsafe worker = here._withUnsafeGuaranteedRef { unsafe $0.next }
        }
        return false
    }
}

/// Where a task waits for what it gathers.
@safe
private final class GatheringPark: Park {
    // SAFETY: the task that waits here.
    private let task: UnsafeRawPointer
    // SAFETY: they are held as long as they are waited for.
    private unowned(unsafe) let children: SharedChildren

    init(_ core: LoopCore, _ children: SharedChildren, _ task: UnsafeRawPointer) {
        unsafe self.task = unsafe task
        unsafe self.children = children
        super.init(core)
    }

    /// The operations hear of it at once, and not when whoever gathers goes on: what completes them later comes too late.
    override func hearOfCancellation() { unsafe children.cancel() }

    override func explain() -> WaitReason {
        // SAFETY: it waits here, and so lives.
        unsafe WaitReason(text: core.gatherings.text(of: creactor_task_number(task)) ?? "children")
    }
}

/// The gatherings of a loop that have begun and not ended.
@safe
final class SharedChildrenList {
    // SAFETY: used on the loop's thread only; whoever gathers holds them until they are taken out.
    @exclusivity(unchecked) private var first: Unmanaged<SharedChildren>?

    func add(_ children: SharedChildren) {
        unsafe children.next = first
        unsafe first = Unmanaged.passUnretained(children)
    }

    /// Mostly the first, as those end first that began last.
    func remove(_ children: SharedChildren) {
        let place = unsafe Unmanaged.passUnretained(children)
        let next = unsafe children.next
        if let first = unsafe first, unsafe first.toOpaque() == place.toOpaque() { return unsafe self.first = next }
        var before = unsafe first
        while let here = unsafe before {
            let after = unsafe here._withUnsafeGuaranteedRef { unsafe $0.next }
            if let after = unsafe after, unsafe after.toOpaque() == place.toOpaque() {
                return unsafe here._withUnsafeGuaranteedRef { unsafe $0.next = next }
            }
            unsafe before = after
        }
    }

    /// Who gathers what a task runs, if somebody does.
    func parent(of task: UInt) -> UInt? {
        var children = unsafe first
        while let here = unsafe children {
            let found: UInt? = unsafe here._withUnsafeGuaranteedRef {
                unsafe $0.contains(task) ? UInt(bitPattern: $0.parent) : nil
            }
            if let found { return found }
            unsafe children = here._withUnsafeGuaranteedRef { unsafe $0.next }
        }
        return nil
    }
}

/// Operations that return the same, and their results.
@usableFromInline
package final class Gathered<Value: Sendable>: Sendable {
    @usableFromInline package typealias Operation = @Sendable @isolated(any) () async throws -> Value

    @usableFromInline package let operations: [Operation]
    @usableFromInline package let results: ResultSlots<Value>

    @inlinable
    package init(_ operations: [Operation]) {
        self.operations = operations
        results = ResultSlots(operations.count)
    }
}

extension SharedChildren {
    /// Runs operations, and returns when all have ended.
    @inlinable
    package func run<Value: Sendable>(_ gathered: Gathered<Value>) async throws {
        // The closure captures nothing: a frame less for each operation.
        begin(gathered.operations.count, gathered) { worker, loop in
            _ = loop
            let (child, context) = worker.current
            // SAFETY: it is what was given above.
            let gathered = unsafe unsafeDowncast(context!, to: Gathered<Value>.self)
            do {
                gathered.results.set(child, try await gathered.operations[child]())
                worker.hasRunChild(nil)
            } catch { worker.hasRunChild(error) }
        }
        try await end()
    }
}
