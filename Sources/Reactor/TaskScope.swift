// The cancellation of a task that lives long, listened to once and heard of by every wait of its own on the loop. Listening
// costs about half a wait; so the tasks that run what is spawned, and the main task, do it once in their lives.
//
// Ground rules:
//   * The function that begins to listen ends it, and holds the scope in between.
//   * A wait enters the scope of the calling task when it begins, and leaves it on the loop when it ends.
//   * A loop finds the scope of a task by the task's address, in a table in which each has one place: a task whose place is
//     taken has no scope, and its waits listen for themselves.

internal import CReactor

/// That a task is listened to.
// SAFETY: used on the loop's thread only, but for `core`, which does not change.
@safe
final class TaskScope: @unchecked Sendable {
    // SAFETY: not counted, as the task holds its loop.
    private unowned(unsafe) let core: LoopCore
    // SAFETY: compared, never followed.
    fileprivate let task: UnsafeRawPointer
    // SAFETY: the runtime's, until it is given back.
    private var registration: UnsafeMutableRawPointer?
    private(set) var wasCancelled = false
    /// Where the task waits.
    // SAFETY: not counted: it leaves before its wait is over.
    @exclusivity(unchecked) var waiting: Unmanaged<Park>?
    /// What the task is beginning, each within a step of its own.
    // SAFETY: not counted: the task holds it, and takes it out before it does anything else.
    @exclusivity(unchecked) var beginning: Unmanaged<SharedChildren>?

    private init(_ core: LoopCore, _ task: UnsafeRawPointer) {
        unsafe self.core = core
        unsafe self.task = task
    }

    /// Begins to listen for the calling task, on the loop; nil if it has no place.
    static func begin(_ core: LoopCore) -> TaskScope? {
        guard let task = unsafe creactor_current_task(), unsafe core.taskScopes.hasPlace(for: task) else { return nil }
        let scope = unsafe TaskScope(core, task)
        core.taskScopes.add(scope)
        unsafe scope.registration = Cancellation.listen(scope)
        return scope
    }

    /// Stops listening, in the task, wherever that is then.
    func end() {
        unsafe Cancellation.stop(registration)
        unsafe core.taskScopes.remove(self)
    }

    /// Any thread.
    func cancelFromAnywhere() {
        if unsafe creactor_current_loop() == core.identity {
            taskWasCancelled()
        } else {
            // A loop that is closed has ended all its waits.
            _ = unsafe core.submit { [self] _ in taskWasCancelled() }
        }
    }

    private func taskWasCancelled() {
        wasCancelled = true
        unsafe beginning?._withUnsafeGuaranteedRef { $0.cancel() }
        unsafe waiting?._withUnsafeGuaranteedRef { $0.cancel() }
    }
}

/// The scopes of a loop.
@safe
final class TaskScopes {
    private static var count: Int { 256 }
    // SAFETY: `count` places from `init` to `deinit`; a scope takes itself out before its task lets go of it.
    private let places: UnsafeMutablePointer<Unmanaged<TaskScope>?>

    init() {
        unsafe places = .allocate(capacity: Self.count)
        unsafe places.initialize(repeating: nil, count: Self.count)
    }

    deinit { unsafe places.deallocate() }

    @inline(__always)
    private func place(of task: UnsafeRawPointer) -> Int {
        let address = UInt(bitPattern: task)
        return Int((address >> 6 ^ address >> 14) & UInt(Self.count - 1))
    }

    func hasPlace(for task: UnsafeRawPointer) -> Bool { unsafe places[place(of: task)] == nil }

    func add(_ scope: TaskScope) { unsafe places[place(of: scope.task)] = Unmanaged.passUnretained(scope) }

    func remove(_ scope: TaskScope) { unsafe places[place(of: scope.task)] = nil }

    /// The scope of a task, if it has one.
    @inline(__always)
    func scope(of task: UnsafeRawPointer?) -> Unmanaged<TaskScope>? {
        guard let task = unsafe task, let scope = unsafe places[place(of: task)] else { return nil }
        return unsafe scope._withUnsafeGuaranteedRef { unsafe $0.task == task } ? scope : nil
    }
}
