// How a spawned task begins: in the isolation of its body, or in the loop's if it has none. It then needs no step to another
// executor before its body and after it, each of which could be a turn through the ready ring.

/// Makes tasks.
@usableFromInline
package enum Spawning {
    /// Starts a task that runs `body` and completes `task`.
    @inlinable
    package static func begin<Value: Sendable>(
        _ task: TaskRecord,
        _ name: String?,
        eager: Bool,
        _ body: @escaping AnyBody<Value>
    ) {
        if name == nil, let isolation = body.isolation, mayShare(isolation) {
            task.keep(Body(call: body))
            // It captures nothing, and so is nothing that would have to be allocated.
            return share(task, eager: eager) { worker, loop in
                _ = loop
                let task = worker.takeRecord()
                do { task.ends(with: try await task.takeBody(of: Value.self).call()) } catch { task.fail(error) }
                worker.hasRun(task)
            }
        }
        // SAFETY: a function with an isolated parameter is called like one with an ordinary parameter, and these two only
        // make a task that begins in that isolation.
        let handle =
            if let isolation = body.isolation {
                unsafe unsafeBitCast(IsolatedStart<Value>(call: isolated), to: Start<Value>.self)
                    .call(task, name, eager, body, isolation)
            } else {
                // SAFETY: as above.
                unsafe unsafeBitCast(LoopStart<Value>(call: preferring), to: PlainLoopStart<Value>.self)
                    .call(task, name, eager, body, task.loop)
            }
        task.hasBegun(handle)
    }

    /// The same for a body that is isolated to nothing, which stays on the loop by preferring it.
    @inlinable
    static func preferring<Value: Sendable>(
        _ task: TaskRecord,
        _ name: String?,
        _ eager: Bool,
        _ body: @escaping AnyBody<Value>,
        on loop: isolated EventLoop
    ) -> Task<Void, Never> {
        // The task's own closure does nothing else on the loop: it would go through the ring once more for that.
        let complete: @Sendable (isolated EventLoop) async -> Void = { _ in
            if eager { task.begins() }
            do { task.ends(with: try await body()) } catch { task.fail(error) }
        }
        let preference = task.preference
        if eager {
            return Task.immediate(name: name, executorPreference: preference) { await complete(loop) }
        }
        return Task(name: name, executorPreference: preference) { await complete(loop) }
    }

    @inlinable
    static func isolated<Value: Sendable>(
        _ task: TaskRecord,
        _ name: String?,
        _ eager: Bool,
        _ body: @escaping AnyBody<Value>,
        _ isolation: isolated any Actor
    ) -> Task<Void, Never> {
        if eager {
            return Task.immediate(name: name) {
                _ = isolation
                task.begins()
                do { task.ends(with: try await body()) } catch { task.fail(error) }
            }
        }
        return Task(name: name) {
            _ = isolation
            do { task.ends(with: try await body()) } catch { task.fail(error) }
        }
    }

    @usableFromInline package typealias AnyBody<Value> = @Sendable @isolated(any) () async throws -> Value

    // Structures, and not the functions alone, which would be wrapped for the cast.

    /// A body, as a record keeps it.
    @usableFromInline
    struct Body<Value: Sendable> {
        @usableFromInline let call: AnyBody<Value>

        @inlinable
        init(call: @escaping AnyBody<Value>) { self.call = call }
    }

    @usableFromInline
    struct IsolatedStart<Value: Sendable> {
        @usableFromInline typealias Call = (
            TaskRecord, String?, Bool, @escaping AnyBody<Value>, isolated any Actor
        ) -> Task<Void, Never>

        @usableFromInline let call: Call

        @inlinable
        init(call: @escaping Call) { self.call = call }
    }

    @usableFromInline
    struct Start<Value: Sendable> {
        @usableFromInline
        let call: (TaskRecord, String?, Bool, @escaping AnyBody<Value>, any Actor) -> Task<Void, Never>
    }

    @usableFromInline
    struct LoopStart<Value: Sendable> {
        @usableFromInline typealias Call = (
            TaskRecord, String?, Bool, @escaping AnyBody<Value>, isolated EventLoop
        ) -> Task<Void, Never>

        @usableFromInline let call: Call

        @inlinable
        init(call: @escaping Call) { self.call = call }
    }

    @usableFromInline
    struct PlainLoopStart<Value: Sendable> {
        @usableFromInline
        let call: (TaskRecord, String?, Bool, @escaping AnyBody<Value>, EventLoop) -> Task<Void, Never>
    }
}

extension TaskRecord {
    /// Where a body runs that is isolated to nothing.
    @usableFromInline
    var preference: any TaskExecutor { loop.taskExecutor }

    /// The body has returned; nothing but the body's end sets a task's result.
    @inlinable
    @inline(__always)
    func ends<Value: Sendable>(with value: Value) {
        store(value)
        endsWithValue()
    }
}
