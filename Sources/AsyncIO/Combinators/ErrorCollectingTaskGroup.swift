// Children that fail together: the first error cancels the others and the body, all are awaited, and what went wrong is
// told in full, where Swift's own groups keep the first error.

internal import Reactor

/// All errors of a ``withErrorCollectingTaskGroup(_:)``.
///
/// The corresponding asyncio name is the `ExceptionGroup` of an `asyncio.TaskGroup`.
public struct TaskGroupError: Error, CustomStringConvertible {
    /// What the body and the children threw, in the order in which it happened; `CancellationError` is left out.
    public let errors: [any Error]

    /// All of them in a sentence.
    public var description: String {
        "\(errors.count) errors in a task group: " + errors.map { "\($0)" }.joined(separator: "; ")
    }
}

/// The group of a ``withErrorCollectingTaskGroup(_:)``, to which children are added.
///
/// Belongs to the loop that it was made on: used elsewhere it traps.
public final class ErrorCollectingTaskGroup: Sendable {
    private let state: LoopBound<GroupState>

    fileprivate init(_ state: LoopBound<GroupState>) { self.state = state }

    /// Starts a child, which has the isolation of the place where it is written.
    ///
    /// It begins when the code that adds it waits. Children may add children, also when the body has ended. In a group that
    /// was cancelled or has failed a child is cancelled when it begins. Traps if the group is over.
    ///
    /// The corresponding asyncio name is `TaskGroup.create_task`.
    public func addTask(
        @_inheritActorContext(always) _ body: @escaping @Sendable @isolated(any) () async throws -> Void
    ) {
        state.loop.assumeIsolated { state.value(on: $0).add(body) }
    }

    /// Cancels the body and all children, those to come included.
    ///
    /// The group then ends without an error of its own, if none of them throws anything but `CancellationError`.
    ///
    /// The corresponding asyncio name is `TaskGroup.cancel`.
    public func cancelAll() {
        state.loop.assumeIsolated { state.value(on: $0).cancel() }
    }
}

/// What a group knows of its children, on its loop.
private final class GroupState {
    typealias Operation = @Sendable @isolated(any) () async throws -> Void

    /// Children that were added and have not begun, and those before them, last first.
    private var added: [Operation] = []
    private var beginning: [Operation] = []
    /// How many have not ended, the body and those that have not begun included.
    private(set) var unfinished = 1
    private(set) var errors: [any Error] = []
    private(set) var isCancelled = false
    /// Whether one has ended because it was cancelled.
    private(set) var wasCutShort = false
    var isOver = false
    /// Where the task of the group waits for children to begin, to be cancelled and to end.
    let news = WaitQueue("withErrorCollectingTaskGroup")

    func add(_ operation: @escaping Operation) {
        require(!isOver, "A child was added to a task group that is over.")
        added.append(operation)
        unfinished += 1
        news.wakeAll()
    }

    func cancel() {
        isCancelled = true
        news.wakeAll()
    }

    func ended(_ error: (any Error)?) {
        unfinished -= 1
        if error is CancellationError {
            wasCutShort = true
        } else if let error {
            errors.append(error)
            isCancelled = true
        }
        news.wakeAll()
    }

    /// The next child to begin.
    func next() -> Operation? {
        if beginning.isEmpty {
            beginning = added.reversed()
            added = []
        }
        return beginning.popLast()
    }
}

/// Runs `body` and the children that it adds to a group, and waits for all of them.
///
/// If the body or a child throws, the body and the other children are cancelled and awaited. That one of them throws
/// `CancellationError` cancels nothing.
///
/// Must be called on a loop: elsewhere it traps.
///
/// - Returns: What `body` returns.
/// - Throws: ``TaskGroupError`` with every error, if there was any but `CancellationError`; `CancellationError` if the task
///   was cancelled, or the loop ends, and the body or a child ended by it, or if
///   ``ErrorCollectingTaskGroup/cancelAll()`` ended the body.
///
/// The corresponding asyncio name is `asyncio.TaskGroup`.
public func withErrorCollectingTaskGroup<Value>(
    _ body: nonisolated(nonsending) @escaping (ErrorCollectingTaskGroup) async throws -> Value
) async throws -> Value {
    let loop = Loops.here("withErrorCollectingTaskGroup")
    return try await collect(GroupState(), loop, Transfer(body), #isolation).value
}

private func collect<Value>(
    _ state: GroupState,
    _ loop: EventLoop,
    _ body: Transfer<nonisolated(nonsending) (ErrorCollectingTaskGroup) async throws -> Value>,
    _ isolation: isolated (any Actor)?
) async throws -> Transfer<Value> {
    let group = ErrorCollectingTaskGroup(LoopBound(state, here: loop))
    let shared = Transfer(state)
    let outcome = Transfer(Box<Result<Transfer<Value>, any Error>>())
    var loopEnds = false
    // Mostly once: on a loop that ends nobody waits for news, and what children add then begins when they have ended.
    repeat {
        await withDiscardingTaskGroup { children in
            if outcome.value.value == nil {
                children.addImmediateTask {
                    _ = isolation
                    do {
                        outcome.value.value = .success(Transfer(try await body.value(group)))
                        shared.value.ended(nil)
                    } catch {
                        outcome.value.value = .failure(error)
                        shared.value.ended(error)
                    }
                }
            }
            while state.unfinished > 0 {
                // Asked each time, as a child that begins here may end here, when nobody waits for the news of it.
                if state.isCancelled { children.cancelAll() }
                if let operation = state.next() {
                    children.addImmediateTask {
                        _ = isolation
                        do {
                            try await Loops.run(operation, on: loop)
                            shared.value.ended(nil)
                        } catch {
                            shared.value.ended(error)
                        }
                    }
                } else if await !state.news.waitUncancellable() {
                    // The children hear of the task's own cancellation themselves, but not of the loop's end.
                    loopEnds = true
                    state.cancel()
                    children.cancelAll()
                    break
                }
            }
        }
    } while state.unfinished > 0
    state.isOver = true
    if !state.errors.isEmpty { throw TaskGroupError(errors: state.errors) }
    if state.wasCutShort && (Task.isCancelled || loopEnds) { throw CancellationError() }
    return try outcome.value.value!.get()
}

/// A place for a value.
private final class Box<Value> {
    var value: Value?
}
