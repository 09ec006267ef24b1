// What was written for a sink of the program's own, and the task that hands it over.
//
// Ground rules:
//   * The sink is called by one task at a time, which is started when there is something to do and ends when there is not:
//     first the bytes, then the end of the stream, then the close.
//   * An error is the end of all that; everybody who waits gets it, and everybody who drains later.
//   * Whoever waits may be cancelled: the task goes on, and has no deadline of whoever was the first to write.

/// Writes to a ``ByteSink`` on behalf of a ``StreamWriter``.
@safe
final class SinkRelay {
    private let sink: any ByteSink
    private let core: LoopCore
    private let waiting = WaitQueue("StreamWriter")

    private var pieces: [Bytes] = []
    private var failure: (any Error)?
    private var isAtWork = false
    private var endIsWanted = false
    private var endWasSent = false
    private var wasWrittenAfterEnd = false
    private var isClosed = false
    private(set) var isClosing = false
    /// How many bytes the sink has not taken.
    private(set) var queuedCount = 0

    init(_ sink: any ByteSink, _ core: LoopCore) {
        self.sink = sink
        self.core = core
    }

    func queue(_ bytes: Bytes) {
        guard !isClosing, failure == nil, !bytes.isEmpty else { return }
        guard !endIsWanted else {
            wasWrittenAfterEnd = true
            return
        }
        pieces.append(bytes)
        queuedCount += bytes.count
        beginWork()
    }

    func end() {
        guard !isClosing, failure == nil else { return }
        endIsWanted = true
        beginWork()
    }

    func close() {
        guard !isClosing else { return }
        isClosing = true
        beginWork()
    }

    func abort() {
        guard !isClosed else { return }
        isClosing = true
        isClosed = true
        pieces = []
        queuedCount = 0
        sink.abort()
        waiting.wakeAll()
    }

    // MARK: Waiting

    func drain() async throws {
        try Task.checkCancellation()
        if isClosing && isAtWork { await LoopWait.turn() }
        while isAtWork && failure == nil && !isClosing { try await waiting.wait() }
        if let failure { throw failure }
        if isClosed { throw StreamError.closed }
        if wasWrittenAfterEnd { throw StreamError.writeAfterEnd }
    }

    func waitClosed() async throws {
        while !isClosed { try await waiting.wait() }
        if let failure { throw failure }
    }

    // MARK: The task

    private func beginWork() {
        guard !isAtWork, !isClosed else { return }
        isAtWork = true
        // SAFETY: used on the loop only.
        nonisolated(unsafe) let this = self
        let work: @Sendable (isolated EventLoop) async -> Void = { unsafe await this.work(on: $0) }
        // Preferring the loop, so that it begins in the next batch whatever the global executor does.
        core.withLoop { loop in
            InheritedDeadline.hidden { _ = Task(executorPreference: loop.taskExecutor) { await work(loop) } }
        }
    }

    private func work(on loop: isolated EventLoop) async {
        do {
            while !isClosed, try await step() {}
        } catch {
            failure = error
            pieces = []
            queuedCount = 0
            sink.abort()
            isClosing = true
            isClosed = true
        }
        isAtWork = false
        waiting.wakeAll()
    }

    /// Does the next thing, and says whether there was one.
    private func step() async throws -> Bool {
        if !pieces.isEmpty {
            let taken = pieces
            let count = queuedCount
            pieces = []
            try await sink.write(contentsOf: taken)
            queuedCount = max(0, queuedCount - count)
        } else if endIsWanted && !endWasSent {
            endWasSent = true
            try await sink.writeEOF()
        } else if isClosing && !isClosed {
            try await sink.close()
            isClosed = true
        } else {
            return false
        }
        return true
    }
}
