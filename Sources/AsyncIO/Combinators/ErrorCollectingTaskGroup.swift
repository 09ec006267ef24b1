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
public final class ErrorCollectingTaskGroup {
    fileprivate typealias Operation = @Sendable @isolated(any) () async throws -> Void

    fileprivate var operations: [Operation] = []
    fileprivate var errors: [any Error] = []
    fileprivate var running = 0
    fileprivate var isCancelled = false
    fileprivate var isOver = false
    fileprivate let news = WaitQueue("withErrorCollectingTaskGroup")

    fileprivate init() {}

    /// Starts a child, which has the isolation of the place where it is written.
    ///
    /// Children may add children, also when the body has ended. In a group that was cancelled or has failed a child is
    /// cancelled when it begins. Traps if the group is over.
    ///
    /// The corresponding asyncio name is `TaskGroup.create_task`.
    public func addTask(
        @_inheritActorContext(always) _ body: @escaping @Sendable @isolated(any) () async throws -> Void
    ) {
        precondition(!isOver, "A child was added to a task group that is over.")
        operations.append(body)
        running += 1
        news.wakeAll()
    }

    /// Cancels the body and all children, those to come included.
    ///
    /// The group then ends without an error of its own, if none of them throws anything but `CancellationError`.
    ///
    /// The corresponding asyncio name is `TaskGroup.cancel`.
    public func cancelAll() {
        isCancelled = true
        news.wakeAll()
    }

    fileprivate func ended(_ error: (any Error)?) {
        running -= 1
        if let error, !(error is CancellationError) {
            errors.append(error)
            isCancelled = true
        }
        news.wakeAll()
    }
}

/// Runs `body` and the children that it adds to a group, and waits for all of them.
///
/// If the body or a child throws, the body and the other children are cancelled and awaited.
///
/// Must be called on a loop: elsewhere it traps.
///
/// - Returns: What `body` returns.
/// - Throws: ``TaskGroupError`` with every error, if there was any but `CancellationError`; `CancellationError` if the task
///   was cancelled and nothing else went wrong, or if ``ErrorCollectingTaskGroup/cancelAll()`` ended the body.
///
/// The corresponding asyncio name is `asyncio.TaskGroup`.
public func withErrorCollectingTaskGroup<Value>(
    _ body: nonisolated(nonsending) @escaping (ErrorCollectingTaskGroup) async throws -> Value
) async throws -> Value {
    _ = Loops.here("withErrorCollectingTaskGroup")
    return try await collect(ErrorCollectingTaskGroup(), Transfer(body), #isolation).value
}

private func collect<Value>(
    _ group: ErrorCollectingTaskGroup,
    _ body: Transfer<nonisolated(nonsending) (ErrorCollectingTaskGroup) async throws -> Value>,
    _ isolation: isolated (any Actor)?
) async throws -> Transfer<Value> {
    let shared = Transfer(group)
    let outcome = Transfer(Box<Result<Transfer<Value>, any Error>>())
    await withDiscardingTaskGroup { children in
        group.running += 1
        children.addImmediateTask {
            _ = isolation
            do {
                outcome.value.value = .success(Transfer(try await body.value(shared.value)))
                shared.value.ended(nil)
            } catch {
                outcome.value.value = .failure(error)
                shared.value.ended(error)
            }
        }
        while true {
            if group.isCancelled { children.cancelAll() }
            while !group.operations.isEmpty {
                let operation = group.operations.removeFirst()
                children.addImmediateTask {
                    _ = isolation
                    do {
                        try await operation()
                        shared.value.ended(nil)
                    } catch {
                        shared.value.ended(error)
                    }
                }
            }
            if group.running == 0 { break }
            // The children hear of the task's own cancellation themselves.
            guard await group.news.waitUncancellable() else { break }
        }
        group.isOver = true
    }
    if !group.errors.isEmpty { throw TaskGroupError(errors: group.errors) }
    return try outcome.value.value!.get()
}

/// A place for a value.
private final class Box<Value> {
    var value: Value?
}
