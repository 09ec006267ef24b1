// A wait of one task, wherever it runs, that any thread may end: what lets things be waited for that belong to no loop.
//
// Ground rules:
//   * A task on a loop waits on that loop, in a line of its own, and is woken there. All others wait by Swift's own means.
//   * It is made by the task that waits, before anybody else can know of it, and used for one wait.
//   * Ending is a hint and not the news: the news is in a state that is guarded, and whoever wakes up looks there, also
//     after a cancellation. So nothing is lost whichever of two ends comes first.

internal import Reactor

/// One wait of the task that makes it.
@usableFromInline
struct ForeignWait: Sendable {
    private enum Kind: Sendable {
        /// On a loop.
        case onLoop(LoopBound<WaitQueue>)
        /// On no loop: over when the stream ends.
        case elsewhere(AsyncStream<Never>, AsyncStream<Never>.Continuation)
    }

    private let kind: Kind

    /// For the calling task.
    @usableFromInline
    init(_ name: StaticString) {
        if let loop = EventLoop.current {
            kind = .onLoop(LoopBound(WaitQueue(name), here: loop))
        } else {
            let (stream, continuation) = AsyncStream.makeStream(of: Never.self)
            kind = .elsewhere(stream, continuation)
        }
    }

    /// Waits until ``end()``, or until the task is cancelled or its loop ends; ``end()`` may have come before.
    ///
    /// On a loop nothing may be awaited between making this and waiting: an end that comes from another thread then comes
    /// after the wait has begun.
    @usableFromInline
    func wait() async {
        switch kind {
        case .onLoop(let line): try? await line.ifHere?.wait()
        case .elsewhere(let stream, _):
            let deadline = ForeignDeadline.watch()
            for await _ in stream {}
            deadline?.stop()
        }
    }

    /// Whether it has begun and is over, as far as can be told here: of a task on the loop that runs here.
    @usableFromInline
    var isKnownToBeOver: Bool {
        if case .onLoop(let line) = kind { line.ifHere?.isEmpty ?? false } else { false }
    }

    /// Ends the wait: any thread, once.
    @usableFromInline
    func end() {
        switch kind {
        case .onLoop(let line):
            if let line = line.ifHere {
                line.wakeFirst()
            } else {
                // A loop that is closed has ended all its waits.
                _ = try? line.loop.submit { loop in line.value(on: loop).wakeFirst() }
            }
        case .elsewhere(_, let continuation): continuation.finish()
        }
    }
}
