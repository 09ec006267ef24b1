// A body against a timer: what `withTimeout` and `withDeadline` have in common. Both are children of one group, so that the
// body alone is cancelled; whichever ends first, the other has ended too when the race is over.

internal import Reactor

/// What a child of a race has to say.
private enum Step<Value>: Sendable {
    case ended(Result<Transfer<Value>, any Error>)
    case expired
    case timerCancelled
}

/// Runs `body`, and cancels it when `timer` returns.
///
/// What `body` returns or throws counts, however late; but a cancellation that is not the caller's becomes what `failure`
/// returns, if that is an error. It is told whether `timer` has returned.
func race<Value>(
    _ isolation: isolated (any Actor)?,
    _ body: @escaping @Sendable (isolated (any Actor)?) async throws -> Transfer<Value>,
    until timer: @escaping @Sendable (isolated (any Actor)?) async throws -> Void,
    failure: (_ hasExpired: Bool) -> (any Error)?
) async throws -> Transfer<Value> {
    let result = await withTaskGroup(of: Step<Value>.self) { group in
        group.addImmediateTask {
            do { return .ended(.success(try await body(isolation))) } catch { return .ended(.failure(error)) }
        }
        group.addImmediateTask {
            do { try await timer(isolation) } catch { return .timerCancelled }
            return .expired
        }
        var hasExpired = false
        while let step = await group.next() {
            switch step {
            case .ended(.failure(let error)) where error is CancellationError && !Task.isCancelled:
                group.cancelAll()
                return Result<Transfer<Value>, any Error>.failure(failure(hasExpired) ?? error)
            case .ended(let result):
                group.cancelAll()
                return result
            case .expired:
                hasExpired = true
                group.cancelAll()
            case .timerCancelled:
                continue
            }
        }
        return .failure(CancellationError())
    }
    return try result.get()
}
