// Handlers: every connection gets a task of its own, a child of the task that serves. It starts within the callback that
// accepted the connection, so that the first read waits for bytes and not for a turn of the loop.

extension TCPServer {
    typealias Handler = @Sendable @isolated(any) (TCPConnection) async throws -> Void

    /// Accepts connections and runs `handler` for each, in a child task of its own, until the server ends.
    ///
    /// The handler has the isolation of the place where it is written: inside ``run(_:signals:_:)`` that is the main
    /// actor, which the loop is. So handlers share state without locks: between two `await`s only one of them runs. A
    /// function is handed over within a closure: `server.serve { try await answer($0) }`. A server on several loops takes
    /// every connection of such a handler to the actor's thread and back, and says so once to
    /// ``EventLoop/Configuration/onIssue``: see ``serve(onEachLoop:)``.
    ///
    /// When a handler returns, what it wrote is sent, for ``StreamOptions/closeTimeout`` at most, and the connection is
    /// closed. With ``StreamOptions/linger`` that is when the client has acknowledged it, and ``ServerOptions/onError`` hears
    /// of one that does not. When the handler throws or is cancelled, the connection is aborted and ``ServerOptions/onError``
    /// hears of it; the server goes on.
    ///
    /// Returns when the server was closed and the last handler has ended.
    ///
    /// A handler that waits for something else than its client hears that the client has gone when it next reads or
    /// writes; with ``ServerOptions/cancelsHandlers`` it is cancelled.
    ///
    /// - Throws: ``SystemError`` if there is no descriptor left for that. `CancellationError` if the task was cancelled: then
    ///   accepting has stopped, handlers have been cancelled, and those that had not ended after
    ///   ``ServerOptions/shutdownTimeout`` have had their connections aborted.
    ///
    /// The corresponding asyncio names are `asyncio.start_server` and `Server.serve_forever`.
    public func serve(
        @_inheritActorContext(always) _ handler: @escaping @Sendable @isolated(any) (TCPConnection) async throws -> Void
    ) async throws {
        if group != nil, handler.isolation != nil {
            bound.loop.reportAnywhere(.handlerLeavesLoops, "the handler of a TCPServer on \(everywhere.count) loops")
        }
        try await serveEverywhere { bound, loop in try await self.serve(bound, on: loop, handler) }
    }

    /// Accepts connections and runs `handler` for each on the loop that the server belongs to.
    ///
    /// Like ``serve(_:)``, for code that is written once for several loops: the handler is isolated to the loop that
    /// accepted the connection.
    public func serve(
        onEachLoop handler: @escaping @Sendable (isolated EventLoop, TCPConnection) async throws -> Void
    ) async throws {
        try await serveEverywhere { bound, loop in
            // PERF: isolated to the loop. Isolated to nothing it would prefer the loop, which the runtime looks up at each
            // step: 430 instructions a message. (two loops, 50 × 64 B)
            let isolated = Self.isolatedHere { connection in try await handler(loop, connection) }
            try await self.serve(bound, on: loop, isolated)
        }
    }

    /// A handler with the isolation of the place where it is written.
    private static func isolatedHere(@_inheritActorContext(always) _ handler: @escaping Handler) -> Handler { handler }

    /// Serves on each loop, and ends the loops that were made for this server when that is over.
    private func serveEverywhere(
        _ serve: @escaping @Sendable (LoopBound<ServerState>, isolated EventLoop) async throws -> Void
    ) async throws {
        guard let group else {
            let bound = bound
            return try await bound.loop.run { loop in try await serve(bound, loop) }
        }
        let result: Result<Void, any Error>
        do {
            // One that cannot go on ends the others.
            try await withThrowingTaskGroup(of: Void.self) { children in
                for bound in everywhere {
                    children.addTask { try await bound.loop.run { loop in try await serve(bound, loop) } }
                }
                while try await children.next() != nil {}
            }
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await group.end()
        try result.get()
    }

    private func serve(
        _ bound: LoopBound<ServerState>,
        on loop: isolated EventLoop,
        _ handler: @escaping Handler
    ) async throws {
        let state = bound.value(on: loop)
        try state.begin(on: loop)
        await withDiscardingTaskGroup { group in
            var abortion: Scheduled?
            while !state.isDone {
                while let worker = state.nextWorker(self, bound, handler, on: loop) {
                    let worker = Transfer(worker)
                    group.addImmediateTask { await self.work(worker.value, on: loop) }
                }
                // Handlers may have ended already, and the server with them.
                if state.isDone { break }
                if abortion != nil {
                    // Without a loop there are no news; the group waits for its children all the same.
                    guard await state.waitForNewsUncancellable(on: loop) else { break }
                    continue
                }
                do {
                    try await state.waitForNews(on: loop)
                } catch {
                    // By the task's own cancellation, which the handlers hear of anyway, or by the end of the loop's run.
                    group.cancelAll()
                    abortion = endSoon(state, on: loop)
                }
            }
            abortion?.cancel()
        }
        state.end()
        try Task.checkCancellation()
    }

    /// Starts the handlers of one worker, and ends with the last of them when the server is closed.
    private func work(
        _ worker: ServerWorker,
        on loop: isolated EventLoop
    ) async {
        let state = worker.bound.value(on: loop)
        let worker = Transfer(worker)
        // A handler that is isolated to nothing stays on the loop by preferring it.
        let preference = worker.value.handler.isolation == nil ? loop.taskExecutor : nil
        await withDiscardingTaskGroup { group in
            while true {
                while let channel = worker.value.next() {
                    guard let transport = channel.transport, !channel.isLost else {
                        state.connectionGone(of: worker.value)
                        continue
                    }
                    let connection = TCPConnection(channel, transport, here: loop)
                    channel.keeper = worker.value
                    state.handlerBegins(channel, on: loop)
                    // A preference, even of nothing, costs a locked look-up for each step of the task.
                    if let preference {
                        group.addImmediateTask(executorPreference: preference) {
                            await ServerWorker.handle(connection, on: connection.loop)
                        }
                    } else {
                        group.addImmediateTask { await ServerWorker.handle(connection, on: connection.loop) }
                    }
                }
                if state.isAborted { group.cancelAll() }
                if state.isClosed && worker.value.active == 0 { return }
                guard await worker.value.news.waitUncancellable(on: loop) else { return }
            }
        }
    }

    /// Serving was cancelled, and with it the handlers.
    private func endSoon(_ state: ServerState, on loop: isolated EventLoop) -> Scheduled {
        state.close()
        return loop.schedule(after: state.options.shutdownTimeout) { state.abortConnections() }
    }

    /// Reports what a handler threw.
    @inline(never)
    fileprivate func report(
        _ error: any Error,
        _ isOwnLoss: Bool,
        _ connection: TCPConnection,
        of worker: ServerWorker,
        on loop: isolated EventLoop
    ) {
        let onError = worker.bound.value(on: loop).onError
        // Asked first, as asking an error for its type takes long.
        if isOwnLoss && onError == nil { return }
        if (Task.isCancelled || loop.isEnding) && error is CancellationError { return }
        if let onError {
            onError(error, connection)
        } else {
            loop.report(.handlerError(error), "the handler of \(connection)")
        }
    }

    /// Reports why a connection could not be closed after its handler.
    ///
    /// A client that does not take the last bytes is no fault of the handler's; but who lingers wants to know.
    @inline(never)
    fileprivate func reportClosing(
        _ error: any Error,
        _ connection: TCPConnection,
        of worker: ServerWorker,
        on loop: isolated EventLoop
    ) {
        let state = worker.bound.value(on: loop)
        guard let linger = state.options.listener.connection.linger, linger > .zero else { return }
        if (Task.isCancelled || loop.isEnding) && error is CancellationError { return }
        if let onError = state.onError {
            onError(error, connection)
        } else {
            loop.report(.uncaughtError(error), "closing \(connection)")
        }
    }

    @inline(never)
    fileprivate func handlerEnded(_ channel: StreamChannel, of worker: ServerWorker, on loop: isolated EventLoop) {
        worker.bound.value(on: loop).handlerEnded(channel, of: worker)
    }
}

extension ServerWorker {
    // PERF: what this holds and calls over an `await` is memory of every idle connection, of which all of the task's is to
    // fit into one of the runtime's slabs of a kilobyte. (idle connections)
    // So the task's closure holds the connection alone, and that its worker.
    fileprivate static func handle(_ connection: TCPConnection, on loop: isolated EventLoop) async {
        let channel = connection.channel(on: loop)
        guard let worker = channel.keeper as? ServerWorker else { return }
        let registration = channel.handlerBegins(on: loop)
        do {
            try await HandlerPlace.$current.withValue(worker.place(of: channel)) {
                // Named, or else the body would begin elsewhere.
                _ = loop
                try await worker.handler(connection)
            }
            let wasCancelled = channel.handlerEnds(registration, on: loop)
            if wasCancelled {
                channel.breakOff()
            } else {
                do { try await channel.finish(on: loop) } catch {
                    worker.server.reportClosing(error, connection, of: worker, on: loop)
                }
            }
        } catch {
            _ = channel.handlerEnds(registration, on: loop)
            let isOwnLoss = channel.isOwnLoss(error)
            channel.breakOff()
            worker.server.report(error, isOwnLoss, connection, of: worker, on: loop)
        }
        worker.server.handlerEnded(channel, of: worker, on: loop)
    }
}
