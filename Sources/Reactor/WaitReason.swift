// What tasks wait for, in words: found out when somebody asks, so that a wait itself pays nothing for it.
//
// A continuation is the address of the task that waits; so the waits that a loop lists say which task waits where.

internal import CReactor

/// What a task waits for.
package struct WaitReason {
    /// In words, such as `AsyncLock` or `TCP read from 127.0.0.1:4711`.
    package var text: String
    /// The tasks whose end it waits for.
    package var tasks: [TaskRecord] = []
    /// Whether who waits is but the timer of its parent, of which the words then tell.
    var isTimer = false
}

/// A place to wait that can say what for.
@safe
package final class ExplainedPark: Park {
    /// What is waited for.
    package enum Subject {
        case sleep(until: LoopInstant)
        /// The timer of a function with a time limit, whose body is its sibling; nil is never.
        case limit(StaticString, until: LoopInstant?)
        case connection(to: SocketAddress)
        case thread
        case text(StaticString)
        case tasks([TaskRecord])
    }

    /// Changed by who waits, or for a wait that has not begun.
    package var subject: Subject

    /// A place to wait on `loop`.
    package init(on loop: isolated EventLoop, _ subject: Subject) {
        self.subject = subject
        unsafe super.init(loop.core)
    }

    /// The same on the loop that runs here, if `loop` is it.
    package init(here loop: EventLoop, _ subject: Subject) {
        require(loop.isCurrent, "A Park was made for an EventLoop that does not run here.")
        self.subject = subject
        unsafe super.init(loop.core)
    }

    override func explain() -> WaitReason {
        switch subject {
        case .sleep(let deadline): WaitReason(text: "sleep until \(deadline)")
        case .limit(let name, let deadline):
            WaitReason(text: deadline.map { "\(name) until \($0)" } ?? "\(name) without a limit", isTimer: true)
        case .connection(let address): WaitReason(text: "TCP connect to \(address)")
        case .thread: WaitReason(text: "work on another thread")
        case .text(let text): WaitReason(text: "\(text)")
        case .tasks(let records):
            WaitReason(text: "\(records.count) task\(records.count == 1 ? "" : "s")", tasks: records)
        }
    }
}

extension StreamChannel {
    /// What is waited for at one of its places.
    func explain(_ park: Park) -> WaitReason {
        let isClosing = rare?.closers.contains { $0 === park } == true
        let (word, preposition) =
            park === arrival ? ("read", "from") : isClosing ? ("close", "to") : ("write", "to")
        guard let kind = transport?.kind, kind.isSocket else {
            return WaitReason(text: "\(transport?.kind.description ?? "stream") \(word)")
        }
        // Clients on a Unix socket have no name, but the socket that they came to has.
        let peer = remoteAddress ?? transport?.remoteAddress
        if let peer, peer.unixPath != "" { return WaitReason(text: "\(kind) \(word) \(preposition) \(peer)") }
        let here = transport?.localAddress.map { " at \($0)" } ?? ""
        return WaitReason(text: "\(kind) \(word)\(here)")
    }
}

extension StreamTransport {
    /// What the connection is made of; in memory, what it stands for.
    fileprivate var kind: StreamKind {
        if case .system(let stream) = driver { return stream.streamKind }
        return (localAddress ?? remoteAddress)?.family == .unix ? .unix : .tcp
    }
}

/// A task as its loop can see it.
package struct TaskSighting {
    /// Set for tasks that were spawned, and for children that this library made.
    package var record: TaskRecord?
    /// What it is, for those that have no record.
    package var title: String
    /// What it waits for, if it is in a wait of this library.
    package var reason: WaitReason?
    package var isCurrent: Bool
    /// The places in the list of those that are its children.
    package var children: [Int] = []
    /// The task as an address, if that is known.
    var address: UInt?

    package init(record: TaskRecord? = nil, title: String, reason: WaitReason? = nil, isCurrent: Bool) {
        (self.record, self.title, self.reason, self.isCurrent) = (record, title, reason, isCurrent)
    }
}

extension EventLoop {
    /// All tasks that the loop knows of: those that were spawned, oldest first, the handlers of connections, and others
    /// that are in a wait of this library.
    package func sightings() -> [TaskSighting] { unsafe core.sightings() }
}

extension LoopCore {
    /// What the handler is that runs in a task, or has ended in the step that runs.
    func handlerTitle(_ task: UInt) -> String? {
        if let endedHandler, endedHandler.task == task { return endedHandler.title }
        return liveChannels().first { $0.handlerTask == task }?.title
    }

    func sightings() -> [TaskSighting] {
        let (parks, limits) = takeTimers(parked.all.map { (task: $0.waitingTask, reason: $0.explain()) })
        var waits = parks
        if let lent = unsafe lent {
            let record = unsafe lent.to.takeUnretainedValue()
            unsafe waits.append((lent.task, WaitReason(text: "task \(record.shortTitle)", tasks: [record])))
        }
        func takeWait(_ isTask: (UInt?) -> Bool) -> (task: UInt?, reason: WaitReason)? {
            guard let index = waits.firstIndex(where: { isTask($0.task) }) else { return nil }
            return waits.remove(at: index)
        }
        let records = spawned.all
        var sightings = records.map { record in
            let wait = takeWait { record.isTask($0) }
            var sighting = TaskSighting(
                record: record,
                title: record.shortTitle,
                reason: wait?.reason,
                isCurrent: record.isCurrent
            )
            sighting.address = wait?.task
            return sighting
        }
        for channel in liveChannels() {
            guard let task = channel.handlerTask, !records.contains(where: { $0.isTask(task) }) else { continue }
            let reason = unsafe channel.waiting.map { unsafe $0._withUnsafeGuaranteedRef { $0.explain() } }
            var sighting = TaskSighting(
                title: channel.title,
                reason: reason ?? takeWait { $0 == task }?.reason,
                isCurrent: channel.isOfThisTask
            )
            // Known to live while it waits.
            if sighting.reason != nil { sighting.address = task }
            sightings.append(sighting)
        }
        sightings += waits.map { wait in
            var sighting = TaskSighting(title: "a task", reason: wait.reason, isCurrent: false)
            sighting.address = wait.task
            return sighting
        }
        addParents(&sightings, limits)
        return sightings
    }

    private func liveChannels() -> [StreamChannel] {
        liveHandles().compactMap { $0.liveTransport?.receiver as? StreamChannel }
    }
}
